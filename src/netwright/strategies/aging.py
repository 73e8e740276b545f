"""Aging evolution: tournaments in a population from which the oldest member dies (Real et al. 2019, section "Methods").

"Regularized Evolution for Image Classifier Architecture Search", arXiv:1802.01548. A child is a mutated copy of the
fittest of `sample` members; when it has been evaluated it enters the population and the member that finished first
leaves, however good it is. Nothing is ever measured again in place: a network stays by being found anew, so that one
lucky measurement does not rule for long.

With several workers each asks as soon as it is free, and age is the order of finishing; `fill_first` has them wait for
the start population alone. A failed trial has no fitness: it neither enters nor ages the others. Memory and time per
trial do not grow with the history. Where an evaluator measures in rounds (`strategies.in_rounds`), the population of a
round are those networks of the round before that were asked last, and no child enters it before the next one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace
from netwright.core.records import Proposal, Trial
from netwright.strategies.members import Member, by_score, check_options, tournament
from netwright.strategies.novelty import nth_sample


@dataclass
class AgingEvolution:
    """Steady-state evolution in which every member leaves after `population` later arrivals.

    Args:
        space: Search space, which samples the start population and mutates winners.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        population: Number of members in the population (paper: 100).
        sample: Number of members drawn for a tournament (paper: 25). 1 is drift without selection.
        replacement: Whether a member may be drawn more than once for one tournament, as in the paper.
        fill_first: Whether no child is made before the population is full, as in the paper's algorithm: workers wait
            for the last of the first `population` networks that succeed. Else one that has finished is enough.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    population: int = 100
    sample: int = 25
    replacement: bool = True
    fill_first: bool = False
    _members: deque[Member] = field(init=False, repr=False)  # in order of finishing
    _told: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        check_options("aging", self.objectives, self.population, self.sample, self.replacement)
        self._members = deque(maxlen=self.population)

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A fresh sample until `population` were asked and one has finished, then a mutant of a tournament's winner.

        With `fill_first`, None from when the population is on its way until it is there.
        """
        begun = (len(self._members) if self.fill_first else self._told) + len(pending)
        if begun < self.population or not (self._members or self.fill_first):
            return Proposal(nth_sample(self.space, self._told + len(pending), rng))
        if self.fill_first and len(self._members) < self.population:
            return None
        parent = max(tournament(self._members, self.sample, self.replacement, rng), key=by_score)
        return Proposal(self.space.mutate(parent.genotype, rng), (parent.trial_id,))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Let the trial enter the population; if that was full, the oldest member dies."""
        self._told += 1
        if (score := score_of(trial)) is not None:
            self._members.append(Member(score, trial.id, trial.proposal.genotype))

    def for_round(self, told: Sequence[Trial], wanted: int, before: Self | None, rng: np.random.Generator) -> Self:  # noqa: ARG002
        """With those asked last as its population, which is no larger than the round before was."""
        if not told:
            return self
        most = max(1, min(self.population, sum(1 for trial in told if trial.scores)))
        made = replace(self, population=most, sample=self.sample if self.replacement else min(self.sample, most))
        for trial in told:
            made.tell(trial, rng)
        return made


plugin = AgingEvolution
