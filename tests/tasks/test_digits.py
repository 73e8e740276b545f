import hashlib

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.records import IO, Preprocessing
from netwright.tasks.digits import digits

ALL = digits()
PARTS = ("train", "valid", "test")


def _labels(task, split):
    return torch.cat([labels for _, labels in task.batches(split, 500, None)])


def _images(task, split):
    return torch.cat([images for images, _ in task.batches(split, 500, None)])


def _pixels(task, split):
    return task.pixels(split, range(task.examples(split)))


def test_sizes():
    assert [ALL.examples(split) for split in (*PARTS, "train+valid")] == [1077, 360, 360, 1437]
    assert ALL.io == IO(1, 8, 8, 10)
    assert ALL.classes == tuple("0123456789")


def test_splits_are_all_images_once_each():
    pixels = (load_digits().images * 15).astype(np.uint8)
    ours = np.concatenate([_pixels(ALL, split) for split in PARTS])
    assert ours.shape == (1797, 8, 8, 1)
    assert sorted(map(bytes, ours)) == sorted(map(bytes, pixels))


def test_splits_are_the_same_for_good():
    """As first published: results that were measured on them stay comparable."""
    digests = {split: hashlib.blake2b(_pixels(ALL, split).tobytes(), digest_size=6).hexdigest() for split in PARTS}
    assert digests == {"train": "7101fd818044", "valid": "26b9050a7a03", "test": "91a0f6faf46b"}


def test_names_are_numbers_in_the_published_set():
    bunch = load_digits()
    for split in PARTS:
        numbers = [int(name.removeprefix("digit ")) for name in ALL.names(split, range(ALL.examples(split)))]
        assert np.array_equal(_labels(ALL, split), bunch.target[numbers])
        assert np.array_equal(_pixels(ALL, split)[..., 0], (bunch.images[numbers] * 15).astype(np.uint8))


def test_splits_are_stratified():
    total = np.bincount(load_digits().target)
    for split, share in zip(PARTS, (0.6, 0.2, 0.2), strict=True):
        counts = np.bincount(_labels(ALL, split).numpy(), minlength=10)
        assert np.abs(counts - share * total).max() <= 1.5


@pytest.mark.parametrize("limit", [10, 11, 57, 100, 333, 777, 1067, 1077, 5000])
def test_a_limit_takes_part_of_the_training_images_and_leaves_the_others(limit):
    task = digits(train_limit=limit)
    assert task.examples("train") == min(limit, 1077)
    counts = np.bincount(_labels(task, "train").numpy(), minlength=10)
    assert counts.min() >= 1
    assert np.abs(counts - min(limit, 1077) / 10).max() <= 0.06 * limit + 1
    for split in ("valid", "test"):
        assert np.array_equal(_pixels(task, split), _pixels(ALL, split))
    assert set(map(bytes, _pixels(task, "train"))) <= set(map(bytes, _pixels(ALL, "train")))


def test_a_limit_just_below_all_images_works():
    for limit in range(1068, 1077):
        assert digits(train_limit=limit).examples("train") == limit


def test_another_seed_splits_otherwise_and_the_same_alike():
    def tests(seed):
        return _pixels(digits(split_seed=seed), "test")

    assert np.array_equal(tests(3), tests(3))
    assert not np.array_equal(tests(3), tests(4))
    assert np.array_equal(tests(0), _pixels(ALL, "test"))


def test_normalized_by_the_training_images_alone():
    pixels = _pixels(ALL, "train") / 255
    assert ALL.preprocessing() == Preprocessing(1, 8, 8, "crop", ALL.data.mean, ALL.data.sd, ALL.classes)
    assert ALL.data.mean == pytest.approx((pixels.mean(),))
    assert ALL.data.sd == pytest.approx((pixels.std(),))
    assert _images(ALL, "train").mean().item() == pytest.approx(0.0, abs=1e-5)
    assert _images(ALL, "test").mean().item() != pytest.approx(0.0, abs=1e-5)


def test_training_images_move_and_are_cut_as_asked():
    def batch(**options):
        return next(digits(train_limit=100, **options).batches("train", 100, seeds.rng_for(0, seeds.TRAIN)))[0]

    still, moved, cut = batch(padding=0), batch(padding=1), batch(padding=0, cutout=3)
    assert not torch.equal(still, moved)
    assert 0.3 < (still == moved).flatten(1).all(1).float().mean() * 9 < 3, "about a ninth stays where it was"
    holes = (still != cut).flatten(1).sum(1)
    assert 0 < holes.max() <= 9
    plain = next(digits(train_limit=100, padding=2, cutout=4).batches("train", 100, None))[0]
    assert torch.equal(plain, _images(digits(train_limit=100), "train")), "only training passes are augmented"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split_seed": -1}, "task.split_seed is -1; it must be at least 0"),
        ({"train_limit": 9}, "task.train_limit is 9; it must be at least 10"),
        ({"padding": -1}, "task.padding is -1; it must be at least 0"),
        ({"cutout": -2}, "task.cutout is -2; it must be at least 0"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        digits(**options)


def test_loss_and_metrics_by_hand():
    outputs, targets = torch.zeros(2, 10), torch.tensor([0, 3])
    assert ALL.loss(outputs, targets).item() == pytest.approx(np.log(10))
    assert ALL.metrics(outputs, targets)["accuracy"].tolist() == [1.0, 0.0]
    assert ALL.metrics(outputs, targets)["loss"].tolist() == pytest.approx([np.log(10)] * 2)
