"""The front of a run with several objectives while it is searched, and the reference point that it is measured from.

The reference point is given by the user, or lies behind the worst of the first trials of the largest budget so far
(`front.behind`): of all of them and not of their front alone, which may be a single network, behind which nothing that
costs more would count. It is a fact of the run's table, noted once, so that hypervolumes of one run compare over time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import numpy as np

from netwright.core import front, objectives, remembered
from netwright.core.objectives import Objective, short
from netwright.core.protocols import Store
from netwright.core.records import Trial

FIRST = 10  # trials with scores from which a reference point is proposed


class WatchedFront:
    """Watches a search and keeps its front, at the largest budget that has a score.

    Args:
        store: The table of the run, which remembers the reference point.
        goals: The objectives, at least two.
        given: The reference point that the user gives, as measured; None: the first trials say.
        earlier: Finished trials with scores, in order of finishing.
    """

    def __init__(
        self, store: Store, goals: Sequence[Objective], given: Sequence[float] | None, earlier: Iterable[Trial] = ()
    ) -> None:
        self.goals = tuple(goals)
        self._store = store
        self._budget = 0
        self._first: list[tuple[float, ...]] = []  # scores of the first trials of that budget
        self._front = np.zeros((0, len(goals)))
        if given is not None:
            store.remember(remembered.REFERENCE_POINT, json.dumps(list(given)))
        self._reference = remembered.reference_point(store, len(goals))
        for trial in earlier:
            self.told(trial)

    def asked(self, trial: Trial) -> None:
        """Nothing to note."""

    def told(self, trial: Trial) -> None:
        """Take in a finished trial."""
        if trial.scores is None or (budget := trial.proposal.budget or 0) < self._budget:
            return
        if budget > self._budget:
            self._budget, self._first, self._front = budget, [], self._front[:0]
        if len(self._first) < FIRST:
            self._first.append(trial.scores)
            if len(self._first) == FIRST:
                self.propose()
        scores = np.array(trial.scores)
        if not (self._front >= scores).all(1).any():
            self._front = np.vstack([self._front[~(self._front <= scores).all(1)], scores])

    def tick(self) -> None:
        """Nothing to do."""

    def propose(self) -> None:
        """Note a reference point, where there is none and a trial has scores: in time, or at the end of the search."""
        if self._reference is not None or not self._first:
            return
        found = objectives.measured(front.behind(np.array(self._first)), self.goals)
        self._reference = tuple(found.tolist())
        self._store.remember(remembered.REFERENCE_POINT, json.dumps(self._reference))

    def holds(self, trial: Trial) -> bool:
        """Whether the trial is on the front: nothing so far is as good in every objective and better in one."""
        if trial.scores is None or (trial.proposal.budget or 0) != self._budget:
            return False
        return bool((self._front == trial.scores).all(1).any())

    def __str__(self) -> str:
        count = f"{len(self._front):,} trial{'s' if len(self._front) != 1 else ''}"
        if self._reference is None:
            return count
        reference = objectives.measured(np.array(self._reference), self.goals)
        return f"{count}, hypervolume {short(front.hypervolume(self._front, reference))}"
