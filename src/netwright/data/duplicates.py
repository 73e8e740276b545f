"""Mislabeled files: the same bytes under two classes, so that at least one label is wrong.

Only files whose size occurs in another class too are read: first a piece of each, then, where that agrees, the whole.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np

PIECE = 4096  # bytes at the end, where compressed images differ first


def mislabeled(paths: Sequence[Path], sizes: Sequence[int], labels: np.ndarray) -> list[list[int]]:
    """Groups of places of files that are equal byte by byte and stand in at least two classes; empty files are none.

    Args:
        paths: The files.
        sizes: In bytes.
        labels: Their classes, shape (N,).
    """
    groups = _disputed([range(len(paths))], lambda n: sizes[n] or None, labels)
    groups = _disputed(groups, lambda n: _piece(paths[n], sizes[n]), labels)
    return sorted(_disputed(groups, lambda n: _digest(paths[n]), labels))


def _disputed(
    groups: Iterable[Iterable[int]], key: Callable[[int], Hashable | None], labels: np.ndarray
) -> list[list[int]]:
    """The groups parted by key, as far as they are of several classes; without the places that have no key."""
    found = []
    for group in groups:
        parted = defaultdict(list)
        for place in group:
            parted[key(place)].append(place)
        parted.pop(None, None)
        found += [part for part in parted.values() if len(set(labels[part].tolist())) > 1]
    return found


def _piece(path: Path, size: int) -> bytes | None:
    try:
        with path.open("rb") as file:
            file.seek(max(size - PIECE, 0))
            return hashlib.blake2b(file.read(PIECE), digest_size=16).digest()
    except OSError:  # decoding will say so
        return None


def _digest(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "blake2b").digest()
    except OSError:
        return None
