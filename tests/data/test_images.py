import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from netwright.core import refs, seeds
from netwright.core.errors import BadReference
from netwright.core.objectives import Objective
from netwright.core.protocols import ClassifiesImages, Prepares, ShowsExamples
from netwright.core.records import IO, Preprocessing
from netwright.data import image_splits, outcome
from netwright.data.images import (
    ArrayPixels,
    Augmentation,
    ImageClassification,
    ImageSplits,
    Weighting,
    ranks,
    stratified_order,
)
from netwright.tasks.digits import digits
from netwright.testing.tasks import check_task

PLAIN = Augmentation()


def _levels(levels, channels=2):
    """Images of one gray level each."""
    return np.array(levels, np.uint8)[:, None, None, None].repeat(4, 1).repeat(4, 2).repeat(channels, 3)


def _splits(train=10, valid=4, test=3, valid_from=100):
    """Levels count on from 0 in train, 100 in valid, 200 in test; labels are the levels; splits are mixed in memory."""
    levels = [*range(train), *range(valid_from, valid_from + valid), *range(200, 200 + test)]
    order = np.random.default_rng(0).permutation(len(levels))
    labels = np.array(levels)[order]
    places = np.argsort(order)
    parts = np.split(places, (train, train + valid))
    return ImageSplits.of(
        ArrayPixels(_levels(labels)),
        labels,
        train=parts[0],
        valid=parts[1],
        test=parts[2],
        names=lambda place: f"level {labels[place]}",
    )


@pytest.fixture
def splits():
    return _splits()


@pytest.fixture
def task(splits):
    return ImageClassification(IO(2, 4, 4, 256), lambda: splits, tuple(map(str, range(256))), Augmentation(padding=1))


def _rng(n=0):
    return seeds.rng_for(0, seeds.TRAIN, n)


def test_pixels_are_taken_in_the_order_asked_for():
    pixels = ArrayPixels(np.arange(5 * 2 * 3).astype(np.uint8).reshape(5, 2, 3, 1))
    taken = pixels.take(np.array([3, 0, 3]))
    assert pixels.shape == (5, 2, 3, 1)
    assert taken[:, 0, 0, 0].tolist() == [18, 0, 18]
    taken[:] = 0
    assert pixels.array[3, 0, 0, 0] == 18, "a new array"


def test_moments_by_hand():
    pixels = ArrayPixels(np.array([[[[0, 51], [255, 51]]], [[[7, 7], [7, 7]]]], np.uint8))  # two channels
    mean, sd = pixels.moments(np.array([0]))
    assert mean.tolist() == pytest.approx([0.5, 0.2])
    assert sd.tolist() == pytest.approx([0.5, 0.0])


