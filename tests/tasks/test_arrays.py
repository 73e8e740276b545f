import io
import tempfile
import tracemalloc
import zipfile
from contextlib import suppress

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from netwright.core.errors import BadReference, NetwrightError
from netwright.core.records import IO
from netwright.data import archive
from netwright.tasks import arrays as module
from netwright.tasks.arrays import arrays
from netwright.tasks.image_folder import image_folder
from netwright.testing.tasks import check_task

SPLITS = ("train", "valid", "test")
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (90, 10, 8, 3), dtype=np.uint8)
LABELS = np.arange(90) % 3


def parts(images=IMAGES, labels=LABELS, stop=60):
    return {"x_train": images[:stop], "y_train": labels[:stop], "x_test": images[stop:], "y_test": labels[stop:]}


@pytest.fixture
def task_of(tmp_path):
    def make(members, save=np.savez, **options):
        save(tmp_path / "data.npz", **members)
        return arrays(str(tmp_path / "data.npz"), **{"cache": str(tmp_path / "cache"), **options})

    return make


def _of(task, split):
    labels = torch.cat([y for _, y in task.batches(split, 64, None)]).tolist()
    return task.pixels(split, range(task.examples(split))), labels


def test_keeps_the_contract(task_of):
    task = task_of(parts())
    check_task(task)
    assert (task.io, task.classes) == (IO(3, 10, 8, 3), ("0", "1", "2"))
    assert [task.examples(split) for split in SPLITS] == [48, 12, 30]
    assert task.augmentation.padding == 1 and not task.augmentation.flip


@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("is_first", [False, True])
def test_images_are_brought_to_another_size_as_files_are(task_of, tmp_path, channels, is_first):
    """As `image_folder` brings them, whichever axis their channels are on."""
    images = RNG.integers(0, 256, (90, 12, 12, max(1, channels)), dtype=np.uint8)
    given = images.transpose(0, 3, 1, 2) if is_first and channels else images if channels else images[..., 0]
    task = task_of(parts(given), size=8)
    check_task(task)
    own, _ = _of(task, "test")
    home = tmp_path / "folder"
    for place, (image, label) in enumerate(zip(images, LABELS, strict=True)):
        into = home / ("train" if place < 60 else "test") / str(label)
        into.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image if channels == 3 else image[..., 0]).save(into / f"{place:02d}.png")
    files = image_folder(str(home), 8, cache=str(tmp_path / "cache"))
    theirs, labels = _of(files, "test")
    assert own.shape == (30, 8, 8, max(1, channels))
    assert np.array_equal(own[np.argsort(LABELS[60:], kind="stable")], theirs) and labels == sorted(labels)


