"""Networks trained in full: which they are, and what was measured of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netwright.core.objectives import Objective
from netwright.core.records import Genotype
from netwright.core.refs import Reference

BEST, RANDOM, TRIVIAL = "best of the search", "best of the first random population", "trivial genotype"
RESIDUAL = "plain residual network of similar size"


@dataclass(frozen=True)
class Candidate:
    """A network to be trained in full.

    Args:
        label: What it is, for people.
        genotype: In the space of the trainings.
        trial_id: Where the search found it.
        is_reference: A network to compare with, not one to use.
    """

    label: str
    genotype: Genotype
    trial_id: int | None = None
    is_reference: bool = False


@dataclass(frozen=True)
class Repetition:
    """One training of a candidate.

    Args:
        seed: Of the training; of a generator, it draws the network.
        params: Trainable parameters.
        value: Of the metric.
    """

    seed: int
    params: int
    value: float


@dataclass(frozen=True)
class Final:
    """What became of a candidate.

    Args:
        label: What it is.
        trial_id: Where the search found it.
        space: It is a genotype of.
        genotype: The network.
        setting: Of the training, in short: "30 epochs, channels 64".
        objective: What was measured, which way it is better, and how it is shown.
        params: Trainable parameters; their mean, where the candidate is a generator of several networks.
        mean: Of the metric over `n` trainings.
        sd: Standard deviation; None of one training.
        n: Trainings that succeeded.
        reference: A network to compare with, not one to use.
        folder: Of the first training that succeeded, with its weights where the evaluator saves them.
        command: That repeats the trainings.
        way: Digest of task and evaluator: equal ways, trained the same way.
        repetitions: Of each training that succeeded.
    """

    label: str
    trial_id: int | None
    space: Reference
    genotype: Genotype
    setting: str
    objective: Objective
    params: int
    mean: float
    sd: float | None
    n: int
    reference: bool = False
    folder: Path | None = None
    command: str = ""
    way: str = ""
    repetitions: tuple[Repetition, ...] = ()

    @property
    def metric(self) -> str:
        """The name of what was measured."""
        return self.objective.name

    @property
    def is_tested(self) -> bool:
        """Whether it was measured on the test split."""
        return self.objective.split == "test"
