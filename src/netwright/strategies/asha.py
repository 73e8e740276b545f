"""Asynchronous successive halving: random networks at a small budget, the best share of each rung at the next one.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934, algorithm 2. A free worker
promotes a trial that is within the best 1 / eta of its rung and not promoted yet, from the highest rung down; where
there is none it measures a fresh sample on the lowest rung. Nobody ever waits, at the price of promotions that later
arrivals would have prevented.

A promotion continues the trial from its checkpoint: the training evaluator needs `horizon` for that, the largest
budget. Checkpoints of trials that were not promoted stay in the run's folder. A failed trial counts as the worst of its
rung.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from sortedcontainers import SortedList

from netwright.core.objectives import check_single, score_of
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.strategies.brackets import ladder, promotion, rung_of
from netwright.strategies.novelty import new_sample


@dataclass
class _Rung:
    """What finished on a rung.

    Args:
        count: Number of trials that finished, failed ones among them.
        ranked: (-score, trial id) of those with a score, best first; of equal scores, the first asked is better.
        waiting: Entries of `ranked` whose trials have not been promoted.
    """

    count: int = 0
    ranked: SortedList = field(default_factory=SortedList)
    waiting: SortedList = field(default_factory=SortedList)


@dataclass
class Asha:
    """Successive halving without waiting.

    Args:
        space: Search space, which samples and names networks.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        min_budget: Least budget of the lowest rung, in the evaluator's unit: epochs or steps.
        max_budget: Budget of the highest rung.
        eta: One trial in `eta` is promoted, to `eta` times the budget.
        budgets: Budgets of all rungs, where they are no powers of `eta` apart, as 12 and 200 epochs; empty: as above.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    min_budget: int = 1
    max_budget: int = 9
    eta: int = 3
    budgets: tuple[int, ...] = ()
    _ladder: tuple[int, ...] = field(init=False, repr=False)
    _rungs: list[_Rung] = field(init=False, repr=False)
    _waiting: dict[int, tuple[float, Genotype]] = field(default_factory=dict, init=False, repr=False)  # by trial id
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished

    def __post_init__(self) -> None:
        check_single("asha", self.objectives)
        self._ladder = ladder(self.min_budget, self.max_budget, self.eta, self.budgets)
        self._rungs = [_Rung() for _ in self._ladder]

    @property
    def largest_budget(self) -> int:
        """Budget of the highest rung."""
        return self._ladder[-1]

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A promotion, else a fresh sample; None: no network is new, and none may be promoted."""
        rising = {trial.proposal.continues for trial in pending}
        for position in range(len(self._ladder) - 2, -1, -1):
            trial_id = self._promotable(self._rungs[position], rising)
            if trial_id is not None:
                above = position + 1
                return promotion(self._waiting[trial_id][1], trial_id, self._ladder[above], {"rung": above})
        genotype = new_sample(self.space, self._known, {trial.key for trial in pending}, rng)
        return None if genotype is None else Proposal(genotype, budget=self._ladder[0], notes={"rung": 0})

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        """Rank the trial on its rung; the one that it continues is promoted. Raises NetwrightError: no such rung."""
        position = rung_of(trial, self._ladder)
        self._known.add(trial.key)
        before = trial.proposal.continues
        if before is not None and before in self._waiting:
            self._rungs[position - 1].waiting.remove((self._waiting.pop(before)[0], before))
        rung = self._rungs[position]
        rung.count += 1
        if (score := score_of(trial)) is not None:
            loss = -score
            rung.ranked.add((loss, trial.id))
            if position + 1 < len(self._ladder):
                rung.waiting.add((loss, trial.id))
                self._waiting[trial.id] = (loss, trial.proposal.genotype)

    def _promotable(self, rung: _Rung, rising: set[int | None]) -> int | None:
        """The best trial of a rung that is not being promoted, if it is within the best 1 / eta."""
        for entry in rung.waiting:
            if entry[1] not in rising:
                is_high = rung.ranked.index(entry) < rung.count // self.eta
                return int(entry[1]) if is_high else None
        return None


plugin = Asha