def test_sides_of_other_forms_are_cut_stretched_or_padded(task_of):
    """Bright images of 10 x 8: only padding adds anything dark."""
    images = RNG.integers(200, 256, (90, 10, 8, 3), dtype=np.uint8)
    for fit, is_dark in (("crop", False), ("stretch", False), ("pad", True)):
        task = task_of(parts(images), size=6, fit=fit)
        found, _ = _of(task, "test")
        assert found.shape == (30, 6, 6, 3) and (found.min() == 0) == is_dark and found.max() >= 200
    with pytest.raises(BadReference, match="size is 3; it must be at least 4"):
        task_of(parts(), size=3)
    assert (task_of(parts()).fit, task_of(parts(), fit="pad").fit) == ("crop", "pad"), (
        "what `predict` does to new files"
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("block", [1, 7 * 240, 2**22])
def test_images_keep_their_pixels_and_labels(task_of, monkeypatch, save, block):
    monkeypatch.setattr(archive, "BLOCK", block)
    task = task_of(parts(), save)
    images, labels = _of(task, "test")
    assert np.array_equal(images, IMAGES[60:])
    assert labels == LABELS[60:].tolist()
    seen = [
        int(name.split()[1]) for split in ("train", "valid") for name in task.names(split, range(task.examples(split)))
    ]
    assert sorted(seen) == list(range(60))
    for split in ("train", "valid"):
        images, labels = _of(task, split)
        places = [int(name.split()[1]) for name in task.names(split, range(task.examples(split)))]
        assert np.array_equal(images, IMAGES[places]) and labels == LABELS[places].tolist()


@pytest.mark.parametrize(
    ("images", "expected", "io"),
    [
        (IMAGES[..., 0], IMAGES[..., :1], IO(1, 10, 8, 3)),
        (IMAGES[..., :1], IMAGES[..., :1], IO(1, 10, 8, 3)),
        (IMAGES.transpose(0, 3, 1, 2), IMAGES, IO(3, 10, 8, 3)),
        (np.asfortranarray(IMAGES), IMAGES, IO(3, 10, 8, 3)),
        (np.asfortranarray(IMAGES.transpose(0, 3, 1, 2)[:, :1]), IMAGES[..., :1], IO(1, 10, 8, 3)),
    ],
)
@pytest.mark.parametrize("labels", [LABELS, LABELS[:, None], LABELS.astype(np.float32), LABELS.astype(np.uint8)])
def test_every_layout_is_read(task_of, images, expected, io, labels):
    task = task_of(parts(images, labels))
    assert task.io == io
    images, found = _of(task, "test")
    assert np.array_equal(images, expected[60:])
    assert found == LABELS[60:].tolist()


def test_images_and_labels_are_split_by_class(task_of):
    task = task_of({"images": IMAGES, "labels": LABELS})
    check_task(task)
    assert [np.bincount(_of(task, split)[1]).tolist() for split in SPLITS] == [[18] * 3, [6] * 3, [6] * 3]
    names = [name for split in SPLITS for name in task.names(split, range(task.examples(split)))]
    assert sorted(names) == sorted(f"image {n}" for n in range(90))


def test_validation_images_of_its_own(task_of):
    members = {**parts(IMAGES[:75], LABELS[:75]), "x_valid": IMAGES[75:], "y_valid": LABELS[75:]}
    task = task_of(members)
    assert [task.examples(split) for split in SPLITS] == [60, 15, 15]
    assert np.array_equal(_of(task, "valid")[0], IMAGES[75:])
    assert not task.is_divisible
    assert task_of(parts(IMAGES[:75], LABELS[:75])).is_divisible, "those are cut out of the training images"


def test_workers_share_one_copy(tmp_path, task_of):
    assert list(task_of(parts()).prepare())[-1].startswith("decoded 90 images")
    mapped, streamed = (
        arrays(str(tmp_path / "data.npz"), cache=str(tmp_path / "cache"), memory_share=s) for s in (1, 0)
    )
    assert list(streamed.prepare())[-1] == "found in the cache"
    assert streamed.data.pixels.is_streamed
    assert np.array_equal(_of(mapped, "train")[0], _of(streamed, "train")[0])


def test_which_array_is_what_is_said(task_of):
    told = list(task_of({**parts(IMAGES.transpose(0, 3, 1, 2)), "names": LABELS, "extra": LABELS}).prepare())
    assert told[1:3] == [
        "arrays, with channels first: x_train (60x3x10x8) with y_train to train, x_test (30x3x10x8) with y_test to "
        "test; images to validate are cut from those to train",
        "2 arrays left out: names, extra",
    ]
    assert "  0                        16      4    10" in told
    uneven = np.where(np.arange(90) % 10 == 0, 1, 0)
    told = list(task_of({"images": IMAGES, "labels": uneven}).prepare())
    assert told[1].endswith("images (90x10x8x3) with labels; images to validate and to test are cut from them")
    assert "valid: 16 of 18 images are '0' (88.89 %)" in told


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({**parts(), "x_val": IMAGES[:9], "y_val": LABELS[:9]}, "x_val"),
        ({**parts(), "images": IMAGES, "labels": LABELS}, "x_test"),
        ({**parts(), "x_unlabeled": IMAGES}, "x_unlabeled"),
    ],
)
def test_arrays_that_look_like_splits_are_not_passed_over(task_of, members, name):
    with pytest.raises(BadReference, match=rf"has an array {name}, which looks like a split, beside .* alone would be"):
        task_of(members)


def test_a_limit(task_of):
    task = task_of(parts(), train_limit=15)
    assert [task.examples(split) for split in SPLITS] == [15, 3, 3]


FAULTS = [
    ({"images": IMAGES}, "has no array x_train; its arrays: images; give it x_train, y_train"),
    ({**parts(), "x_valid": IMAGES}, "has no array y_valid"),
    (parts(IMAGES.astype(np.float32)), "x_train of .* is float32; images must be uint8"),
    (parts(IMAGES.reshape(90, -1)), r"x_train of .* has the shape \(60, 240\); images must be"),
    (parts(np.zeros((90, 4, 4, 2), np.uint8)), r"has the shape \(60, 4, 4, 2\); images must be"),
    (parts(np.zeros((90, 3, 4, 3), np.uint8)), r"has the shape \(60, 3, 4, 3\); .*, and it must be clear which"),
    ({**parts(), "x_test": IMAGES[60:, :5]}, r"x_train and x_test of .* are .*; all images must have one size"),
    ({**parts(), "y_test": LABELS}, r"y_test of .* has the shape \(90,\); it must be \(30,\), one label per image"),
    (parts(labels=LABELS + 0.5), "y_train of .* holds float64 that are no whole numbers"),
    (parts(labels=np.array(["a", "b", "c"] * 30)), "y_train of .* holds <U1 that are no whole numbers"),
    (parts(labels=LABELS - 1), "y_train of .* holds the label -1; labels count from 0"),
    (parts(labels=LABELS * 2), "no training image of .* has the label 1; labels count from 0 without gaps"),
    (parts(labels=LABELS * 10**12), "y_train of .* holds the label 1000000000000; labels count from 0"),
    (parts(labels=LABELS * 0), "all training images of .* have the label 0; there must be at least two classes"),
    ({**parts(), "y_test": LABELS[60:] + 1}, "the label 3 is in y_test but not in y_train of .*; add training images"),
    ({**parts(), "y_test": LABELS[60:] % 2}, "class '2' has no image to test; add some to that part of"),
    ({"images": IMAGES[:4], "labels": LABELS[:4]}, "class '1' has 1 training image; it needs at least 3"),
    ({"images": IMAGES[:0], "labels": LABELS[:0]}, r"has the shape \(0, 10, 8, 3\)"),
]


