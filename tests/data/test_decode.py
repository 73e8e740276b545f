import io
import os
import tracemalloc
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netwright.data import decode as module
from netwright.data.decode import ANIMATED, CLEAR, CMYK, DEEP, MISNAMED, TURNED, BadImage, decode
from tests import bad_images
from tests.bad_images import encoded, pixels

COLOR = partial(decode, channels=3, height=12, width=12, fit="crop")
GRAY = partial(decode, channels=1, height=12, width=12, fit="crop")


def _made(tmp_path, make, name="x.png", **how):
    make(tmp_path / name, **how)
    return tmp_path / name


def test_an_image_of_the_right_size_is_not_touched(tmp_path):
    for channels, decoder in ((3, COLOR), (1, GRAY)):
        array = pixels(0, channels=channels)
        image, notes = decoder(encoded(array))
        assert image.dtype == np.uint8
        assert np.array_equal(image, array.reshape(12, 12, channels))
        assert notes == ()


def test_files_and_bytes_are_the_same(tmp_path):
    bad_images.good(tmp_path / "x.jpg", kind="JPEG")
    assert np.array_equal(COLOR(tmp_path / "x.jpg")[0], COLOR((tmp_path / "x.jpg").read_bytes())[0])


def test_gray_becomes_color_and_back():
    gray = pixels(0, channels=1)
    assert np.array_equal(COLOR(encoded(gray))[0], np.repeat(gray[:, :, None], 3, 2))
    red = np.zeros((12, 12, 3), np.uint8)
    red[..., 0] = 255
    assert GRAY(encoded(red))[0].flatten().tolist() == [76] * 144, "luma of ITU-R 601: 0.299 red"


def test_palettes_are_resolved_without_a_note():
    image, notes = COLOR(encoded(np.array(Image.fromarray(pixels(0)).quantize(4).convert("RGB")), "GIF"))
    assert len(np.unique(image.reshape(-1, 3), axis=0)) <= 4
    assert notes == ()


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (bad_images.unreadable, "x.png", "not an image"),
        (bad_images.zero_byte, "x.png", "empty"),
        (bad_images.truncated, "x.jpg", "truncated"),
        (bad_images.bomb, "x.png", "more than 89 million pixels"),
        (partial(bad_images.bomb, side=10_000), "x.png", "more than 89 million pixels"),
    ],
)
def test_broken_files_are_refused_with_a_reason(tmp_path, make, name, reason):
    path = _made(tmp_path, make, name)
    for action in ("ignore", "error"):  # Pillow warns from its limit to twice of it
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            for source in (path, path.read_bytes()):
                with pytest.raises(BadImage, match=reason):
                    COLOR(source)


def test_missing_files_folders_and_pipes_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for name, reason in (("none.png", "no such file"), ("", "not a file"), ("pipe.png", "not a file")):
        with pytest.raises(BadImage, match=reason):
            COLOR(tmp_path / name)


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_lying_photos_are_turned_upright(tmp_path, orientation):
    path = _made(tmp_path, bad_images.rotated, "x.jpg", orientation=orientation)
    image, notes = COLOR(path)
    assert notes == (TURNED,)
    assert image[:5].min() > 240
    assert image[7:].max() < 15


def test_cmyk_is_converted(tmp_path):
    image, notes = COLOR(_made(tmp_path, bad_images.cmyk, "x.jpg"))
    assert notes == (CMYK,)
    assert image[0, 0].tolist() == pytest.approx([255, 0, 0], abs=3), "full magenta and yellow are red"
    assert GRAY(tmp_path / "x.jpg")[0][0, 0, 0] == pytest.approx(76, abs=3)


@pytest.mark.parametrize(("value", "gray"), [(0, 0), (257, 1), (0x8000, 128), (0xFFFF, 255)])
def test_16_bits_are_scaled_not_clipped(tmp_path, value, gray):
    image, notes = GRAY(_made(tmp_path, bad_images.sixteen_bit, value=value))
    assert notes == (DEEP,)
    assert set(image.flatten().tolist()) == {gray}


def test_images_of_floats_are_scaled_by_the_white_they_fit(tmp_path):
    small = partial(decode, channels=1, height=2, width=2, fit="crop")
    assert small(_made(tmp_path, bad_images.thirty_two_bit, "x.tif"))[0].flatten().tolist() == [128, 255] * 2
    for top, expected in ((255.0, 255), (200.0, 200), (65535.0, 255), (32768.0, 128)):
        stream = io.BytesIO()
        Image.fromarray(np.array([[0, top]] * 2, np.float32)).save(stream, "TIFF")
        assert small(stream.getvalue())[0].flatten().tolist() == [0, expected] * 2
    stream = io.BytesIO()
    Image.fromarray(np.array([[0, np.nan]] * 2, np.float32)).save(stream, "TIFF")
    with pytest.raises(BadImage, match="no numbers"):
        small(stream.getvalue())


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_animations_the_first_frame_is_taken(tmp_path, kind):
    image, notes = COLOR(_made(tmp_path, bad_images.animated, f"x.{kind.lower()}", kind=kind))
    assert notes == (ANIMATED,)
    assert image[5, 5].tolist() == pytest.approx([255, 0, 0], abs=10)


