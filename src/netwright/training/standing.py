"""Where an evaluation stands, between two steps of one of its trainings: what a checkpoint holds besides tensors."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from netwright.core import files
from netwright.core.records import Trial
from netwright.training import checkpoint
from netwright.training.descent import Descent
from netwright.training.loop import At, Progress
from netwright.training.parallel import Team

KEPT = ("seed", "key", "curve", "seconds", "descent", "span", "carried")  # kept as they are in a checkpoint


@dataclass(frozen=True)
class Measurement:
    """What one training measured.

    Args:
        metrics: Metrics of the measured split, whose name begins theirs, as in "valid_accuracy".
        train_loss: Mean loss of the last pass.
        examples: Number of examples seen in training.
        seconds: Wall-clock seconds of the training, without what was done between passes.
    """

    metrics: dict[str, float]
    train_loss: float
    examples: int
    seconds: float


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
        ends: Where the trainings of the trial that this one continues stopped; None: unknown, this one begins anew.
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
    ends: tuple[Standing | None, ...] = ()
    _began: float = field(default_factory=time.monotonic, init=False, compare=False)

    def facts(self) -> dict[str, Any]:
        """Everything but path and ends, as JSON."""
        done = [(found.metrics, (found.train_loss, found.examples, found.seconds)) for found in self.done]
        progress = asdict(self.progress)
        progress["images"] = progress.pop("examples")  # as checkpoints have always had it
        return {**{name: getattr(self, name) for name in KEPT}, "progress": progress, "done": done}

    @staticmethod
    def of(path: Path | None, facts: Mapping[str, Any]) -> Standing:
        """Inverse of `facts`."""
        done = [Measurement(metrics, *course) for metrics, course in facts["done"]]
        curve = [(step, value) for step, value in facts["curve"]]
        progress = {name: value for name, value in facts["progress"].items() if name != "images"}
        made = Progress(**progress, examples=facts["progress"]["images"])
        kept = {name: facts[name] for name in KEPT}
        return Standing(path, **{**kept, "progress": made, "done": done, "curve": curve})

    @staticmethod
    def at(path: Path | None, trial: Trial) -> Standing:
        """Where the trial stands: at the beginning, or where a worker that is gone has left it.

        A checkpoint that is damaged or of another trial is put aside, a message says so, and the training begins anew.
        """
        beginning = Standing(path, trial.seed, trial.key)
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
        checkpoint.restore(data, descent.network, descent.optimizer, averages, str(before.path))
        descent.restore(before.descent)
        if repeat == 0:
            self.curve = before.curve
        return before.progress

    def write(self, path: Path, descent: Descent, at: At) -> None:
        """Write a checkpoint; where that fails, the training goes on and the checkpoint before stays valid."""
        seconds = self.seconds + time.monotonic() - self._began
        now = replace(self, progress=at.progress, seconds=seconds, descent=descent.facts())
        averages = descent.averages.tensors if descent.averages else {}
        try:
            checkpoint.write(path, descent.network, descent.optimizer, now.facts(), averages)
        except OSError as error:
            print(f"no checkpoint at step {at.step}: {error}", file=sys.stderr, flush=True)

    def finish(self, found: Measurement) -> None:
        """Note that the present training is done; the next one begins."""
        self.done.append(found)
        self.progress = Progress()