@pytest.mark.parametrize(("members", "message"), FAULTS)
def test_arrays_of_another_kind_are_refused(task_of, members, message):
    with pytest.raises(BadReference, match=message):
        task_of(members)


def test_files_of_another_kind_are_refused(tmp_path, task_of):
    with pytest.raises(BadReference, match=r"none\.npz', which does not exist"):
        arrays(str(tmp_path / "none.npz"))
    for data in (b"", b"no", b"PK\x03\x04 no"):
        (tmp_path / "x.npz").write_bytes(data)
        with pytest.raises(BadReference, match=r"x\.npz cannot be read as \.npz"):
            arrays(str(tmp_path / "x.npz"))
    objects = np.array([{}] * 60, object)
    for members in ({**parts(), "x_train": objects}, {**parts(), "y_train": objects}):
        with pytest.raises(BadReference, match=r"x_train of .* is object|cannot be read as \.npz: Object arrays"):
            task_of(members)


def _labels_of_shape(shape, path, count=90):
    """A file whose labels have a head of that shape and nothing behind it."""
    np.savez(path, images=np.zeros((count, 4, 4), np.uint8))
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<i8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("labels.npy", head.getvalue())


@pytest.mark.parametrize("shape", [(10**13,), (90,), (-90,)])
def test_labels_whose_head_lies_are_refused_before_memory_is_taken(tmp_path, shape):
    _labels_of_shape(shape, tmp_path / "x.npz")
    with pytest.raises(BadReference, match=r"too short for its shape|labels of .* has the shape \(-90,\)"):
        arrays(str(tmp_path / "x.npz"))


def test_copies_between_the_parts_do_not_train_and_those_of_two_classes_are_named(task_of):
    images, labels = IMAGES.copy(), LABELS.copy()
    images[60:63] = images[:3]  # of the same classes
    images[70] = images[4]  # 1 and 1
    images[71] = images[6]  # 2 and 0
    task = task_of(parts(images, labels))
    told = [*task.prepare()]
    assert "5 images left out, a copy of which validates or tests: train 0, train 1, train 2, train 4, train 6" in told
    assert task.examples("train+valid") == 55 and task.examples("test") == 30
    [caveat] = task.caveats()
    assert caveat == (
        "2 images are in one class and, with the same pixels when decoded, in another: train 6 and test 11"
    )


def _claiming(path, shape, dtype="|u1", fortran=False, data=b"", compress=zipfile.ZIP_STORED):
    """A file whose images have a head of that shape, and whatever behind it."""
    head = io.BytesIO()
    np.lib.format.write_array_header_2_0(head, {"descr": dtype, "fortran_order": fortran, "shape": shape})
    with zipfile.ZipFile(path, "w", compress) as file:
        with file.open("images.npy", "w", force_zip64=True) as member:
            member.write(head.getvalue())
            member.write(data)
        stream = io.BytesIO()
        np.save(stream, np.arange(9) % 3)
        file.writestr("labels.npy", stream.getvalue())


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ({"shape": (9, 10**5, 10**5)}, "too short for its shape"),
        ({"shape": (1, 2**15, 2**15), "data": bytes(10)}, "too short for its shape"),
        ({"shape": (9, 4, 4), "dtype": "|O"}, "is object; images must be uint8"),
        ({"shape": (9, 2**20), "dtype": "<U1000000"}, "too short for its shape"),
    ],
)
def test_images_whose_head_lies_are_refused_before_memory_is_taken(tmp_path, claim, message):
    _claiming(tmp_path / "x.npz", **claim)
    tracemalloc.start()
    try:
        with pytest.raises(BadReference, match=message):
            arrays(str(tmp_path / "x.npz"))
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_arrays_that_unpack_to_more_than_images_do_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "FREE_GROWTH", 2**16)
    _claiming(tmp_path / "x.npz", (9, 512, 512), data=bytes(9 * 2**18), compress=zipfile.ZIP_DEFLATED)
    with pytest.raises(BadReference, match=r"images.npy unpacks from 0.1 MB to 2.4 MB, which no images do"):
        arrays(str(tmp_path / "x.npz"))


