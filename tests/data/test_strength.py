"""One number for all that augmentation does to training images."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netwright.core.records import IO
from netwright.data.augment import Augmentation, augment
from netwright.data.images import ArrayPixels, ImageClassification, ImageSplits
from netwright.data.strength import OWN, scaled
from netwright.tasks.digits import digits

UNIT = st.floats(0, 1)


@st.composite
def owns(draw):
    """A fitted augmentation, with height and width of the images."""
    height, width = draw(st.integers(4, 40)), draw(st.integers(4, 40))
    low, high = sorted((draw(st.floats(0.05, 1)), draw(st.floats(0.05, 1))))
    area = draw(st.sampled_from([None, (low, high)]))
    padding = 0 if area else draw(st.integers(0, 6))
    own = Augmentation(
        crop=draw(st.one_of(st.none(), st.integers(1, min(height, width) + 2 * padding))),
        padding=padding,
        flip=draw(st.booleans()),
        cutout=draw(st.integers(0, 20)),
        area=area,
        rotation=draw(st.floats(0, 180)),
        zoom=draw(st.floats(0, 0.5)),
        brightness=draw(UNIT),
        contrast=draw(UNIT),
        saturation=draw(UNIT),
        hue=draw(st.floats(0, 0.5)),
    )
    return own.fitted(height, width), height, width


def amounts(how):
    area = how.area or (1.0, 1.0)
    light = how.brightness, how.contrast, how.saturation, how.hue
    return (how.padding, how.cutout, how.rotation, how.zoom, *light, 1 - area[0])


@given(owns(), UNIT, UNIT)
def test_more_strength_does_no_less_of_anything_and_every_strength_can_be_done(given_own, one, other):
    own, height, width = given_own
    assert scaled(own, OWN, height, width) is own
    weak, strong = (scaled(own, each, height, width) for each in sorted((one, other)))
    for less, more in zip(amounts(weak), amounts(strong), strict=True):
        assert less <= more + 1e-9
    for how in (weak, strong):
        assert how.fitted(height, width) == how
        assert (how.flip, how.crop) == (own.flip, own.crop)
        images = np.zeros((2, height, width, 3), np.uint8)
        sides = (own.crop, own.crop) if own.crop else (height, width)
        assert augment(images, how, [0.5] * 3, [0.5] * 3, np.random.default_rng(0)).shape == (2, *sides, 3)


def test_no_strength_leaves_images_as_they_are_and_full_strength_does_everything():
    own = Augmentation(padding=4, flip=True, cutout=8)
    assert scaled(own, 0.0, 32, 32) == Augmentation(flip=True)
    full = Augmentation(padding=6, flip=True, cutout=16, rotation=15.0, zoom=0.15, brightness=0.4, contrast=0.4)
    assert scaled(own, 1.0, 32, 32) == full
    assert scaled(Augmentation(area=(0.5, 1.0)), 1.0, 32, 32).area == (0.25, 1.0)
    assert scaled(Augmentation(area=(0.5, 0.8)), 0.0, 32, 32).area == (1.0, 1.0)


def test_the_default_is_the_tasks_own_augmentation_bit_for_bit():
    task = digits(train_limit=100)
    setting = task.tunable["strength"]
    same = task.tuned({"strength": setting.value(setting.usual)})
    assert same.augmentation == task.augmentation
    one, other = (next(each.batches("train", 50, np.random.default_rng(1)))[0] for each in (task, same))
    assert (one == other).all()


def test_digits_are_not_mirrored_at_any_strength_and_details_go_before_strength():
    task = digits(train_limit=100)
    assert not task.tuned({"strength": 1.0}).augmentation.flip
    assert task.tuned({"strength": 1.0, "cutout": 1, "flip": True}).augmentation == Augmentation(
        padding=2, flip=True, cutout=1, rotation=15.0, zoom=0.15, brightness=0.4, contrast=0.4
    )
    assert task.tuned({"augment": "shift+flip", "strength": 0.0}).augmentation == Augmentation(flip=True)


def test_whether_to_mirror_is_a_choice_around_what_the_task_does():
    pixels, one = ArrayPixels(np.zeros((3, 8, 8, 1), np.uint8)), np.array([0])
    data = ImageSplits.of(pixels, np.arange(3), train=one, valid=one + 1, test=one + 2, names=str)
    for own in (False, True):
        task = ImageClassification(IO(1, 8, 8, 3), lambda: data, ("a", "b", "c"), Augmentation(flip=own))
        flip = task.tunable["flip"]
        assert (flip.default, flip.options) == (own, (False, True))
        assert task.tuned({"flip": not own}).augmentation.flip is not own
