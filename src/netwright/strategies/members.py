"""What evolution and local search share: members of a population, and tournaments among them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from netwright.core.errors import BadReference
from netwright.core.records import Genotype
from netwright.core.single import check_single


class Member(NamedTuple):
    """An evaluated genotype; higher scores are better."""

    score: float
    trial_id: int
    genotype: Genotype


by_score = itemgetter(0)


def tournament(members: Sequence[Member], size: int, replacement: bool, rng: np.random.Generator) -> list[Member]:
    """`size` members drawn uniformly; without replacement, all of them in random order where there are fewer.

    Among equal scores, `max` and `min` take the first drawn, which is any of them with equal chance.
    """
    count = len(members)
    if replacement:
        return [members[int(uniform * count)] for uniform in rng.random(size).tolist()]
    return [members[position] for position in rng.permutation(count)[:size].tolist()]


def check_options(
    name: str, objectives: tuple[str, ...] | None, population: int, sample: int, replacement: bool
) -> None:
    """Raise BadReference for options of the strategy `name` that make no evolution."""
    check_single(name, objectives)
    for option, value in (("population", population), ("sample", sample)):
        if value < 1:
            raise BadReference(f"strategy.{option} is {value}; it must be at least 1")
    if not replacement and sample > population:
        raise BadReference(
            f"strategy.sample is {sample}; without replacement it must be at most the population, {population}"
        )
