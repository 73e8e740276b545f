import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections import namedtuple

import numpy as np
import pytest

from netwright.core.errors import NetwrightError
from netwright.data import cache, chunks, decode
from netwright.data.cache import open_or_build, silently
from netwright.data.decode import DEEP, Form
from netwright.data.folder import FolderImages
from netwright.data.images import ArrayPixels
from tests import bad_images
from tests.bad_images import source_of

FORM = Form(3, 8, 8)


@pytest.fixture
def source(tmp_path):
    bad_images.class_folders(tmp_path / "data", 2, 20)
    return source_of(tmp_path / "data")


@pytest.fixture
def opened(source, tmp_path):
    """Open or build with the folder's own cache; counts what is decoded in `opened.calls`."""

    def open_it(positions=None, form=FORM, is_streamed=False, folder=tmp_path / "cache", of=source):
        positions = np.arange(len(of.names)) if positions is None else np.array(positions)
        return silently(open_or_build(of, positions, form, folder, is_streamed))

    return open_it


@pytest.fixture
def decoded(monkeypatch):
    calls = []

    def counting(source, **form):
        calls.append(source)
        return decode.decode(source, **form)

    monkeypatch.setattr(chunks, "decode", counting)
    return calls


def _place(tmp_path):
    [place] = (p for p in (tmp_path / "cache").iterdir() if p.is_dir())
    return place


def test_holds_the_decoded_images_in_order(source, opened):
    found = opened([3, 5, 30])
    assert found.kept.tolist() == [3, 5, 30]
    by_hand = [decode.decode(path, channels=3, height=8, width=8, fit="crop")[0] for path in source.images(found.kept)]
    assert np.array_equal(found.pixels.take(np.arange(3)), np.stack(by_hand))
    assert not found.skipped and not found.notes


def test_the_next_start_decodes_nothing(opened, decoded):
    first = opened()
    assert first.seconds is not None and len(decoded) == 40
    second = opened(is_streamed=True)
    assert second.seconds is None and len(decoded) == 40
    assert np.array_equal(first.pixels.take(np.arange(40)), second.pixels.take(np.arange(40)))


def test_anything_that_changes_an_image_makes_another_cache(source, opened, decoded):
    opened([0, 1])
    for n, other in enumerate((Form(1, 8, 8), Form(3, 8, 9), Form(3, 8, 8, "pad"))):
        assert opened([0, 1], other).pixels.shape == (2, other.height, other.width, other.channels)
        assert len(decoded) == 4 + 2 * n
    opened([0, 2])
    assert len(decoded) == 10
    bad_images.good(source.root / source.names[0], seed=999)
    assert opened([0, 1]).seconds is not None


@pytest.mark.parametrize("is_streamed", [False, True])
def test_takes_like_an_array(opened, is_streamed):
    pixels = opened(is_streamed=is_streamed).pixels
    whole = ArrayPixels(pixels.take(np.arange(40)))
    assert pixels.is_streamed == is_streamed
    assert pixels.shape == whole.shape == (40, 8, 8, 3)
    for positions in ([], [7], [0, 1, 2, 9, 10, 39], [39, 38, 3, 3, 4, 0], list(range(40))):
        chosen = np.array(positions, np.int64)
        taken = pixels.take(chosen)
        assert np.array_equal(taken, whole.take(chosen))
        taken[:] = 0  # a copy, or this would fail or be seen below
        if positions:
            assert np.array_equal(np.stack(pixels.moments(chosen)), np.stack(whole.moments(chosen)))
    assert pixels.take(np.arange(40)).any()


def test_streamed_images_take_no_memory_map(opened):
    pixels = opened(is_streamed=True).pixels
    pixels.take(np.arange(40))
    with open("/proc/self/maps") as maps:
        assert str(pixels._file.name) not in maps.read()


