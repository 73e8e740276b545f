from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch

from netwright.core.records import IO
from netwright.data.augment import Augmentation
from netwright.data.image_splits import ArrayPixels, ImageSplits
from netwright.data.images import ImageClassification, Weighting
from netwright.data.on_device import SHARE, Blocks, DeviceImages, free_bytes

CPU = torch.device("cpu")
ALL = Augmentation(padding=1, flip=True, rotation=10.0, brightness=0.2, cutout=2)
COUNTS = {"train": 22, "valid": 8, "test": 7}


@dataclass(frozen=True)
class Read(ArrayPixels):
    """Pixels that note how many images were read."""

    read: list = field(default_factory=list)

    def take(self, positions):
        self.read.append(len(positions))
        return super().take(positions)


@pytest.fixture
def splits():
    rng = np.random.default_rng(0)
    pixels = Read(rng.integers(0, 256, (37, 6, 5, 3), np.uint8))
    places = np.split(rng.permutation(37), np.cumsum(list(COUNTS.values()))[:-1])
    parts = dict(zip(COUNTS, map(np.sort, places), strict=True))
    made = ImageSplits.of(pixels, rng.integers(0, 4, 37), **parts, names=str)
    pixels.read.clear()
    return made


def _rng(seed=0):
    return np.random.default_rng(seed)


def _streamed(splits, split, how):
    """The split as it is where a device has no room."""
    places = np.arange(len(splits.labels))
    return DeviceImages(
        splits.pixels, splits.labels, splits.positions[split], CPU, how, splits.mean, splits.sd, None, places
    )


def _pass(here, *args, **kwargs):
    return list(map(here.batch, here.parts(*args, **kwargs)))


def _assert_equal(found, wanted):
    assert [size for *_, size in found] == [size for *_, size in wanted]
    for (images, labels, _), (others, other_labels, _) in zip(found, wanted, strict=True):
        assert torch.equal(images, others)
        assert torch.equal(labels, other_labels)


@pytest.mark.parametrize("split", ["train", "valid", "train+valid", "test"])
@pytest.mark.parametrize("size", [1, 5, 8, 22, 100])
@pytest.mark.parametrize("seed", [None, 3])
def test_batches_have_the_images_and_the_order_of_those_made_on_the_cpu(splits, split, size, seed):
    plain = Augmentation()
    here = splits.on_device(split, CPU, plain)
    found = _pass(here, size, seed and _rng(seed))
    wanted = list(splits.batches(split, size, seed and _rng(seed), plain))
    assert len(found) == len(wanted)
    for (images, labels, whole), (others, other_labels) in zip(found, wanted, strict=True):
        assert whole == len(other_labels)
        assert torch.equal(labels, other_labels)
        assert (images.dtype, images.stride()) == (others.dtype, others.stride())
        assert torch.allclose(images, others, atol=1e-6)


@pytest.mark.parametrize("how", [Augmentation(), ALL, Augmentation(area=(0.3, 1.0), crop=4)], ids=str)
def test_whether_the_images_lie_there_changes_no_bit(splits, how):
    here, handed = splits.on_device("train", CPU, how), _streamed(splits, "train", how)
    assert (here.is_resident, handed.is_resident) == (True, False)
    for seed in (None, 1):
        _assert_equal(_pass(handed, 5, seed and _rng(seed)), _pass(here, 5, seed and _rng(seed)))


@pytest.mark.parametrize("is_resident", [True, False])
def test_a_pass_begun_in_the_middle_is_the_rest_of_the_whole_one(splits, is_resident):
    here = splits.on_device("train", CPU, ALL) if is_resident else _streamed(splits, "train", ALL)
    whole = _pass(here, 5, _rng())
    assert len(whole) == 4
    splits.pixels.read.clear()
    for start in range(6):
        _assert_equal(_pass(here, 5, _rng(), start=start), whole[start:])
    assert sum(splits.pixels.read) == (0 if is_resident else 5 * (4 + 3 + 2 + 1)), "what was seen is not read again"


@pytest.mark.parametrize("is_resident", [True, False])
def test_processes_share_each_batch_and_its_draws(splits, is_resident):
    here = splits.on_device("train", CPU, ALL) if is_resident else _streamed(splits, "train", ALL)
    whole = _pass(here, 6, _rng())
    first = _pass(here, 6, _rng(), lambda batch: [slice(0, 1), slice(4, batch)])
    other = _pass(here, 6, _rng(), lambda batch: [slice(1, 4)])
    for (images, labels, size), (one, ones, both), (two, twos, _) in zip(whole, first, other, strict=True):
        assert size == both == 6
        assert torch.equal(torch.cat([one[:1], two, one[1:]]), images)
        assert torch.equal(torch.cat([ones[:1], twos, ones[1:]]), labels)


