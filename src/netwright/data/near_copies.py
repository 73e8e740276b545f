"""Pairs of images that show the same photo: encoded anew, or at another size, and decoded to nearly equal pixels.

Candidates agree in a small copy of each image. They are found by four tables of random projections of it, cut into
steps: what falls into one cell of a table is compared with its next neighbors there, so that the time grows with the
number of images and not with its square. What is called a copy agrees in brightness in each part of the image, as
compression keeps it, and in its fine detail, and what differs is spread over the image: other frames of a scene, other
digits, icons of a set, filled-in forms do not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netwright.data.looks import GRID, cell_means, luma

LEAST_SIDE = 16  # pixels; smaller images have no detail to agree in
TABLES, DIMENSIONS, STEP, NEIGHBORS = 4, 4, 12.0, 8
CELLS = 6.0  # of 255: how far means of cells of a copy are apart at most
TINT, TINT_GRID = 24.0, 4  # of 255: the same for single channels in larger cells: color is kept at half the size
DETAIL = 0.7  # least correlation of what is left without these means
LEAST_DETAIL = 2.0  # its standard deviation, below which it is noise of the encoding
PATCHES = 16  # along each side: where a difference may be concentrated
SPREAD, SLACK = 3.5, 2.0  # how much larger it is there at most than in all of the image, and levels added to the latter
MOST = 20_000  # pairs of candidates whose pixels are compared
BLOCK = 2**22  # bytes of pixels that are compared at a time


def near_copies(
    cells: np.ndarray, take: Callable[[np.ndarray], np.ndarray], shape: tuple[int, int, int]
) -> list[tuple[int, int]]:
    """Pairs of rows of images that are nearly equal, ascending; of many that are all alike, only some.

    Args:
        cells: Small copy of every image, as looks have it, uint8, (N, cells); no two images are exactly equal.
        take: Gives the images of rows, uint8, (B, H, W, C).
        shape: Shape of an image, (H, W, C).
    """
    if len(cells) < 2 or min(shape[:2]) < LEAST_SIDE:
        return []
    pairs = _candidates(cells)[:MOST]
    block = max(BLOCK // int(np.prod(shape)), 1)
    found = []
    for start in range(0, len(pairs), block):
        part = pairs[start : start + block]
        is_near = _are_near(take(part[:, 0]), take(part[:, 1]))
        found += [(int(a), int(b)) for a, b in part[is_near]]
    return found


def _candidates(cells: np.ndarray) -> np.ndarray:
    """Pairs of rows whose small copies agree, (M, 2), ascending; flat images, which agree with others, are in none."""
    rows = np.flatnonzero(cells.std(1) > 1)
    directions, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(GRID * GRID, TABLES * DIMENSIONS + 1)))
    projected = cells[rows].astype(np.float32) @ directions.astype(np.float32)
    steps = np.floor(projected / STEP).astype(np.int64)
    codes = []
    for table in range(TABLES):
        key = np.zeros(len(rows), np.int64)
        for column in range(table * DIMENSIONS, (table + 1) * DIMENSIONS):
            key = key * 4099 + steps[:, column]
        order = np.lexsort((projected[:, -1], key))
        for distance in range(1, NEIGHBORS + 1):
            first, second = order[:-distance], order[distance:]
            is_same = key[first] == key[second]
            first, second = rows[first[is_same]], rows[second[is_same]]
            apart = np.abs(cells[first].astype(np.int16) - cells[second]).max(1, initial=0)
            first, second = first[apart <= CELLS + 1], second[apart <= CELLS + 1]
            codes.append(np.minimum(first, second) * len(cells) + np.maximum(first, second))
    return np.stack(np.divmod(np.unique(np.concatenate(codes)), len(cells)), 1)


def _are_near(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each of two times B images, whether both are nearly equal, (B,)."""
    is_near = np.ones(len(some), bool)
    for channel in range(some.shape[3]):
        apart = some[..., channel].astype(np.float32) - others[..., channel]
        is_near &= (np.abs(cell_means(apart, TINT_GRID)).max((1, 2)) <= TINT) & _is_spread(apart)
    bright, other = luma(some), luma(others)
    is_near &= (np.abs(cell_means(bright - other)).max((1, 2)) <= CELLS) & _is_spread(bright - other)
    left, right = (_detail(each) for each in (bright, other))
    deviations = np.sqrt((left**2).mean((1, 2))), np.sqrt((right**2).mean((1, 2)))
    agree = (left * right).mean((1, 2)) / np.maximum(deviations[0] * deviations[1], 1e-6)
    result: np.ndarray = is_near & (agree >= DETAIL) & (np.minimum(*deviations) >= LEAST_DETAIL)
    return result


def _is_spread(apart: np.ndarray) -> np.ndarray:
    """Whether differences (B, H, W) are nowhere much larger than in all of the image, (B,)."""
    worst = np.sqrt(cell_means(apart**2, PATCHES).max((1, 2)))
    result: np.ndarray = worst <= SPREAD * (np.sqrt((apart**2).mean((1, 2))) + SLACK)
    return result


def _detail(bright: np.ndarray) -> np.ndarray:
    """Brightness less the mean of its cell."""
    _, height, width = bright.shape
    rows, columns = (np.arange(side) * GRID // side for side in (height, width))
    return bright - cell_means(bright)[:, rows][:, :, columns]