def test_bad_images_are_left_out_and_told(opened, source, tmp_path):
    root = source.root / "class 0"
    for make in (bad_images.unreadable, bad_images.zero_byte, bad_images.truncated, bad_images.bomb):
        make(root / f"{make.__name__}.png")
    bad_images.sixteen_bit(root / "deep.png")
    bad_images.mislabeled(root / "twin.png", source.root / "class 1" / "twin.png")
    of = source_of(source.root)
    for found in (opened(of=of), opened(of=of)):
        reasons = {of.name(position): reason for position, reason in found.skipped.items()}
        assert reasons == {
            "class 0/unreadable.png": "not an image",
            "class 0/zero_byte.png": "empty",
            "class 0/truncated.png": "truncated",
            "class 0/bomb.png": "more than 89 million pixels",
            "class 0/twin.png": "mislabeled: the same bytes as class 1/twin.png",
            "class 1/twin.png": "mislabeled: the same bytes as class 0/twin.png",
        }
        assert {note: [of.name(p) for p in which] for note, which in found.notes.items()} == {
            DEEP: ["class 0/deep.png"]
        }
        assert sorted([*found.kept, *found.skipped]) == list(range(len(of.names)))
        images = found.pixels.take(np.arange(len(found.kept)))
        for row, path in zip(images, of.images(found.kept), strict=True):
            assert np.array_equal(row, decode.decode(path, channels=3, height=8, width=8, fit="crop")[0])


def _flip(path, place):
    """Change one bit of a file; its size and times stay."""
    state, data = path.stat(), bytearray(path.read_bytes())
    data[place % len(data)] ^= 1 << place % 8
    path.write_bytes(data)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("name", ["images.raw", "kept.npy", "sums.npy", "crcs.npy", "index.json"])
@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_byte_that_changed_at_equal_size_is_noticed_before_any_training(opened, source, tmp_path, name, is_streamed):
    whole = opened().pixels.take(np.arange(40))
    for place in (0, 133, 4001, 10**6 + 7):
        _flip(_place(tmp_path) / name, place)
        steps = open_or_build(source, np.arange(40), FORM, tmp_path / "cache", is_streamed, verifies=True)
        assert next(steps) == f"the decoded images in {_place(tmp_path)} are not what was written; they are made anew"
        assert np.array_equal(silently(steps).pixels.take(np.arange(40)), whole)


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_changed_image_is_not_trained_on_and_the_next_start_makes_it_anew(opened, tmp_path, is_streamed):
    whole = opened().pixels.take(np.arange(40))
    found = opened(is_streamed=is_streamed).pixels
    found.take(np.arange(40))
    _flip(_place(tmp_path) / "images.raw", 17 * 192 + 5)
    assert np.array_equal(found.take(np.array([16, 18])), whole[[16, 18]])
    with pytest.raises(NetwrightError, match=r"images.raw changed on the disk since .* at image 17; start again"):
        found.take(np.array([3, 17]))
    again = opened(is_streamed=is_streamed)
    assert again.seconds is not None and np.array_equal(again.pixels.take(np.arange(40)), whole)


def test_images_of_16_bits_share_the_range_of_all_of_them(opened, tmp_path):
    bad_images.class_folders(tmp_path / "deep", 2, 3)
    values = np.random.default_rng(0).integers(0, 4096, (3, 8, 8)).astype(np.uint16)
    values[0] //= 8  # a dark one stays dark
    for n, each in enumerate(values):
        (tmp_path / "deep" / "class 1" / f"image {n}.png").write_bytes(bad_images.encoded(each))
    of = source_of(tmp_path / "deep")
    found = opened(range(6), Form(1, 8, 8), of=of)
    assert found.span == (0, 4095) and len(found.notes[DEEP]) == 3
    images = found.pixels.take(np.arange(6))[..., 0]
    assert np.array_equal(images[3:], np.rint(values.astype(np.float32) * np.float32(255 / 4095)))
    whole = ArrayPixels(images[..., None])
    assert np.array_equal(np.stack(found.pixels.moments(np.arange(6))), np.stack(whole.moments(np.arange(6))))
    for n, path in enumerate(of.images(np.arange(6))):
        alone, _ = decode.decode(path, channels=1, height=8, width=8, fit="crop", span=found.span)
        assert np.array_equal(alone[..., 0], images[n]), "as a new image is read"
    assert opened(range(3), Form(1, 8, 8), of=of).span is None