def test_draws_are_others_in_every_pass_and_for_every_image(splits):
    here = splits.on_device("train", CPU, Augmentation(padding=2))
    one, two = (next(here.parts(22, _rng(seed))).draws for seed in (0, 1))
    assert len(np.unique(torch.cat((one, two)).numpy())) == 2 * 22 * 2


def test_images_are_read_once_for_all_divisions_and_settings(splits):
    task = ImageClassification(IO(3, 6, 5, 4), lambda: splits, tuple("abcd"), ALL)
    others = [task, task.resplit(1, 3), task.resplit(2, 3), task.tuned({"flip": False})]
    for each in others:
        for split in ("train", "valid", "train+valid"):
            here = each.on_device(split, CPU)
            labels = torch.cat([labels for _, labels, _ in _pass(here, 4, None)])
            assert torch.equal(labels, torch.cat([labels for _, labels in each.batches(split, 4, None)]))
            splits.pixels.read[1:] = []
    assert splits.pixels.read == [30], "training and validation images, without those of the test"
    assert others[1].on_device("valid", CPU).positions.tolist() != task.on_device("valid", CPU).positions.tolist()
    task.on_device("test", CPU)
    assert splits.pixels.read == [30, 7]


def test_what_takes_more_than_its_share_of_the_memory_stays_with_the_host(splits):
    size = 30 * 6 * 5 * 3
    places = np.arange(30)
    assert Blocks().block("a", splits.pixels, places, CPU, free=int(size / SHARE) - 1) is None
    held = Blocks()
    block = held.block("a", splits.pixels, places, CPU, free=int(size / SHARE) + 1)
    assert np.array_equal(block.numpy(), splits.pixels.array[:30])
    assert held.block("a", splits.pixels, places, CPU, free=0) is block, "it lies there already"
    other = ArrayPixels(splits.pixels.array[::-1])
    assert np.array_equal(held.block("a", other, places, CPU).numpy(), other.array[:30]), "of other pixels"
    assert free_bytes(CPU) > size


def test_large_data_is_copied_a_part_at_a_time(splits, monkeypatch):
    monkeypatch.setattr("netwright.data.on_device.BLOCK", 4 * 6 * 5 * 3)
    block = Blocks().block("a", splits.pixels, np.arange(3, 30), CPU)
    assert splits.pixels.read == [4] * 6 + [3]
    assert np.array_equal(block.numpy(), splits.pixels.array[3:30])


def test_images_that_a_measurement_brought_there_can_be_trained_on(splits):
    with torch.inference_mode():
        list(_pass(splits.on_device("valid", CPU, ALL), 4, None))
    images, _, _ = _pass(splits.on_device("train", CPU, ALL), 4, _rng())[0]
    weight = torch.ones(3, 1, 1, requires_grad=True)
    (images * weight).sum().backward()
    assert weight.grad.shape == (3, 1, 1)


def test_weights_of_classes_are_kept_where_they_were_asked_for(splits):
    task = ImageClassification(
        IO(3, 6, 5, 4), lambda: splits, tuple("abcd"), weighting=Weighting(class_weights="balanced")
    )
    targets = torch.arange(4)
    here, there = task.weights(targets), task.weights(targets.to("meta"))
    assert there.device.type == "meta"
    assert torch.equal(task.weights(targets), here)
    assert float((here * torch.tensor(task.class_counts("train"))).sum()) == pytest.approx(22)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("how", [Augmentation(), ALL, Augmentation(area=(0.3, 1.0), crop=4, contrast=0.5)], ids=str)
def test_a_gpu_makes_the_batches_that_the_cpu_makes_in_its_place(splits, how):
    cuda = torch.device("cuda", 0)
    here, there = splits.on_device("train", CPU, how), splits.on_device("train", cuda, how)
    handed = replace(there, block=None)
    for seed in (None, 1):
        wanted = _pass(here, 5, seed and _rng(seed))
        found, others = (_pass(each, 5, seed and _rng(seed)) for each in (there, handed))
        _assert_equal(others, found)
        for (images, labels, size), (pixels, targets, whole) in zip(found, wanted, strict=True):
            assert images.device == labels.device == cuda
            assert (labels.tolist(), size) == (targets.tolist(), whole)
            assert torch.allclose(images.cpu(), pixels, atol=2e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_pass_over_what_lies_on_a_gpu_does_not_wait_for_it(splits):
    here = splits.on_device("train", torch.device("cuda", 0), ALL)
    list(_pass(here, 5, _rng()))
    parts = here.parts(5, _rng())
    first = next(parts)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for part in (first, *parts):
            here.batch(part)
    finally:
        torch.cuda.set_sync_debug_mode("default")
