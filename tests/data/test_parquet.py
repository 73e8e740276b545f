import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from netwright.core.errors import BadReference, NetwrightError
from netwright.data import parquet
from netwright.data.parquet import ParquetImages, read_columns

IMAGES, LABELS = ("img", "image"), ("label",)


def write(path, count, start=0, image="img", label="label", bare=False, names=None, rows=7):
    """Row n holds the image `b"n"` and the label n % 10, in groups of `rows`."""
    data = [str(n).encode() for n in range(start, start + count)]
    column = pa.array(data, pa.binary()) if bare else pa.array([{"bytes": d, "path": None} for d in data])
    labels = pa.array([n % 10 for n in range(start, start + count)], pa.int64())
    table = pa.table({image: column, label: labels, "other": labels})
    if names is not None:
        features = {"info": {"features": {label: {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path, row_group_size=rows)
    return path


@pytest.fixture
def source(tmp_path):
    train = (write(tmp_path / "a", 20), write(tmp_path / "b", 15, start=20))
    return ParquetImages({"train": train, "test": (write(tmp_path / "c", 10, start=35),)}, "img", "label")


def test_rows_are_counted_on_over_files_and_splits(source):
    assert source.labels.tolist() == [n % 10 for n in range(45)]
    assert source.counts == {"train": 35, "test": 10}
    assert [source.name(n) for n in (0, 34, 35, 44)] == ["train 0", "train 34", "test 0", "test 9"]


@pytest.mark.parametrize("positions", [[], [0], [44], [6, 7, 13, 14, 19, 20, 34, 35], list(range(45))])
@pytest.mark.parametrize("rows", [1, 3, 32])
def test_images_of_any_rows(source, positions, rows, monkeypatch):
    monkeypatch.setattr(parquet, "ROWS", rows)
    found = list(source.images(np.array(positions, np.int64)))
    assert found == [str(n).encode() for n in positions]


def test_columns_and_class_names(tmp_path):
    files = [
        write(tmp_path / "a", 3, image="image", bare=True, names=["x", "y"]),
        write(tmp_path / "b", 3, image="image"),
    ]
    assert read_columns(files, IMAGES, LABELS) == ("image", "label", ("x", "y"))
    assert read_columns(files[1:], IMAGES, LABELS) == ("image", "label", ())
    source = ParquetImages({"train": tuple(files)}, "image", "label")
    assert list(source.images(np.array([2, 3]))) == [b"2", b"0"]


def test_a_column_whose_name_is_no_text_is_a_damaged_file(tmp_path):
    path = write(tmp_path / "a", 3, label="labels of it")
    path.write_bytes(path.read_bytes().replace(b"labels of it", b"labels\xe2of it"))
    with pytest.raises(BadReference, match="cannot be read as parquet"):
        read_columns([path], IMAGES, LABELS)


@pytest.mark.parametrize("metadata", [b"{", b"[]", b'{"info": 3}', b'{"info": {"features": {"label": {"names": 5}}}}'])
def test_odd_class_names_are_passed_over(tmp_path, metadata):
    table = pq.read_table(write(tmp_path / "a", 3)).replace_schema_metadata({b"huggingface": metadata})
    pq.write_table(table, tmp_path / "a")
    assert read_columns([tmp_path / "a"], IMAGES, LABELS)[2] == ()


def test_missing_and_odd_columns_are_named(tmp_path):
    good = write(tmp_path / "good", 3)
    cases = [
        (
            write(tmp_path / "a", 3, image="picture"),
            "a has no column 'img' or 'image'; its columns: picture, label, other",
        ),
        (write(tmp_path / "b", 3, label="class"), "b has no column 'label'; its columns: img, class, other"),
    ]
    for path, message in cases:
        with pytest.raises(BadReference, match=message):
            read_columns([path], IMAGES, LABELS)
    with pytest.raises(BadReference, match="a has no column 'img'"):
        read_columns([good, cases[0][0]], IMAGES, LABELS)
    for image, label, message in (
        (pa.array(["x"]), pa.array([1]), "column 'img' of .*odd is string; it must hold encoded images"),
        (pa.array([b"x"]), pa.array(["cat"]), "column 'label' of .*odd is string; it must hold whole numbers"),
        (pa.array([{"path": "x"}]), pa.array([1]), "column 'img' of .*odd is struct<path: string>; it must hold"),
    ):
        pq.write_table(pa.table({"img": image, "label": label}), tmp_path / "odd")
        with pytest.raises(BadReference, match=message):
            read_columns([tmp_path / "odd"], IMAGES, LABELS)


def test_rows_without_image_or_label(tmp_path):
    labels = pa.array([0, None], pa.int64())
    images = pa.array([{"bytes": b"0", "path": None}, None], pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    pq.write_table(pa.table({"img": images, "label": labels}), tmp_path / "a")
    source = ParquetImages({"train": (tmp_path / "a",)}, "img", "label")
    assert list(source.images(np.arange(2))) == [b"0", b""], "decoding calls it empty"
    with pytest.raises(BadReference, match="1 row without a label"):
        _ = source.labels


def test_columns_that_unpack_to_more_than_images_do_are_refused_by_their_metadata(tmp_path, monkeypatch):
    table = pa.table({"img": pa.array([bytes(2**20)] * 40, pa.binary()), "label": [0] * 40})
    pq.write_table(table, tmp_path / "a", use_dictionary=False, compression="zstd")
    source = ParquetImages({"train": (tmp_path / "a",)}, "img", "label")
    monkeypatch.setattr(parquet, "MOST", 2**24)
    read = []
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda *given, **how: read.append(given))
    with pytest.raises(
        NetwrightError, match=r"a unpacks from 0.1 MB to 42 MB in column 'img', which no encoded images"
    ):
        list(source.images(np.arange(40)))
    assert not read


def test_of_large_rows_fewer_are_read_at_a_time(tmp_path, monkeypatch):
    data = np.random.default_rng(0).bytes(2**16)
    pq.write_table(pa.table({"img": pa.array([data] * 40, pa.binary()), "label": [0] * 40}), tmp_path / "a")
    source = ParquetImages({"train": (tmp_path / "a",)}, "img", "label")
    monkeypatch.setattr(parquet, "MOST", 2**18)
    sizes, whole = [], pq.ParquetFile.iter_batches
    monkeypatch.setattr(
        pq.ParquetFile, "iter_batches", lambda *given, **how: sizes.append(given[1]) or whole(*given, **how)
    )
    assert list(source.images(np.arange(40))) == [data] * 40
    assert sizes == [3], "each may be the one value that is stored"


def test_more_rows_than_can_be_are_refused(tmp_path, monkeypatch):
    write(tmp_path / "a", 20)
    monkeypatch.setattr(parquet, "MAX_ROWS", 19)
    with pytest.raises(BadReference, match="a has 20 rows; more than 19 are not read"):
        read_columns([tmp_path / "a"], IMAGES, LABELS)


def test_files_that_are_no_parquet(tmp_path, source):
    (tmp_path / "x").write_bytes(b"no")
    for path in (tmp_path / "x", tmp_path / "none"):
        with pytest.raises(BadReference, match="cannot be read as parquet"):
            read_columns([path], IMAGES, LABELS)
    data = bytearray((tmp_path / "a").read_bytes())
    data[4:400] = bytes(396)  # the first pages; the foot that says where they are is whole
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(NetwrightError, match="a is damaged"):
        list(source.images(np.arange(45)))


def test_a_changed_file_is_another_source(tmp_path, source):
    before = source.describe(np.arange(3))
    assert before == source.describe(np.arange(3))
    write(tmp_path / "b", 16, start=20)
    assert before != source.describe(np.arange(3))
