import errno
import os
import shutil
import subprocess
import sys
from unicodedata import normalize

import numpy as np
import pytest
import torch

from netwright.core import refs
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.records import IO, Preprocessing
from netwright.core.refs import Reference
from netwright.data import chunks
from netwright.data.preparation import Keeping
from netwright.tasks.image_folder import image_folder
from netwright.testing.tasks import check_task
from tests import bad_images
from tests.bad_images import class_folders, good

SPLITS = ("train", "valid", "test")


@pytest.fixture
def data(tmp_path):
    class_folders(tmp_path / "data", classes=3, images=10)
    return tmp_path / "data"


@pytest.fixture
def task_of(data, tmp_path):
    def make(path=data, size=8, cache=tmp_path / "cache", **options):
        return image_folder(str(path), size=size, cache=str(cache), **options)

    return make


def _names(task, split):
    return task.names(split, range(task.examples(split)))


def test_keeps_the_contract(task_of):
    task = task_of()
    check_task(task)
    assert task.io == IO(3, 8, 8, 3)
    assert task.classes == ("class 0", "class 1", "class 2")
    assert task.augmentation.padding == 1 and task.augmentation.flip


def test_splits_are_all_images_once_by_class(task_of):
    task = task_of()
    names = {split: _names(task, split) for split in SPLITS}
    assert [len(names[split]) for split in SPLITS] == [18, 6, 6]
    assert len({name for split in SPLITS for name in names[split]}) == 30
    for split in SPLITS:
        labels = torch.cat([y for _, y in task.batches(split, 4, None)]).tolist()
        assert [int(name.removeprefix("class ")[0]) for name in names[split]] == labels
        assert len(set(np.bincount(labels))) == 1


def test_images_keep_their_pixels_names_and_labels(data, task_of):
    task = task_of(size=12)
    for split in SPLITS:
        for row, name in zip(task.pixels(split, range(3)), _names(task, split), strict=False):
            label, n = int(name[6]), int(name.split()[-1].removesuffix(".png"))
            assert np.array_equal(row, bad_images.pixels(1000 * label + n))


def test_what_an_image_goes_through_is_told(task_of):
    task = task_of(channels=1, fit="pad")
    assert task.preprocessing() == Preprocessing(1, 8, 8, "pad", task.data.mean, task.data.sd, task.classes)
    assert len(task.data.mean) == 1
    pixels = task.pixels("train", range(task.examples("train"))) / 255
    assert task.data.mean[0] == pytest.approx(pixels.mean())
    assert task.data.sd[0] == pytest.approx(pixels.std())


def test_nested_and_other_files(data, task_of):
    (data / "class 0" / "deep" / "er").mkdir(parents=True)
    good(data / "class 0" / "deep" / "er" / "y.JPG", 50, "JPEG")
    for name in (".hidden.png", "Thumbs.db", "notes.txt"):
        (data / "class 0" / name).write_bytes(b"no image")
    (data / ".git").mkdir()
    (data / ".git" / "x.png").touch()
    (data / "readme.md").touch()
    (data / "class 1" / "loop").symlink_to(data / "class 1")
    task = task_of()
    assert "class 0/deep/er/y.JPG" in [name for split in SPLITS for name in _names(task, split)]
    assert sum(task.examples(split) for split in SPLITS) == 31
    told = [*task.prepare()]
    assert "3 files ignored, no image by extension: readme.md, class 0/Thumbs.db, class 0/notes.txt" in told
    assert "1 hidden file left out: class 0/.hidden.png" in told
    assert "1 link left out, leading to a folder that is read already: class 1/loop" in told
    assert any(line.startswith("1 hidden folder with images left out: .git/ (1 image)") for line in told)


def test_prepare_says_what_it_does(task_of, tmp_path):
    first, second = list(task_of().prepare()), list(task_of().prepare())
    where = f"0.1 MB on disk in {tmp_path / 'cache'}, shared by all workers"
    assert (
        first[:-1]
        == second[:-1]
        == [
            f"30 images of 8x8: {where}, memory-mapped",
            f"classes: 3 folders in {tmp_path / 'data'}: class 0, class 1, class 2; splits are cut at random",
            "  images of each class  train  valid  test",
            "  class 0                   6      2     2",
            "  class 1                   6      2     2",
            "  class 2                   6      2     2",
            "  all                      18      6     6",
        ]
    )
    assert first[-1].startswith("decoded 30 images in ")
    assert second[-1] == "found in the cache"
    streamed = next(task_of(memory_share=0).prepare())
    assert streamed == f"30 images of 8x8: {where}, streamed: more than 0% of this machine's memory"
    assert "9 images of 30 left out, as task.train_limit says" in [*task_of(train_limit=15).prepare()]


