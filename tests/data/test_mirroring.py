import numpy as np
import pytest

from netwright.data.mirroring import LEAST, Chirality, chirality
from netwright.tasks.digits import digits


def _noise(count, seed=0, channels=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 8, 8, channels), np.uint8)


def test_digits_can_be_told_from_their_mirror_images_whatever_is_dark_in_them():
    data = digits().data
    places = data.positions["train"]
    images, labels = data.pixels.take(places), data.labels[places]
    found = chirality(images, labels)
    assert found.told > 0.85 and found.images == len(labels) and found.may_mirror is False
    inverted = np.where(np.arange(len(images))[:, None, None, None] % 3, images, 255 - images)
    assert chirality(inverted, labels).told == pytest.approx(found.told, abs=0.03)
    both = np.concatenate((images, images[:, :, ::-1]))
    order = np.random.default_rng(0).permutation(len(both))
    assert chirality(both[order], np.tile(labels, 2)[order]).may_mirror


def test_what_is_uneven_in_one_class_and_the_other_way_round_in_the_other_is_found():
    images, labels = _noise(400) // 4, np.random.default_rng(0).permutation(400) % 2
    images[labels == 0, :, :4] += 90
    images[labels == 1, :, 4:] += 90
    assert chirality(images, labels) == Chirality(1.0, 400)
    assert chirality(images, np.zeros(400, int)).told == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize("channels", [1, 3])
def test_noise_cannot_be_told_from_its_mirror_image(channels):
    found = [chirality(_noise(2500, seed, channels), np.arange(2500) % 4).may_mirror for seed in range(20)]
    assert found.count(True) >= 18 and False not in found


def test_few_images_and_classes_of_one_image_do_not_tell():
    assert chirality(_noise(380), np.arange(380) % 20) == Chirality(0.5, 0)
    assert chirality(_noise(380), np.arange(380) % 19).images == 380
    assert Chirality(0.5, 0).may_mirror is Chirality(0.1, LEAST - 1).may_mirror is Chirality(0.9, 50).may_mirror is None
    assert Chirality(0.58, 1000).may_mirror is None
    assert Chirality(0.62, 10_000).may_mirror is False and Chirality(0.52, 10_000).may_mirror is True


def test_images_of_one_tone_tell_nothing():
    assert chirality(np.full((300, 8, 8, 1), 7, np.uint8), np.arange(300) % 3).told == 0.5
