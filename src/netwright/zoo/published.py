"""What an entry of the zoo holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netwright.core.protocols import SearchSpace
from netwright.core.records import IO, Genotype

CIFAR = IO(3, 32, 32, 10)


@dataclass(frozen=True)
class Size:
    """What the architecture costs at one setting of its space.

    Args:
        options: The setting, as it differs from the entry's.
        io: Shape of images, and classes.
        params: Counted here.
        multiply_adds: Counted here, of one image.
        published: Parameters, and where they are printed too multiply-adds; "": neither is.
    """

    options: Mapping[str, str | int]
    io: IO
    params: int
    multiply_adds: int
    published: str


@dataclass(frozen=True)
class Published:
    """An architecture from a paper.

    Args:
        space: Its space, with whatever is no gene.
        genotype: The architecture.
        io: What it was published for.
        source: Paper, and where in it.
        params: Published parameters, as printed, at the setting that `note` names.
        note: Setting of the published count, and what is uncertain.
        sizes: Exact counts at the settings that were published, and at some that were not.
    """

    space: SearchSpace
    genotype: Genotype
    io: IO
    source: str
    params: str
    note: str = ""
    sizes: tuple[Size, ...] = ()
