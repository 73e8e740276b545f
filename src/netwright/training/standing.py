"""Where an evaluation stands, between two steps of one of its trainings: what a checkpoint holds besides tensors."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netwright.core.errors import NetwrightError
from netwright.core.records import Trial
from netwright.training import checkpoint
from netwright.training.descent import Descent
from netwright.training.loop import Progress, Trained
from netwright.training.parallel import Team

KEPT = ("seed", "key", "curve", "seconds", "descent", "span", "carried")  # as they are, in a checkpoint


@dataclass
class Standing:
    """Where an evaluation stands.

    Args:
        path: Of its checkpoint; None: there is none.
        seed: Of the trial, so that a checkpoint is known to be its own.
        key: Likewise.
        progress: Of the training under way.
        done: Metrics and course of those before it.
        curve: So far.
        seconds: Wall clock of earlier workers.
        descent: What a `Descent` must know of its past.
        span: Steps of the schedule.
        carried: For each training that has begun, the step of another trial that it went on from; 0: it began anew.
        ends: Where the trainings of the trial that this one continues stopped; None: unknown, this one begins anew.
    """

    path: Path | None
    seed: int
    key: str = ""
    progress: Progress = Progress()
    done: list[tuple[dict[str, float], Trained]] = field(default_factory=list)
    curve: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    descent: dict[str, Any] = field(default_factory=dict)
    span: int = 0
    carried: list[int] = field(default_factory=list)
    ends: tuple[Standing | None, ...] = ()

    @property
    def start(self) -> Standing | None:
        """What the next training goes on from: itself, or a trial that it continues; None: it begins anew."""
        if self.progress.step:
            return self
        return self.ends[len(self.done)] if self.ends else None

    def facts(self) -> dict[str, Any]:
        """As JSON; path and ends are left out."""
        done = [(found, astuple(trained)) for found, trained in self.done]
        kept = {name: getattr(self, name) for name in KEPT}
        return {**kept, "progress": asdict(self.progress), "done": done}

    @staticmethod
    def of(path: Path | None, facts: Mapping[str, Any]) -> Standing:
        """Inverse of `facts`."""
        done = [(found, Trained(*trained)) for found, trained in facts["done"]]
        curve = [(step, value) for step, value in facts["curve"]]
        progress = Progress(**facts["progress"])
        kept = {name: facts[name] for name in KEPT}
        return Standing(path, **{**kept, "progress": progress, "done": done, "curve": curve})

    @staticmethod
    def at(path: Path | None, trial: Trial) -> Standing:
        """Where the trial stands: at the beginning, or where a worker that is gone has left it.

        A checkpoint that cannot be read is said to be one, and the training begins anew.

        Raises:
            NetwrightError: The checkpoint is that of another trial.
        """
        beginning = Standing(path, trial.seed, trial.key)
        facts = checkpoint.read_facts(path) if path else None
        if facts is None:
            if path and path.exists():
                print(f"{path} cannot be read; the training begins anew", file=sys.stderr, flush=True)
            return beginning
        for name in ("seed", "key"):
            found, own = facts.get(name), getattr(beginning, name)
            if found != own:
                raise NetwrightError(
                    f"{path} is of another training: its {name} is {found}, not {own}; remove it to train anew"
                )
        return Standing.of(path, facts)

    def restore(self, network: nn.Module, optimizer: torch.optim.Optimizer, descent: Descent, team: Team) -> None:
        """Inverse of `write`, into a training that is made anew; the first process of the team reads for all.

        Raises:
            NetwrightError: The checkpoint is of another network, or of another recipe.
        """
        data = team.hand_out(self.path.read_bytes() if self.path else b"")
        averages = descent.averages.tensors if descent.averages else {}
        checkpoint.restore(data, network, optimizer, averages, str(self.path))
        descent.restore(self.descent)

    def write(
        self,
        path: Path,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        descent: Descent,
        progress: Progress,
        seconds: float,
    ) -> None:
        """Write a checkpoint; where it cannot be written, the training goes on and the last one stays valid."""
        now = replace(self, progress=progress, seconds=self.seconds + seconds, descent=descent.facts())
        averages = descent.averages.tensors if descent.averages else {}
        try:
            checkpoint.write(path, network, optimizer, now.facts(), averages)
        except OSError as error:
            print(f"no checkpoint at step {progress.step}: {error}", file=sys.stderr, flush=True)