def test_an_image_that_changes_between_two_readings_is_named(opened, tmp_path, monkeypatch):
    bad_images.class_folders(tmp_path / "deep", 2, 1)
    path = tmp_path / "deep" / "class 1" / "image 0.png"
    bad_images.sixteen_bit(path, 900)
    plain = chunks.decode

    def gone(source, *, span, **how):
        if span:
            raise decode.BadImage("empty")
        return plain(source, span=span, **how)

    monkeypatch.setattr(chunks, "decode", gone)
    with pytest.raises(NetwrightError, match=r"class 1/image 0.png changed while it was read: empty; start again"):
        opened([0, 1], of=source_of(tmp_path / "deep"))


def _cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def test_broken_images_may_be_all_of_a_chunk_or_all_there_are(opened, source):
    for n in range(32, 40):  # the last eight: one chunk
        bad_images.truncated(source.root / source.names[n])
    found = opened()
    assert found.kept.tolist() == list(range(32)) and sorted(found.skipped) == list(range(32, 40))
    assert found.pixels.shape == (32, 8, 8, 3)
    for form in (FORM, Form(1, 8, 8)):
        none = opened([33, 34], form)
        assert len(none.kept) == 0 and len(none.skipped) == 2


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied"),
        (OSError(errno.EIO, "Input/output error"), "input/output error"),
        (OSError(errno.EMFILE, "Too many open files"), "too many open files"),
        (OSError(errno.ESTALE, "Stale file handle"), "stale file handle"),
        (MemoryError(), "out of memory"),
    ],
)
def test_what_the_system_refuses_is_no_broken_image_and_mends(opened, monkeypatch, tmp_path, error, word):
    unpatched = decode.Image.open

    def failing(file, **how):
        if "class 0/image 7.png" in str(file):
            raise error
        return unpatched(file, **how)

    monkeypatch.setattr(decode.Image, "open", failing)
    with pytest.raises(
        NetwrightError, match=f"class 0/image 7.png cannot be read: {word}; repair that and start again"
    ):
        opened()
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()], "nothing is kept of it"
    monkeypatch.undo()
    found = opened()
    assert not found.skipped and found.seconds is not None


def test_equal_files_are_told(opened, source):
    for n in (0, 1):
        image = source.root / "class 0" / f"image {n}.png"
        shutil.copy(image, image.with_name(f"twin {n}.png"))
    of = source_of(source.root)
    for found in (opened(of=of), opened(of=of)):
        assert [[of.name(p) for p in group] for group in found.copies] == [
            [f"class 0/image {n}.png", f"class 0/twin {n}.png"] for n in (0, 1)
        ]
        assert not found.skipped


def test_a_cache_says_what_it_is_of(opened, source, tmp_path):
    bad_images.truncated(source.root / source.names[3])
    opened(form=Form(3, 8, 9, "pad"))
    index = json.loads((_place(tmp_path) / "index.json").read_text())
    assert index["source"] == {"kind": "folder", "root": str(source.root)}
    assert index["form"] == {"channels": 3, "height": 8, "width": 9, "fit": "pad"}
    assert index["images"] == 39 and len(index["skipped"]) == 1


def test_decoding_says_how_far_it_is(source, tmp_path, monkeypatch):
    arguments = (source, np.arange(40), FORM, tmp_path / "cache", False)
    monkeypatch.setattr(cache, "EVERY", 0)
    assert list(open_or_build(*arguments)) == [f"decoded {n} of 40 images" for n in (8, 16, 24, 32, 40)]
    assert list(open_or_build(*arguments)) == []


def test_waiting_for_another_process_is_said(source, tmp_path, opened):
    opened()
    place = _place(tmp_path)
    shutil.rmtree(place)
    steps = open_or_build(source, np.arange(40), FORM, tmp_path / "cache", False)
    with cache.FileLock(place.with_suffix(".lock")):
        assert next(steps) == "another process decodes these images; waiting for it"
    assert silently(steps).seconds is not None


