"""What decoded images look like, a record for each: enough to tell copies, constants and grays without the pixels."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from netwright.data.text import NAMED

GRID = 8  # cells along each side of the small copy of an image
FEW = 8  # levels; an image that has fewer is coarse
FEW_DEEP = 32  # the same of one whose file has 16 or 32 bits: one outlier in a set takes the levels of all others
SAMPLE = 1024  # pixels of an image, at least, that tell whether to look at all of them
LUMA = (0.299, 0.587, 0.114)  # of ITU-R 601, as Pillow has it
NEUTRAL = (
    16  # of 255; channels that differ by no more in any pixel are taken for gray: compression makes such a difference
)

LOOK = np.dtype(
    [
        ("digest", "<u8"),  # of the pixels: equal for equal images
        ("crc", "<u4"),  # of the pixels, quick to compute when they are read
        ("levels", "<u2"),  # how many of the 256 values occur in any channel; of FEW_DEEP or more, those of a sample
        ("is_constant", "?"),
        ("is_gray", "?"),  # one channel, or three that agree
        ("is_colored", "?"),  # of which gray was made though there was color
        ("cells", "u1", (GRID * GRID,)),  # mean luma in each cell
    ]
)


def looks_of(images: np.ndarray) -> np.ndarray:
    """The record of each of the images (N, H, W, C), uint8; `is_colored` is left for who decoded them."""
    found = np.zeros(len(images), LOOK)
    if not len(images):
        return found
    images = np.ascontiguousarray(images)
    flat = images.reshape(len(images), -1, images.shape[3])
    found["digest"] = [int.from_bytes(hashlib.blake2b(each, digest_size=8).digest(), "little") for each in images]
    found["crc"] = [zlib.crc32(each) for each in images]
    some = flat[:, :: max(flat.shape[1] // SAMPLE, 1)]  # seldom is more to be looked at
    found["levels"] = [
        count if (count := _levels(few)) >= FEW_DEEP else _levels(each) for few, each in zip(some, flat, strict=True)
    ]
    for name, holds in (("is_constant", _are_constant), ("is_gray", _are_gray)):
        may_be = np.flatnonzero(holds(some))
        found[name][may_be] = holds(flat[may_be])
    found["cells"] = np.rint(cell_means(luma(images))).reshape(len(images), -1)
    return found


def _levels(image: np.ndarray) -> int:
    return int(np.count_nonzero(np.bincount(image.reshape(-1))))


def _are_constant(images: np.ndarray) -> np.ndarray:
    """Which of the images (N, pixels, C) are of one color, (N,)."""
    result: np.ndarray = (images == images[:, :1]).all((1, 2))
    return result


def _are_gray(images: np.ndarray) -> np.ndarray:
    """Which of the images (N, pixels, C) have channels that agree in every pixel, (N,)."""
    least, most = images[..., 0], images[..., 0]
    for channel in range(1, images.shape[2]):
        least, most = np.minimum(least, images[..., channel]), np.maximum(most, images[..., channel])
    result: np.ndarray = (most - least).max(1) <= NEUTRAL
    return result


@dataclass(frozen=True)
class Instances:
    """How many images are of a kind, and positions of the first of them."""

    count: int
    first: tuple[int, ...] = ()


def kinds_of(looks: np.ndarray, positions: np.ndarray, is_deep: np.ndarray | bool = False) -> Mapping[str, Instances]:
    """The images of each kind that one might not expect: "constant", "coarse", "gray" and "colored".

    Args:
        looks: What the images look like, (N,).
        positions: Their positions in the source, (N,).
        is_deep: Which were scaled to 8 bits from 16 or 32, (N,), or whether all were.
    """
    are = {
        "constant": looks["is_constant"],
        "coarse": (looks["levels"] < np.where(is_deep, FEW_DEEP, FEW)) & ~looks["is_constant"],
        "gray": looks["is_gray"],
        "colored": looks["is_colored"],
    }
    return {kind: Instances(int(those.sum()), tuple(positions[those][:NAMED].tolist())) for kind, those in are.items()}


def luma(images: np.ndarray) -> np.ndarray:
    """Brightness of images (N, H, W, C), uint8, as float32 (N, H, W)."""
    if images.shape[3] == 1:
        return images[..., 0].astype(np.float32)
    return images.astype(np.float32) @ np.array(LUMA, np.float32)


def cell_means(values: np.ndarray, cells: int = GRID) -> np.ndarray:
    """Means of (N, H, W) in `cells` x `cells` cells of equal area, float32 (N, cells, cells)."""
    _, height, width = values.shape
    return shares(height, cells) @ values @ shares(width, cells).T


@cache
def shares(side: int, cells: int) -> np.ndarray:
    """Which share of each cell each of `side` pixels covers, float32 (cells, side)."""
    edges = np.arange(cells + 1) * side / cells
    pixels = np.arange(side)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(covered, 0, None) * cells / side).astype(np.float32)
