"""States of trainings that will hardly be continued, removed while a search goes on: those of a week would fill a disk.

Every trial below the highest budget leaves one, for a promotion to go on from. Where a strategy promotes the best of
each budget alone, trials that are far from them lose theirs. One that is promoted all the same, as others did worse
than was to be expected, is trained anew, which its row says. What is removed depends on the order of finishing, so that
a search of one worker that is gone on with removes the same.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from netwright.core import trial_folders
from netwright.core.records import Trial

LEAST: Final = 500  # of the best trials of a budget, which keep theirs
MARGIN: Final = 1.5  # times as many as are promoted


class StatesLeft:
    """Watches a search by one objective and removes folders of its trials.

    Args:
        trials_folder: Folder of the trial folders.
        share: Share of the trials of a budget that are promoted.
        earlier: Finished trials, in order of finishing.
        waiting: Trials that are not finished.
    """

    def __init__(
        self, trials_folder: Path, share: float, earlier: Iterable[Trial] = (), waiting: Iterable[Trial] = ()
    ) -> None:
        self._folder, self._share = trials_folder, min(1.0, MARGIN * share)
        self._awaited: set[int] = set()  # trials that a trial under way goes on from, which removes them itself
        self._kept: dict[int, list[tuple[float, int]]] = {}  # by budget, the best first
        self._told: dict[int, int] = {}
        for trial in waiting:
            self.asked(trial)
        for trial in earlier:
            self.told(trial)

    def asked(self, trial: Trial) -> None:
        """Note what a promotion goes on from."""
        if trial.proposal.continues is not None:
            self._awaited.add(trial.proposal.continues)

    def told(self, trial: Trial) -> None:
        """Take in a finished trial, and remove what the worst of its budget have left."""
        budget = trial.proposal.budget
        if budget is None:
            return
        self._told[budget] = self._told.get(budget, 0) + 1
        if trial.scores is None:
            return
        kept = self._kept.setdefault(budget, [])
        insort(kept, (-trial.scores[0], trial.id))
        while len(kept) > max(LEAST, self._share * self._told[budget]):
            _, worst = kept.pop()
            if worst not in self._awaited:
                trial_folders.remove(self._folder, worst)

    def tick(self) -> None:
        """Nothing to do."""