def test_large_images_are_decoded_few_at_a_time(opened, monkeypatch):
    sizes, write = [], cache._append
    monkeypatch.setattr(cache, "_append", lambda file, images: sizes.append(len(images)) or write(file, images))
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 3 * 8 * 8 * 3 + 5)
    opened(list(range(10)))
    assert sizes == [3, 3, 3, 1]
    opened(list(range(2)), Form(3, 32, 32))
    assert sizes[4:] == [1, 1], "one is larger"


def test_warnings_of_the_decoder_are_not_shown(opened, source):
    bad_images.bad_exif(source.root / source.names[5])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        assert not opened().skipped
    assert not caught


DAMAGE = {
    "images.raw": _cut,
    "kept.npy": lambda path: np.save(path, np.arange(40) + 1),
    "sums.npy": lambda path: np.save(path, np.zeros((39, 2, 3), np.int64)),
    "crcs.npy": lambda path: np.save(path, np.zeros(40, np.uint32)),
    "index.json": _cut,
    "digests.json": _cut,
}


@pytest.mark.parametrize("how", ["spoilt", "empty", "missing", "pickled"])
@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_cache_is_built_anew(opened, tmp_path, name, how):
    whole = opened().pixels.take(np.arange(40))
    path = _place(tmp_path) / name
    if how == "spoilt":
        DAMAGE[name](path)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "missing":
        path.unlink()
    else:
        with path.open("wb") as file:
            np.save(file, np.array([{}], object), allow_pickle=True)
    again = opened()
    assert again.seconds is not None
    assert np.array_equal(again.pixels.take(np.arange(40)), whole)
    assert opened().seconds is None


@pytest.mark.parametrize(
    "index", [[], {}, {"skipped": {"x": 1}, "notes": {}}, {"skipped": {"40": "?"}, "notes": {}, "copies": []}, 3]
)
def test_an_index_of_another_kind_is_built_anew(opened, tmp_path, index):
    opened()
    (_place(tmp_path) / "index.json").write_text(json.dumps(index))
    assert opened().seconds is not None


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize(("number", "word"), [(errno.ENOSPC, "no space left"), (errno.EROFS, "read-only")])
def test_a_disk_that_refuses_is_named_and_nothing_stays(opened, monkeypatch, tmp_path, number, word, after):
    write, calls = cache._append, []

    def failing(file, images):
        calls.append(images)
        if len(calls) > after:
            raise OSError(number, os.strerror(number))
        write(file, images)

    monkeypatch.setattr(cache, "_append", failing)
    with pytest.raises(NetwrightError, match=f"{tmp_path / 'cache'}: {word}.*task.cache"):
        opened()
    assert not [p for p in (tmp_path / "cache").iterdir() if p.is_dir()]
    monkeypatch.undo()
    assert opened().seconds is not None


def test_folders_that_cannot_be(opened, tmp_path):
    (tmp_path / "file").touch()
    for folder, word in (
        (tmp_path / "file" / "cache", "not a directory"),
        (tmp_path / ("x" * 300), "file name too long"),
    ):
        with pytest.raises(NetwrightError, match=f"{word}; give another folder with task.cache"):
            opened(folder=folder)


def test_too_little_space_is_said_before_anything_is_decoded(opened, decoded, monkeypatch, tmp_path):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9, 1000))
    with pytest.raises(NetwrightError, match=r"take 0.1 MB, but only 0.1 MB are free in .*task.cache"):
        opened()
    assert not decoded


def test_a_cache_on_a_read_only_disk_is_used(opened, monkeypatch):
    opened()
    monkeypatch.setattr(cache, "FileLock", None)  # not even locked
    assert opened().seconds is None


CHILD = """
import os, signal, sys
from pathlib import Path
import numpy as np
from netwright.data import cache, chunks, decode
from netwright.data.decode import Form
from tests.bad_images import source_of

def dying(source, **form):
    if source.name == sys.argv[3]:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode.decode(source, **form)

chunks.decode = dying
source = source_of(Path(sys.argv[1]))
if sys.argv[4:]:  # all start at once
    Path(sys.argv[4], str(os.getpid())).touch()
    while len(os.listdir(sys.argv[4])) < 3:
        pass
found = cache.silently(cache.open_or_build(source, np.arange(40), Form(3, 8, 8), Path(sys.argv[2]), False))
print("found" if found.seconds is None else "built")
"""


