import numpy as np
import pytest

from netwright.data.mirroring import LEAST, Chirality, chirality, shrunk
from netwright.tasks.digits import digits


def _noise(count, seed=0, channels=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, channels), np.uint8)


def _photos(count, seed=0, side=8):
    """Noise that is brighter above: with an up and a down, but no left and right."""
    images = _noise(count, seed) // 2
    images[:, :4] += 100
    return images.repeat(side // 8, 1).repeat(side // 8, 2)


def test_digits_can_be_told_from_their_mirror_images_whatever_is_dark_in_them():
    data = digits().data
    places = data.positions["train"]
    images, labels = data.pixels.take(places), data.labels[places]
    found = chirality(images, labels)
    assert found.told > 0.85 and found.images == len(labels) and found.may_mirror is False
    inverted = np.where(np.arange(len(images))[:, None, None, None] % 3, images, 255 - images)
    assert chirality(inverted, labels).told == pytest.approx(found.told, abs=0.05)
    both = np.concatenate((images, images[:, :, ::-1]))
    order = np.random.default_rng(0).permutation(len(both))
    assert chirality(both[order], np.tile(labels, 2)[order]).may_mirror


def test_what_is_uneven_in_one_class_and_the_other_way_round_in_the_other_is_found():
    images, labels = _noise(400) // 4, np.random.default_rng(0).permutation(400) % 2
    images[labels == 0, :, :4] += 90
    images[labels == 1, :, 4:] += 90
    found = chirality(images, labels)
    assert (found.told, found.images) == (1.0, 400) and found.may_mirror is False
    assert chirality(images, np.zeros(400, int)).told == pytest.approx(0.5, abs=0.15)


def test_images_with_an_up_and_a_down_alone_may_be_mirrored():
    for seed in range(10):
        found = chirality(_photos(2500, seed), np.arange(2500) % 4)
        assert found.upright == 1.0 and found.may_mirror
    assert chirality(_photos(2500).transpose(0, 2, 1, 3), np.arange(2500) % 4).may_mirror is False


@pytest.mark.parametrize("side", [30, 32, 33, 64, 97, 128])
def test_a_mirror_image_that_is_made_smaller_is_the_mirror_image(side):
    images = np.random.default_rng(side).integers(0, 256, (20, side, side + 7, 3), np.uint8)
    found = shrunk(images)
    assert np.array_equal(shrunk(images[:, :, ::-1]), found[:, :, ::-1])
    assert np.array_equal(shrunk(images[:, ::-1]), found[:, ::-1])
    assert max(found.shape[1:3]) <= 32


@pytest.mark.parametrize("side", [32, 64, 96, 128])
def test_things_in_the_middle_that_are_mirrored_at_random_are_mirrored_at_every_size(side):
    """As aligned faces or leaves: where an image lies by a part of a pixel is no sign of its side."""
    rng = np.random.default_rng(side)
    across, down = (np.arange(side) + 0.5) / side - 0.5, (np.arange(side) + 0.5) / side - 0.5
    x, y = rng.normal(0, 0.02, (2, 1000, 1, 1))
    blobs = np.exp(-((across[None, None] - x) ** 2 + (down[None, :, None] - 0.2 - y) ** 2) / 0.02)
    images = np.rint(200 * blobs).astype(np.uint8)[..., None]
    turned = rng.random(1000) < 0.5
    images[turned] = images[turned, :, ::-1]
    found = chirality(images, np.zeros(1000, int))
    assert found.told == pytest.approx(0.5, abs=0.06)
    assert found.may_mirror


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_in_which_nothing_has_its_place_says_nothing(channels):
    found = [chirality(_noise(2500, seed, channels), np.arange(2500) % 4).may_mirror for seed in range(20)]
    assert found.count(None) >= 18 and False not in found


def test_letters_that_lie_anywhere_say_nothing():
    rng, data = np.random.default_rng(0), digits().data
    images, labels = data.pixels.take(data.positions["train"]), data.labels[data.positions["train"]]
    scattered = np.zeros((len(images), 24, 24, 1), np.uint8)
    for one, image in zip(scattered, images, strict=True):
        top, left = rng.integers(0, 17, 2)
        one[top : top + 8, left : left + 8] = image
    assert chirality(scattered, labels).may_mirror is None


def test_neighbors_that_show_one_scene_are_not_told_by_it():
    """20 frames of each of 40 scenes, one after the other, that all have an up and a down."""
    rng = np.random.default_rng(0)
    images = _photos(40).repeat(20, 0).astype(int) + rng.integers(0, 20, (800, 8, 8, 1))
    ordered, mixed = (
        chirality(each.astype(np.uint8), np.zeros(800, int)) for each in (images, rng.permutation(images))
    )
    assert ordered.told < 0.6 < 0.75 < mixed.told


def test_few_images_and_classes_of_few_do_not_say():
    assert chirality(_photos(380), np.arange(380) % 20) == Chirality(0.5, 0.5, 0)
    assert chirality(_photos(380), np.arange(380) % 19).images == 380
    assert Chirality(0.5, 1, 0).may_mirror is Chirality(0.1, 1, LEAST - 1).may_mirror is None
    assert Chirality(0.58, 1, 1000).may_mirror is Chirality(0.5, 0.53, 1000).may_mirror is None
    assert Chirality(0.62, 0.5, 10_000).may_mirror is False and Chirality(0.52, 0.6, 10_000).may_mirror is True


def test_images_of_one_tone_say_nothing():
    assert chirality(np.full((300, 8, 8, 1), 7, np.uint8), np.arange(300) % 3) == Chirality(0.5, 0.5, 300)


def test_of_large_images_every_so_many_pixels_are_looked_at():
    small, large = (chirality(_photos(300, side=side), np.arange(300) % 3) for side in (8, 64))
    assert small == large
