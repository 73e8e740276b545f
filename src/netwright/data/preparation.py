"""From a source of images to what a task needs: decoded once, what is broken left out and named, split, measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import platformdirs
import psutil

from netwright.core import memory
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.records import IO
from netwright.data import cache, decode, findings
from netwright.data.cache import Cache, Source, Steps
from netwright.data.chunks import Encoded
from netwright.data.class_table import class_table
from netwright.data.decode import Form
from netwright.data.images import SPLITS, Augmentation, ImageClassification, ImageSplits, Weighting
from netwright.data.sizes import candidates, shorter_side
from netwright.data.splitting import SplitParts, check_classes, once
from netwright.data.text import counted

PROBED = 32  # images that are looked at to see whether all are gray
MEASURED = 256  # images whose heads tell how large images are


@dataclass(frozen=True)
class Keeping:
    """Where decoded images are kept, and how.

    Args:
        cache: Folder of the caches; None: the user's cache folder.
        memory_share: Share of the machine's memory; images that take more are not mapped to memory but read as they are
            needed.
        broken_share: Share of the images that may be broken before the task refuses to start.
    """

    cache: str | None = None
    memory_share: float = 0.05
    broken_share: float = 0.01

    def check(self) -> None:
        """Raise BadReference for a share outside [0, 1]."""
        for name, value in (("memory_share", self.memory_share), ("broken_share", self.broken_share)):
            if not 0 <= value <= 1:
                raise BadReference(f"task.{name} is {value}; it must be from 0 to 1")

    @property
    def folder(self) -> Path:
        """Folder of the caches."""
        return Path(self.cache).expanduser() if self.cache else platformdirs.user_cache_path("netwright")

    def is_streamed(self, size: int) -> bool:
        """Whether so many bytes of images are read as they are needed."""
        return size > self.memory_share * psutil.virtual_memory().total


@dataclass(frozen=True)
class Selection:
    """Images and what becomes of them.

    Args:
        source: The images.
        parts: Which of them train, validate and test; the others are not decoded.
        classes: Names of the classes in order of the labels.
        remarks: Sentences on what was found besides images.
        caveats: Sentences to stand beside any accuracy on this data.
        is_gray_by_default: Whether one channel was chosen since the images that were looked at are gray.
    """

    source: Source
    parts: SplitParts
    classes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    is_gray_by_default: bool = False

    def some(self, count: int) -> Iterator[Encoded]:
        """As many of the images, spread over the data."""
        chosen = self.parts.chosen
        return self.source.images(chosen[np.unique(np.linspace(0, len(chosen) - 1, count).astype(np.int64))])


def sides_by_heads(selection: Selection) -> tuple[int, ...]:
    """Sides of squares that images may be brought to, by the heads of `MEASURED` of them; none if none can be read."""
    found = shorter_side(selection.some(MEASURED))
    return candidates(found) if found else ()


def with_channels(selection: Selection) -> tuple[Selection, int]:
    """The channels to train with unless told otherwise: 1 where `PROBED` images, spread over the data, are all gray.

    The first image with color ends the search, so that this takes no time where there is color. Whether all others are
    gray is seen when they are decoded, and said if not.

    Returns:
        The selection, which says so, and the number of channels.
    """
    grays = 0
    for one in selection.some(PROBED):
        is_gray = _is_gray(one)
        if is_gray is False:
            return selection, 3
        grays += bool(is_gray)
    if not grays:
        return selection, 3
    remark = "the images are gray: one channel; --task.channels 3 makes it three"
    return replace(selection, remarks=(*selection.remarks, remark), is_gray_by_default=True), 1


def _is_gray(image: Encoded) -> bool | None:
    """None: it cannot be read."""
    try:
        return None if isinstance(image, np.ndarray) else decode.is_gray(image)
    except decode.BadImage:
        return None


def image_task(
    selection: Callable[[], Selection],
    form: Form,
    classes: tuple[str, ...],
    augmentation: Augmentation,
    keeping: Keeping,
    weighting: Weighting = Weighting(),
    *,
    sides: Callable[[Selection], tuple[int, ...]] | None = None,
) -> ImageClassification:
    """The task of a selection, which is asked for when the data is first needed.

    Args:
        selection: Gives the images.
        form: What they become.
        classes: Names of the classes, in order of the labels.
        augmentation: How training images are augmented.
        keeping: Where decoded images are kept.
        weighting: How much the images of each class count in the training loss.
        sides: Gives the sides of the squares that images may be brought to by an option of the task, ascending; none
            where that cannot be known. None: there is no such option.

    Raises:
        BadReference: An option out of range.
    """
    keeping.check()
    augmentation = augmentation.fitted(form.height, form.width, form.channels)
    prepared = _Prepared(selection, form, keeping, sides)
    io = IO(form.channels, form.height, form.width, len(classes))
    made = ImageClassification(io, prepared.load, classes, augmentation, form.fit, prepared.prepare, weighting)
    return replace(made, undecoded=prepared)


@dataclass(frozen=True)
class _Prepared:
    make_selection: Callable[[], Selection]
    form: Form
    keeping: Keeping
    sides: Callable[[Selection], tuple[int, ...]] | None

    @cached_property
    def selection(self) -> Selection:
        return self.make_selection()

    def load(self) -> ImageSplits:
        return self._splits(cache.silently(self._open()))

    def class_counts(self, split: str) -> tuple[int, ...]:
        """How many images of each class are chosen for a split."""
        labels, positions = self.selection.source.labels, getattr(self.selection.parts, split)
        return tuple(np.bincount(labels[positions], minlength=len(self.selection.classes)).tolist())

    @property
    def is_valid_given(self) -> bool:
        """Whether the user said which images validate."""
        return self.selection.parts.is_valid_given

    def sizes(self) -> tuple[int, ...]:
        """Sides that the images may be brought to: where none are known, their longer one alone."""
        found = self.sides(self.selection) if self.sides else ()
        return found or (max(self.form.height, self.form.width),)

    def prepare(self) -> Iterator[str]:
        yield self._estimate()
        yield from self.selection.remarks
        yield from self._counts()
        yield from self.selection.caveats
        opened = yield from self._open(verifies=True)
        if opened.seconds is None:
            yield "found in the cache"
        else:
            yield f"decoded {counted(len(self.selection.parts.chosen), 'image')} in {opened.seconds:.1f} s"
        selection = self.selection
        yield from findings.sentences(opened, self._kept(opened), selection.source.name, self.form)
        yield from self._caveats(opened)
        self._splits(opened)

    def _estimate(self) -> str:
        count = len(self.selection.parts.chosen)
        size = cache.disk_bytes(count, self.form)
        share = f"more than {self.keeping.memory_share:.0%} of this machine's memory"
        way = f"streamed: {share}" if self.keeping.is_streamed(size) else "memory-mapped"
        return (
            f"{counted(count, 'image')} of {self.form.width}x{self.form.height}: {memory.size_text(size)} on disk in "
            f"{self.keeping.folder}, shared by all workers, {way}"
        )

    def _counts(self) -> Iterator[str]:
        """How many images of which class are in which split, before any is decoded."""
        labels, parts, classes = self.selection.source.labels, self.selection.parts, self.selection.classes
        if spared := len(labels) - len(parts.chosen):
            yield f"{counted(spared, 'image')} of {len(labels):,} left out, as task.train_limit says"
        yield from class_table({split: self.class_counts(split) for split in SPLITS}, classes)

    def _open(self, verifies: bool = False) -> Steps:
        """The decoded images. Raises NetwrightError when too many are broken, or nothing is left in them.

        Args:
            verifies: Whether to look at all that are in the cache, if they are not streamed: those are too many.
        """
        source, chosen = self.selection.source, self.selection.parts.chosen
        is_streamed = self.keeping.is_streamed(cache.disk_bytes(len(chosen), self.form))
        verifies = verifies and not is_streamed
        opened = yield from cache.open_or_build(source, chosen, self.form, self.keeping.folder, is_streamed, verifies)
        broken, most = len(opened.skipped), self.keeping.broken_share
        if broken > most * len(chosen):
            raise NetwrightError(
                f"{broken:,} of {counted(len(chosen), 'image')} ({broken / len(chosen):.2%}) are broken: "
                f"{findings.named_faults(opened, source.name)}; repair or remove them, or raise task.broken_share, "
                f"now {most:g}"
            )
        findings.check_content(opened, len(self.selection.classes))
        return opened

    def _caveats(self, opened: Cache) -> tuple[str, ...]:
        source, is_gray = self.selection.source, self.selection.is_gray_by_default
        return findings.caveats(opened, self._kept(opened), source.labels, source.name, is_gray)

    def _kept(self, opened: Cache) -> SplitParts:
        parts = self.selection.parts
        train, valid, test = (each[np.isin(each, opened.kept)] for each in (parts.train, parts.valid, parts.test))
        return replace(parts, train=train, valid=valid, test=test)

    def _splits(self, opened: Cache) -> ImageSplits:
        selection, kept = self.selection, opened.kept
        parts, labels = self._kept(opened), selection.source.labels
        left = once(parts, opened.copies)
        if opened.skipped or opened.copies:
            remedy = "its images are broken, or copies of one another: repair them or take the class out"
            check_classes(left, labels, selection.classes, remedy)
        rows = (np.searchsorted(kept, p) for p in (left.train, left.valid, left.test))
        train, valid, test = rows
        return ImageSplits.of(
            opened.pixels,
            labels[kept],
            train=train,
            valid=valid,
            test=test,
            names=lambda row: selection.source.name(int(kept[row])),
            caveats=(*selection.caveats, *self._caveats(opened)),
            span=opened.span,
            content=lambda: selection.source.content(np.sort(np.concatenate((left.train, left.valid, left.test)))),
            together=tuple(tuple(np.searchsorted(kept, group).tolist()) for group in (*opened.copies, *opened.near)),
        )