def _child(source, tmp_path, dies_at="", *more):
    command = [sys.executable, "-c", CHILD, str(source.root), str(tmp_path / "cache"), dies_at, *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_of_several_processes_one_builds(source, tmp_path, opened):
    (tmp_path / "ready").mkdir()
    children = [_child(source, tmp_path, "", str(tmp_path / "ready")) for _ in range(3)]
    assert sorted(child.communicate()[0].strip() for child in children) == ["built", "found", "found"]
    assert opened().seconds is None


def test_of_many_threads_one_builds(opened, decoded):
    found = []
    threads = [threading.Thread(target=lambda: found.append(opened())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6 and len(decoded) == 40


@pytest.mark.parametrize("is_same", [True, False])
def test_a_killed_build_is_no_cache_and_is_cleaned_up(source, tmp_path, opened, is_same):
    child = _child(source, tmp_path, dies_at="image 15.png")
    assert child.wait() == -signal.SIGKILL
    assert list((tmp_path / "cache").glob("*.building")), "else nothing was half done"
    assert opened(None if is_same else [1, 2]).seconds is not None
    assert not list((tmp_path / "cache").glob("*.building"))


def test_a_leftover_that_another_build_removes_does_no_harm(tmp_path, opened, monkeypatch):
    (tmp_path / "cache" / "other.building").mkdir(parents=True)
    remove = shutil.rmtree

    def late(path, *args, **how):
        remove(path, ignore_errors=True)
        return remove(path, *args, **how)

    monkeypatch.setattr(shutil, "rmtree", late)
    assert opened().seconds is not None


def test_a_build_that_goes_on_is_not_cleaned_up(tmp_path, opened):
    (tmp_path / "cache").mkdir()
    draft = tmp_path / "cache" / "other.building"
    draft.mkdir()
    with cache.FileLock(draft.with_suffix(".lock")):
        opened()
        assert draft.exists()


def test_a_build_whose_lock_file_was_deleted_is_waited_for(source, tmp_path, monkeypatch):
    """Its draft is locked itself: the second one neither removes it nor writes into it."""
    monkeypatch.setattr(cache, "EVERY", 0)
    arguments = (source, np.arange(40), FORM, tmp_path / "cache", False)
    first = open_or_build(*arguments)
    next(first)
    [lock] = (tmp_path / "cache").glob("*.lock")
    lock.unlink()
    second = open_or_build(*arguments)
    assert next(second) == "another process decodes these images; waiting for it"
    assert silently(first).seconds is not None
    assert silently(second).seconds is None, "what the first one decoded is used"


def test_few_images_are_held_at_a_time(source, opened, monkeypatch):
    held, most, lock = set(), [], threading.Lock()

    def counting(self, positions):
        for position in positions.tolist():
            with lock:
                held.add(position)
                most.append(len(held))
            yield self.root / self.names[position]

    write = cache._append

    def forgetting(file, images):
        with lock:
            held.difference_update(sorted(held)[: len(images)])
        write(file, images)

    monkeypatch.setattr(FolderImages, "images", counting)
    monkeypatch.setattr(cache, "_append", forgetting)
    monkeypatch.setattr(chunks, "CHUNK", 2)
    monkeypatch.setattr(chunks, "THREADS", 2)
    opened()
    assert max(most) <= 2 * 2 * 2 + 2


def test_a_mapped_image_is_checked_once_unless_the_file_is_written_to(opened, tmp_path, monkeypatch):
    opened()
    found = opened().pixels
    checked = []
    monkeypatch.setattr(
        found, "_changed", lambda images, positions: checked.append(positions.tolist()) or positions[:0]
    )
    for positions in ([3, 4], [3, 4, 4], [4, 5], [5, 3]):
        found.take(np.array(positions))
    assert checked == [[3, 4], [5]]
    _flip(_place(tmp_path) / "images.raw", 0)
    found.take(np.array([5, 3]))
    assert checked == [[3, 4], [5], [5, 3]]