@pytest.mark.parametrize("shape", [(1000, 9, 11, 3), (70_000, 1, 1, 1)])
def test_moments_of_many_images_are_those_of_one_sum(monkeypatch, shape):
    monkeypatch.setattr(image_splits, "CHUNK", 100_000)
    array = np.random.default_rng(0).integers(150, 256, shape, dtype=np.uint8)
    array[: len(array) // 2] = 255
    positions = np.random.default_rng(1).permutation(len(array))[: len(array) - 7]
    mean, sd = ArrayPixels(array).moments(positions)
    chosen = array[positions].astype(np.float64) / 255
    assert mean == pytest.approx(chosen.mean((0, 1, 2)), rel=1e-12)
    assert sd == pytest.approx(chosen.std((0, 1, 2)), rel=1e-9)


def test_sums_of_the_largest_chunk_do_not_overflow():
    array = np.repeat(np.array([255, 0], np.uint8), 2**17)[:, None, None, None]
    mean, sd = ArrayPixels(array).moments(np.arange(len(array)))
    assert mean.tolist() == [0.5] and sd.tolist() == [0.5]


def test_a_constant_channel_is_no_division_by_zero():
    array = np.array([[[[0, 51], [255, 51]]]], np.uint8)
    one = np.array([0])
    splits = ImageSplits.of(ArrayPixels(array), np.array([0]), train=one, valid=one, test=one, names=str)
    assert splits.sd == pytest.approx((0.5, 1 / 255)), "one level: a channel of 51 and 52 is not blown up"
    batch, _ = next(splits.batches("train", 1, None, PLAIN))
    assert batch[0, 0].flatten().tolist() == pytest.approx([-1.0, 1.0])
    assert batch[0, 1].abs().max().item() < 0.1


def test_only_training_pixels_are_measured(splits):
    other = _splits(valid=9, test=20, valid_from=150)
    assert (splits.mean, splits.sd) == (other.mean, other.sd)
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
    assert {images.dtype for images, _ in batches} == {torch.float32}
    assert {labels.dtype for _, labels in batches} == {torch.int64}


@pytest.mark.parametrize("how", [PLAIN, Augmentation(crop=3, flip=True), Augmentation(area=(0.5, 1.0), flip=True)])
def test_memory_is_channels_last_so_that_training_copies_nothing(splits, how):
    images, _ = next(splits.batches("train", 4, _rng(), how))
    assert images.is_contiguous(memory_format=torch.channels_last)


def test_shuffled_batches_leave_the_incomplete_one_out(splits):
    batches = [labels.tolist() for _, labels in splits.batches("train", 4, _rng(), PLAIN)]
    assert [len(labels) for labels in batches] == [4, 4]
    assert len({label for labels in batches for label in labels}) == 8
    assert [len(y) for _, y in splits.batches("train", 5, _rng(), PLAIN)] == [5, 5]


def test_a_batch_larger_than_the_split_is_the_whole_split(splits):
    [(_, labels)] = splits.batches("train", 64, _rng(), PLAIN)
    assert sorted(labels.tolist()) == list(range(10))


def test_images_and_labels_stay_together(splits):
    mean, sd = (torch.tensor(values)[:, None, None] for values in (splits.mean, splits.sd))
    for images, labels in splits.batches("train", 5, _rng(), PLAIN):
        levels = (images * sd + mean) * 255
        assert torch.allclose(levels, labels[:, None, None, None].float(), atol=1e-3)


def test_passes_differ_by_their_generator_alone(splits):
    def order(n):
        return [labels.tolist() for _, labels in splits.batches("train", 5, _rng(n), PLAIN)]

    assert order(0) == order(0)
    assert order(0) != order(1)


def test_passes_leave_the_data_as_it_was(splits):
    before = splits.pixels.array.copy()
    for _ in splits.batches("train", 5, _rng(), Augmentation(flip=True, cutout=4)):
        pass
    assert np.array_equal(splits.pixels.array, before)


def test_crops_flips_and_cutout_are_applied():
    ramp = np.arange(16, dtype=np.uint8)[None, None, :, None].repeat(64, 0).repeat(16, 1)
    everything = np.arange(64)
    splits = ImageSplits.of(
        ArrayPixels(ramp), np.zeros(64, np.int64), train=everything, valid=everything, test=everything, names=str
    )
    plain, _ = next(splits.batches("train", 64, None, PLAIN))

    def images(**how):
        return next(splits.batches("train", 64, _rng(), Augmentation(**how)))[0]

    assert images(crop=12).shape == (64, 1, 12, 12)
    assert torch.equal(images(crop=16), plain)
    assert images(padding=2).shape == plain.shape
    assert not torch.equal(images(padding=2), plain)
    assert images(area=(0.2, 0.5)).shape == plain.shape
    assert images(area=(0.2, 0.5), crop=8).shape == (64, 1, 8, 8)
    flipped = images(flip=True)
    assert set(flipped[:, 0, 0, 0].tolist()) == {plain[0, 0, 0, 0].item(), plain[0, 0, 0, 15].item()}
    holes = images(cutout=4) != plain
    assert holes.flatten(1).any(1).all()
    assert (images(cutout=4)[holes] == 0).all(), "cut out is set to the mean"
    for change in ({"brightness": 0.5}, {"contrast": 0.5}):
        assert not torch.allclose(images(**change), plain, atol=0.1)


def test_a_task_keeps_every_contract(task):
    check_task(task)
    assert isinstance(task, Prepares)
    assert isinstance(task, ClassifiesImages)


class Disordered(ImageClassification):
    def pixels(self, split, positions):
        return super().pixels(split, positions)[::-1]


class Incomplete(ImageClassification):
    def batches(self, split, size, rng):
        yield from super().batches(split, size, rng)
        if rng is not None:
            yield from super().batches(split, 1, None)


class Speechless(ImageClassification):
    def prepare(self):
        return iter([None])


@pytest.mark.parametrize("kind", [Disordered, Incomplete, Speechless])
def test_a_task_that_breaks_a_contract_is_found_out(splits, kind):
    with pytest.raises(AssertionError):
        check_task(kind(IO(2, 4, 4, 256), lambda: splits, tuple(map(str, range(256))), Augmentation(padding=1)))


def test_preprocessing_tells_all_that_a_network_needs(task, splits):
    assert task.preprocessing() == Preprocessing(2, 4, 4, "crop", splits.mean, splits.sd, task.classes)
    padded = ImageClassification(task.io, task.load, task.classes, fit="pad")
    assert padded.preprocessing().fit == "pad"


def test_images_and_names_are_those_of_the_split(task):
    images = task.pixels("valid", [2, 0])
    assert images.shape == (2, 4, 4, 2)
    assert images.dtype == np.uint8
    assert images[:, 0, 0, 0].tolist() == [102, 100]
    assert task.names("valid", [2, 0]) == ["level 102", "level 100"]
    assert task.names("train+valid", range(9, 11)) == ["level 9", "level 100"]
    assert task.pixels("test", []).shape == (0, 4, 4, 2)


def test_what_became_of_each_image_is_kept_as_a_file(splits, tmp_path):
    gray = replace(splits, pixels=ArrayPixels(splits.pixels.array[..., :1]), mean=splits.mean[:1], sd=splits.sd[:1])
    task = ImageClassification(IO(1, 4, 4, 256), lambda: gray, tuple(map(str, range(256))))
    assert isinstance(task, ShowsExamples)
    recorder = task.recorder("valid")
    outputs = torch.zeros(task.examples("valid"), task.io.outputs)
    outputs[0, 3] = 9.0
    start = 0
    for _, targets in task.batches("valid", 2, None):
        recorder.add(outputs[start : start + len(targets)], targets)
        start += len(targets)
    [(name, data)] = recorder.files().items()
    (tmp_path / name).write_bytes(data)
    found = outcome.read(tmp_path / name)
    assert name == outcome.OUTCOME
    assert found.predictions.tolist() == [3, *[0] * (start - 1)]
    assert found.worst_positions[0] == 0
    assert found.worst_names[0] == task.names("valid", [0])[0]
    assert np.array_equal(found.worst[0], task.pixels("valid", [0])[0])
    assert found.classes == task.classes


def test_the_first_measure_is_the_accuracy(task):
    assert task.measures == (Objective("accuracy", 1, "share"), Objective("loss", -1))
    assert [measure.name for measure in task.measures] == list(task.metrics(torch.zeros(2, 5), torch.tensor([0, 1])))


def test_data_is_loaded_once_and_not_before_it_is_needed(splits):
    loads = []
    task = ImageClassification(IO(2, 4, 4, 256), lambda: loads.append(1) or splits, tuple(map(str, range(256))))
    assert not loads
    assert [line.split() for line in task.prepare()][:2] == [
        ["images", "of", "256", "classes", "train", "valid", "test"],
        ["0", "1", "0", "0"],
    ]
    assert len(loads) == 1
    assert task.examples("train") == 10
    next(task.batches("train", 4, None))
    assert len(loads) == 1


def test_a_preparation_says_what_it_does(splits):
    task = ImageClassification(IO(2, 4, 4, 256), lambda: splits, (), preparation=lambda: iter(("one", "two")))
    assert list(task.prepare()) == ["one", "two"]


def test_classification_metrics_by_hand():
    outputs = torch.tensor([[0.0, 0.0], [0.0, math.log(3)], [100.0, 0.0]])
    found = ImageClassification(IO(1, 1, 1, 3), None, ()).metrics(outputs, torch.tensor([0, 0, 0]))
    assert found["accuracy"].tolist() == [1.0, 0.0, 1.0]
    assert found["loss"].tolist() == pytest.approx([math.log(2), math.log(4), 0.0])


def test_ranks_count_within_classes():
    labels = np.array([5, 2, 5, 2, 5])
    assert ranks(labels, np.array([4, 3, 2, 1, 0])).tolist() == [2, 1, 1, 0, 0]
    assert ranks(labels[:0], np.array([], int)).tolist() == []


@pytest.mark.parametrize("labels", [np.arange(50) % 7, np.array([3, 3, 9, 3, -1]), np.zeros(0, int)])
def test_a_stratified_order_is_the_same_for_good(labels):
    """As first published, class by class: splits that were made before stay as they are."""
    rng = seeds.rng_for(4, seeds.SPLIT)
    order, places = rng.permutation(len(labels)), np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        places[members] = (np.arange(len(members)) + rng.random()) / len(members)
    assert np.array_equal(stratified_order(labels, 4), np.argsort(places, kind="stable"))


def test_every_stretch_of_a_stratified_order_has_the_classes_in_proportion():
    labels = np.repeat([0, 1, 2], (600, 300, 100))
    order = stratified_order(labels, 0)
    assert sorted(order) == list(range(1000))
    for start in range(0, 1000, 50):
        assert np.abs(np.bincount(labels[order[start : start + 50]], minlength=3) - (30, 15, 5)).max() <= 1
    assert np.array_equal(order, stratified_order(labels, 0))
    assert not np.array_equal(order, stratified_order(labels, 1))


def test_classes_are_counted_by_split_in_order_of_the_labels():
    labels = np.array([2, 0, 0, 2, 2, 0, 0])
    parts = {"train": np.array([0, 1, 2]), "valid": np.array([3, 4]), "test": np.array([5, 6])}
    splits = ImageSplits.of(ArrayPixels(_levels(labels)), labels, **parts, names=str)
    assert [splits.class_counts(split) for split in parts] == [(2, 0, 1), (0, 0, 2), (2, 0, 0)]
    task = ImageClassification(IO(2, 4, 4, 4), lambda: splits, ("a", "b", "c", "d"))
    assert task.class_counts("train+valid") == (2, 0, 3, 0)


def test_classes_can_count_alike_in_training_while_measurements_stay_as_they_are():
    plain, weighted = digits(), digits(class_weights="balanced")
    outputs, targets = torch.zeros(3, 10), torch.tensor([0, 1, 8])
    counts = np.array(plain.class_counts("train"))
    weights = counts.sum() / (10 * counts)
    assert weighted.weights(targets).tolist() == pytest.approx(weights[[0, 1, 8]])
    assert float(weighted.loss(outputs, targets)) == pytest.approx(np.log(10) * weights[[0, 1, 8]].mean(), rel=1e-6)
    assert plain.weights(targets) is None
    assert torch.equal(weighted.metrics(outputs, targets)["loss"], plain.metrics(outputs, targets)["loss"])
    with pytest.raises(BadReference, match="class_weights"):
        refs.load("task", refs.parse("digits(class_weights=odd)"))


def test_classes_can_count_alike_by_their_logits():
    labels = np.repeat([0, 1], (900, 100))
    splits = ImageSplits.of(
        ArrayPixels(_levels(labels)), labels, **dict.fromkeys(("train", "valid", "test"), np.arange(1000)), names=str
    )
    given = IO(2, 4, 4, 3), lambda: splits, ("a", "b", "never seen")
    task = ImageClassification(*given, weighting=Weighting("logits"))
    plain = ImageClassification(*given)
    outputs, targets = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 1, 0, 0])
    shares = torch.tensor([0.9, 0.1, 0.9]) / 1.9  # one without images is kept down like the largest
    assert float(task.loss(outputs, targets)) == pytest.approx(float(plain.loss(outputs + shares.log(), targets)))
    assert task.weights(targets) is None
    assert torch.equal(task.metrics(outputs, targets)["loss"], plain.metrics(outputs, targets)["loss"])
    # where nothing tells the classes apart, the network that is best for the loss finds them equally likely
    logits = torch.zeros(3, requires_grad=True)
    seen = torch.from_numpy(labels)
    step = torch.optim.LBFGS([logits], max_iter=100)

    def loss():
        step.zero_grad()
        found = task.loss(logits.expand(1000, 3), seen)
        found.backward()
        return found

    step.step(loss)
    assert logits[:2].softmax(0).tolist() == pytest.approx([0.5, 0.5], abs=1e-3)
    assert logits[2] < logits[:2].min() - 5
    assert any("equally frequent" in caveat for caveat in task.caveats()) and not plain.caveats()


def test_more_is_measured_where_it_is_asked_for():
    task = digits().measuring(["macro_f1", "top5"])
    check_task(task)
    assert [each.name for each in task.measures] == ["accuracy", "loss", "macro_f1", "top5"]
    assert list(digits().metrics(torch.zeros(1, 10), torch.tensor([0]))) == ["accuracy", "loss"]
    assert task.tuned({"flip": True}).more == task.more


def test_a_split_that_lacks_a_class_is_said():
    splits = ImageSplits.of(
        ArrayPixels(np.zeros((6, 1, 1, 1), np.uint8)),
        np.array([0, 1, 0, 1, 0, 0]),
        train=np.array([0, 1]),
        valid=np.array([2, 3]),
        test=np.array([4, 5]),
        names=str,
    )
    task = ImageClassification(IO(1, 1, 1, 2), lambda: splits, ("cat", "dog"))
    assert task.caveats() == ()
    assert task.measuring(["auc"]).caveats() == (
        "no test image is of class dog, which means over classes there leave out",
    )
    with pytest.raises(BadReference, match="top5 of 2 classes is always 1"):
        task.measuring(["top5"])
