"""Constraints on what a network may cost, as a wrapper around any space.

`constrain(space, io, ("params <= 1e6",))` draws samples and mutants again until the closed-form count fits; nothing
is built or trained to find out. The latency is estimated (`core.latency`), once all counts fit. For a space that
`Generates`, the network that the space's own seed draws is counted: a search checks `of_seed(constrained, seed)`, the
network of the trial itself.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from netwright.core.errors import BadReference, BadRunFile, InfeasibleConstraint, InvalidGenotype
from netwright.core.genes import Gene
from netwright.core.latency import LATENCY, EstimatesLatency
from netwright.core.protocols import SearchSpace, smaller_of, starts_of
from netwright.core.records import IO, Counts, Genotype, LabeledGraph

if TYPE_CHECKING:
    from torch import nn

TRIES = 1000
_COMPARE = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}
_COUNTED = ("params", "multiply_adds", "memory_per_sample")
_PATTERN = re.compile(
    r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(<=|<|>=|>)\s*([0-9]+(?:_[0-9]+)*\.?[0-9]*(?:[eE][+-]?[0-9]+)?)\s*", re.ASCII
)


@dataclass(frozen=True)
class Constraint:
    """`metric` compared with `bound`, as in params <= 1e6."""

    metric: str
    comparison: str
    bound: float

    @property
    def is_counted(self) -> bool:
        """Whether counts decide; else an estimate of the latency does, or what was measured."""
        return self.metric in _COUNTED

    def admits(self, value: float) -> bool:
        """Whether a network with this value of the metric is within the bound."""
        return bool(_COMPARE[self.comparison](value, self.bound))

    def holds(self, counts: Counts) -> bool:
        """Whether a network with these counts is within the bound."""
        return self.admits(self.counted(counts))

    def counted(self, counts: Counts) -> int:
        """What is compared of the counts. Raises BadReference where the space does not count it."""
        found: int | None = getattr(counts, self.metric)
        if found is None:
            raise BadReference(f"constraint {str(self)!r}: the space does not count it; bound params instead")
        return found

    def text(self, value: float) -> str:
        """A value of the metric for a sentence."""
        return f"{value:,}" if self.is_counted else f"{value:,.3g}"

    def __str__(self) -> str:
        return f"{self.metric} {self.comparison} {f'{self.bound:,.0f}' if self.is_counted else f'{self.bound:g}'}"


def condition(text: str) -> Constraint | None:
    """Read "params <= 1e6", whatever the metric; None: it cannot be read."""
    found = _PATTERN.fullmatch(text)
    return Constraint(found[1], found[2], float(found[3])) if found else None


def parse(text: str) -> Constraint:
    """Read "params <= 1e6" as a constraint. Raises BadRunFile, saying what can be constrained before it is trained."""
    found = condition(text)
    if not found or found.metric not in (*_COUNTED, LATENCY.name):
        raise BadRunFile(
            f"constraint {text!r} cannot be read; write it as 'params <= 1e6', "
            "'multiply_adds < 5e7', 'memory_per_sample <= 16e6' (bytes) or 'latency_ms <= 5'"
        )
    return found


@dataclass(frozen=True)
class Constrained:
    """A space whose samples and mutants all fit the constraints. Everything else is the space's own.

    Args:
        space: The space.
        io: What goes into its networks and comes out.
        constraints: The constraints.
        latency: Estimates `latency_ms`, which is asked for last; None: no constraint is on it.
    """

    space: SearchSpace
    io: IO
    constraints: tuple[Constraint, ...]
    latency: EstimatesLatency | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.latency is None and not all(constraint.is_counted for constraint in self.constraints):
            raise BadRunFile(f"{LATENCY.name} cannot be a constraint here; give it to a search with --trials")

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
        seen = _Seen(self.space.count(genotype, self.io))
        if (missed := self._missed(genotype, seen)) is not None:
            found = missed.text(seen.value(missed))
            raise InvalidGenotype(f"the network has {found} {missed.metric}; the run asks {missed}")

    def starts(self) -> tuple[Genotype, ...]:
        """The starts of the space within, in their order; for one that counts leave out, a smaller one that fits."""
        return self._fitting

    @cached_property
    def _fitting(self) -> tuple[Genotype, ...]:  # asked for with each proposal, counted once
        found: dict[str, Genotype] = {}
        for start in starts_of(self.space):
            versions = chain((start,), smaller_of(self.space, start))
            counted = next(((each, seen) for each in versions if (seen := self._counted(each))), None)
            if counted and self._missed(*counted) is None:  # an estimate of the latency is dear, and made once
                found.setdefault(self.space.key(counted[0]), counted[0])
        return tuple(found.values())

    def _counted(self, genotype: Genotype) -> _Seen | None:
        """The counts of a network that are within all bounds on counts; None: they are not."""
        try:
            seen = _Seen(self.space.count(genotype, self.io))
        except InvalidGenotype:  # no such network for these inputs
            return None
        bounds = (constraint for constraint in self.constraints if constraint.is_counted)
        return seen if all(bound.admits(seen.value(bound)) for bound in bounds) else None

    def _missed(self, genotype: Genotype, seen: _Seen) -> Constraint | None:
        """The first constraint that does not hold, counts first; None: all do. Notes the latency where it is asked."""
        for constraint in sorted(self.constraints, key=lambda constraint: not constraint.is_counted):
            if not constraint.is_counted and seen.latency_ms is None and self.latency is not None:
                seen.latency_ms = self.latency.latency_ms(self.space, genotype)
            if not constraint.admits(seen.value(constraint)):
                return constraint
        return None

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
        seen: list[_Seen] = []
        fault = ""
        for _ in range(TRIES):
            genotype = draw()
            try:
                seen.append(_Seen(self.space.count(genotype, self.io)))
            except InvalidGenotype as error:  # no such network for these inputs
                fault = str(error)
                continue
            if self._missed(genotype, seen[-1]) is None:
                return genotype
        if not seen:
            raise InfeasibleConstraint(f"none of {TRIES:,} {what} is a network; the last: {fault}")
        raise InfeasibleConstraint(
            f"none of {TRIES:,} {what} satisfies {' and '.join(map(str, self.constraints))}; "
            + ", ".join(_nearest(constraint, seen) for constraint in self.constraints)
        )


@dataclass
class _Seen:
    """What is known of a network: its counts, and its latency once that was asked for."""

    counts: Counts
    latency_ms: float | None = None

    def value(self, constraint: Constraint) -> Any:
        return constraint.counted(self.counts) if constraint.is_counted else self.latency_ms


def constrain(space: SearchSpace, io: IO, texts: tuple[str, ...], latency: EstimatesLatency | None = None) -> Any:
    """The space wrapped in its constraints; `space` itself when there are none.

    Raises BadRunFile for one that cannot be read, or is on the latency where nothing estimates that.
    """
    return Constrained(space, io, tuple(parse(text) for text in texts), latency) if texts else space


def _nearest(constraint: Constraint, seen: Sequence[_Seen]) -> str:
    values = [value for each in seen if (value := each.value(constraint)) is not None]
    if not values:  # no network came as far as being asked
        return f"of none of them the {constraint.metric} was asked for"
    is_upper = constraint.comparison[0] == "<"
    found = min(values) if is_upper else max(values)
    return f"the {'smallest' if is_upper else 'largest'} {constraint.metric} found was {constraint.text(found)}"
