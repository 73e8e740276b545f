import io
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from netwright.core.errors import BadReference
from netwright.tasks.cifar10 import cifar10
from netwright.testing.tasks import check_task


def _png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": None}


@pytest.fixture
def folder(tmp_path):
    """The real layout with 200 training and 40 test images, each of one gray level."""
    for part, count in (("train", 200), ("test", 40)):
        rows = [{"img": _png(np.full((32, 32, 3), n % 256, np.uint8)), "label": n % 10} for n in range(count)]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{part}-00000-of-00001.parquet")
    return tmp_path


def test_keeps_the_contract(folder):
    check_task(cifar10(str(folder), valid=50))


def test_splits_are_disjoint_and_stratified(folder):
    task = cifar10(str(folder), valid=50)
    levels = {s: {int(x) for x in task.data.splits[s].images[:, 0, 0, 0]} for s in ("train", "valid")}
    assert not levels["train"] & levels["valid"]
    assert np.bincount(task.data.splits["valid"].labels.numpy()).tolist() == [5] * 10


def test_training_crops_are_smaller_and_evaluation_is_whole(folder):
    task = cifar10(str(folder), valid=50, crop=24)
    assert next(task.batches("train", 8, np.random.default_rng(0)))[0].shape == (8, 3, 24, 24)
    assert next(task.batches("valid", 8, None))[0].shape == (8, 3, 32, 32)


def test_says_what_is_missing(tmp_path):
    with pytest.raises(BadReference, match=r"holds no train\*\.parquet"):
        cifar10(str(tmp_path))


@pytest.mark.skipif("NETWRIGHT_DATA" not in os.environ, reason="NETWRIGHT_DATA names no folder with cifar10/")
def test_reads_the_published_images():
    task = cifar10(str(Path(os.environ["NETWRIGHT_DATA"]) / "cifar10"), train_limit=500)
    assert [task.examples(s) for s in ("train", "valid", "test")] == [500, 100, 100]
    images, labels = next(task.batches("test", 100, None))
    assert images.std().item() == pytest.approx(1.0, abs=0.1)
    assert set(labels.tolist()) == set(range(10))
