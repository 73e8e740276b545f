"""Images decoded once into a folder of plain files, which any number of processes read at a time.

A cache is `<folder>/<digest>/`, where the digest is one of all that decides its content. It holds `images.raw` (uint8,
one image after the other), `kept.npy` (the source position of every image in it), `sums.npy` (sums over each image, for
mean and deviation of any split) and `index.json`. It is built in `<digest>.building/` under a lock and renamed when
whole, so that a reader never meets half of one; what a killed build left is removed by the next build.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from netwright.core import locks
from netwright.core.errors import NetwrightError
from netwright.data.chunks import Encoded, decoded
from netwright.data.decode import Form
from netwright.data.duplicates import mislabeled
from netwright.data.pixels import CachedPixels
from netwright.data.text import counted, size_text

VERSION = 2  # of the layout, and of what decoding makes of an image
EVERY = 10.0  # seconds between two sentences on how far decoding is
SPARE = 1.02  # disk space relative to the images: sums, index, and what a file system needs for itself

Result = TypeVar("Result")


class Source(Protocol):
    """Labeled images in a fixed order, wherever they are."""

    @property
    def labels(self) -> np.ndarray:
        """Class of every image, int64, shape (N,)."""

    def name(self, position: int) -> str:
        """Where an image comes from: a file's path within the data, or "test 17"."""

    def describe(self, positions: np.ndarray, /) -> Mapping[str, Any]:
        """What tells these images from any others (paths, sizes, times of change), as JSON can hold it.

        What is long, one entry per image, stands under "images".
        """

    def copies(self, positions: np.ndarray, /) -> list[list[int]]:
        """Groups of positions whose images are equal byte by byte."""

    def images(self, positions: np.ndarray) -> Iterator[Encoded]:
        """The images at ascending positions, one after the other. Raises NetwrightError for damaged containers."""


@dataclass(frozen=True)
class Cache:
    """An open cache.

    Args:
        pixels: The images that could be decoded.
        kept: Their positions in the source, ascending, shape (N,).
        skipped: Positions of the others, each with a short reason.
        notes: What was converted: positions by kind of conversion.
        copies: Groups of positions of images of one class that are equal byte by byte.
        seconds: How long building it took; None: it was there already.
    """

    pixels: CachedPixels
    kept: np.ndarray
    skipped: Mapping[int, str]
    notes: Mapping[str, tuple[int, ...]]
    copies: tuple[tuple[int, ...], ...]
    seconds: float | None


Steps = Generator[str, None, Cache]  # yields sentences on how far it is, and returns the cache


def open_or_build(source: Source, positions: np.ndarray, form: Form, folder: Path, is_streamed: bool) -> Steps:
    """The decoded images, from the cache or decoded now; of several processes, one decodes and the others wait.

    Args:
        source: Where the images come from.
        positions: Positions of the images to decode, ascending.
        form: Size and channels that the images are brought to.
        folder: Folder of all caches.
        is_streamed: Whether to read the file when images are taken, instead of mapping it to memory.

    Raises:
        NetwrightError: The folder cannot be written or has too little space, and the message says how to give another;
            or an image cannot be read now, which is no fault of its own.
    """
    content = {"version": VERSION, "form": asdict(form), "source": source.describe(positions)}
    chosen = hashlib.blake2b(positions.astype("<i8").tobytes(), digest_size=16).hexdigest()
    text = json.dumps({**content, "positions": chosen}, sort_keys=True)
    place = folder / hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    if cache := _opened(place, form, positions, is_streamed):
        return cache
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(_lock_of(place))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield "another process decodes these images; waiting for it"
            lock.acquire()
        try:
            yield from _awaited(_draft_of(place))
            if cache := _opened(place, form, positions, is_streamed):
                return cache
            _remove_leftovers(folder, _draft_of(place))
            return (yield from _built(place, content, source, positions, form, is_streamed))
        finally:
            lock.release()


