import importlib.util
import json
import os
import sys
import types
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from netwright.core import refs
from netwright.core.errors import BadReference, MissingCapability, NetwrightError
from netwright.core.records import IO
from netwright.data import chunks, hub
from netwright.tasks.cifar10 import CLASSES, cifar10
from netwright.testing.tasks import check_task
from tests.bad_images import encoded, pixels

SPLITS = ("train", "valid", "test")


def _row(n, count=10):
    return {"img": {"bytes": encoded(np.full((32, 32, 3), n % 256, np.uint8)), "path": None}, "label": n % count}


@pytest.fixture
def folder(tmp_path):
    """The real layout with 200 training and 40 test images, each of one gray level."""
    (tmp_path / "data").mkdir()
    for part, count in (("train", 200), ("test", 40)):
        table = pa.Table.from_pylist([_row(n) for n in range(count)])
        pq.write_table(table, tmp_path / "data" / f"{part}-00000-of-00001.parquet")
    return tmp_path / "data"


@pytest.fixture
def task_of(folder, tmp_path):
    return lambda **options: cifar10(**{"path": str(folder), "valid": 50, "cache": str(tmp_path / "cache"), **options})


def _levels(task, split):
    return task.pixels(split, range(task.examples(split)))[:, 0, 0, 0].tolist()


def _labels(task, split):
    return torch.cat([labels for _, labels in task.batches(split, 64, None)]).tolist()


def test_keeps_the_contract(task_of):
    task = task_of()
    check_task(task)
    assert (task.io, task.classes) == (IO(3, 32, 32, 10), CLASSES)


def test_splits_are_disjoint_and_stratified(task_of):
    task = task_of()
    assert sorted(_levels(task, "train") + _levels(task, "valid")) == list(range(200))
    assert _levels(task, "test") == list(range(40))
    assert np.bincount(_labels(task, "valid")).tolist() == [5] * 10
    for split in SPLITS:
        assert [level % 10 for level in _levels(task, split)] == _labels(task, split)
    assert task.names("test", [0, 39]) == ["test 0", "test 39"]
    assert task.names("train", [0]) == [f"train {_levels(task, 'train')[0]}"]


def test_another_seed_validates_with_others_from_the_same_cache(task_of):
    first, again, other = task_of(), task_of(), task_of(split_seed=1)
    assert _levels(first, "valid") == _levels(again, "valid") != _levels(other, "valid")
    assert "found in the cache" in list(other.prepare())


def test_training_crops_are_smaller_and_evaluation_is_whole(task_of):
    task = task_of(crop=24)
    assert next(task.batches("train", 8, np.random.default_rng(0)))[0].shape == (8, 3, 24, 24)
    assert next(task.batches("valid", 8, None))[0].shape == (8, 3, 32, 32)


def test_augmentation_is_passed_on(task_of):
    how = task_of(crop=24, padding=2, flip=False, cutout=3, brightness=0.1, contrast=0.2).augmentation
    assert (how.crop, how.padding, how.flip, how.cutout, how.brightness, how.contrast) == (24, 2, False, 3, 0.1, 0.2)
    assert task_of(area=(0.3, 1.0)).augmentation.area == (0.3, 1.0)


def test_a_limit_takes_every_class(task_of, monkeypatch):
    calls, decode = [], chunks.decode
    monkeypatch.setattr(chunks, "decode", lambda *args, **how: calls.append(args) or decode(*args, **how))
    task = task_of(train_limit=50)
    assert [task.examples(split) for split in SPLITS] == [50, 10, 10]
    assert len(calls) == 70, "nothing else is decoded"
    for split in SPLITS:
        assert len(set(np.bincount(_labels(task, split), minlength=10))) == 1
    whole = task_of()
    assert all(set(_levels(task, split)) <= set(_levels(whole, split)) for split in SPLITS)


def test_selections_are_cached_side_by_side(task_of):
    for n, seed in enumerate((0, 1, 0, 1)):
        told = list(task_of(train_limit=50, split_seed=seed).prepare())
        assert ("found in the cache" in told) == (n >= 2)