def test_transparency_shows_white(tmp_path):
    image, notes = COLOR(_made(tmp_path, bad_images.transparent))
    assert notes == (CLEAR,)
    assert (image[:, :6] == 255).all() and (image[:, 6:] == 0).all()
    assert COLOR(encoded(np.dstack((pixels(0), np.full((12, 12), 255, np.uint8)))))[1] == (), "opaque: nothing to say"


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
def test_transparency_is_put_on_white_when_the_image_is_small(fit, monkeypatch):
    array = np.zeros((64, 128, 4), np.uint8)
    array[:, 64:] = (10, 200, 30, 255)
    sizes, composite = [], Image.alpha_composite
    monkeypatch.setattr(Image, "alpha_composite", lambda a, b: sizes.append(a.size) or composite(a, b))
    image, notes = decode(encoded(array), channels=3, height=16, width=16, fit=fit)
    assert notes == (CLEAR,) and sizes == [(16, 16)]
    rows = slice(4, 12) if fit == "pad" else slice(0, 16)
    assert (image[rows, :7] == 255).all() and (image[rows, 9:] == (10, 200, 30)).all()
    assert fit != "pad" or ((image[:4] == 0).all() and (image[12:] == 0).all()), "padded with black, not with white"
    assert image[8, 7, 0] > 10 < image[8, 8, 0], "what is invisible has no color to bleed"
    gray, _ = decode(encoded(array), channels=1, height=16, width=16, fit=fit)
    assert (gray[rows, :7] == 255).all()


def test_scaling_16_bits_takes_no_more_than_single_precision():
    data = encoded(np.full((500, 500), 0x8000, np.uint16))
    tracemalloc.start()
    try:
        decode(data, channels=1, height=8, width=8, fit="crop")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 500 * 500 * 16, "three arrays of single precision at most, and what they are made of"


def test_the_content_says_what_a_file_is(tmp_path):
    image, notes = COLOR(_made(tmp_path, bad_images.wrong_extension, "x.png"))
    assert notes == (MISNAMED,)
    assert np.array_equal(image, COLOR((tmp_path / "x.png").read_bytes())[0])


def test_fits_by_hand():
    """A wide image: left third red, middle green, right blue."""
    wide = np.zeros((30, 90, 3), np.uint8)
    for third in range(3):
        wide[:, 30 * third : 30 * third + 30, third] = 255
    fits = {f: decode(encoded(wide), channels=3, height=30, width=30, fit=f)[0] for f in ("crop", "stretch", "pad")}
    assert (fits["crop"] == (0, 255, 0)).all()
    middles = fits["stretch"][15, [5, 15, 25]]
    assert middles.argmax(1).tolist() == [0, 1, 2] and middles.max(1).tolist() == [255] * 3
    assert (fits["pad"][:10] == 0).all() and (fits["pad"][20:] == 0).all()
    assert fits["pad"][15, [5, 15, 25]].argmax(1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(1, 500), (500, 1), (3, 2), (40, 41), (12, 300)])
def test_any_size_fits(fit, size):
    image, _ = decode(encoded(pixels(0, *size)), channels=3, height=12, width=9, fit=fit)
    assert image.shape == (12, 9, 3)


def test_reducing_is_antialiased():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    image, _ = decode(encoded(stripes), channels=1, height=8, width=8, fit="crop")
    assert np.abs(image[:, 1:-1].astype(int) - 127).max() <= 2


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("shape", [(896, 1200), (1200, 496), (384, 512)])
def test_large_jpegs_are_reduced_early_to_the_same_picture(fit, shape, monkeypatch):
    smooth = np.array(Image.fromarray(pixels(0, 9, 12)).resize(shape[::-1], Image.Resampling.BICUBIC))
    data = encoded(smooth, "JPEG", quality=95)
    sizes, resized = [], module._resized
    monkeypatch.setattr(module, "_resized", lambda image, form: sizes.append(image.size) or resized(image, form))
    early, _ = decode(data, channels=3, height=48, width=64, fit=fit)
    monkeypatch.setattr(module, "_reduce_early", lambda image, form: None)
    whole, _ = decode(data, channels=3, height=48, width=64, fit=fit)
    (width, height), original = sizes
    assert original == shape[::-1]
    assert width < original[0]
    scales = (64 / width, 48 / height)
    assert (min(scales) if fit == "pad" else max(scales)) <= 0.5, "at least twice as large as needed"
    assert not np.array_equal(early, whole), "else this tests nothing"
    assert np.abs(early.astype(int) - whole).mean() < 1.0


SEEDS = [encoded(pixels(0, 9, 7), kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")]


@settings(max_examples=300)
@given(
    st.sampled_from(SEEDS), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8), st.integers(1)
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes_are_an_image_or_refused(data, changes, length):
    damaged = bytearray(data[:length])
    for place, value in changes:
        damaged[place % len(damaged)] = value
    try:
        image, _ = COLOR(bytes(damaged))
    except BadImage:
        return
    assert image.shape == (12, 12, 3)
