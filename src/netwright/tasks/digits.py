"""Handwritten digits: the 1,797 real 8x8 images that scikit-learn ships (Alpaydin and Kaynak 1998), no download.

Split into 60 % training, 20 % validation and 20 % test images, stratified by class; searches never read the test part.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from netwright.core.errors import BadReference
from netwright.core.protocols import Split
from netwright.core.records import IO
from netwright.training.images import Augmentation, ImageSplits, LabeledImages, classification_metrics


@dataclass(frozen=True)
class Digits:
    """8x8 images of ten digits.

    Args:
        split_seed: Which images go into which split, in [0, 2**32).
        train_limit: Use only so many training images; None: all.
        padding: Training images move by up to so many pixels.
        cutout: Side of a square cut out of training images; 0: none.
    """

    split_seed: int = 0
    train_limit: int | None = None
    padding: int = 1
    cutout: int = 0
    io: ClassVar[IO] = IO(1, 8, 8, 10)

    def __post_init__(self) -> None:
        if not 0 <= self.split_seed < 2**32:
            raise BadReference(f"task.split_seed is {self.split_seed}; it must be from 0 to 2**32 - 1")
        for name in ("padding", "cutout"):
            if getattr(self, name) < 0:
                raise BadReference(f"task.{name} is {getattr(self, name)}; it must be at least 0")
        if self.train_limit is not None and self.train_limit < 10:
            raise BadReference(f"task.train_limit is {self.train_limit}; it must be at least 10, one image per class")

    def examples(self, split: Split) -> int:
        """How many images the split has."""
        return self._data.examples(split)

    def batches(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: float32 images (B, 1, 8, 8) and labels (B,)."""
        return self._data.batches(split, size, rng, Augmentation(padding=self.padding, cutout=self.cutout))

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy in nats."""
        return F.cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Accuracy and loss of every example."""
        return classification_metrics(outputs, targets)

    @cached_property
    def _data(self) -> ImageSplits:
        digits = load_digits()
        pixels = (digits.images * 15).astype(np.uint8)[:, None]  # 0 to 16 becomes 0 to 240, (N, 1, 8, 8)
        labels = digits.target.astype(np.int64)
        rest, test = _split(np.arange(len(labels)), labels, 0.2, self.split_seed)
        train, valid = _split(rest, labels, 0.25, self.split_seed)
        if self.train_limit is not None and self.train_limit < len(train):
            _, train = _split(train, labels, self.train_limit / len(train), self.split_seed)
        parts = (LabeledImages(torch.from_numpy(pixels[p]), torch.from_numpy(labels[p])) for p in (train, valid, test))
        return ImageSplits.of(*parts)


def _split(indices: np.ndarray, labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The indices in two parts, the second with `share` of every class, each in ascending order."""
    first, second = train_test_split(indices, test_size=share, stratify=labels[indices], random_state=seed)
    return np.sort(first), np.sort(second)


plugin = Digits
