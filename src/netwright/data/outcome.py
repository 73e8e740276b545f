"""How a trained network does on every test image: what confusion matrices and pictures of mistakes are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import safetensors
import safetensors.numpy
import torch
import torch.nn.functional as F
from torch import Tensor

from netwright.core.protocols import ClassifiesImages, HasCaveats, Split

OUTCOME = "outcome.safetensors"  # in the folder of the training
WORST = 24  # images kept, those of the largest loss


@dataclass(frozen=True)
class Outcome:
    """Predictions on a split of N images, and its K worst images.

    Args:
        targets: True classes, shape (N,), int64.
        predictions: Predicted classes, shape (N,), int64.
        losses: Cross entropy of every image in nats, shape (N,), float32.
        worst: Pixels of the images of the largest loss, largest first, shape (K, H, W, C), uint8.
        worst_positions: Positions of these images in the split, shape (K,), int64.
        worst_names: Where these images come from.
        classes: Names of the classes in order of the outputs.
        caveats: Sentences to stand beside the accuracy.
    """

    targets: np.ndarray
    predictions: np.ndarray
    losses: np.ndarray
    worst: np.ndarray
    worst_positions: np.ndarray
    worst_names: tuple[str, ...]
    classes: tuple[str, ...]
    caveats: tuple[str, ...] = ()


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


def to_bytes(outcome: Outcome) -> bytes:
    """The outcome as a safetensors file."""
    arrays = {name: np.ascontiguousarray(getattr(outcome, name)) for name in _ARRAYS}
    texts = {name: json.dumps(getattr(outcome, name)) for name in _TEXTS}
    return safetensors.numpy.save(arrays, metadata=texts)


def read(path: Path) -> Outcome:
    """Read what `to_bytes` gave. Raises OSError or safetensors.SafetensorError for a file that is none."""
    with safetensors.safe_open(path, "numpy") as file:
        texts: Mapping[str, str] = file.metadata()
        fields: dict[str, Any] = {name: file.get_tensor(name) for name in _ARRAYS}
    fields |= {name: tuple(json.loads(texts.get(name, "[]"))) for name in _TEXTS}
    return Outcome(**fields)


_ARRAYS = ("targets", "predictions", "losses", "worst", "worst_positions")
_TEXTS = ("worst_names", "classes", "caveats")
