"""Which networks train in a step of those that share their weights: draws that depend on nothing but seed and step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from netwright.core import genes, seeds
from netwright.core.errors import InvalidGenotype
from netwright.core.protocols import SearchSpace
from netwright.core.records import IO, Genotype

Way = Literal["uniform", "params", "fair", "sandwich"]

_PLAIN = 0  # attempt of the stream of a step; those of genes follow


@dataclass(frozen=True)
class Paths:
    """Draws the networks of each step of a shared training.

    Args:
        space: Their space.
        io: What goes into them and comes out.
        members: The networks of the round; one that occurs twice is drawn as often.
        way: How they are drawn: "uniform": all members alike; "params": in proportion to their numbers of parameters;
            "sandwich": the member with most parameters, the one with fewest, and for the rest any others (Yu et al.
            2020); "fair": networks of the space, members or not, in which each option of every gene occurs as often as
            any other, to within one (Chu et al. 2021).
        count: Number of networks in a step.
        seed: Seed of all draws.
    """

    space: SearchSpace
    io: IO
    members: tuple[Genotype, ...]
    way: Way = "uniform"
    count: int = 1
    seed: int = 0

    def of(self, step: int) -> tuple[Genotype, ...]:
        """The networks that train in a step."""
        rng = seeds.rng_for(self.seed, seeds.TRAIN, step, _PLAIN)
        if self.way == "fair":
            return tuple(self._fair(step * self.count + place, rng) for place in range(self.count))
        if self.way == "params":
            return tuple(self.members[place] for place in rng.choice(len(self.members), self.count, p=self._shares))
        ends = self._ends[: self.count] if self.way == "sandwich" else ()
        drawn = rng.integers(len(self.members), size=self.count - len(ends))
        return (*ends, *(self.members[place] for place in drawn))

    def _fair(self, number: int, rng: np.random.Generator) -> Genotype:
        """Network `number` of all that are drawn; a member where that is none of the space."""
        found: list[int | float] = []
        for position, gene in enumerate(self.space.genes):
            if isinstance(gene, genes.Real):
                found.append(genes.draw(gene, rng))
                continue
            turn, place = divmod(number, size := genes.size(gene))
            order = seeds.rng_for(self.seed, seeds.TRAIN, turn, _PLAIN + 1 + position).permutation(size)
            found.append(int(order[place]) + (gene.low if isinstance(gene, genes.Integer) else 0))
        try:
            self.space.check(genotype := tuple(found))
        except InvalidGenotype:
            return self.members[rng.integers(len(self.members))]
        return genotype

    @cached_property
    def _params(self) -> np.ndarray:
        known: dict[Genotype, int] = {}
        for each in self.members:
            if each not in known:
                known[each] = self.space.count(each, self.io).params
        return np.array([known[each] for each in self.members], dtype=np.float64)

    @cached_property
    def _shares(self) -> np.ndarray:
        return self._params / self._params.sum()

    @cached_property
    def _ends(self) -> tuple[Genotype, ...]:
        return self.members[int(self._params.argmax())], self.members[int(self._params.argmin())]