def silently(steps: Generator[str, None, Result]) -> Result:
    """The result of steps, whose sentences are dropped."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def disk_bytes(count: int, form: Form) -> int:
    """Bytes that so many images take on the disk."""
    return count * form.height * form.width * form.channels


def _opened(
    place: Path, form: Form, positions: np.ndarray, is_streamed: bool, seconds: float | None = None
) -> Cache | None:
    """The cache in a folder; None: there is none, or it is damaged."""
    try:
        index = json.loads((place / "index.json").read_text(encoding="utf-8"))
        kept = np.load(place / "kept.npy", allow_pickle=False)
        sums = np.load(place / "sums.npy", allow_pickle=False)
        skipped = {int(position): str(reason) for position, reason in index["skipped"].items()}
        notes = {str(note): tuple(map(int, which)) for note, which in index["notes"].items()}
        copies = tuple(tuple(map(int, group)) for group in index["copies"])
        expected = positions[~np.isin(positions, list(skipped))]
        if not np.array_equal(kept, expected) or len(kept) + len(skipped) != len(positions):
            return None
        shape = (len(kept), form.height, form.width, form.channels)
        pixels = CachedPixels(place / "images.raw", shape, sums, is_streamed)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, EOFError, MemoryError):
        return None
    return Cache(pixels, kept, skipped, notes, copies, seconds)


def _built(
    place: Path, content: Mapping[str, Any], source: Source, positions: np.ndarray, form: Form, is_streamed: bool
) -> Steps:
    start = time.monotonic()
    _check_space(place.parent, disk_bytes(len(positions), form))
    draft = _draft_of(place)
    try:
        draft.mkdir()
        with locks.alone_at(draft), warnings.catch_warnings():  # entered once, before there are threads
            warnings.filterwarnings("ignore", module="PIL")  # about metadata that nobody needs
            yield from _fill(draft, content, source, positions, form)
        shutil.rmtree(place, ignore_errors=True)  # a damaged one
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    cache = _opened(place, form, positions, is_streamed, time.monotonic() - start)
    if cache is None:
        raise NetwrightError(f"{place} changed while it was written; give another folder with task.cache")
    return cache


def _fill(draft: Path, content: Mapping[str, Any], source: Source, positions: np.ndarray, form: Form) -> Iterator[str]:
    groups = source.copies(positions)
    skipped = mislabeled(groups, source.labels, source.name)
    copies = [group for group in groups if group[0] not in skipped]
    good = positions[~np.isin(positions, list(skipped))]
    kept: list[int] = []
    sums = [np.empty((0, 2, form.channels), np.int64)]
    notes: dict[str, list[int]] = {}
    rest = iter(good.tolist())
    told, done = time.monotonic(), 0
    with (draft / "images.raw").open("wb") as file:
        for chunk in decoded(source.images(good), form):
            _append(file, chunk.images)
            sums.append(chunk.sums)
            for (is_good, found), position in zip(chunk.outcomes, rest, strict=False):
                if not is_good:
                    skipped[position] = found[0]
                    continue
                kept.append(position)
                for note in found:
                    notes.setdefault(note, []).append(position)
            done += len(chunk.outcomes)
            if time.monotonic() - told >= EVERY:
                told = time.monotonic()
                yield f"decoded {done:,} of {counted(len(good), 'image')}"
        file.flush()
        os.fsync(file.fileno())  # before the rename: a power loss must not leave a whole cache of zeros
    np.save(draft / "kept.npy", np.array(kept, np.int64))
    np.save(draft / "sums.npy", np.concatenate(sums))
    about = {key: value for key, value in content["source"].items() if key != "images"}  # for people
    index = {"source": about, "form": asdict(form), "images": len(kept)}
    index |= {"skipped": skipped, "notes": notes, "copies": copies}
    (draft / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _append(file: BinaryIO, images: np.ndarray) -> None:
    file.write(np.ascontiguousarray(images).data)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed * SPARE > free:
        raise NetwrightError(
            f"the decoded images take {size_text(needed)}, but only {size_text(free)} are free in {folder}; "
            f"free some, or give another folder with task.cache"
        )


def _draft_of(place: Path) -> Path:
    return place.with_suffix(".building")


def _lock_of(place: Path) -> Path:
    return place.with_suffix(".lock")


def _awaited(draft: Path) -> Iterator[str]:
    """Waits for another process that writes a draft, although its lock file was deleted."""
    is_said = False
    while draft.exists():
        with suppress(locks.Held, FileNotFoundError), locks.alone_at(draft):
            return  # it was killed
        if not is_said:
            yield "another process decodes these images; waiting for it"
            is_said = True
        time.sleep(0.1)


def _remove_leftovers(folder: Path, own: Path) -> None:
    """Remove what killed builds left: unfinished folders whose lock nobody holds."""
    for draft in folder.glob("*.building"):
        with (
            suppress(Timeout, locks.Held, FileNotFoundError),  # another build may be at it
            nullcontext() if draft == own else FileLock(_lock_of(draft), timeout=0),
            locks.alone_at(draft),
        ):
            shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn what the system says about a folder that cannot be written into a sentence."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise NetwrightError(
            f"the decoded images cannot be written to {folder}: {reason}; give another folder with task.cache"
        ) from error
