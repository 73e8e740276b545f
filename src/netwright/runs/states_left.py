"""States of trainings that will hardly be continued, removed while a search goes on: those of a week would fill a disk.

Every trial below the highest budget leaves one, for a promotion to go on from. Of each budget, the better half of the
trials keep theirs, and so do the best `LEAST`: strategies promote a third or less. One that is promoted all the same
is trained anew, which its row says. What is removed depends on the order of finishing alone, so that a search that is
gone on with removes the same.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from netwright.core import trial_folders
from netwright.core.records import Trial

LEAST: Final = 500  # trials of a budget


class StatesLeft:
    """Watches a search by one objective and removes folders of its trials.

    Args:
        trials_folder: Folder of the trial folders.
        earlier: Finished trials with scores, in order of finishing.
    """

    def __init__(self, trials_folder: Path, earlier: Iterable[Trial] = ()) -> None:
        self._folder = trials_folder
        self._kept: dict[int, list[tuple[float, int]]] = {}  # by budget, the best first
        self._told: dict[int, int] = {}
        for trial in earlier:
            self.told(trial)

    def asked(self, trial: Trial) -> None:
        """Nothing to note."""

    def told(self, trial: Trial) -> None:
        """Take in a finished trial, and remove what the worst of its budget have left."""
        budget = trial.proposal.budget
        if trial.scores is None or budget is None:
            return
        kept = self._kept.setdefault(budget, [])
        self._told[budget] = self._told.get(budget, 0) + 1
        insort(kept, (-trial.scores[0], trial.id))
        while len(kept) > max(LEAST, self._told[budget] // 2):
            trial_folders.remove(self._folder, kept.pop()[1])

    def tick(self) -> None:
        """Nothing to do."""
