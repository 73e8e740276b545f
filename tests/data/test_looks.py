import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.data.looks import Instances, cell_means, kinds_of, looks_of, luma
from tests.bad_images import pixels


def test_a_look_says_what_an_image_is_like():
    color, gray = pixels(0), np.repeat(pixels(1, channels=1)[:, :, None], 3, 2)
    plain, bits = np.full((12, 12, 3), (9, 200, 30), np.uint8), np.where(color > 128, 255, 0).astype(np.uint8)
    looks = looks_of(np.stack((color, gray, plain, bits, color)))
    assert looks["is_constant"].tolist() == [False, False, True, False, False]
    assert looks["is_gray"].tolist() == [False, True, False, False, False]
    assert looks["levels"].tolist() == [len(np.unique(each)) for each in (color, gray, plain, bits, color)]
    assert looks["digest"][0] == looks["digest"][4] and len(set(looks["digest"].tolist())) == 4
    assert looks["crc"][0] == looks["crc"][4] and len(set(looks["crc"].tolist())) == 4
    kinds = kinds_of(looks, np.arange(10, 15))
    assert kinds == {
        "constant": Instances(1, (12,)),
        "coarse": Instances(1, (13,)),
        "gray": Instances(1, (11,)),
        "colored": Instances(0, ()),
    }
    assert len(looks_of(np.empty((0, 4, 4, 1), np.uint8))) == 0


def test_gray_images_of_one_channel_are_gray():
    looks = looks_of(pixels(0, channels=1)[None, :, :, None])
    assert looks["is_gray"].all() and not looks["is_constant"].any()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90), st.sampled_from([1, 3]))
def test_looks_are_those_of_all_pixels_however_large_the_image(seed, height, width, channels):
    rng = np.random.default_rng(seed)
    plain = np.full((4, height, width, channels), rng.integers(256), np.uint8)
    plain[1:] = rng.integers(0, 256, (3, height, width, 1))  # gray
    plain[2] &= 0xE0
    plain[0, rng.integers(height), rng.integers(width), 0] ^= rng.integers(2) << 7  # one pixel, or none
    plain[3, rng.integers(height), rng.integers(width), 0] ^= 128
    looks = looks_of(plain)
    values = plain.astype(int)
    assert looks["is_constant"].tolist() == [len(np.unique(each.reshape(-1, channels), axis=0)) == 1 for each in plain]
    assert looks["is_gray"].tolist() == [bool(np.ptp(each, axis=2).max() <= 16) for each in values]
    counts = [len(np.unique(each)) for each in plain]
    assert [min(n, 32) for n in looks["levels"].tolist()] == [min(n, 32) for n in counts]


def test_cells_are_means_of_equal_areas():
    values = np.random.default_rng(0).random((2, 24, 16)).astype(np.float32)
    by_hand = values.reshape(2, 8, 3, 8, 2).mean((2, 4))
    assert np.allclose(cell_means(values), by_hand, atol=1e-5)
    assert np.allclose(cell_means(values[:, :13, :5]).mean((1, 2)), values[:, :13, :5].mean((1, 2)), atol=1e-5)
    assert luma(np.full((1, 2, 2, 3), 77, np.uint8)).round(3).tolist() == [[[77.0] * 2] * 2]
