"""Malformed tables, arrays, images, parquet, and folders of images."""

import io
import json
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st
from PIL import Image

from netwright.core import seeds
from netwright.core.errors import NetwrightError
from netwright.data import decode, parquet
from netwright.tables.csv import csv
from netwright.tasks.arrays import arrays
from netwright.tasks.cifar10 import cifar10
from netwright.tasks.image_folder import image_folder
from tests import fuzzing, tiny_data
from tests.fuzzing import Target, changed, kept

ROWS = "cell,width,val,test,seconds\n" + "".join(f"{n:02d},{2**n},0.{n}5,0.{n}4,{n}.5\n" for n in range(8))
CSV = st.one_of(
    changed(st.just(ROWS.encode())),
    changed(st.sampled_from([ROWS.encode(code) for code in ("utf-16", "utf-8-sig", "latin-1")])),
    st.sampled_from([ROWS.replace(",", sign).encode() for sign in ";\t|"]).flatmap(lambda data: changed(st.just(data))),
    st.lists(
        st.lists(
            st.sampled_from(("00", "0", "1e3", "1_000", "nan", "", '"', "é", "-1", "True", str(2**60))),
            min_size=5,
            max_size=5,
        )
    ).map(lambda rows: ("cell,width,val,test,seconds\n" + "".join(",".join(row) + "\n" for row in rows)).encode()),
    st.binary(max_size=100),
)
TABLE = {"genes": ("cell", "width"), "signal": "val", "final": "test", "seconds": "seconds"}


def take_csv(data, folder):
    path = folder / "t.csv"
    path.write_bytes(data)
    take_table(path)


def take_table(path):
    table = csv(str(path), **TABLE)
    found = table.space
    rng = seeds.rng_for(0, seeds.ASK)
    found.check(found.mutate(found.sample(rng), rng))


@kept
def parquet_table():
    columns = {
        "cell": ["00", "0", "01", "1"],
        "width": pa.array([1, 2, 2**60, 2**60 + 1]),
        "val": [0.1, 0.2, 0.3, None],
        "test": [0.1, 0.2, 0.3, 0.4],
        "seconds": [1.0, 2.0, 3.0, 4.0],
    }
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def take_parquet_table(data, folder):
    path = folder / "t.parquet"
    path.write_bytes(data)
    take_table(path)


IMAGES = np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8)  # no two alike


@kept
def archives():
    found = []
    for write in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        write(stream, images=IMAGES, labels=np.arange(30) % 2)
        found.append(stream.getvalue())
    stream = io.BytesIO()
    np.savez(stream, x_train=IMAGES, y_train=np.arange(30) % 2, x_test=IMAGES[::-1] ^ 255, y_test=np.arange(30) % 2)
    return (*found, stream.getvalue())


@st.composite
def archive_bytes(draw):
    """An archive with changed bytes, or with arrays of other kinds, shapes and heads."""
    if draw(st.booleans()):
        return draw(changed(st.sampled_from(archives())))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("images.npy", "labels.npy"):
            kind = draw(st.sampled_from(("|u1", "<i8", "<f4", "|O", "<U3", "|b1", "<M8[s]", "<c8", "bogus")))
            shape = draw(st.lists(st.sampled_from((0, 1, 2, 3, 8, 12, 2**31, 2**40)), max_size=5))
            head = repr({"descr": kind, "fortran_order": draw(st.booleans()), "shape": tuple(shape)}).encode()
            archive.writestr(
                name, b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + draw(st.binary(max_size=96))
            )
    return stream.getvalue()


def take_arrays(data, folder):
    path = folder / "a.npz"
    path.write_bytes(data)
    task = arrays(str(path), cache=str(folder / "cache"))
    list(task.prepare())
    list(task.batches("train", 4, None))


@kept
def image_files():
    rng = np.random.default_rng(0)
    color, gray = rng.integers(0, 256, (9, 7, 3), np.uint8), rng.integers(0, 256, (9, 7), np.uint8)
    found = []
    for picture in (color, gray, np.dstack((color, gray)), gray.astype(np.uint16) * 16):
        for kind in ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "JPEG2000", "PPM"):
            stream = io.BytesIO()
            try:
                Image.fromarray(picture).save(stream, kind)
            except (OSError, ValueError):  # a kind that has no such pictures
                continue
            found.append(stream.getvalue())
    return found


