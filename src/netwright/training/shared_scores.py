"""The scores of networks by the weights that they share, for an evaluator and for a study of such scores."""

from __future__ import annotations

from pathlib import Path

from netwright.core import seeds
from netwright.core.protocols import Context
from netwright.core.records import Genotype
from netwright.training import layout
from netwright.training.scoring import Scoring
from netwright.training.shared_training import RoundsTraining
from netwright.training.tuning import Tuning


class SharedScores:
    """Scores the networks of a run, a round at a time.

    Args:
        training: The shared training of the run.
        folder: The shared folder, in which it has left weights.

    Raises:
        BadReference: There are fewer validation examples than a score takes.
    """

    def __init__(self, training: RoundsTraining, folder: Path) -> None:
        self._training, self._folder = training, folder
        rng = seeds.rng_for(training.seed, seeds.SPLIT)
        self._scoring = Scoring(training.task, training.program, training.place, rng)
        self._weights = training.weights()
        self._tuning: Tuning | None = None

    def rest(self) -> None:
        """Let go what only the scores of the round need, until another one is taken up."""
        self._tuning = None

    def take(self, number: int) -> None:
        """Take up a round. Raises NetwrightError where its weights are not there, damaged, or of something else."""
        training = self._training
        self.rest()
        training.load(number, self._folder, self._weights)
        if training.program.tuning_steps:
            seed = seeds.trial_seed(training.seed, "tuning", number)
            self._tuning = Tuning(
                training.task, training.program, seed, training.place, training.channels_last, training.batches_by
            )

    def of(self, genotype: Genotype, place: int, seed: int, context: Context) -> dict[str, float]:
        """The task's metrics of a network by the weights of the round, on validation batches.

        Args:
            genotype: The network.
            place: Its place in the round, from 0.
            seed: Seed by which validation batches are drawn.
            context: What is told of a training before the score, and asked whether to stop.

        Raises:
            PutBack, Stopped, Diverged: As of `Tuning.tuned`.
        """
        averages = self._scoring.recalibrates
        if self._tuning:
            child = self._tuning.tuned(self._weights, genotype, context, averages=averages)
        else:
            child = self._weights.child(genotype, averages=averages)
        memory_format = layout.of(self._training.channels_last, child, self._training.place, "float32")
        return self._scoring.of(child, place, seed, memory_format)
