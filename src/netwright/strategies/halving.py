"""Successive halving without waiting, for strategies that differ in where their fresh networks come from.

Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", arXiv:1810.05934, algorithm 2. A trial is
promoted that is within the best 1 / eta of its rung and not promoted yet, from the highest rung down. Nobody ever
waits, at the price of promotions that later arrivals would have prevented. A failed trial counts as the worst of its
rung. A trial whose training ended by itself, as it learned nothing more, is not promoted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from sortedcontainers import SortedList

from netwright.core.objectives import score_of
from netwright.core.records import Genotype, Proposal, Trial, has_stopped_early
from netwright.strategies.brackets import ladder, promotion, rung_of

PAIRS = 200  # latest promotions of each rung whose two scores are kept


@dataclass
class Ranking:
    """What finished on a rung.

    Args:
        count: Number of trials that finished, failed ones among them.
        ranked: (-score, trial id) of those with a score, best first; of equal scores, the first asked is better.
        waiting: Entries of `ranked` whose trials may still be promoted.
        risen: Scores of promoted trials here and one rung above, the latest of them.
    """

    count: int = 0
    ranked: SortedList = field(default_factory=SortedList)
    waiting: SortedList = field(default_factory=SortedList)
    risen: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=PAIRS))


@dataclass
class Halving:
    """The rungs of one search, and the next promotion.

    Args:
        budgets: Budgets of the rungs, ascending.
        eta: One trial in `eta` is promoted.
    """

    budgets: tuple[int, ...]
    eta: int
    rungs: list[Ranking] = field(init=False)
    _waiting: dict[int, tuple[float, Genotype]] = field(default_factory=dict, init=False, repr=False)  # by trial id

    def __post_init__(self) -> None:
        self.rungs = [Ranking() for _ in self.budgets]

    @staticmethod
    def of(min_budget: int, max_budget: int, eta: int, budgets: tuple[int, ...]) -> Halving:
        """Rungs as the options of a strategy have them; see `brackets.ladder`, which raises BadReference."""
        return Halving(ladder(min_budget, max_budget, eta, budgets), eta)

    def promoted(
        self, rising: Collection[int | None], admits: Callable[[float, int], bool] = lambda _score, _rung: True
    ) -> Proposal | None:
        """The next promotion; None: there is none.

        Args:
            rising: Ids of trials that are being promoted.
            admits: Whether a trial with this score on this rung is worth promoting.
        """
        for position in range(len(self.budgets) - 2, -1, -1):
            trial_id = self._promotable(self.rungs[position], rising)
            if trial_id is not None:
                loss, genotype = self._waiting[trial_id]
                if admits(-loss, position):
                    above = position + 1
                    return promotion(genotype, trial_id, self.budgets[above], {"rung": above})
        return None

    def enter(self, trial: Trial) -> int:
        """Rank a finished trial, and return its rung; the one that it continues is promoted.

        Raises NetwrightError for a budget that is on no rung; nothing has changed then.
        """
        position = rung_of(trial, self.budgets)
        rung, score, before = self.rungs[position], score_of(trial), trial.proposal.continues
        if before is not None and before in self._waiting:
            loss, _ = self._waiting.pop(before)
            self.rungs[position - 1].waiting.remove((loss, before))
            if score is not None:
                self.rungs[position - 1].risen.append((-loss, score))
        rung.count += 1
        if score is not None:
            entry = (-score, trial.id)
            rung.ranked.add(entry)
            if position + 1 < len(self.budgets) and not has_stopped_early(trial):
                rung.waiting.add(entry)
                self._waiting[trial.id] = (-score, trial.proposal.genotype)
        return position

    def _promotable(self, rung: Ranking, rising: Collection[int | None]) -> int | None:
        """The best trial of a rung that is not being promoted, if it is within the best 1 / eta."""
        for entry in rung.waiting:
            if entry[1] not in rising:
                is_high = rung.ranked.index(entry) < rung.count // self.eta
                return int(entry[1]) if is_high else None
        return None
