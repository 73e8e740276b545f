"""To which size images may sensibly be brought, as their heads tell: nothing is decoded."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from statistics import median_low

import numpy as np

from netwright.data.chunks import Encoded
from netwright.data.decode import BadImage, sides

SIZES = (24, 32, 48, 64, 96, 128)  # pixels along a side
ALIKE = 1.1  # times a size up to which another one is not worth trying


def shorter_side(images: Iterable[Encoded]) -> int | None:
    """Median of the shorter side of images, in pixels; None: none can be read."""
    found = []
    for image in images:
        with suppress(BadImage):
            found.append(min(image.shape[:2] if isinstance(image, np.ndarray) else sides(image)))
    return median_low(found) if found else None


def smaller_or(own: int) -> tuple[int, ...]:
    """Sizes for images that have `own` pixels a side and need no change: that size, and those well below it."""
    return (*(size for size in SIZES if ALIKE * size < own), own)


def candidates(side: int) -> tuple[int, ...]:
    """Sizes for images whose shorter side has so many pixels, ascending, none of them larger than that.

    They are those of SIZES, and the images' own where it is none of these, within ALIKE, nor beyond the largest.
    """
    known = [size for size in SIZES if size <= side]
    is_own = side < SIZES[-1] and not (known and side <= ALIKE * known[-1])
    return (*known, *[side] * is_own)
