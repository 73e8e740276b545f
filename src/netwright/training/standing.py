"""Where an evaluation stands, between two steps of one of its trainings: what a checkpoint holds besides tensors."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count, takewhile
from pathlib import Path
from typing import Any

import numpy as np

from netwright.core import files
from netwright.core.records import BEND, BROKEN_OFF, SPAN, STEPS_DONE, Counts, Trial
from netwright.training import checkpoint
from netwright.training.course import Cut, Stall
from netwright.training.descent import Descent
from netwright.training.loop import At, Progress
from netwright.training.parallel import Team
from netwright.training.validation import Record

KEPT = (
    "seed",
    "key",
    "curve",
    "seconds",
    "descent",
    "span",
    "carried",
    "cut",
    "stall",
    "record",
)  # as they are in a checkpoint


@dataclass(frozen=True)
class Measurement:
    """What one training measured.

    Args:
        metrics: Metrics of the measured split, whose name begins theirs, as in "valid_accuracy".
        train_loss: Mean loss of the last pass.
        examples: Number of examples seen in training.
        seconds: Wall-clock seconds of the training, without what was done between passes.
        steps: Number of steps that it did, those that it went on from among them.
        why: Why it was shortened, as of `course.Cut`; "": it was not.
        span: Number of steps that its schedule spanned in the end; 0: not noted.
        bends: Steps from which on its rate fell more steeply, as of `course.Cut`.
        notes: What is to be said of it, in phrases for a message.
    """

    metrics: dict[str, float]
    train_loss: float
    examples: int
    seconds: float
    steps: int = 0
    why: str = ""
    span: int = 0
    bends: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass
class Standing:
    """Where an evaluation stands: the one owner of what changes in the course of its trainings, tensors aside.

    Args:
        path: Path of the evaluation's checkpoint, where one is or is to be; None: neither.
        seed: Seed of the trial, so that a checkpoint is known to be its own.
        key: Key of the trial, for the same purpose.
        progress: How far the present training had come when this evaluation began.
        done: Measurements of the trainings before it.
        curve: Points (step, value of the first metric) so far.
        seconds: Wall-clock seconds of earlier workers.
        descent: Facts that a `Descent` is restored from.
        span: Number of steps of the schedule.
        carried: For each training that has begun, the step of another trial that it went on from; 0: it began anew.
        cut: How the present training was shortened; None: it was not.
        stall: How long the present training has learned nothing.
        record: What the validation data has shown of the present training.
        ends: Where the trainings that those of this trial go on from stopped; None: unknown, this one begins anew.
        notes: What this worker could not do as it was to, each once, in order.
    """

    path: Path | None
    seed: int
    key: str = ""
    progress: Progress = Progress()
    done: list[Measurement] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    descent: dict[str, Any] = field(default_factory=dict)
    span: int = 0
    carried: list[int] = field(default_factory=list)
    cut: Cut | None = None
    stall: Stall = Stall()
    record: Record = Record()
    ends: tuple[Standing | None, ...] = ()
    notes: dict[str, None] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic, init=False, compare=False)

    def facts(self) -> dict[str, Any]:
        """Everything but path and ends, as JSON."""
        done = [
            (m.metrics, (m.train_loss, m.examples, m.seconds, m.steps, m.why, m.span, m.bends, m.notes))
            for m in self.done
        ]
        progress = asdict(self.progress)
        progress["images"] = progress.pop("examples")  # as checkpoints have always had it
        return {**{name: getattr(self, name) for name in KEPT}, "progress": progress, "done": done}

    @staticmethod
    def of(path: Path | None, facts: Mapping[str, Any]) -> Standing:
        """Inverse of `facts`."""
        read = (Measurement(one, *course) for one, course in facts["done"])
        done = [replace(m, bends=tuple(m.bends), notes=tuple(m.notes)) for m in read]
        curve = [(step, value) for step, value in facts["curve"]]
        progress = {name: value for name, value in facts["progress"].items() if name != "images"}
        made = Progress(**progress, examples=facts["progress"]["images"])
        kept = {name: facts[name] for name in KEPT if name in facts}  # the last three are younger than some files
        cut = Cut(*kept["cut"]) if kept.get("cut") else None
        kept |= {"cut": cut and cut._replace(bends=tuple(cut.bends)), "stall": Stall(*kept.get("stall", ()))}
        kept |= {"record": Record.read(kept.get("record", []))}
        return Standing(path, **{**kept, "progress": made, "done": done, "curve": curve})

    @staticmethod
    def at(path: Path | None, trial: Trial) -> Standing:
        """Where the trial stands: at the beginning, or where a worker that is gone has left it.

        A checkpoint that is damaged or of another trial is put aside, a message says so, and the training begins anew.
        """
        beginning = Standing(path, trial.seed, trial.key)
        if path is not None:
            files.sweep(path.parent)
        if path is None or not path.exists():
            return beginning
        facts = checkpoint.read_facts(path)
        if facts is None:
            fault = "is damaged, or was written by another release"
        elif (facts.get("seed"), facts.get("key")) != (trial.seed, trial.key):
            fault = f"is of another training, of seed {facts.get('seed')} and key {facts.get('key')}"
        else:
            return Standing.of(path, facts)
        print(f"{path} {fault}; {files.put_aside(path)}; the training begins anew", file=sys.stderr, flush=True)
        return beginning

    def resume(self, descent: Descent, team: Team) -> Progress:
        """Bring the next training, which was just made, to where it stands; returns where that is.

        It goes on from this trial's own checkpoint, or from the end of a trial that it continues, or begins anew.

        Raises:
            NetwrightError: The checkpoint is of another network, or of other settings.
        """
        repeat = len(self.done)
        before = self if self.progress.step else self.ends[repeat] if self.ends else None
        if len(self.carried) == repeat:
            self.carried.append(before.progress.step if before else 0)
        if before is None:
            return Progress()
        # the first process of the team reads for all
        data = team.hand_out(before.path.read_bytes() if before.path else b"")
        averages = descent.averages.tensors if descent.averages else {}
        best = checkpoint.restore(data, descent.network, descent.optimizer, averages, str(before.path))
        descent.restore(before.descent)
        self.stall, self.record = before.stall, before.record
        if descent.best and before.record.step:
            descent.best.tensors = best
        if repeat == 0:
            self.curve = before.curve
        return before.progress

    def write(self, path: Path, descent: Descent, at: At) -> None:
        """Write a checkpoint; where that fails, the training goes on and the checkpoint before stays valid."""
        now = replace(self, progress=at.progress, seconds=self.elapsed(), descent=descent.facts())
        averages = descent.averages.tensors if descent.averages else {}
        best = descent.best.tensors if descent.best else {}
        try:
            checkpoint.write(path, descent.network, descent.optimizer, now.facts(), averages, best)
        except OSError as error:
            print(f"no checkpoint at step {at.step}: {error}", file=sys.stderr, flush=True)

    def finish(self, found: Measurement) -> None:
        """Note that the present training is done; the next one begins."""
        self.done.append(found)
        self.progress, self.cut, self.stall, self.record = Progress(), None, Stall(), Record()

    def elapsed(self) -> float:
        """Wall-clock seconds of this evaluation, those of earlier workers among them."""
        return self.seconds + time.monotonic() - self._began


def averaged(done: Sequence[Measurement], counts: Counts, seconds: float) -> dict[str, float]:
    """Metrics of all trainings of a trial: means, deviations where there are several, size, cost and speed.

    Args:
        done: What the trainings measured.
        counts: Size and cost of the network.
        seconds: Wall-clock seconds of the evaluation.
    """
    metrics = _means(done, done[0].metrics)
    if len(done) > 1:
        metrics |= {
            f"{name}_sd": float(np.std([found.metrics[name] for found in done], ddof=1)) for name in done[0].metrics
        }
    return metrics | {
        "train_loss": float(np.mean([found.train_loss for found in done])),
        **counts.known(),
        "seconds": seconds,
        "examples_per_second": sum(found.examples for found in done) / sum(found.seconds for found in done),
    }


def so_far(done: Sequence[Measurement], names: Collection[str]) -> dict[str, float]:
    """Means of these metrics over the trainings before the present one, under names of their own; empty: none are.

    They are no measurements of the present step, and no results: "valid_accuracy_so_far". Processes of a team that are
    not the first one know those of no training, or, behind an interruption, of some.
    """
    known = [name for name in names if done and all(name in found.metrics for found in done)]
    return {f"{name}_so_far": value for name, value in _means(done, known).items()}


def _means(done: Sequence[Measurement], names: Collection[str]) -> dict[str, float]:
    return {name: float(np.mean([found.metrics[name] for found in done])) for name in names}


def lengths(done: Sequence[Measurement]) -> dict[str, float]:
    """Where the trainings of a trial ended, as metrics: what `evaluator.cuts` takes to repeat them.

    For each of them, from 1 on, the steps that it took, those that its schedule spanned in the end, and from which on
    its rate fell more steeply; and how many cooldowns the deadline broke off.
    """
    found: dict[str, float] = {BROKEN_OFF: sum(each.why == "late" for each in done)}
    for number, each in enumerate(done, 1):
        found |= {f"{STEPS_DONE}_{number}": each.steps, f"{SPAN}_{number}": each.span}
        found |= {f"{BEND}_{number}_{place}": bend for place, bend in enumerate(each.bends, 1)}
    return found


def ends_in(metrics: Mapping[str, float]) -> tuple[tuple[int, ...], ...]:
    """Where trainings ended, by such metrics: of each of them steps, span and bends."""
    found: list[tuple[int, ...]] = []
    while (end := f"_{len(found) + 1}") and {STEPS_DONE + end, SPAN + end} <= metrics.keys():
        bends = takewhile(metrics.__contains__, (f"{BEND}{end}_{place}" for place in count(1)))
        found.append(tuple(int(metrics[name]) for name in (STEPS_DONE + end, SPAN + end, *bends)))
    return tuple(found)


def why_inexact(done: Sequence[Measurement], is_exact: bool = True) -> str:
    """Why the metric `steps`, given as the number of steps, does not repeat these trainings; "" where it does.

    Args:
        done: What the trainings measured.
        is_exact: Whether the device gives the same bits each time.
    """
    if late := [str(found.steps) for found in done if found.why == "late"]:
        return (
            f"the deadline broke off the cooldown at step {', '.join(late)}, as the machine became slower; that number "
            "of steps does not repeat it exactly"
        )
    if bent := [str(found.bends[0]) for found in done if found.bends]:
        return (
            f"the cooldown was shortened from step {', '.join(bent)} on, as the machine became slower; the number of "
            "steps alone does not repeat it exactly"
        )
    if len({found.steps for found in done}) > 1:
        return f"the trainings took {', '.join(str(found.steps) for found in done)} steps"
    return "" if is_exact else "on a GPU, that number of steps does not repeat it bit for bit"
