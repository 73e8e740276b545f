"""Images in folders, one per class: found by extension, without opening any."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from netwright.core.errors import BadReference
from netwright.data.decode import EXTENSIONS
from netwright.data.duplicates import equal_files
from netwright.data.text import counted, listed, shortened


@dataclass(frozen=True)
class FolderImages:
    """Image files and their classes; fits `Source` of data/cache.py.

    Args:
        root: Folder that the names are relative to.
        names: Paths of the files below `root`, ascending.
        labels: Class of every file, int64, shape (N,).
    """

    root: Path
    names: tuple[str, ...]
    labels: np.ndarray

    def name(self, position: int) -> str:
        """The file's path within the root."""
        return self.names[position]

    def describe(self, positions: np.ndarray, /) -> Mapping[str, Any]:
        """Root, and path, size and time of change of every file."""
        images = [(self.names[p], *self._state(p)) for p in positions.tolist()]
        return {"kind": "folder", "root": str(self.root.resolve()), "images": images}

    def copies(self, positions: np.ndarray, /) -> list[list[int]]:
        """Groups of positions whose files are equal byte by byte."""
        places = positions.tolist()
        files, sizes = [self.root / self.names[p] for p in places], [self._state(p)[0] for p in places]
        return [[places[n] for n in group] for group in equal_files(files, sizes)]

    def images(self, positions: np.ndarray) -> Iterator[Path]:
        """Paths of the files at these positions."""
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
        classes[name] = [f for f in files if _is_image(f)]
        ignored += [f for f in files if not _is_image(f)]
    if not classes:
        raise BadReference(f"{folder} holds no folders; put the images of each class in a folder named after the class")
    if empty := [name for name, files in classes.items() if not files]:
        named = listed([shortened(name) for name in empty]) + _others(empty[0], ignored)
        raise BadReference(f"no images in {folder} of class {named}; add some or remove the folder")
    return Found(classes, ignored)


def common_folders(folder: Path, names: Sequence[str]) -> list[str]:
    """Names of the folders that all of these folders hold; none when one of them holds images too."""
    common = set(subfolders(folder / names[0]))
    for name in names:
        common &= set(subfolders(folder / name))
        if not common or any(_is_image(entry) for entry in os.listdir(folder / name)):
            return []
    return sorted(common)


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, ascending, without hidden ones. Raises BadReference when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not _is_hidden(e.name))
    except FileNotFoundError:
        raise BadReference(f"task.path is {str(folder)!r}, which does not exist; give a folder of images") from None
    except OSError as error:
        raise _unreadable(error, folder) from None


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
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        below = os.path.relpath(place, folder)
        found += [os.path.normpath(os.path.join(below, name)) for name in files if not _is_hidden(name)]
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise _unreadable(error, error.filename)


def _unreadable(error: OSError, folder: Path | str) -> BadReference:
    reason = (error.strerror or str(error)).lower()
    return BadReference(f"the folder {str(folder)!r} of task.path cannot be read: {reason}; mend that or take it out")


def _others(name: str, ignored: Sequence[str]) -> str:
    """What is in a class's folder instead of images."""
    kinds = Counter(os.path.splitext(file)[1].lower() for file in ignored if file.startswith(name + os.sep))
    if not kinds:
        return ""
    named = listed([shortened(kind) or "no extension" for kind, _ in kinds.most_common()])
    return f": {counted(kinds.total(), 'file')} there, none of a kind that is read ({named})"


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
