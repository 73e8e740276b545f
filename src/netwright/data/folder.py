"""Images that are files below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from netwright.data.duplicates import equal_files
from netwright.data.tree import composed


@dataclass(frozen=True)
class FolderImages:
    """Image files and their classes; fits `Source` of data/cache.py.

    Args:
        root: Folder that the names are relative to.
        names: Paths of the files below `root`, ascending by `name`.
        labels: Class of every file, int64, shape (N,).
    """

    root: Path
    names: tuple[str, ...]
    labels: np.ndarray

    def name(self, position: int) -> str:
        """The file's path within the root, with composed letters (Unicode NFC), however a disk spells them."""
        return composed(self.names[position])

    def describe(self, positions: np.ndarray, /) -> Mapping[str, Any]:
        """Root, and path, size and time of change of every file."""
        images = [(self.names[p], *self._state(p)) for p in positions.tolist()]
        return {"kind": "folder", "root": str(self.root.resolve()), "images": images}

    def copies(self, positions: np.ndarray, /) -> list[list[int]]:
        """Groups of positions whose files are equal byte by byte."""
        places = positions.tolist()
        files, sizes = [self.root / self.names[p] for p in places], [self._state(p)[0] for p in places]
        return [[places[n] for n in group] for group in equal_files(files, sizes)]

    def content(self, positions: np.ndarray, /) -> Sequence[int]:
        """Size of every file, in bytes."""
        return [(self._states.get(p) or self._state(p))[0] for p in positions.tolist()]

    def images(self, positions: np.ndarray) -> Iterator[Path]:
        """Paths of the files at these positions."""
        return (self.root / self.names[p] for p in positions.tolist())

    def _state(self, position: int) -> tuple[int, int]:
        """Size in bytes and time of change; zeros for a file that is gone, which decoding will report."""
        try:
            state = os.stat(self.root / self.names[position])
            self._states[position] = state.st_size, state.st_mtime_ns
        except OSError:
            self._states[position] = 0, 0
        return self._states[position]

    @cached_property
    def _states(self) -> dict[int, tuple[int, int]]:
        """What `_state` said last: the images that are in use were opened by it, and network disks are slow."""
        return {}
