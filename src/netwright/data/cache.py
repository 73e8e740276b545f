"""Images decoded once into a folder of plain files, which any number of processes read at a time.

A cache is `<folder>/<digest>/`, where the digest is one of all that decides its content. It holds `images.raw` (uint8,
one image after the other), `kept.npy` (the source position of every image in it), `sums.npy` (sums over each image, for
mean and deviation of any split), `crcs.npy` (a checksum of each image), `index.json`, and `digests.json`, digests of
all but the images. It is built in `<digest>.building/` under a lock and renamed when whole, so that a reader never
meets half of one; what a killed build left is removed by the next build. What is not as it was written is made anew.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import time
import warnings
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from netwright.core import disk, locks, memory
from netwright.core.errors import NetwrightError
from netwright.data.chunks import Chunk, Encoded, decoded
from netwright.data.decode import Form, Seen, span_of
from netwright.data.duplicates import equal_pixels, mislabeled
from netwright.data.looks import LOOK, Instances, kinds_of
from netwright.data.near_copies import near_copies
from netwright.data.pixels import CachedPixels
from netwright.data.text import counted

VERSION = 3  # of the layout, and of what decoding makes of an image
EVERY = 10.0  # seconds between two sentences on how far decoding is
DIGESTS = "digests.json"
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

    def content(self, positions: np.ndarray, /) -> Sequence[int]:
        """Numbers that change where images do, and not where they lie: sizes of files, checksums of arrays.

        Empty where nothing is known of them without reading them all.
        """

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
        copies: Groups of positions of images that are equal in every pixel, or byte by byte.
        near: Pairs of positions of images that are nearly equal: encoded anew, or of another size.
        kinds: Images of each kind that one might not expect; see data/looks.py.
        different: How many different images there are.
        span: The values that became black and white in images of 16 and 32 bits; None: there are none.
        seconds: How long building it took; None: it was there already.
    """

    pixels: CachedPixels
    kept: np.ndarray
    skipped: Mapping[int, str]
    notes: Mapping[str, tuple[int, ...]]
    copies: tuple[tuple[int, ...], ...]
    near: tuple[tuple[int, int], ...]
    kinds: Mapping[str, Instances]
    different: int
    span: tuple[float, float] | None
    seconds: float | None


Steps = Generator[str, None, Cache]  # yields sentences on how far it is, and returns the cache


def open_or_build(
    source: Source, positions: np.ndarray, form: Form, folder: Path, is_streamed: bool, verifies: bool = False
) -> Steps:
    """The decoded images, from the cache or decoded now; of several processes, one decodes and the others wait.

    Args:
        source: Where the images come from.
        positions: Positions of the images to decode, ascending.
        form: Size and channels that the images are brought to.
        folder: Folder of all caches.
        is_streamed: Whether to read the file when images are taken, instead of mapping it to memory.
        verifies: Whether to look at all images that are there already; if not, each is looked at when it is taken.

    Raises:
        NetwrightError: The folder cannot be written or has too little space, and the message says how to give another;
            or an image cannot be read now, which is no fault of its own.
    """
    content = {"version": VERSION, "form": asdict(form), "source": source.describe(positions)}
    chosen = hashlib.blake2b(positions.astype("<i8").tobytes(), digest_size=16).hexdigest()
    text = json.dumps({**content, "positions": chosen}, sort_keys=True)
    place = folder / hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    if cache := _opened(place, form, positions, is_streamed, verifies):
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
            if cache := _opened(place, form, positions, is_streamed, verifies):
                return cache
            if place.exists():
                yield f"the decoded images in {place} are not what was written; they are made anew"
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
    place: Path,
    form: Form,
    positions: np.ndarray,
    is_streamed: bool,
    verifies: bool = False,
    seconds: float | None = None,
) -> Cache | None:
    """The cache in a folder; None: there is none, or it is damaged."""
    try:
        digests = json.loads((place / DIGESTS).read_bytes())
        index = json.loads(_read(place, "index.json", digests))
        kept, sums, crcs = (_read_array(place, f"{name}.npy", digests) for name in ("kept", "sums", "crcs"))
        skipped = {int(position): str(reason) for position, reason in index["skipped"].items()}
        notes = {str(note): tuple(map(int, which)) for note, which in index["notes"].items()}
        copies = tuple(tuple(map(int, group)) for group in index["copies"])
        near = tuple((int(one), int(other)) for one, other in index["near"])
        kinds = {
            str(kind): Instances(int(count), tuple(map(int, first))) for kind, (count, first) in index["kinds"].items()
        }
        span = None if index["span"] is None else (float(index["span"][0]), float(index["span"][1]))
        expected = positions[~np.isin(positions, list(skipped))]
        if not np.array_equal(kept, expected) or len(kept) + len(skipped) != len(positions):
            return None
        shape = (len(kept), form.height, form.width, form.channels)
        give_up = partial(_give_up, place)
        pixels = CachedPixels(place / "images.raw", shape, sums, crcs, is_streamed, give_up)
        if verifies and not pixels.is_whole():
            return None
        different = int(index["different"])
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, MemoryError):
        return None
    return Cache(pixels, kept, skipped, notes, copies, near, kinds, different, span, seconds)


