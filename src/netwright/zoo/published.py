"""What an entry of the zoo holds."""

from __future__ import annotations

from dataclasses import dataclass

from netwright.core.protocols import SearchSpace
from netwright.core.records import IO, Genotype


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
    """

    space: SearchSpace
    genotype: Genotype
    io: IO
    source: str
    params: str
    note: str = ""
