"""From a source of images to what a task needs: decoded once, what is broken left out and named, split, measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import platformdirs
import psutil

from netwright.core.errors import BadReference, NetwrightError
from netwright.core.records import IO
from netwright.data import cache
from netwright.data.cache import Cache, Source, Steps
from netwright.data.decode import Form
from netwright.data.images import Augmentation, ImageClassification, ImageSplits, Weighting
from netwright.data.splitting import SplitParts, check_classes, once
from netwright.data.text import counted, listed, shortened, size_text


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
    """

    source: Source
    parts: SplitParts
    classes: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()


def image_task(
    selection: Callable[[], Selection],
    form: Form,
    classes: tuple[str, ...],
    augmentation: Augmentation,
    keeping: Keeping,
    weighting: Weighting = Weighting(),
) -> ImageClassification:
    """The task of a selection, which is asked for when the data is first needed.

    Raises:
        BadReference: An option out of range.
    """
    keeping.check()
    augmentation = augmentation.fitted(form.height, form.width)
    prepared = _Prepared(selection, form, keeping)
    io = IO(form.channels, form.height, form.width, len(classes))
    return ImageClassification(io, prepared.load, classes, augmentation, form.fit, prepared.prepare, weighting)


@dataclass(frozen=True)
class _Prepared:
    make_selection: Callable[[], Selection]
    form: Form
    keeping: Keeping

    @cached_property
    def selection(self) -> Selection:
        return self.make_selection()

    def load(self) -> ImageSplits:
        return self._splits(cache.silently(self._open()))

    def prepare(self) -> Iterator[str]:
        yield self._estimate()
        yield from self.selection.remarks
        yield from self.selection.caveats
        opened = yield from self._open()
        if opened.seconds is None:
            yield "found in the cache"
        else:
            yield f"decoded {counted(len(self.selection.parts.chosen), 'image')} in {opened.seconds:.1f} s"
        yield from self._findings(opened)
        self._splits(opened)

    def _estimate(self) -> str:
        count = len(self.selection.parts.chosen)
        size = cache.disk_bytes(count, self.form)
        share = f"more than {self.keeping.memory_share:.0%} of this machine's memory"
        way = f"streamed: {share}" if self.keeping.is_streamed(size) else "memory-mapped"
        return (
            f"{counted(count, 'image')} of {self.form.width}x{self.form.height}: {size_text(size)} on disk in "
            f"{self.keeping.folder}, shared by all workers, {way}"
        )

    def _open(self) -> Steps:
        """The decoded images. Raises NetwrightError when too many are broken."""
        chosen = self.selection.parts.chosen
        is_streamed = self.keeping.is_streamed(cache.disk_bytes(len(chosen), self.form))
        steps = cache.open_or_build(self.selection.source, chosen, self.form, self.keeping.folder, is_streamed)
        opened = yield from steps
        broken, most = len(opened.skipped), self.keeping.broken_share
        if broken > most * len(chosen):
            raise NetwrightError(
                f"{broken:,} of {counted(len(chosen), 'image')} ({broken / len(chosen):.2%}) are broken: "
                f"{self._named_faults(opened)}; mend or remove them, or raise task.broken_share, now {most:g}"
            )
        return opened

    def _findings(self, opened: Cache) -> Iterator[str]:
        name = self.selection.source.name
        for note, positions in sorted(opened.notes.items()):
            yield f"{counted(len(positions), 'image')} {note}: {listed([shortened(name(p)) for p in positions])}"
        if opened.skipped:
            yield f"{counted(len(opened.skipped), 'broken image')} skipped: {self._named_faults(opened)}"
        kept = self._kept(opened)
        left_out = np.setdiff1d(kept.chosen, once(kept, opened.copies).chosen).tolist()
        if left_out:
            named = listed([shortened(name(p)) for p in left_out])
            yield f"{counted(len(left_out), 'image')} left out, a copy of which validates or tests: {named}"

    def _named_faults(self, opened: Cache) -> str:
        """Broken images by kind, the part of a reason before its colon; the part behind it is told of each image."""
        name, kinds = self.selection.source.name, defaultdict[str, list[str]](list)
        for position, reason in sorted(opened.skipped.items()):
            kind, _, detail = reason.partition(": ")
            kinds[kind].append(shortened(name(position)) + (f" ({shortened(detail)})" if detail else ""))
        return "; ".join(f"{len(found):,} {kind}: {listed(found)}" for kind, found in sorted(kinds.items()))

    def _kept(self, opened: Cache) -> SplitParts:
        parts = self.selection.parts
        return SplitParts(*(p[np.isin(p, opened.kept)] for p in (parts.train, parts.valid, parts.test)))

    def _splits(self, opened: Cache) -> ImageSplits:
        selection, kept = self.selection, opened.kept
        left = once(self._kept(opened), opened.copies)
        if opened.skipped or opened.copies:
            remedy = "its images are broken, or copies of one another: mend them or take the class out"
            check_classes(left, selection.source.labels, selection.classes, remedy)
        rows = (np.searchsorted(kept, p) for p in (left.train, left.valid, left.test))
        train, valid, test = rows
        return ImageSplits.of(
            opened.pixels,
            selection.source.labels[kept],
            train=train,
            valid=valid,
            test=test,
            names=lambda row: selection.source.name(int(kept[row])),
            caveats=selection.caveats,
        )
