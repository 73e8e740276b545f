"""The tensor code does what the code of `augment` does, draw for draw."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from netwright.data import augment, augment_tensors
from netwright.data.augment import Augmentation
from netwright.data.augment_tensors import Scaling

MEAN, SD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
SCALING = Scaling.of(MEAN, SD, torch.device("cpu"))
EXACT = [
    Augmentation(),
    Augmentation(padding=2),
    Augmentation(crop=7),
    Augmentation(crop=12, padding=3),
    Augmentation(flip=True),
    Augmentation(cutout=1),
    Augmentation(cutout=5),
    Augmentation(cutout=30),
    Augmentation(padding=1, flip=True, cutout=4),
]
INTERPOLATED = [
    Augmentation(area=(0.08, 1.0)),
    Augmentation(area=(1.0, 1.0)),
    Augmentation(area=(0.3, 0.5), crop=6),
    Augmentation(rotation=30.0),
    Augmentation(zoom=0.3),
    Augmentation(brightness=0.4),
    Augmentation(contrast=1.0),
    Augmentation(saturation=0.5),
    Augmentation(saturation=1.0, hue=0.5),
    Augmentation(jitter=True, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.2),
    Augmentation(jitter=True, contrast=1.0, flip=True),
    Augmentation(padding=1, flip=True, brightness=0.125, contrast=0.5, saturation=0.5, hue=0.2, cutout=2),
    Augmentation(padding=2, flip=True, rotation=15.0, zoom=0.1, brightness=0.4, contrast=0.4, cutout=3),
    Augmentation(area=(0.2, 0.9), crop=8, flip=True, rotation=180.0, zoom=0.5, brightness=1.0, contrast=0.2, cutout=2),
]


class Said:
    """Draws of numpy's kind that follow from given numbers (B, k), column after column."""

    def __init__(self, numbers):
        self.columns = list(numbers.T)

    def random(self, size):
        return self.columns.pop(0)

    def integers(self, high, size):
        highs = np.atleast_1d(high)
        places = [np.minimum((self.random(size) * np.float32(h)).astype(int), h - 1) for h in highs]
        return places[0] if isinstance(size, int) else np.stack(places, 1)

    def uniform(self, low, high, size=None):
        shape = np.broadcast_shapes(np.shape(low), np.shape(high)) if size is None else size
        shape = (shape,) if isinstance(shape, int) else shape
        columns = [self.random(shape[0]) for _ in range(int(np.prod(shape[1:])))]
        return low + (high - low) * np.stack(columns, 1).reshape(shape)


def _images(count, height=10, width=12):
    return np.random.default_rng(1).integers(0, 256, (count, height, width, 3), np.uint8)


def _both(how, draws, images):
    said = Said(draws.numpy())
    found = augment_tensors.augment(torch.from_numpy(images), how, SCALING, draws)
    wanted = augment.augment(images.copy(), how, MEAN, SD, said)
    assert not said.columns, "both draw as many numbers"
    return found, torch.from_numpy(wanted)


def _drawn(how, count, seed=0):
    return augment_tensors.drawn(how, count, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("how", EXACT, ids=str)
def test_the_same_draws_give_the_same_pixels(how):
    found, wanted = _both(how, _drawn(how, 200), _images(200))
    assert (found.dtype, found.shape) == (torch.float32, wanted.shape)
    assert torch.allclose(found, wanted, atol=1e-6)
    assert torch.equal(found == 0, wanted == 0)


@pytest.mark.parametrize("how", INTERPOLATED, ids=str)
def test_the_same_draws_give_the_same_pixels_up_to_rounding(how):
    found, wanted = _both(how, _drawn(how, 200), _images(200))
    assert found.shape == wanted.shape
    assert torch.allclose(found, wanted, atol=2e-3)
    assert float((found - wanted).abs().mean()) < 2e-5


@pytest.mark.parametrize("how", [*EXACT, *INTERPOLATED], ids=str)
@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])
def test_the_least_and_the_greatest_draws_stay_inside(how, number):
    draws = torch.full((3, sum(augment_tensors.needs(how).values())), number)
    found, wanted = _both(how, draws, _images(3, 9, 9))
    assert torch.allclose(found, wanted, atol=2e-3)


def test_every_option_is_among_these_cases():
    """A new option of the augmentation has to come to both."""
    plain = Augmentation()
    for field in fields(Augmentation):
        assert any(getattr(how, field.name) != getattr(plain, field.name) for how in EXACT + INTERPOLATED), field.name


def test_draws_are_the_generators_and_change_nothing_else():
    how, state = EXACT[-1], torch.get_rng_state()
    assert torch.equal(_drawn(how, 5), _drawn(how, 5))
    assert not torch.equal(_drawn(how, 5), _drawn(how, 5, seed=1))
    assert _drawn(how, 5).shape == (5, 5)
    assert torch.equal(state, torch.get_rng_state())


def test_the_images_stay_as_they_were():
    images = torch.from_numpy(_images(20))
    before = images.clone()
    how = Augmentation(flip=True, cutout=4)
    augment_tensors.augment(images, how, SCALING, _drawn(how, 20))
    assert torch.equal(images, before)