def test_uneven_classes_are_said_before_anything_is_decoded(tmp_path, task_of, monkeypatch):
    class_folders(tmp_path / "uneven", 1, 15)
    class_folders(tmp_path / "more", 1, 5, seed=1)
    (tmp_path / "more" / "class 0").rename(tmp_path / "uneven" / "sick")
    monkeypatch.setattr(chunks, "decode", None)
    steps = task_of(tmp_path / "uneven").prepare()
    told = [next(steps) for _ in range(9)]
    assert told[-3:] == [
        "train: 9 of 12 images are 'class 0' (75.00 %)",
        "valid: 3 of 4 images are 'class 0' (75.00 %)",
        "test: 3 of 4 images are 'class 0' (75.00 %)",
    ]


def test_the_estimate_comes_before_any_decoding(task_of, monkeypatch):
    monkeypatch.setattr(chunks, "decode", None)
    assert next(task_of().prepare()).startswith("30 images of 8x8")


def test_the_default_cache_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert Keeping().folder == tmp_path / "netwright"


def test_mapped_and_streamed_are_the_same(task_of):
    mapped, streamed = task_of(), task_of(memory_share=0)
    assert streamed.data.pixels.is_streamed and not mapped.data.pixels.is_streamed
    assert (mapped.data.mean, mapped.data.sd) == (streamed.data.mean, streamed.data.sd)
    for split in (*SPLITS, "train+valid"):
        for rng in (None, 5):
            passes = [t.batches(split, 4, rng and np.random.default_rng(rng)) for t in (mapped, streamed)]
            for (a, y), (b, z) in zip(*passes, strict=True):
                assert torch.equal(a, b) and torch.equal(y, z)


def test_a_limit_decodes_no_more_than_it_uses(task_of, monkeypatch):
    calls, decode = [], chunks.decode
    monkeypatch.setattr(chunks, "decode", lambda *args, **how: calls.append(args) or decode(*args, **how))
    task = task_of(train_limit=15)
    assert [task.examples(split) for split in SPLITS] == [15, 3, 3]
    assert len(calls) == 21
    assert len({y for _, ys in task.batches("test", 8, None) for y in ys.tolist()}) == 3


MAKES = {
    "unreadable.png": bad_images.unreadable,
    "zero.png": bad_images.zero_byte,
    "truncated.jpg": bad_images.truncated,
    "bomb.png": bad_images.bomb,
    "cmyk.jpg": bad_images.cmyk,
    "deep.png": bad_images.sixteen_bit,
    "moving.gif": bad_images.animated,
    "lying.jpg": bad_images.rotated,
    "clear.png": bad_images.transparent,
    "jpeg.png": bad_images.wrong_extension,
    bad_images.LONGEST: good,
    "日本語 ünï.png": good,
}


def test_every_kind_of_bad_image_is_counted_and_named(data, task_of):
    for n, (name, make) in enumerate(MAKES.items()):
        make(data / f"class {n % 3}" / name, *([900 + n] if make is good else []))
    bad_images.mislabeled(data / "class 0" / "twin.png", data / "class 1" / "twin.png")
    with pytest.raises(NetwrightError) as caught:
        list(task_of().prepare())
    assert str(caught.value) == (
        "6 of 44 images (13.64%) are broken: 1 empty: class 1/zero.png; "
        "2 mislabeled: class 0/twin.png (the same bytes as class 1/twin.png), "
        "class 1/twin.png (the same bytes as class 0/twin.png); "
        "1 more than 89 million pixels: class 0/bomb.png; 1 not an image: class 0/unreadable.png; "
        "1 truncated: class 2/truncated.jpg; repair or remove them, or raise task.broken_share, now 0.01"
    )
    with pytest.raises(NetwrightError, match="6 of 44"):
        _ = task_of().data
    task = task_of(broken_share=0.2)
    told = [*task.prepare()]
    findings = told[told.index("found in the cache") + 1 :]  # refused before, but decoded
    assert findings == [
        "1 image converted from CMYK: class 1/cmyk.jpg",
        "1 image put on white where transparent: class 2/clear.png",
        "1 image read by content, not by extension: class 0/jpeg.png",
        "1 image reduced to the first of several frames: class 0/moving.gif",
        "1 image scaled to 8 bits from 16 or 32: class 2/deep.png",
        "1 image turned upright as EXIF says: class 1/lying.jpg",
        "in images of 16 or 32 bits, values from 0 to 65,535 become black to white",
        findings[7],
        "3 of 38 images are plain areas of one color when decoded: class 0/moving.gif, class 1/cmyk.jpg, "
        "class 2/deep.png",
    ]
    assert findings[7].startswith("6 broken images skipped: 1 empty: class 1/zero.png; 2 mislabeled: ")
    assert task.caveats() == (findings[8],)
    check_task(task)
    assert sum(task.examples(split) for split in SPLITS) == 38
    names = [name for split in SPLITS for name in _names(task, split)]
    assert f"class 1/{bad_images.LONGEST}" in names and "class 2/日本語 ünï.png" in names


