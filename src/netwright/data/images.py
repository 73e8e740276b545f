"""Labeled images in memory, one uint8 tensor per split, and batches of them: what image tasks are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netwright.core import seeds
from netwright.core.protocols import Split
from netwright.core.records import IO
from netwright.data import augment
from netwright.layers import torch_rng


@dataclass(frozen=True)
class Augmentation:
    """What happens to training images.

    Args:
        crop: Side of a random square crop; None: the whole image, moved by up to `padding`.
        padding: Zeros put around before the crop.
        flip: Mirror half of the images.
        cutout: Side of a square set to the mean; 0: none.
    """

    crop: int | None = None
    padding: int = 0
    flip: bool = False
    cutout: int = 0


@dataclass(frozen=True)
class LabeledImages:
    """Images (N, C, H, W), uint8, with labels (N,), int64."""

    images: Tensor
    labels: Tensor

    def __add__(self, other: LabeledImages) -> LabeledImages:
        """Both sets, one behind the other."""
        return LabeledImages(torch.cat((self.images, other.images)), torch.cat((self.labels, other.labels)))


@dataclass(frozen=True)
class ImageSplits:
    """Splits of an image data set; normalized with `mean` and `sd` of the training pixels, per channel, in [0, 1]."""

    splits: Mapping[str, LabeledImages]
    mean: Tensor
    sd: Tensor

    @staticmethod
    def of(train: LabeledImages, valid: LabeledImages, test: LabeledImages) -> ImageSplits:
        """Measure mean and deviation on `train`, and join train and valid for final training."""
        count = train.images.numel() / train.images.shape[1]
        levels = torch.arange(256, dtype=torch.float64) / 255
        histograms = torch.stack([torch.bincount(c.flatten(), minlength=256) for c in train.images.unbind(1)])
        mean = (histograms * levels).sum(1) / count  # (C,)
        sd = ((histograms * levels**2).sum(1) / count - mean**2).clamp_min(1e-12).sqrt()
        splits = {"train": train, "valid": valid, "train+valid": train + valid, "test": test}
        return ImageSplits(splits, mean.float()[:, None, None], sd.float()[:, None, None])

    def examples(self, split: Split) -> int:
        """How many images the split has."""
        return len(self.splits[split].labels)

    def batches(
        self, split: Split, size: int, rng: np.random.Generator | None, augmentation: Augmentation
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: float32 images (B, C, H, W) and labels (B,).

        With `rng`, shuffled and augmented, an incomplete last batch left out unless it is the only one; without, in
        order, whole and plain.
        """
        data = self.splits[split]
        if rng is None:
            for start in range(0, len(data.labels), size):
                yield self._normalized(data.images[start : start + size]), data.labels[start : start + size]
            return
        generator = torch_rng.from_numpy(rng)
        order = torch.randperm(len(data.labels), generator=generator)
        for chosen in order.split(size):
            if len(chosen) < size <= len(order):
                return
            images = self._augmented(data.images[chosen], augmentation, generator)
            yield images, data.labels[chosen]

    def _augmented(self, images: Tensor, how: Augmentation, generator: torch.Generator) -> Tensor:
        if how.crop or how.padding:
            images = augment.crop(images, how.crop or images.shape[2], how.padding, generator)
        if how.flip:
            images = augment.flip(images, generator)
        normalized = self._normalized(images)
        return augment.cutout(normalized, how.cutout, generator) if how.cutout else normalized

    def _normalized(self, images: Tensor) -> Tensor:
        return (images.float() / 255 - self.mean) / self.sd


@dataclass(frozen=True)
class ImageClassification:
    """A task of labeled images, whatever their source.

    Args:
        io: Shape of the images and number of classes.
        load: Reads the data; called once, when first needed.
        augmentation: Of training images.
    """

    io: IO
    load: Callable[[], ImageSplits]
    augmentation: Augmentation = Augmentation()

    @cached_property
    def data(self) -> ImageSplits:
        """The images."""
        return self.load()

    def examples(self, split: Split) -> int:
        """How many images the split has."""
        return self.data.examples(split)

    def batches(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass: float32 images (B, C, H, W), augmented with `rng`, and labels (B,)."""
        return self.data.batches(split, size, rng, self.augmentation)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy in nats."""
        return F.cross_entropy(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Accuracy (0 or 1) and cross entropy (nats) of every example, each of shape (B,)."""
        return {
            "accuracy": (outputs.argmax(1) == targets).float(),
            "loss": F.cross_entropy(outputs, targets, reduction="none"),
        }


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """The positions of `labels` (N,) in random order, every stretch of which has all classes in proportion.

    Splits are cut from it one behind the other, so that each is stratified and a limit is a beginning.
    """
    rng = seeds.rng_for(seed, seeds.SPLIT)
    order = rng.permutation(len(labels))
    places = np.empty(len(labels))  # within its class, from 0 to 1
    for label in np.unique(labels):
        members = order[labels[order] == label]
        places[members] = (np.arange(len(members)) + rng.random()) / len(members)
    return np.argsort(places, kind="stable")
