"""Files that are equal byte by byte, mislabeled when they stand in two classes; images that are equal in every pixel.

Only files whose size occurs twice are read: first a piece of each, then, where that agrees, the whole.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np

from netwright.data.text import shortened

PIECE = 4096  # bytes at the end, where compressed images differ first


def equal_files(paths: Sequence[Path], sizes: Sequence[int]) -> list[list[int]]:
    """Groups of places of files that are equal byte by byte, each ascending; empty files are in none.

    Args:
        paths: The files.
        sizes: Size of each file, in bytes.
    """
    groups = _parted([range(len(paths))], lambda n: sizes[n] or None)
    groups = _parted(groups, lambda n: _piece(paths[n], sizes[n]))
    return sorted(_parted(groups, lambda n: _digest(paths[n])))


def equal_pixels(positions: np.ndarray, looks: np.ndarray, equal: Sequence[Sequence[int]]) -> list[list[int]]:
    """Groups of positions of images that are equal when decoded, each ascending.

    Images without any content, all of one color, are equal for another reason: only those of equal files are copies.

    Args:
        positions: Positions of the images, ascending.
        looks: What each of them looks like, see data/looks.py.
        equal: Groups of positions whose files are equal byte by byte.
    """
    rows = np.flatnonzero(~looks["is_constant"])
    _, number, counts = np.unique(looks["digest"][rows], return_inverse=True, return_counts=True)
    rows, number = rows[counts[number] > 1], number[counts[number] > 1]
    order = np.argsort(number, kind="stable")
    starts = np.flatnonzero(np.diff(number[order])) + 1
    groups = [positions[rows[part]].tolist() for part in np.split(order, starts)] if len(rows) else []
    plain = set(positions[looks["is_constant"]].tolist())
    flat = [[position for position in group if position in plain] for group in equal]
    return sorted(groups + [group for group in flat if len(group) > 1])


def mislabeled(groups: Sequence[Sequence[int]], labels: np.ndarray, name: Callable[[int], str]) -> dict[int, str]:
    """By position, what is wrong with each image that has an equal one in another class."""
    found = {}
    for group in groups:
        for member in group:
            other = next((m for m in group if labels[m] != labels[member]), None)
            if other is not None:
                found[member] = f"mislabeled: the same bytes as {shortened(name(other))}"
    return found


def _parted(groups: Iterable[Iterable[int]], key: Callable[[int], Hashable | None]) -> list[list[int]]:
    """The groups parted by key, as far as two or more agree; without the places that have no key."""
    found = []
    for group in groups:
        parted = defaultdict(list)
        for place in group:
            parted[key(place)].append(place)
        parted.pop(None, None)
        found += [part for part in parted.values() if len(part) > 1]
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
