"""What is done between the steps of a training: reports, points of its curve, checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from netwright.core.protocols import Context
from netwright.training import promotion
from netwright.training.descent import Descent
from netwright.training.loop import Progress
from netwright.training.standing import Standing

TELL_EVERY = 5.0  # seconds between signs of life within a pass, which may take hours


@dataclass
class Watch:
    """Watches over one training; its methods are what `loop.train` calls.

    Args:
        state: Of the trial: takes the points of its first training's curve.
        context: Is told; None: this is not the first process of its team, which says and writes nothing.
        network: That is trained.
        optimizer: Likewise.
        descent: Likewise.
        steps: To train.
        span: Steps that the schedule spans; a training that ends before leaves a checkpoint to go on from.
        per_epoch: Steps of an epoch.
        curve_every: Epochs between two points of the curve; 0: none.
        minutes: Between two checkpoints, where `state` has a path for them.
        measure: The metrics of the network as it stands, the main one first.
    """

    state: Standing
    context: Context | None
    network: nn.Module
    optimizer: torch.optim.Optimizer
    descent: Descent
    steps: int
    span: int
    per_epoch: int
    curve_every: int
    minutes: float
    measure: Callable[[], Mapping[str, float]]
    _began: float = field(default_factory=time.monotonic, init=False)
    _saved: float = field(default_factory=time.monotonic, init=False)
    _told: float = field(default_factory=time.monotonic, init=False)

    def on_look(self, step: int, train_loss: float) -> bool:
        """Say now and then that the training goes on; whether it is to."""
        if time.monotonic() - self._told < TELL_EVERY:
            return True
        self._told = time.monotonic()
        return self._report(step, {"train_loss": train_loss})

    def on_epoch(self, step: int, train_loss: float) -> bool:
        """After a pass: a point of the curve, where one is due; whether to go on."""
        is_point = self.curve_every and step // self.per_epoch % self.curve_every == 0 and step < self.steps
        if is_point and self.context and not self.state.done:
            self.state.curve.append((step, next(iter(self.measure().values()))))
            self.network.train()
        return self._report(step, {"train_loss": train_loss})

    def is_due(self, step: int) -> bool:
        """Whether to save now."""
        return self._is_overdue() or self._is_left_early(step)

    def save(self, progress: Progress) -> None:
        """Write where the training stands, to go on from after a kill, or for a trial that continues this one."""
        if self.context and self._is_left_early(progress.step):
            self._write(promotion.end_of(self.context.folder, len(self.state.done)), progress)
        if self.state.path and self._is_overdue():
            self._saved = time.monotonic()
            self._write(self.state.path, progress)
            self._report(progress.step, {})

    def _write(self, path: Path, progress: Progress) -> None:
        seconds = time.monotonic() - self._began
        self.state.write(path, self.network, self.optimizer, self.descent, progress, seconds)

    def _is_overdue(self) -> bool:
        return self.state.path is not None and time.monotonic() - self._saved >= 60 * self.minutes

    def _is_left_early(self, step: int) -> bool:
        return self.context is not None and step == self.steps < self.span

    def _report(self, step: int, metrics: Mapping[str, float]) -> bool:
        return self.context.report(len(self.state.done) * self.steps + step, metrics) if self.context else True
