"""Networks that a search has not seen, those that are known to work first: what strategies share."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from netwright.core.errors import InvalidGenotype
from netwright.core.protocols import SearchSpace, starts_of
from netwright.core.records import Genotype

TRIES = 1000  # samples without a network that is new, after which the space counts as exhausted


def new_sample(
    space: SearchSpace, known: Collection[str], taken: Collection[str], rng: np.random.Generator
) -> Genotype | None:
    """A start of the space, else a sample, whose key is neither in `known` nor in `taken`; None: none is left.

    The generator is used for samples alone, so that a space without starts draws what it always drew.
    """
    for genotype in starts_of(space):
        key = space.key(genotype)
        if key not in known and key not in taken:
            return genotype
    for _ in range(TRIES):
        genotype = space.sample(rng)
        key = space.key(genotype)
        if key not in known and key not in taken:
            return genotype
    return None


def nth_sample(space: SearchSpace, asked: int, rng: np.random.Generator) -> Genotype:
    """What is to be proposed after `asked` proposals, by a strategy that may repeat networks: a start, then samples."""
    starts = starts_of(space)
    return starts[asked] if asked < len(starts) else space.sample(rng)


def first_new(
    space: SearchSpace, genotypes: Iterable[Genotype], known: Collection[str], taken: Collection[str]
) -> Genotype | None:
    """The first genotype that the space admits and whose key is neither in `known` nor in `taken`; None: none is."""
    for genotype in genotypes:
        try:
            space.check(genotype)
        except InvalidGenotype:
            continue
        key = space.key(genotype)
        if key not in known and key not in taken:
            return genotype
    return None
