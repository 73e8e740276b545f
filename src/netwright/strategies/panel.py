"""A panel of random genotypes, each measured several times and at several budgets, for analyses: nothing is selected.

What a search measures says little about all networks, since it measures again what did well. Here everything is
measured alike: of a generator so many networks each, which tells the spread within generators from that between them,
and each network at every budget, which tells how far small budgets order networks as large ones do (Ru et al. 2020,
"Neural Architecture Generator Optimization", arXiv:2004.01395: 40 generators of 8 networks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np

from netwright.core.errors import BadReference
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial


@dataclass
class GenotypePanel:
    """Random genotypes at the smallest budget, all of them at the next, and so on; then all of it again.

    A trial at a larger budget has the seed of the one at the budget before, thus the same network, which is trained
    anew where the training evaluator has no `horizon`, from the same first weights. With `horizon` it goes on.

    Args:
        space: Search space, which samples.
        genotypes: Number of genotypes, each an independent sample.
        repeats: Measurements of each genotype at each budget, from different seeds: of a generator so many networks.
        budgets: Budgets in the evaluator's unit, from the smallest on; empty: the evaluator's own length.
    """

    goes_by_list: ClassVar[Literal[True]] = True
    samples_at_random: ClassVar[Literal[True]] = True
    space: SearchSpace
    genotypes: int = 40
    repeats: int = 8
    budgets: tuple[int, ...] = ()
    _sampled: dict[int, Genotype] = field(default_factory=dict, init=False, repr=False)  # by id of the first trials
    _finished: set[int] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("genotypes", "repeats"):
            if getattr(self, name) < 1:
                raise BadReference(f"strategy.{name} is {getattr(self, name)}; it must be at least 1")
        if any(budget < 1 for budget in self.budgets) or any(a >= b for a, b in pairwise(self.budgets)):
            raise BadReference(f"strategy.budgets is {self.budgets}; give whole numbers from 1 that rise, as (1, 2, 4)")

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """The next measurement of the panel; None: all were asked, or what it is to follow has not finished."""
        asked = len(self._finished) + len(pending)
        budgets: tuple[int | None, ...] = self.budgets or (None,)
        step, which = divmod(asked, self.genotypes)
        repeat, rung = divmod(step, len(budgets))
        if repeat >= self.repeats:
            return None
        if step == 0:
            return Proposal(self.space.sample(rng), budget=budgets[0])
        genotype = self._genotype(which + 1, pending)
        if rung == 0:
            return Proposal(genotype, budget=budgets[0])
        before = asked + 1 - self.genotypes  # trials are numbered from 1
        return Proposal(genotype, budget=budgets[rung], continues=before) if before in self._finished else None

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Remember the genotype."""
        self._finished.add(trial.id)
        if trial.id <= self.genotypes:
            self._sampled[trial.id] = trial.proposal.genotype

    def _genotype(self, first: int, pending: Sequence[Trial]) -> Genotype:
        """That of the trial which measured it first."""
        if first in self._sampled:
            return self._sampled[first]
        return next(trial.proposal.genotype for trial in pending if trial.id == first)


plugin = GenotypePanel
