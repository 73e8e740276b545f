import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.tasks.cifar100 import COARSE, FINE, cifar100
from netwright.testing.tasks import check_task
from tests.bad_images import encoded


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """600 training and 100 test images; fine labels count on, five to a coarse one."""
    path = tmp_path_factory.mktemp("data")
    images = [{"bytes": encoded(np.full((32, 32, 3), n, np.uint8)), "path": None} for n in range(100)]
    for part, count in (("train", 600), ("test", 100)):
        fine = np.arange(count) % 100
        table = pa.table({"img": [images[n] for n in fine], "fine_label": fine, "coarse_label": fine // 5})
        pq.write_table(table, path / f"{part}.parquet")
    return path


@pytest.mark.parametrize(("labels", "names", "group"), [("fine", FINE, 1), ("coarse", COARSE, 5)])
def test_keeps_the_contract_with_either_labels(folder, tmp_path, labels, names, group):
    task = cifar100(str(folder), labels=labels, valid=100, cache=str(tmp_path))
    check_task(task)
    assert task.io == IO(3, 32, 32, len(names))
    assert task.classes == names
    targets = np.concatenate([y.numpy() for _, y in task.batches("test", 64, None)])
    assert np.array_equal(targets, task.pixels("test", range(100))[:, 0, 0, 0] // group)


def test_both_labels_share_one_cache(folder, tmp_path):
    first, second = (cifar100(str(folder), labels=k, valid=100, cache=str(tmp_path)) for k in ("fine", "coarse"))
    assert any(line.startswith("decoded") for line in first.prepare())
    assert "found in the cache" in list(second.prepare())


def test_names_are_those_of_the_data_set():
    assert (len(set(FINE)), len(set(COARSE))) == (100, 20)
    assert list(FINE) == sorted(FINE) and list(COARSE) == sorted(COARSE)


def test_one_column_of_labels_will_do(folder, tmp_path):
    for part in ("train", "test"):
        table = pq.read_table(folder / f"{part}.parquet").drop_columns("coarse_label")
        pq.write_table(table.rename_columns(["image", "label"]), tmp_path / f"{part}.parquet")
    assert cifar100(str(tmp_path), valid=100).classes == FINE
    with pytest.raises(BadReference, match="image train 20 of CIFAR-100 has the label 20; labels must be from 0 to 19"):
        cifar100(str(tmp_path), labels="coarse", valid=100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid": 99}, r"task\.valid is 99; it must be at least 100"),
        ({"labels": "coarse", "valid": 19}, r"task\.valid is 19; it must be at least 20"),
        (
            {"valid": 100, "train_limit": 499},
            r"task\.train_limit is 499; it must be at least 500, five images per class",
        ),
    ],
)
def test_options_out_of_range_are_refused(folder, options, message):
    with pytest.raises(BadReference, match=message):
        cifar100(str(folder), **options)
