"""What a process keeps of the round at which it is: its scores by shared weights, read from a file or trained first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from netwright.core.errors import NetwrightError
from netwright.core.protocols import Context
from netwright.core.round_plan import Rounds
from netwright.training import faults, shared_training
from netwright.training.shared_scores import SharedScores
from netwright.training.shared_training import RoundsTraining

REMEDY = "give a smaller evaluator.batch, or more evaluator.paths"


class HeldRound:
    """The round of a run that this process scores, if any.

    What would fail again for every row of a round, after as long a training, is remembered instead.
    """

    def __init__(self) -> None:
        self._at: tuple[Path, int] | None = None
        self._folder: Path | None = None  # of the run whose validation batches are there
        self._scores: SharedScores | None = None
        self._failure = ""

    def make_ready(self, number: int, training: Callable[[], RoundsTraining], rounds: Rounds, context: Context) -> None:
        """Train the weights of a round, unless that is done, and take it up.

        Args:
            number: The round, from 1.
            training: Gives the training of the run, for which it looks at the table.
            rounds: Say whom it learns from.
            context: What it tells, and asks whether to stop.

        Raises:
            PutBack: The training is to stop; it has written down where it stands.
            TooEarly: Not all networks of the round are in the table.
            NetwrightError: The training failed, now or before, or what it left is damaged.
        """
        folder = context.shared
        if self._at == (folder, number):
            if self._failure:
                raise NetwrightError(self._failure)
            return
        if not (folder / shared_training.name_of(number)).exists():
            if self._scores is not None:
                self._at = None
                self._scores.rest()
            rows = context.members(number)
            members = [trial.proposal.genotype for trial in rounds.trained(rows) or rows]
            try:
                training().train(number, members, folder, context)
            except shared_training.Failed as error:
                self._fail(folder, number, str(error))
                raise
            except (RuntimeError, MemoryError) as error:
                said = faults.of_memory(error, training().place, REMEDY)
                if not said:
                    raise
                self._fail(folder, number, f"the shared training of round {number} failed: {said}")
                raise NetwrightError(self._failure) from error
        self.scores(number, training, folder)

    def scores(self, number: int, training: Callable[[], RoundsTraining], folder: Path) -> SharedScores:
        """The scores of a round. Raises NetwrightError unless its weights are there, and are those of the training."""
        if self._scores is None or self._folder != folder:
            self._scores, self._folder = SharedScores(training(), folder), folder
        if self._at != (folder, number) or self._failure:
            self._at = None  # until all of it is there
            self._scores.take(number)
            self._at, self._failure = (folder, number), ""
        return self._scores

    def _fail(self, folder: Path, number: int, why: str) -> None:
        self._at, self._failure = (folder, number), why