def test_a_share_below_the_limit_goes_on_and_more_than_five_are_counted(tmp_path, task_of):
    class_folders(tmp_path / "many", 2, 100)
    for n in range(7):
        bad_images.zero_byte(tmp_path / "many" / "class 1" / f"empty {n}.png")
    with pytest.raises(NetwrightError, match=r"7 of 207 images .*7 empty: .*empty 4.png and 2 more; repair"):
        _ = task_of(tmp_path / "many").data
    for n in range(2, 7):
        (tmp_path / "many" / "class 1" / f"empty {n}.png").unlink()
    task = task_of(tmp_path / "many")
    assert sum(task.examples(split) for split in SPLITS) == 200


def test_a_class_whose_images_are_broken_is_named(tmp_path, task_of):
    class_folders(tmp_path / "scarce", 2, 3)
    bad_images.truncated(tmp_path / "scarce" / "class 1" / "image 0.png")
    with pytest.raises(BadReference, match=r"class 'class 1' has no image to .* its images are broken"):
        _ = task_of(tmp_path / "scarce", broken_share=1).data


@pytest.mark.parametrize(
    ("folders", "counts"),
    [
        (("train", "valid", "test"), [20, 10, 10]),
        (("train", "val", "test"), [20, 10, 10]),
        (("train", "test"), [16, 4, 10]),
        (("train", "val"), [16, 10, 4]),
        (("train",), [12, 4, 4]),
        (("train", "validation"), [16, 10, 4]),
        (("Train", "Test"), [16, 4, 10]),
        (("TRAIN", "Validation", "test"), [20, 10, 10]),
    ],
)
def test_folders_of_splits_are_taken_as_they_are(tmp_path, task_of, folders, counts):
    for n, folder in enumerate(folders):
        class_folders(tmp_path / "split" / folder, 2, 10 if n == 0 else 5, seed=n)
    task = task_of(tmp_path / "split")
    assert [task.examples(split) for split in SPLITS] == counts
    for split in SPLITS:
        expected = next((f for f in folders if f.lower().startswith(split[:3])), folders[0])
        assert {name.split("/")[0] for name in _names(task, split)} == {expected}
    assert task.classes == ("class 0", "class 1")


def test_folders_that_hold_the_same_folders_are_not_taken_for_classes(tmp_path, task_of):
    for folder in ("a", "b", "c"):
        class_folders(tmp_path / "split" / folder, 2, 5)
        (tmp_path / "split" / folder / "labels.csv").touch()
    message = "a/, b/, c/ in .* hold the same folders, class 0, class 1: they look like splits; name them train/"
    _raises(task_of, tmp_path / "split", message)
    assert task_of(tmp_path / "split", classes="a,b,c").classes == ("a", "b", "c")
    for n, folder in enumerate(("a", "b")):
        good(tmp_path / "split" / folder / "x.png", n)
    assert task_of(tmp_path / "split").classes == ("a", "b", "c"), "images beside the folders: a class"


def test_classes_with_one_folder_each_are_classes(tmp_path, task_of):
    for name in ("cat", "dog"):
        class_folders(tmp_path / "deep" / name, 1, 5)
    assert task_of(tmp_path / "deep").classes == ("cat", "dog")


def test_a_class_called_train_is_one_for_who_says_so(data, task_of):
    class_folders(data / "train", 2, 2)
    _raises(task_of, data, "train/ in .* looks like a split, not like classes, beside class 0/, class 1/, class 2/")
    given = {"path": str(data), "size": 8, "cache": str(data.parent / "cache")}
    for classes in ("*", "class 0, class 1,class 2,train", ["class 0", "class 1", "class 2", "train"]):
        task = refs.load("task", Reference("image_folder", {**given, "classes": classes}))
        assert task.classes == ("class 0", "class 1", "class 2", "train")
    assert task_of(classes=("class 1", "train")).classes == ("class 1", "train")
    for classes in ("", "a,,b", ()):
        _raises(task_of, data, r"task.classes is .*; name folders, as in a,b,c, or '\*' for all", classes=classes)


