"""Gathers how a trained network does on every test image, while it is measured (`data/outcome.py`)."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netwright.core.protocols import ClassifiesImages, HasCaveats, Split
from netwright.data.outcome import OUTCOME, WORST, Outcome, to_bytes


class ShownImages(ClassifiesImages, HasCaveats, Protocol):
    """What an outcome asks of a task."""


class OutcomeRecorder:
    """Gathers an outcome batch by batch, in order of the split.

    Args:
        task: Task with the images, their names and classes.
        split: Split that the batches are of.
    """

    def __init__(self, task: ShownImages, split: Split) -> None:
        self._task, self._split = task, split
        self._targets: list[Tensor] = []
        self._predictions: list[Tensor] = []
        self._losses: list[Tensor] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Outputs (B, classes) and targets (B,) of the next batch."""
        self._targets.append(targets.cpu())
        self._predictions.append(outputs.argmax(1).cpu())
        self._losses.append(F.cross_entropy(outputs.float(), targets, reduction="none").cpu())

    def files(self) -> dict[str, bytes]:
        """The outcome as a file."""
        return {OUTCOME: to_bytes(self.outcome())}

    def outcome(self) -> Outcome:
        """What was added, with the worst images of the split."""
        task, split = self._task, self._split
        losses = torch.cat(self._losses).numpy()
        worst = np.argsort(-losses, kind="stable")[:WORST]
        return Outcome(
            torch.cat(self._targets).numpy(),
            torch.cat(self._predictions).numpy(),
            losses,
            task.pixels(split, worst.tolist()),
            worst,
            tuple(task.names(split, worst.tolist())),
            task.preprocessing().classes,
            task.caveats(),
        )