def test_the_files_may_name_the_classes(folder, task_of):
    names = [f"class {n}" for n in range(10)]

    def say(names):
        for path in folder.glob("*.parquet"):
            features = {"info": {"features": {"label": {"names": names}}}}
            pq.write_table(pq.read_table(path).replace_schema_metadata({"huggingface": json.dumps(features)}), path)

    say(names)
    assert task_of().classes == tuple(names)
    say(names * 10)
    with pytest.raises(
        BadReference, match="has 100 classes and that of CIFAR-10 10; give the folder of CIFAR-10's files"
    ):
        task_of()


def test_a_broken_image_is_named(folder, task_of):
    rows = [_row(n) for n in range(200)]
    rows[17]["img"]["bytes"] = b"no image"
    rows[18]["img"] = None
    pq.write_table(pa.Table.from_pylist(rows), next(folder.glob("train*")))
    task = task_of()
    assert "2 broken images skipped: 1 empty: train 18; 1 not an image: train 17" in list(task.prepare())
    assert not {17, 18} & {*_levels(task, "train"), *_levels(task, "valid")}
    assert task.examples("train+valid") == 198
    with pytest.raises(NetwrightError, match="train 17"):
        _ = task_of(broken_share=0.001).data


def test_says_what_is_missing(folder, tmp_path, task_of):
    with pytest.raises(BadReference, match=r"holds no train\*\.parquet; give .* perhaps .*/data$"):
        cifar10(str(tmp_path))
    (folder / "train-00000-of-00001.parquet").rename(folder / "train-00001-of-00002.parquet")
    with pytest.raises(
        BadReference, match=r"lacks file 0 of 2 of the train images, counted from 0 \(there are train-00"
    ):
        task_of()
    (folder / "train-00001-of-00002.parquet").rename(folder / "train-00000-of-00001.parquet")
    (folder / "test-00000-of-00002.parquet").touch()
    with pytest.raises(
        BadReference, match=r"holds test more than once, as test-00000-of-00001.parquet, test-00000-of-0"
    ):
        task_of()


def test_what_is_read_and_how_it_is_split_is_said(folder, task_of):
    (folder / "README.md").touch()
    assert list(task_of().prepare())[1:5] == [
        f"CIFAR-10 in {folder}: 1 file of train and 1 file of test; images in the column img, labels in label, whose "
        "names are those as published",
        "1 entry beside them left out: README.md",
        "50 of the 200 images of train validate, as task.valid says; those of test test",
        "images of each of 10 classes: 15 to train, 5 to validate, 4 to test; airplane, automobile, bird, cat, deer "
        "and 5 more",
    ]


def test_files_of_something_else_are_refused_at_once(folder, task_of, monkeypatch):
    monkeypatch.setattr(chunks, "decode", None)
    path = next(folder.glob("test*"))
    pq.write_table(pa.Table.from_pylist([_row(n, 11) for n in range(40)]), path)
    with pytest.raises(BadReference, match="image test 10 of CIFAR-10 has the label 10; labels must be from 0 to 9"):
        task_of()
    pq.write_table(pa.table({"picture": [b"x"], "label": [0]}), path)
    with pytest.raises(BadReference, match=f"{path.name} has no column 'img'; its columns: picture, label"):
        task_of()
    pq.write_table(pa.Table.from_pylist([_row(n, 9) for n in range(40)]), path)
    with pytest.raises(BadReference, match="class 'truck' has no image to test; get the files anew"):
        task_of()
    path.write_bytes(b"")
    with pytest.raises(BadReference, match="cannot be read as parquet"):
        task_of()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid": 9}, r"task\.valid is 9; it must be at least 10"),
        ({"valid": 200}, r"task\.valid is 200; there are only 200 training images to take it from"),
        ({"train_limit": 49}, r"task\.train_limit is 49; it must be at least 50, five images per class"),
        ({"split_seed": -1}, r"task\.split_seed is -1; it must be at least 0"),
        ({"padding": -1}, r"task\.padding is -1; it must be at least 0"),
        ({"crop": 33}, r"task\.crop is 33; it must be from 1 to 32"),
    ],
)
def test_options_out_of_range_are_refused(task_of, options, message):
    with pytest.raises(BadReference, match=message):
        task_of(**options)


def test_without_a_folder_and_a_library_to_fetch_it_both_are_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingCapability, match=r'pip install "netwright\[datasets\]", or give .* task\.path'):
        cifar10()