def _raises(task_of, path, message, **options):
    with pytest.raises(BadReference, match=message):
        task_of(path, **options)


def test_folders_that_cannot_be_trained_on_are_refused_at_once(tmp_path, task_of, monkeypatch):
    monkeypatch.setattr(chunks, "decode", None)
    _raises(task_of, tmp_path / "none", "none', which does not exist")
    (tmp_path / "file").touch()
    _raises(task_of, tmp_path / "file", "file', which is a file; give the folder of the images$")
    (tmp_path / "file.npz").touch()
    _raises(task_of, tmp_path / "file.npz", "give the folder of the images, or read its arrays with --task arrays$")
    good(tmp_path / "x.png")
    (tmp_path / "flat").mkdir()
    good(tmp_path / "flat" / "x.png")
    _raises(
        task_of, tmp_path / "flat", "flat holds no folders, and 1 image straight in it; put the images of each class in"
    )
    class_folders(tmp_path / "one", 1)
    _raises(
        task_of, tmp_path / "one", "one holds one class, 'class 0', with 10 images straight in it; there must be at"
    )
    class_folders(tmp_path / "empty", 2)
    (tmp_path / "empty" / "class 2").mkdir()
    _raises(task_of, tmp_path / "empty", "no images in .*empty of class class 2; add some or remove the folder")
    class_folders(tmp_path / "few", 2, 2)
    _raises(task_of, tmp_path / "few", "class 'class 0' has 2 training images; it needs at least 3")


def test_classes_that_are_not_in_every_split_are_refused(tmp_path, task_of):
    class_folders(tmp_path / "a" / "train", 2)
    class_folders(tmp_path / "a" / "test", 3)
    _raises(
        task_of, tmp_path / "a", "class 'class 2' is in test/ but not in train/ of .*; add training images or remove"
    )
    class_folders(tmp_path / "b" / "train", 3)
    class_folders(tmp_path / "b" / "val", 2)
    _raises(
        task_of, tmp_path / "b", "class 'class 2' has no image to validate; add some to the folder of that split in .*b"
    )


def test_folders_beside_those_of_splits_are_refused(tmp_path, task_of):
    for folder in ("train", "test", "raw"):
        class_folders(tmp_path / "c" / folder, 2)
    _raises(
        task_of, tmp_path / "c", "test/, train/ in .* look like splits, not like classes, beside raw/; take out what"
    )
    for folder in ("train", "valid", "val"):
        class_folders(tmp_path / "d" / folder, 2)
    _raises(task_of, tmp_path / "d", "holds val/ and valid/, which look like the same split; keep one of them")


def test_names_are_those_of_composed_letters(tmp_path, task_of):
    prints = set()
    for form in ("NFC", "NFD"):
        class_folders(tmp_path / form, 2, 5)
        (tmp_path / form / "class 1").rename(tmp_path / form / normalize(form, "caf\u00e9"))
        (tmp_path / form / "class 0" / "image 0.png").rename(
            tmp_path / form / "class 0" / normalize(form, "\u00e9.png")
        )
        task = task_of(tmp_path / form)
        assert task.classes == ("caf\u00e9", "class 0")
        prints.add(task.fingerprint())
    assert len(prints) == 1, "the same data, whichever disk it comes from"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 3}, r"task\.size is 3; it must be at least 4"),
        ({"split_seed": -1}, r"task\.split_seed is -1; it must be at least 0"),
        ({"train_limit": 14}, r"task\.train_limit is 14; it must be at least 15, five images per class"),
        ({"padding": -1}, r"task\.padding is -1; it must be at least 0"),
        ({"cutout": -1}, r"task\.cutout is -1; it must be at least 0"),
        ({"crop": 11}, r"task\.crop is 11; it must be from 1 to 10"),
        ({"valid": 0.0}, r"task\.valid is 0.0; it must be a share"),
        ({"test": 0.9}, r"their sum must be below 1"),
        ({"broken_share": 1.5}, r"task\.broken_share is 1.5; it must be from 0 to 1"),
        ({"memory_share": -0.1}, r"task\.memory_share is -0.1; it must be from 0 to 1"),
    ],
)
def test_options_out_of_range_are_refused(task_of, options, message):
    with pytest.raises(BadReference, match=message):
        task_of(**options)


