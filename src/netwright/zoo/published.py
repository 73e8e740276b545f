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
        options: Options of the space that differ from the entry's.
        io: Shape of the images, and number of classes.
        params: Number of parameters, as counted here.
        multiply_adds: Number of multiply-adds for one image, as counted here.
        published: Parameters as printed, followed by multiply-adds where these are printed too; "": neither is.
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
        space: The space of the genotype, with the options of the architecture that are no genes.
        genotype: The genotype of the architecture.
        io: Shape of the images that it was published for, and number of classes.
        source: The paper, and where in it.
        params: Number of parameters as published, with the options that `note` names.
        note: Options of the published count, and what is uncertain.
        sizes: Exact counts with options that were published, and with some that were not.
    """

    space: SearchSpace
    genotype: Genotype
    io: IO
    source: str
    params: str
    note: str = ""
    sizes: tuple[Size, ...] = ()
