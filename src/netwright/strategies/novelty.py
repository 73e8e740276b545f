"""Networks that a search has not seen: what strategies that propose none twice share."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from netwright.core.errors import InvalidGenotype
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype

TRIES = 1000  # samples without a network that is new, after which the space counts as exhausted


def new_sample(
    space: SearchSpace, known: Collection[str], taken: Collection[str], rng: np.random.Generator
) -> Genotype | None:
    """A sample of the space whose key is neither in `known` nor in `taken`; None: none is left."""
    for _ in range(TRIES):
        genotype = space.sample(rng)
        key = space.key(genotype)
        if key not in known and key not in taken:
            return genotype
    return None


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
