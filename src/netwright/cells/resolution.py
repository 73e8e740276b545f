"""Whether images are large enough for a stack of cells that halve them, and for its auxiliary head."""

from __future__ import annotations

from collections.abc import Callable

from netwright.cells import auxiliary
from netwright.core.errors import BadReference
from netwright.core.records import IO

Sides = Callable[[int], tuple[int, ...]]


def check(io: IO, skeleton: str, sides: Sides, head_at: int | None) -> None:
    """Raise BadReference for images too small for the last reduction, or for the pooling of the auxiliary head.

    Args:
        io: Shape of the images.
        skeleton: Name of the skeleton, for the message.
        sides: Function from the side of images to the sides of the maps after the stem and after each reduction.
        head_at: Position among these of the maps that the auxiliary head reads; None: there is no such head.
    """
    side = min(io.height, io.width)
    found = sides(side)
    if found[-2] < 2:
        least = _least(sides, -2, 2)
        raise BadReference(
            f"images of {io.height} x {io.width} pixels are too small for the skeleton {skeleton!r}, "
            f"whose {len(found) - 1} reductions need at least {least} x {least}; give larger images or "
            "another space.skeleton"
        )
    pool = auxiliary.POOL
    if head_at is not None and found[head_at] < pool:
        least = _least(sides, head_at, pool)
        raise BadReference(
            f"the auxiliary head pools {pool} x {pool} pixels and does not fit on images of {io.height} x {io.width}; "
            f"give at least {least} x {least}, or space.auxiliary = false"
        )


def _least(sides: Sides, place: int, pixels: int) -> int:
    """The least side of images whose maps at this place have at least that many pixels to a side."""
    side = 1
    while sides(side)[place] < pixels:
        side += 1
    return side
