"""CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32x32 in ten classes, from local files.

Reads the layout of the Hugging Face data set: a folder of `train*.parquet` and `test*.parquet` with the columns `img`
(encoded bytes) and `label`. Part of the training images, stratified by class, validates.
"""

from __future__ import annotations

import io as streams
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.model_selection import train_test_split
from torch import Tensor

from netwright.core.errors import BadReference
from netwright.core.protocols import Split
from netwright.core.records import IO
from netwright.training.images import Augmentation, ImageSplits, LabeledImages, classification_metrics


@dataclass(frozen=True)
class Cifar10:
    """32x32 color images of ten classes.

    Args:
        path: Folder of the parquet files.
        valid: How many of the training images validate.
        split_seed: Which ones, in [0, 2**32).
        train_limit: Use only so many training images, and a fifth as many to validate and to test; None: all.
        crop: Side of a random crop of training images; None: the whole image, moved by up to `padding`.
        padding: Zeros around an image before the crop.
        flip: Mirror half of the training images.
        cutout: Side of a square cut out of training images; 0: none.
    """

    path: str
    valid: int = 10_000
    split_seed: int = 0
    train_limit: int | None = None
    crop: int | None = None
    padding: int = 0
    flip: bool = True
    cutout: int = 0
    io: ClassVar[IO] = IO(3, 32, 32, 10)

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            if not self._files(part):
                raise BadReference(
                    f"task.path is {self.path!r}, which holds no {part}*.parquet; give the folder of CIFAR-10's files"
                )
        if self.train_limit is not None and self.train_limit < 50:
            raise BadReference(f"task.train_limit is {self.train_limit}; it must be at least 50, five images per class")
        if self.crop is not None and not 1 <= self.crop <= 32 + 2 * self.padding:
            raise BadReference(f"task.crop is {self.crop}; it must be from 1 to {32 + 2 * self.padding}")

    def examples(self, split: Split) -> int:
        """How many images the split has."""
        return self._data.examples(split)

    def batches(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: float32 images (B, 3, H, W), cropped when training, and labels (B,)."""
        augmentation = Augmentation(self.crop, self.padding, self.flip, self.cutout)
        return self._data.batches(split, size, rng, augmentation)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy in nats."""
        return F.cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Accuracy and loss of every example."""
        return classification_metrics(outputs, targets)

    @cached_property
    def _data(self) -> ImageSplits:
        rows, test_rows = self._rows("train"), self._rows("test")
        labels = np.array([label for _, label in rows])
        train, valid = train_test_split(
            np.arange(len(rows)), test_size=self.valid, stratify=labels, random_state=self.split_seed
        )
        if self.train_limit is not None:
            train, valid = train[: self.train_limit], valid[: self.train_limit // 5]
            test_rows = test_rows[: self.train_limit // 5]
        chosen = ([rows[i] for i in np.sort(train)], [rows[i] for i in np.sort(valid)], test_rows)
        return ImageSplits.of(*map(_decode, chosen))

    def _files(self, part: str) -> list[Path]:
        return sorted(Path(self.path).glob(f"{part}*.parquet"))

    def _rows(self, part: str) -> list[tuple[bytes, int]]:
        """(encoded image, label) of every row."""
        table = pyarrow.parquet.read_table(self._files(part), columns=["img", "label"])
        images: list[Any] = table["img"].combine_chunks().field("bytes").to_pylist()
        return list(zip(images, table["label"].to_pylist(), strict=True))


def _decode(rows: list[tuple[bytes, int]]) -> LabeledImages:
    pixels = np.stack([np.asarray(Image.open(streams.BytesIO(data)).convert("RGB")) for data, _ in rows])
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())  # (N, 3, 32, 32)
    return LabeledImages(images, torch.tensor([label for _, label in rows]))


plugin = Cifar10