class FakeDataset:
    """What is used of `datasets.Dataset`."""

    def __init__(self, rows, cast=()):
        self.rows, self.cast, self._fingerprint = rows, cast, str(len(rows))

    def __len__(self):
        return len(self.rows)

    def cast_column(self, name, feature):
        return FakeDataset(self.rows, (name, feature))

    def __getitem__(self, key):
        if isinstance(key, str):
            return [row[key] for row in self.rows]
        assert self.cast == ("img", "undecoded"), "else images come decoded"
        return {name: [self.rows[n][name] for n in key] for name in ("img", "label")}


@pytest.fixture
def hub_of(monkeypatch):
    loaded = []

    def load_dataset(name):
        loaded.append(name)
        return {part: FakeDataset([_row(n) for n in range(count)]) for part, count in (("train", 200), ("test", 40))}

    fake = types.SimpleNamespace(load_dataset=load_dataset, Image=lambda decode: "decoded" if decode else "undecoded")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: types.SimpleNamespace(origin=name))
    monkeypatch.setattr(hub.importlib, "import_module", lambda name: {"datasets": fake}[name])
    return fake, loaded


def test_fetched_images_are_those_of_the_files(hub_of, task_of):
    fetched, local = task_of(path=None), task_of()
    assert not hub_of[1], "making the task fetches nothing"
    check_task(fetched)
    assert hub_of[1] == ["uoft-cs/cifar10"]
    for split in SPLITS:
        assert _levels(fetched, split) == _levels(local, split)
        assert fetched.names(split, [3]) == local.names(split, [3])


def test_what_cannot_be_fetched_is_said(hub_of, task_of):
    def failing(name):
        raise ConnectionError("no network\nat all")

    hub_of[0].load_dataset = failing
    with pytest.raises(
        NetwrightError, match=r"uoft-cs/cifar10 cannot be fetched: no network at all; give .*task\.path"
    ):
        list(task_of(path=None).prepare())


def test_a_folder_called_datasets_is_not_the_library(monkeypatch, tmp_path):
    (tmp_path / "datasets").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(MissingCapability, match=r"needs the package datasets"):
        cifar10()


def test_a_library_that_cannot_be_imported_is_said(hub_of, task_of, monkeypatch):
    monkeypatch.setattr(hub.importlib, "import_module", lambda name: {}[name])
    with pytest.raises(NetwrightError, match=r"cannot be fetched: 'datasets'; give a folder of its parquet files"):
        list(task_of(path=None).prepare())


@pytest.mark.skipif("NETWRIGHT_DATA" not in os.environ, reason="NETWRIGHT_DATA names no folder with cifar10/")
def test_reads_the_published_images(tmp_path):
    path = str(Path(os.environ["NETWRIGHT_DATA"]) / "cifar10")
    task = cifar10(path, train_limit=500, cache=str(tmp_path))
    assert [task.examples(s) for s in SPLITS] == [500, 100, 100]
    images, labels = next(task.batches("test", 100, None))
    assert images.std().item() == pytest.approx(1.0, abs=0.1)
    assert set(labels.tolist()) == set(range(10))
    assert task.classes == CLASSES


def test_copies_encoded_as_jpeg_say_so_beside_every_accuracy(tmp_path):
    for part in ("train", "test"):
        images = [
            {"bytes": encoded(pixels(n + 60 * (part == "test"), 32, 32), "JPEG"), "path": None} for n in range(60)
        ]
        table = pa.table({"img": pa.array(images), "label": [n % 10 for n in range(60)]})
        pq.write_table(table, tmp_path / f"{part}.parquet")
    task = cifar10(str(tmp_path), valid=20, cache=str(tmp_path / "cache"))
    [caveat] = task.caveats()
    assert caveat.startswith("these images were encoded as JPEG anew")
    assert caveat in list(task.prepare())


def test_gray_images(task_of):
    task = task_of(channels=1)
    check_task(task)
    assert task.io == IO(1, 32, 32, 10)
    assert _levels(task, "test") == list(range(40))
    with pytest.raises(BadReference, match=r"task\.channels is 2"):
        refs.load("task", refs.parse("cifar10(channels=2)"))
