"""Images in folders, one per class: found by extension, without opening any."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from netwright.core.errors import BadReference
from netwright.data.decode import EXTENSIONS
from netwright.data.duplicates import mislabeled
from netwright.data.text import counted, listed, shortened


@dataclass(frozen=True)
class FolderImages:
    """Image files and their classes; fits `Source` of data/cache.py.

    Args:
        root: What the names are relative to.
        names: Paths below `root`, ascending.
        labels: Of each, shape (N,), int64.
    """

    root: Path
    names: tuple[str, ...]
    labels: np.ndarray

    def name(self, position: int) -> str:
        """The file's path within the root."""
        return self.names[position]

    def describe(self, positions: np.ndarray, /) -> Mapping[str, Any]:
        """Root, and path, size and time of change of every file."""
        files = [(self.names[p], *self._state(p)) for p in positions.tolist()]
        return {"kind": "folder", "root": str(self.root.resolve()), "files": files}

    def faults(self, positions: np.ndarray, /) -> Mapping[int, str]:
        """Files that are equal byte by byte but stand in different classes."""
        places = positions.tolist()
        sizes = [self._state(p)[0] for p in places]
        found = {}
        for group in mislabeled([self.root / self.names[p] for p in places], sizes, self.labels[positions]):
            for member in group:
                other = next(m for m in group if self.labels[places[m]] != self.labels[places[member]])
                found[places[member]] = f"mislabeled: the same bytes as {shortened(self.names[places[other]])}"
        return found

    def images(self, positions: np.ndarray) -> Iterator[Path]:
        """The files."""
        return (self.root / self.names[p] for p in positions.tolist())

    def _state(self, position: int) -> tuple[int, int]:
        """Size in bytes and time of change; zeros for a file that is gone, which decoding will report."""
        try:
            state = os.stat(self.root / self.names[position])
        except OSError:
            return 0, 0
        return state.st_size, state.st_mtime_ns


@dataclass(frozen=True)
class Found:
    """What is below a folder of class folders.

    Args:
        classes: Files of every class, as paths below the folder, ascending; classes by name.
        ignored: Files that are no images by their extension.
    """

    classes: Mapping[str, list[str]]
    ignored: list[str] = field(default_factory=list)


def find(folder: Path) -> Found:
    """The image files of every class folder, however deep. Hidden files and folders are passed over.

    Raises:
        BadReference: No such folder, no class folders, or one without images.
    """
    ignored: list[str] = []
    classes: dict[str, list[str]] = {}
    for name in subfolders(folder):
        files = [os.path.join(name, below) for below in _files(folder / name)]
        classes[name] = [f for f in files if os.path.splitext(f)[1].lower() in EXTENSIONS]
        ignored += [f for f in files if os.path.splitext(f)[1].lower() not in EXTENSIONS]
    if not classes:
        raise BadReference(f"{folder} holds no folders; put the images of each class in a folder named after the class")
    if empty := [shortened(name) for name, files in classes.items() if not files]:
        raise BadReference(f"no images in {folder} of class {listed(empty)}; add some or remove the folder")
    return Found(classes, ignored)


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, ascending, without hidden ones. Raises BadReference when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not _is_hidden(e.name))
    except FileNotFoundError:
        raise BadReference(f"task.path is {str(folder)!r}, which does not exist; give a folder of images") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise BadReference(f"task.path is {str(folder)!r}, which cannot be read: {reason}") from None


def remark(ignored: list[str]) -> tuple[str, ...]:
    """A sentence on files that are no images; none when there are none."""
    if not ignored:
        return ()
    return (
        f"{counted(len(ignored), 'file')} ignored, no image by extension: {listed([shortened(n) for n in ignored])}",
    )


def _files(folder: Path) -> list[str]:
    """Paths below the folder, ascending; links are followed, each folder once."""
    seen, found = set(), []
    for place, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        below = os.path.relpath(place, folder)
        found += [os.path.normpath(os.path.join(below, name)) for name in files if not _is_hidden(name)]
    return sorted(found)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
