"""Evaluates a given list of genotypes, each a given number of times: for final trainings and re-rankings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from netwright.core.errors import BadReference
from netwright.core.protocols import Generates, SearchSpace, unwrap
from netwright.core.records import Genotype, Proposal, Trial


@dataclass
class Listed:
    """The genotypes in order, then all of them again, `repeats` times in all; then the search is over.

    Args:
        space: Search space, which checks the genotypes. Networks of generators are not checked here: each trial draws
            and checks its own.
        genotypes: Genotypes to evaluate.
        repeats: Number of evaluations of each genotype, from different seeds.
        budget: Budget of each evaluation, in the evaluator's unit; None: the evaluator's own length.
    """

    goes_by_list: ClassVar[Literal[True]] = True
    space: SearchSpace
    genotypes: tuple[Genotype, ...] = ()
    repeats: int = 1
    budget: int | None = None
    _told: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise BadReference(f"strategy.repeats is {self.repeats}; it must be at least 1")
        if self.budget is not None and self.budget < 1:
            raise BadReference(f"strategy.budget is {self.budget}; it must be at least 1")
        check = self.space.check if unwrap(self.space, Generates) is None else self.space.key
        for genotype in self.genotypes:
            check(genotype)

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:  # noqa: ARG002
        """The next genotype of the list; None: all of them were asked."""
        asked = self._told + len(pending)
        if asked >= len(self.genotypes) * self.repeats:
            return None
        return Proposal(self.genotypes[asked % len(self.genotypes)], budget=self.budget)

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Count the trial."""
        self._told += 1


plugin = Listed
