"""Networks trained in full: which these are, and what was measured of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from netwright.core.baselines import Baseline, note
from netwright.core.objectives import Objective
from netwright.core.records import Genotype
from netwright.core.refs import Reference

BEST, RANDOM, TRIVIAL = "best of the search", "best of the first random population", "trivial genotype"
KNEE, ON_FRONT = "knee of the front", "on the front"
SAMPLED = "sampled by its score"  # to see whether scores order as trainings do, not to be used
RESIDUAL = "plain residual network of similar size"
SEARCHED, PLAIN = "searched network", "plain residual network"


@dataclass(frozen=True)
class Candidate:
    """A network to be trained in full.

    Args:
        label: What the network is, for people: BEST, RANDOM, ...
        genotype: The network, in the space that the trainings use.
        trial_id: Id of the trial in which the search found it; None: no trial of the search.
        is_reference: Whether it is a network to compare with, not one to use.
    """

    label: str
    genotype: Genotype
    trial_id: int | None = None
    is_reference: bool = False

    @property
    def name(self) -> str:
        """For people: the label and the trial."""
        return _name(self.label, self.trial_id)


@dataclass(frozen=True)
class Repetition:
    """One training of a candidate.

    Args:
        seed: Seed of the training; where the candidate is a generator, it also draws the network.
        params: Number of trainable parameters.
        value: Measured value of the metric.
    """

    seed: int
    params: int
    value: float


@dataclass(frozen=True)
class Measured:
    """What was measured of a candidate besides the objective that it is ranked by.

    Args:
        objective: What was measured.
        value: Its mean over the trainings.
        sd: Its standard deviation over the trainings; None: there was one.
    """

    objective: Objective
    value: float
    sd: float | None


@dataclass(frozen=True)
class Printed:
    """What a paper prints of a network that was trained in full, as recipes state it: errors in percent.

    Args:
        network: What the network is, and where it is printed.
        error: Share of the test examples that are not recognized, in percent; None: not printed.
        deviation: Standard deviation of the error over several trainings, in points; None: not printed.
        top5_error: Share of the test examples whose class is not among the first five answers; None: not printed.
        params: Number of parameters; None: not printed.
        n: Number of trainings; None: not printed.
    """

    network: str
    error: float | None = None
    deviation: float | None = None
    top5_error: float | None = None
    params: float | None = None
    n: int | None = None

    def __post_init__(self) -> None:
        for name in ("error", "deviation", "top5_error"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 100:
                raise ValueError(f"{name} is {value}; it is in percent, from 0 to 100")
        if self.params is not None and not 0 < self.params < math.inf:
            raise ValueError(f"params is {self.params}; it must be a number greater than 0")


@dataclass(frozen=True)
class Final:
    """What became of a candidate.

    Args:
        label: What the network is, for people.
        trial_id: Id of the trial in which the search found it; None: no trial of the search.
        space: The space that `genotype` belongs to.
        genotype: The network.
        setting: How it was trained, in short: "30 epochs, channels 64".
        objective: What was measured, which way it is better, and how it is shown.
        params: Number of trainable parameters; their mean, where the candidate is a generator of several networks.
        mean: Mean of the metric over `n` trainings.
        sd: Standard deviation of the metric over `n` trainings; None when `n` is 1.
        n: Number of trainings that succeeded.
        reference: Whether it is a network to compare with, not one to use.
        folder: Folder of the first training that succeeded, with its weights where the evaluator saves them.
        command: The command that repeats the trainings.
        way: Digest of task and evaluator: equal for networks that were trained the same way.
        repetitions: What was measured in each training that succeeded.
        baselines: What the measured value is to be compared with.
        accuracy: Mean of the accuracy over the same trainings, whatever the objective, a fraction of 1; None: it was
            not measured.
        loss: The same of the task's loss.
        steps: The same of the steps that they took.
        broken_off: Which end of which training a deadline broke off, as the beginning of a sentence that names the
            network: "the deadline broke off the cooldown at step 95 of 100"; "": none.
        further: What else was measured that the trainings' run file names: further objectives, and metrics.
        published: What papers print of such networks, to stand beside these.
        curve: Steps of the first training that succeeded, and the value of the metric after them; empty: another one
            was measured on the way, or none.
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
    baselines: tuple[Baseline, ...] = ()
    accuracy: float | None = None
    loss: float | None = None
    steps: float | None = None
    broken_off: str = ""
    further: tuple[Measured, ...] = ()
    published: tuple[Printed, ...] = ()
    curve: tuple[tuple[int, float], ...] = ()

    @property
    def name(self) -> str:
        """For people: the label and the trial."""
        return _name(self.label, self.trial_id)

    @property
    def note(self) -> str:
        """What the mean is to be compared with, and whether it is no better; "" where that is not known."""
        return note(self.objective, self.mean, self.baselines)

    @property
    def metric(self) -> str:
        """The name of what was measured."""
        return self.objective.name

    @property
    def is_tested(self) -> bool:
        """Whether it was measured on the test split."""
        return self.objective.split == "test"


def _name(label: str, trial_id: int | None) -> str:
    return label if trial_id is None else f"{label}, trial {trial_id}"