def _read(place: Path, name: str, digests: Mapping[str, str]) -> bytes:
    """The content of a file; ValueError for one that is not what was written."""
    data = (place / name).read_bytes()
    if _digest(data) != digests[name]:
        raise ValueError(f"{name} is damaged")
    return data


def _read_array(place: Path, name: str, digests: Mapping[str, str]) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(_read(place, name, digests)), allow_pickle=False)
    return array


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _give_up(place: Path) -> None:
    """Have the next start make the cache anew."""
    with suppress(OSError):
        (place / DIGESTS).unlink()


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
    cache = _opened(place, form, positions, is_streamed, seconds=time.monotonic() - start)
    if cache is None:
        raise NetwrightError(f"{place} changed while it was written; give another folder with task.cache")
    return cache


def _fill(draft: Path, content: Mapping[str, Any], source: Source, positions: np.ndarray, form: Form) -> Iterator[str]:
    groups = source.copies(positions)
    skipped = mislabeled(groups, source.labels, source.name)
    good = positions[~np.isin(positions, list(skipped))]
    kept: list[int] = []
    sums_of_chunks = [np.empty((0, 2, form.channels), np.int64)]
    looks_of_chunks = [np.empty(0, LOOK)]
    deep: dict[int, Seen] = {}  # by row
    notes: dict[str, list[int]] = {}
    rest = iter(good.tolist())
    told, done = time.monotonic(), 0
    with (draft / "images.raw").open("wb") as file:
        for chunk in decoded(source.images(good), form):
            _append(file, chunk.images)
            sums_of_chunks.append(chunk.sums)
            looks_of_chunks.append(chunk.looks)
            deep |= {len(kept) + n: seen for n, seen in enumerate(chunk.seen) if seen.extent}
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
        sums, looks, places = np.concatenate(sums_of_chunks), np.concatenate(looks_of_chunks), np.array(kept, np.int64)
        span = _common_span(list(deep.values()))
        again = [row for row, seen in deep.items() if seen.span != span]
        if again:
            yield f"decoding {counted(len(again), 'image')} of 16 or 32 bits again, by the range of all of them"
        for row, chunk in zip(again, _one_by_one(source, places[again], form, span), strict=True):
            file.seek(row * disk_bytes(1, form))
            file.write(chunk.images.tobytes())
            sums[row], looks[row] = chunk.sums[0], chunk.looks[0]
        file.flush()
        os.fsync(file.fileno())  # before the rename: a power loss must not leave a whole cache of zeros
    shape = (len(kept), form.height, form.width, form.channels)
    crcs = looks["crc"].copy()
    pixels = CachedPixels(draft / "images.raw", shape, sums, crcs, is_streamed=True)
    is_deep = np.isin(np.arange(len(kept)), list(deep))
    several = np.sort(np.unique(looks["digest"], return_index=True)[1])  # one of each
    near = near_copies(looks["cells"][several], lambda rows: pixels.take(several[rows]), shape[1:])
    np.save(draft / "kept.npy", places)
    np.save(draft / "sums.npy", sums)
    np.save(draft / "crcs.npy", crcs)
    about = {key: value for key, value in content["source"].items() if key != "images"}  # for people
    index = {"source": about, "form": asdict(form), "images": len(kept), "different": len(several), "span": span}
    index |= {"skipped": skipped, "notes": notes, "copies": equal_pixels(places, looks, groups)}
    index |= {"near": places[several[np.array(near, np.int64).reshape(-1, 2)]].tolist()}
    index |= {"kinds": {name: list(asdict(kind).values()) for name, kind in kinds_of(looks, places, is_deep).items()}}
    (draft / "index.json").write_text(json.dumps(index), encoding="utf-8")
    digests = {path.name: _digest(path.read_bytes()) for path in draft.iterdir() if path.name != "images.raw"}
    (draft / DIGESTS).write_text(json.dumps(digests), encoding="utf-8")


def _common_span(seen: Sequence[Seen]) -> tuple[float, float] | None:
    """What is black and white in all images of 16 or 32 bits; None: there are none."""
    extents = [each.extent for each in seen if each.extent]
    return span_of(min(low for low, _ in extents), max(high for _, high in extents)) if extents else None


def _one_by_one(source: Source, positions: np.ndarray, form: Form, span: tuple[float, float] | None) -> Iterator[Chunk]:
    """The images decoded again, each in a chunk of its own. Raises NetwrightError for one that changed meanwhile."""
    order = iter(positions.tolist())
    for chunk in decoded(source.images(positions), form, span):
        for n, (is_good, found) in enumerate(chunk.outcomes):
            position = next(order)
            if not is_good:
                raise NetwrightError(f"{source.name(position)} changed while it was read: {found[0]}; start again")
            part = slice(n, n + 1)
            yield Chunk(chunk.images[part], chunk.sums[part], chunk.looks[part], chunk.seen[part], [(True, found)])


def _append(file: BinaryIO, images: np.ndarray) -> None:
    file.write(np.ascontiguousarray(images).data)


def _check_space(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed * SPARE > free:
        raise NetwrightError(
            f"the decoded images take {memory.size_text(needed)}, but only {memory.size_text(free)} are free in "
            f"{folder}; free some, or give another folder with task.cache"
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
        reason = disk.reason(error, folder)
        reason = reason[:1].lower() + reason[1:]
        raise NetwrightError(
            f"the decoded images cannot be written to {folder}: {reason}; give another folder with task.cache"
        ) from error