def take_image(data, folder):
    path = folder / "x.png"
    path.write_bytes(data)
    said = []
    for channels in (1, 3):
        try:
            decode.decode(path, channels=channels, height=4, width=8, fit="crop")
        except decode.BadImage as error:
            said.append(str(error))
    assert all(map(fuzzing.is_sentence, said)), f"no sentence: {said!r}"
    if said:
        raise NetwrightError(said[0])


@kept
def parquet_images():
    picture = tiny_data.png(np.zeros((8, 8, 3), np.uint8))
    stream = io.BytesIO()
    table = pa.table({"img": [{"bytes": picture, "path": None}] * 6, "label": [0, 1] * 3})
    pq.write_table(table, stream, row_group_size=2)
    return stream.getvalue()


def take_parquet_images(data, folder):
    path = folder / "train.parquet"
    path.write_bytes(data)
    image, label, _ = parquet.read_columns([path], ("img",), ("label",))
    source = parquet.ParquetImages({"train": (path,)}, image, label)
    count = min(len(source.labels), 6)
    list(source.images(np.arange(count)))


# Folders of images, and those of the hub

NAMES = st.one_of(
    st.sampled_from(
        (
            *("train", "Train", "training_set", "val", "valid", "test", "split", "eval", "labels", "annotations"),
            *("unlabeled", "cats", "dogs", "a", "b", "0", "1", "10", ".hidden", "__MACOSX", "images", "data", "é"),
            *("e\u0301", "x" * 200, "a,b", "*", " ", "a\nb", "\udcff", "train.png", "-"),
        )
    ),
    st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=5),
)
LAYOUTS = st.lists(st.tuples(st.lists(NAMES, max_size=3), st.integers(0, 6)), min_size=1, max_size=6)


@kept
def pictures():
    return [
        tiny_data.png(np.full((8, 8, 3), n * 20, np.uint8) + np.arange(8, dtype=np.uint8)[:, None]) for n in range(8)
    ]


def take_layout(pair, folder):
    layout, classes = pair
    root, number = folder / "photos", 0
    for names, count in layout:
        try:
            place = root.joinpath(*names)
            if ".." in place.parts:
                continue
            place.mkdir(parents=True, exist_ok=True)
            for _ in range(count):
                number += 1
                (place / f"{number}.png").write_bytes(pictures()[number % 8])
        except (OSError, UnicodeEncodeError):  # names that this system has not
            continue
    image_folder(str(root), size=8, cache=str(folder / "cache"), classes=classes)


@kept
def shards():
    picture = tiny_data.png(np.zeros((32, 32, 3), np.uint8))
    features = json.dumps({"info": {"features": {"label": {"names": [str(n) for n in range(10)]}}}}).encode()
    table = pa.table({"img": [{"bytes": picture, "path": None}] * 20, "label": [*range(10)] * 2})
    stream = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({b"huggingface": features}), stream, row_group_size=8)
    return stream.getvalue()


HUB = st.dictionaries(
    st.one_of(
        st.sampled_from(("train.parquet", "test.parquet")),
        st.tuples(st.sampled_from(("train", "test", "valid")), st.integers(0, 3), st.integers(0, 3)).map(
            lambda found: "{}-{:05d}-of-{:05d}.parquet".format(*found)
        ),
        st.sampled_from(("train-x-of-y.parquet", "train-" + "9" * 200 + "-of-2.parquet", "test .parquet")),
    ),
    st.one_of(st.deferred(lambda: st.just(shards())), st.deferred(lambda: changed(st.just(shards())))),
    max_size=4,
)


def take_hub(files, folder):
    for name, data in files.items():
        (folder / name).write_bytes(data)
    cifar10(path=str(folder), valid=10, cache=str(folder / "cache"))


TARGETS = (
    Target("CSV tables", 80, CSV, take_csv),
    Target("Parquet tables", 50, st.deferred(lambda: changed(st.just(parquet_table()))), take_parquet_table),
    Target("arrays", 50, archive_bytes(), take_arrays),
    Target("images", 60, st.deferred(lambda: changed(st.sampled_from(image_files()))), take_image),
    Target("Parquet images", 30, st.deferred(lambda: changed(st.just(parquet_images()))), take_parquet_images),
    Target("image folders", 40, st.tuples(LAYOUTS, st.none() | st.just("*") | NAMES), take_layout),
    Target("hub folders", 20, HUB, take_hub),
)
