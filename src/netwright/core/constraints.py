"""Constraints on what a network may cost, as a wrapper around any space.

`Constrained(space, io, ("params <= 1e6",))` draws samples and mutants again until the closed-form count fits; nothing
is built or trained to find out. For a space that `Generates`, the network that the space's own seed draws is
counted: a search checks `of_seed(constrained, seed)`, the network of the trial itself.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from netwright.core.errors import BadReference, BadRunFile, InfeasibleConstraint, InvalidGenotype
from netwright.core.genes import Gene
from netwright.core.protocols import SearchSpace, starts_of
from netwright.core.records import IO, Counts, Genotype, LabeledGraph

if TYPE_CHECKING:
    from torch import nn

TRIES = 1000
_COMPARE = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}
_PATTERN = re.compile(
    r"\s*(params|multiply_adds|memory_per_sample)\s*(<=|<|>=|>)\s*([0-9]+(?:_[0-9]+)*\.?[0-9]*(?:[eE][+-]?[0-9]+)?)\s*"
)


@dataclass(frozen=True)
class Constraint:
    """`metric` compared with `bound`, as in params <= 1e6."""

    metric: str
    comparison: str
    bound: float

    def holds(self, counts: Counts) -> bool:
        """Whether a network with these counts is within the bound."""
        return bool(_COMPARE[self.comparison](self.value(counts), self.bound))

    def value(self, counts: Counts) -> int:
        """What is compared. Raises BadReference where the space does not count it."""
        found: int | None = getattr(counts, self.metric)
        if found is None:
            raise BadReference(f"constraint {str(self)!r}: the space does not count it; bound params instead")
        return found

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {self.bound:,.0f}"


def parse(text: str) -> Constraint:
    """Read "params <= 1e6". Raises BadRunFile, saying what can be constrained."""
    found = _PATTERN.fullmatch(text)
    if not found:
        raise BadRunFile(
            f"constraint {text!r} cannot be read; write it as 'params <= 1e6', "
            "'multiply_adds < 5e7' or 'memory_per_sample <= 16e6' (bytes)"
        )
    return Constraint(found[1], found[2], float(found[3]))


@dataclass(frozen=True)
class Constrained:
    """A space whose samples and mutants all fit the constraints. Everything else is the space's own."""

    space: SearchSpace
    io: IO
    constraints: tuple[Constraint, ...]

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The genes of the space within."""
        return self.space.genes

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A sample that fits. Raises InfeasibleConstraint after TRIES misses, with the nearest size seen."""
        return self._draw(lambda: self.space.sample(rng), "samples")

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """A mutant that fits. Raises InfeasibleConstraint after TRIES misses, with the nearest size seen."""
        return self._draw(lambda: self.space.mutate(genotype, rng), "mutants")

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype when the space does, or when the network does not fit."""
        self.space.check(genotype)
        counts = self.space.count(genotype, self.io)
        for constraint in self.constraints:
            if not constraint.holds(counts):
                found = constraint.value(counts)
                raise InvalidGenotype(f"the network has {found:,} {constraint.metric}; the run asks {constraint}")

    def starts(self) -> tuple[Genotype, ...]:
        """The starts of the space within that fit, in their order; () where it has none."""
        return self._fitting

    @cached_property
    def _fitting(self) -> tuple[Genotype, ...]:  # asked for with each proposal, counted once
        return tuple(genotype for genotype in starts_of(self.space) if self._fits(genotype))

    def _fits(self, genotype: Genotype) -> bool:
        try:
            counts = self.space.count(genotype, self.io)
        except InvalidGenotype:  # no such network for these inputs
            return False
        return all(constraint.holds(counts) for constraint in self.constraints)

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> nn.Module:
        """The space's own network."""
        return self.space.build(genotype, io, rng)

    def count(self, genotype: Genotype, io: IO) -> Counts:
        """The space's own count."""
        return self.space.count(genotype, io)

    def key(self, genotype: Genotype) -> str:
        """The space's own key."""
        return self.space.key(genotype)

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """The space's own graph."""
        return self.space.graph(genotype)

    def _draw(self, draw: Callable[[], Genotype], what: str) -> Genotype:
        seen: list[Counts] = []
        fault = ""
        for _ in range(TRIES):
            genotype = draw()
            try:
                seen.append(self.space.count(genotype, self.io))
            except InvalidGenotype as error:  # no such network for these inputs
                fault = str(error)
                continue
            if all(constraint.holds(seen[-1]) for constraint in self.constraints):
                return genotype
        if not seen:
            raise InfeasibleConstraint(f"none of {TRIES:,} {what} is a network; the last: {fault}")
        raise InfeasibleConstraint(
            f"none of {TRIES:,} {what} satisfies {' and '.join(map(str, self.constraints))}; "
            + ", ".join(_nearest(constraint, seen) for constraint in self.constraints)
        )


def constrain(space: SearchSpace, io: IO, texts: tuple[str, ...]) -> Any:
    """The space wrapped in its constraints; `space` itself when there are none."""
    return Constrained(space, io, tuple(parse(text) for text in texts)) if texts else space


def _nearest(constraint: Constraint, seen: list[Counts]) -> str:
    values = [constraint.value(counts) for counts in seen]
    is_upper = constraint.comparison[0] == "<"
    found = min(values) if is_upper else max(values)
    return f"the {'smallest' if is_upper else 'largest'} {constraint.metric} found was {found:,}"
