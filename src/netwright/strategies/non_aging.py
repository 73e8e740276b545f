"""Non-aging evolution: tournaments whose best has a child and whose worst dies (Real et al. 2019).

The variant that arXiv:1802.01548 compares aging evolution with: all is the same, but a child takes the place of the
worst of the `sample` members among which its parent won. Good measurements stay for good, the lucky ones too.

With several workers the worst of a tournament may be gone by the time the child has been evaluated; then the child
takes the place of the worst of a tournament drawn at that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace
from netwright.core.records import Proposal, Trial
from netwright.strategies.members import Member, by_score, check_options, tournament
from netwright.strategies.novelty import nth_sample

WORST = "worst"  # the note of a proposal: id of the trial whose place the child takes


@dataclass
class NonAgingEvolution:
    """Steady-state evolution in which the worst of each tournament makes room for the child of the best.

    Args:
        space: Search space, which samples the start population and mutates winners.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        population: Number of members in the population (paper: 100).
        sample: Number of members drawn for a tournament (paper: 25).
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
    _members: list[Member] = field(default_factory=list, init=False, repr=False)
    _places: dict[int, int] = field(default_factory=dict, init=False, repr=False)  # in `_members`, by trial id
    _told: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        check_options("non_aging", self.objectives, self.population, self.sample, self.replacement)

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A fresh sample until `population` were asked and one has finished, then a mutant of a tournament's winner.

        With `fill_first`, None from when the population is on its way until it is there.
        """
        begun = (len(self._members) if self.fill_first else self._told) + len(pending)
        if begun < self.population or not (self._members or self.fill_first):
            return Proposal(nth_sample(self.space, self._told + len(pending), rng))
        if self.fill_first and len(self._members) < self.population:
            return None
        drawn = tournament(self._members, self.sample, self.replacement, rng)
        parent, worst = max(drawn, key=by_score), min(drawn, key=by_score)
        child = self.space.mutate(parent.genotype, rng)
        return Proposal(child, (parent.trial_id,), notes={WORST: worst.trial_id})

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        """Let the trial enter the population; in a full one it replaces the worst of its parent's tournament."""
        self._told += 1
        if (score := score_of(trial)) is None:  # no fitness: nobody makes room
            return
        member = Member(score, trial.id, trial.proposal.genotype)
        if len(self._members) < self.population:
            self._places[trial.id] = len(self._members)
            self._members.append(member)
            return
        worst = int(trial.proposal.notes.get(WORST, 0))
        if worst not in self._places:
            worst = min(tournament(self._members, self.sample, self.replacement, rng), key=by_score).trial_id
        place = self._places.pop(worst)
        self._places[trial.id] = place
        self._members[place] = member


plugin = NonAgingEvolution