def test_a_folder_that_cannot_be_read_is_named(data, task_of, monkeypatch):
    (data / "class 1" / "deep").mkdir()
    scandir = os.scandir

    def refusing(path="."):
        if str(path).endswith("deep"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(
        BadReference, match=r"the folder '.*class 1/deep' of task.path cannot be read: permission denied"
    ):
        task_of()


def test_a_class_of_files_of_another_kind_says_so(data, task_of):
    for n, path in enumerate((data / "class 1").iterdir()):
        path.rename(path.with_suffix("" if n == 0 else ".HEIC"))
    message = r"of class class 1: 10 files there, none of a kind that is read \(.heic, no extension\); add some"
    with pytest.raises(BadReference, match=message):
        task_of()


def test_copies_of_an_image_are_in_one_split_only(data, task_of):
    for image in sorted(data.glob("*/image [1-9].png")):
        shutil.copy(image, image.with_name(f"copy of {image.name}"))
    task = task_of()
    told = [line for line in task.prepare() if "left out" in line]
    bytes_of = {split: {(data / name).read_bytes() for name in _names(task, split)} for split in SPLITS}
    used = sum(task.examples(split) for split in SPLITS)
    assert used < 57, "else nothing was left out"
    assert told[0].startswith(f"{57 - used} images left out, a copy of which validates or tests: class ")
    assert not bytes_of["test"] & (bytes_of["train"] | bytes_of["valid"])
    assert not bytes_of["valid"] & bytes_of["train"]
    assert task.examples("test") == 12, "what tests is as it was cut"
    assert sum(map(len, bytes_of.values())) == 30, "no image is lost"


def test_a_training_image_that_tests_too_does_not_train(tmp_path, task_of):
    class_folders(tmp_path / "split" / "train", 2, 10)
    class_folders(tmp_path / "split" / "test", 2, 5, seed=1)
    for label in range(2):
        shutil.copy(
            tmp_path / f"split/test/class {label}/image 0.png", tmp_path / f"split/train/class {label}/leak.png"
        )
    task = task_of(tmp_path / "split", broken_share=0)
    assert task.examples("test") == 10
    assert "2 images left out, a copy of which validates or tests: train/class 0/leak.png, train/class 1/leak.png" in [
        *task.prepare()
    ]
    assert not [name for split in SPLITS for name in _names(task, split) if name.endswith("leak.png")]


def test_a_class_of_copies_alone_is_refused(data, task_of):
    for image in sorted((data / "class 2").iterdir())[1:]:
        shutil.copy(data / "class 2" / "image 0.png", image)
    with pytest.raises(BadReference, match=r"class 'class 2' has no image to train.* or copies of one another"):
        _ = task_of().data


def test_the_fingerprint_is_that_of_the_data_wherever_it_is(data, task_of, tmp_path):
    first = task_of().fingerprint()
    assert first == task_of(memory_share=0).fingerprint()
    shutil.copytree(data, tmp_path / "moved", copy_function=shutil.copyfile)  # of another time
    assert task_of(tmp_path / "moved").fingerprint() == first
    code = f"from netwright.tasks.image_folder import image_folder as f; print(f({str(data)!r}, size=8).fingerprint())"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "home"), "PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == first
    others = [task_of(split_seed=1).fingerprint(), task_of(train_limit=15).fingerprint()]
    (data / "class 0" / "image 3.png").rename(data / "class 0" / "image x.png")
    others.append(task_of().fingerprint())
    (data / "class 0").rename(data / "class 00")
    others.append(task_of().fingerprint())
    assert len({first, *others}) == 5


def test_names_that_are_no_text_do_no_harm(data, tmp_path):
    odd = os.fsencode(data) + b"/\xff\n"
    os.mkdir(odd)
    for n in range(5):
        good(data / os.fsdecode(b"\xff\n") / f"{n}.png", 60 + n)
    bad_images.zero_byte(data / os.fsdecode(b"\xff\n") / "zero.png")
    task = image_folder(str(data), size=8, cache=str(tmp_path / "cache"), broken_share=0.1)
    lines = list(task.prepare())
    assert lines[-1] == "1 broken image skipped: 1 empty: \\udcff\\n/zero.png"
    assert task.classes[-1] == "\\udcff\\n"
    "".join((*lines, *task.classes)).encode()  # what a terminal wants
    assert task.fingerprint()