def test_images_of_too_many_values_and_whole_arrays_that_are_too_large_are_refused(task_of, monkeypatch):
    monkeypatch.setattr(module, "MAX_VALUES", 100)
    with pytest.raises(BadReference, match=r"has the shape \(60, 10, 8, 3\); an image may have 100 values at most"):
        task_of(parts())
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MAX_WHOLE", 1000)
    task = task_of({"images": np.asfortranarray(IMAGES), "labels": LABELS})
    with pytest.raises(BadReference, match=r"is in Fortran order, in which 0.1 MB must be read at once; write it with"):
        [*task.prepare()]


def test_a_head_that_is_too_long_is_not_read(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images.npy", b"\x93NUMPY\x02\x00" + (2**28).to_bytes(4, "little") + b" " * 2**20)
    with pytest.raises(BadReference, match="a head is too long"):
        arrays(str(tmp_path / "x.npz"))


def test_labels_of_another_shape_are_not_read(task_of, monkeypatch):
    monkeypatch.setattr(archive, "read", None)
    with pytest.raises(BadReference, match=r"labels of .* has the shape \(91,\); it must be \(90,\)"):
        task_of({"images": IMAGES, "labels": np.zeros(91, int)})


def _changed(path, mark, offset, value):
    """Every occurrence of a mark has, so many bytes behind its beginning, other bytes."""
    data = bytearray(path.read_bytes())
    place = data.find(mark)
    while place >= 0:
        data[place + offset : place + offset + len(value)] = value
        place = data.find(mark, place + len(value))
    path.write_bytes(data)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"
SPOILT = {
    "encrypted": ([(LOCAL, 6, b"\x01"), (CENTRAL, 8, b"\x01")], "encrypted"),
    "unknown compression": ([(LOCAL, 8, b"a\x00"), (CENTRAL, 10, b"a\x00")], "compression"),
    "head that does not end": ([(b"{'descr'", 0, b'({[""":')], ""),
    "head that cannot be hashed": ([(b"{'descr'", 0, b"{[]:1, '")], ""),
}


@pytest.mark.parametrize("how", SPOILT)
def test_spoilt_archives_are_refused_in_one_sentence(tmp_path, monkeypatch, how):
    changes, word = SPOILT[how]
    monkeypatch.setattr(zipfile.ZipExtFile, "_update_crc", lambda self, data: None)  # short heads are read before it
    np.savez(tmp_path / "x.npz", images=IMAGES, labels=LABELS)
    for change in changes:
        _changed(tmp_path / "x.npz", *change)
    with pytest.raises(BadReference, match=f"x.npz cannot be read as .npz: .*{word}.*; write it with numpy.savez"):
        arrays(str(tmp_path / "x.npz"))


@pytest.mark.parametrize("place", range(40, 400, 12))
def test_damaged_lzma_is_refused(tmp_path, task_of, place):
    task_of({"images": IMAGES, "labels": LABELS})
    old, new = zipfile.ZipFile(tmp_path / "data.npz"), zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_LZMA)
    with old, new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    data = bytearray((tmp_path / "x.npz").read_bytes())
    data[place : place + 200] = bytes([255] * 200)
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(BadReference, match=r"x\.npz cannot be read as \.npz"):
        list(arrays(str(tmp_path / "x.npz"), cache=str(tmp_path / "cache")).prepare())


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_bytes_are_arrays_or_refused(tmp_path, changes):
    np.savez_compressed(tmp_path / "x.npz", images=IMAGES[:30, :4, :4], labels=LABELS[:30])
    data = bytearray((tmp_path / "x.npz").read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    (tmp_path / "x.npz").write_bytes(data)
    with suppress(NetwrightError), tempfile.TemporaryDirectory() as cache:
        list(arrays(str(tmp_path / "x.npz"), cache=cache).prepare())


def test_a_damaged_file_is_said_when_it_is_read(tmp_path, task_of):
    task = task_of(parts())
    data = bytearray((tmp_path / "data.npz").read_bytes())
    data[500:600] = bytes(100)
    (tmp_path / "data.npz").write_bytes(data)
    with pytest.raises(BadReference, match=r"data\.npz cannot be read as \.npz"):
        list(task.prepare())


@pytest.mark.parametrize("options", [{"crop": 11}, {"valid": 0.0}, {"split_seed": -1}, {"train_limit": 14}])
def test_options_out_of_range_are_refused(task_of, options):
    with pytest.raises(BadReference, match=f"task.{next(iter(options))} is "):
        task_of(parts(), **options)
