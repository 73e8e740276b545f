"""The values that travel between strategy, controller, table, worker and evaluator.

All are frozen dataclasses of plain numbers and strings, so that each can be written as JSON and read back unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from netwright.core.shapes import IO as IO

MAX_LOSSES = 3  # a trial whose worker was lost is put back in the queue up to this many times
LOST = f"its worker died or fell silent {MAX_LOSSES + 1} times; see the logs of the run"
ROUND = "round"  # note of a proposal: the round of learning that it comes from, 1, 2, ...
CARRIED_STEPS = "carried_steps"  # metric of a promotion: how many steps it went on from; 0: it trained anew
STEPS_DONE = "steps"  # metric of a training whose length is measured, not given: how many steps it took
SPAN = "span"  # begins the names of metrics: steps that the schedule of training 1, 2, ... spanned, as in "span_1"
BEND = "bend"  # likewise, as in "bend_1_1": first step from which on the rate of training 1 fell twice as steeply
BROKEN_OFF = "broken_off"  # metric of a trial that had a deadline: how many of its cooldowns that broke off
STOPPED_EARLY = "stopped_early"  # metric of a training: 1 where it ended by itself, as it learned nothing more
MEMORY = "memory_per_sample"  # metric: see `Counts`
MODEL = "model_"  # prefix of notes that say how good the model of that round is: the same in all its proposals

Genotype = tuple[int | float, ...]
Failure = Literal["", "error", "diverged", "timeout", "out_of_memory", "lost"]
Status = Literal["pending", "running", "done", "failed"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What happens to an image before a network sees it: all that is needed to classify images elsewhere.

    Args:
        channels: Number of channels: 1 for gray, 3 for red, green and blue.
        height: Height in pixels.
        width: Width in pixels.
        fit: How an image of another size is fitted: "crop" scales it to cover this size and cuts out the middle,
            "stretch" scales each side separately, "pad" scales it to fit inside and surrounds it with black.
        mean: Mean of each channel, in [0, 1], which is subtracted.
        sd: Standard deviation of each channel, by which the difference is divided.
        classes: Names of the classes, in the order of the outputs.
        span: The values that become black and white in images of 16 and 32 bits; None: 0 and what is white by the type.
    """

    channels: int
    height: int
    width: int
    fit: Literal["crop", "stretch", "pad"]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    classes: tuple[str, ...]
    span: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """Size and cost of a network.

    Args:
        params: Trainable numbers.
        multiply_adds: Multiply-adds of one input's forward pass: those of convolutions and linear layers, as torch's
            own counter has them (it says twice that).
        memory_per_sample: Bytes that each further example of a batch keeps for the backward pass, in single precision:
            every tensor once, without weights, and without what is dropped at random. None: not known.
    """

    params: int
    multiply_adds: int
    memory_per_sample: int | None = None

    def known(self) -> dict[str, int]:
        """The numbers that are known, by name: the metrics of a trial."""
        found = {"params": self.params, "multiply_adds": self.multiply_adds}
        return found if self.memory_per_sample is None else {**found, MEMORY: self.memory_per_sample}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a strategy asks to have evaluated.

    Args:
        genotype: One value per gene of the space.
        parents: Ids of the trials it was derived from; empty for a fresh sample.
        budget: Epochs or steps; None: the evaluator's own default.
        continues: Id of the trial whose checkpoint and seed this one carries on.
        notes: Numbers that the strategy wants back in `tell`; stored in the row. Reports show those of a model that
            it learns with: ROUND, and whatever begins with MODEL.
    """

    genotype: Genotype
    parents: tuple[int, ...] = ()
    budget: int | None = None
    continues: int | None = None
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """What an evaluator answers.

    Args:
        metrics: "valid_accuracy", "params", ...: finite numbers; empty when the trial failed.
        curve: (step, main metric) pairs in the order they were measured.
        seconds: Wall-clock time of the evaluation.
        failure: Why there are no metrics; "" when there are.
        message: For people: a traceback, the step of a divergence.
        reused: Id of the trial whose measurement this repeats, at the same budget; None: measured anew.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    curve: tuple[tuple[int, float], ...] = ()
    seconds: float = 0.0
    failure: Failure = ""
    message: str = ""
    reused: int | None = None


def lost_message(reason: str) -> str:
    """The message of a row that was lost too often.

    Args:
        reason: How it was lost the last time, in its last line; before that may stand what the worker printed last.
    """
    printed, _, why = reason.rpartition("\n")
    return f"{printed}\n{LOST}; the last time, {why}".lstrip("\n") if reason else LOST


@dataclass(frozen=True, slots=True)
class Trial:
    """One row of the table.

    Args:
        id: 1, 2, 3, ... in order of asking.
        proposal: What the strategy asked to have evaluated.
        key: `space.key(genotype)`: equal keys, same network.
        seed: Seed of this evaluation, from the search's seed, the key, and how often the key was asked before.
        status: Moves pending, running, then done or failed; back to pending only when its worker is lost.
        result: What the evaluator answered; None until the trial is done or failed.
        scores: The search's objectives, each to be maximized; None: failed or not finished.
        finish: 1, 2, 3, ... in order of finishing.
    """

    id: int
    proposal: Proposal
    key: str
    seed: int
    status: Status
    result: Result | None = None
    scores: tuple[float, ...] | None = None
    finish: int | None = None


def has_stopped_early(trial: Trial) -> bool:
    """Whether the training ended by itself before its budget, so that a larger budget would bring nothing."""
    return trial.result is not None and trial.result.metrics.get(STOPPED_EARLY, 0.0) >= 1.0


@dataclass(frozen=True, slots=True)
class Tally:
    """What the rows of a table come to.

    Args:
        pending: Number of pending rows.
        running: Number of running rows.
        done: Number of rows that succeeded.
        failed: Number of rows that failed.
        reused: Number of finished rows that repeat another one's measurement.
        seconds: What the evaluations of the other finished rows took together.
        continued: Number of finished rows that carry on another one's training.
        noted: Number of finished rows with notes of the strategy.
    """

    pending: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    reused: int = 0
    seconds: float = 0.0
    continued: int = 0
    noted: int = 0

    @property
    def finished(self) -> int:
        """Number of finished rows."""
        return self.done + self.failed

    @property
    def unfinished(self) -> int:
        """Number of rows that are not finished."""
        return self.pending + self.running


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a worker is doing, for people who watch; `silent_seconds` is the time since its last sign of life."""

    name: str
    trial_id: int | None
    activity: str
    silent_seconds: float


@dataclass(frozen=True, slots=True)
class LabeledGraph:
    """A directed acyclic graph to be drawn: nodes in topological order, labeled edges, graphs within it.

    Args:
        name: Title of the drawing.
        nodes: Node labels; an edge names nodes by their position here.
        edges: (source, destination, label) with source < destination; the label is "" where nodes do the work.
        parts: The graphs that labels stand for, such as motifs and stages.
    """

    name: str
    nodes: tuple[str, ...]
    edges: tuple[tuple[int, int, str], ...]
    parts: tuple[LabeledGraph, ...] = ()
