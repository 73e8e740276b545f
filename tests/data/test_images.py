import math

import numpy as np
import pytest
import torch

from netwright.core import seeds
from netwright.core.records import IO
from netwright.data.images import Augmentation, ImageClassification, ImageSplits, LabeledImages, stratified_order

PLAIN = Augmentation()


def _set(count, start=0, channels=2):
    """Images of one gray level each, counted on from `start`; labels are the levels too."""
    levels = torch.arange(start, start + count)
    images = levels[:, None, None, None].expand(count, channels, 4, 4).to(torch.uint8)
    return LabeledImages(images, levels)


@pytest.fixture
def splits():
    return ImageSplits.of(_set(10), _set(4, 100), _set(3, 200))


def _rng(n=0):
    return seeds.rng_for(0, seeds.TRAIN, n)


def test_mean_and_deviation_by_hand():
    images = torch.tensor([[[[0, 255]], [[51, 51]]]], dtype=torch.uint8)  # one image, two channels
    splits = ImageSplits.of(*[LabeledImages(images, torch.zeros(1))] * 3)
    assert splits.mean.flatten().tolist() == pytest.approx([0.5, 0.2])
    assert splits.sd.flatten().tolist() == pytest.approx([0.5, 1e-6])
    batch, _ = next(splits.batches("train", 1, None, PLAIN))
    assert batch[0, 0].flatten().tolist() == pytest.approx([-1.0, 1.0])
    assert batch[0, 1].abs().max().item() < 0.1, "a constant channel is no division by zero"


def test_only_training_pixels_are_measured(splits):
    other = ImageSplits.of(_set(10), _set(4, 150), _set(30, 220))
    assert torch.equal(splits.mean, other.mean)
    assert torch.equal(splits.sd, other.sd)
    images = torch.cat([batch for batch, _ in splits.batches("train", 3, None, PLAIN)])
    assert images.mean().item() == pytest.approx(0.0, abs=1e-6)
    assert images.std(unbiased=False).item() == pytest.approx(1.0, abs=1e-5)


def test_train_and_valid_are_joined(splits):
    assert [splits.examples(s) for s in ("train", "valid", "train+valid", "test")] == [10, 4, 14, 3]
    labels = torch.cat([labels for _, labels in splits.batches("train+valid", 5, None, PLAIN)])
    assert labels.tolist() == [*range(10), *range(100, 104)]


def test_plain_batches_are_whole_and_in_order(splits):
    batches = list(splits.batches("train", 4, None, Augmentation(crop=2, padding=3, flip=True, cutout=2)))
    assert [labels.tolist() for _, labels in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [tuple(images.shape) for images, _ in batches] == [(4, 2, 4, 4), (4, 2, 4, 4), (2, 2, 4, 4)]
    assert batches[0][0].dtype == torch.float32


def test_shuffled_batches_leave_the_incomplete_one_out(splits):
    batches = [labels.tolist() for _, labels in splits.batches("train", 4, _rng(), PLAIN)]
    assert [len(labels) for labels in batches] == [4, 4]
    assert len({label for labels in batches for label in labels}) == 8
    assert [len(y) for _, y in splits.batches("train", 5, _rng(), PLAIN)] == [5, 5]


def test_a_batch_larger_than_the_split_is_the_whole_split(splits):
    [(_, labels)] = splits.batches("train", 64, _rng(), PLAIN)
    assert sorted(labels.tolist()) == list(range(10))


def test_images_and_labels_stay_together(splits):
    for images, labels in splits.batches("train", 5, _rng(), PLAIN):
        levels = (images * splits.sd + splits.mean) * 255
        assert torch.allclose(levels, labels[:, None, None, None].float(), atol=1e-3)


def test_passes_differ_by_their_generator_alone(splits):
    def order(n):
        return [labels.tolist() for _, labels in splits.batches("train", 5, _rng(n), PLAIN)]

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_crops_flips_and_cutout_are_applied():
    ramp = torch.arange(16, dtype=torch.uint8).reshape(1, 1, 1, 16).expand(64, 1, 16, 16)
    splits = ImageSplits.of(*[LabeledImages(ramp, torch.zeros(64))] * 3)
    plain, _ = next(splits.batches("train", 64, None, PLAIN))

    def images(**how):
        return next(splits.batches("train", 64, _rng(), Augmentation(**how)))[0]

    assert images(crop=12).shape == (64, 1, 12, 12)
    assert torch.equal(images(crop=16), plain)
    assert images(padding=2).shape == plain.shape
    assert not torch.equal(images(padding=2), plain)
    flipped = images(flip=True)
    assert set(flipped[:, 0, 0, 0].tolist()) == {plain[0, 0, 0, 0].item(), plain[0, 0, 0, 15].item()}
    holes = images(cutout=4) != plain
    assert holes.flatten(1).any(1).all()
    assert (images(cutout=4)[holes] == 0).all(), "cut out is set to the mean"


def test_classification_metrics_by_hand():
    outputs = torch.tensor([[0.0, 0.0], [0.0, math.log(3)], [100.0, 0.0]])
    found = ImageClassification(IO(1, 1, 1, 3), None).metrics(outputs, torch.tensor([0, 0, 0]))
    assert found["accuracy"].tolist() == [1.0, 0.0, 1.0]
    assert found["loss"].tolist() == pytest.approx([math.log(2), math.log(4), 0.0])


def test_every_stretch_of_a_stratified_order_has_the_classes_in_proportion():
    labels = np.repeat([0, 1, 2], (600, 300, 100))
    order = stratified_order(labels, 0)
    assert sorted(order) == list(range(1000))
    for start in range(0, 1000, 50):
        assert np.abs(np.bincount(labels[order[start : start + 50]], minlength=3) - (30, 15, 5)).max() <= 1
    assert np.array_equal(order, stratified_order(labels, 0))
    assert not np.array_equal(order, stratified_order(labels, 1))
