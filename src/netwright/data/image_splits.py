"""Labeled images of one size, divided into splits, and batches of them.

Pixels stay uint8 with channels last until a batch of them is wanted, in memory or elsewhere (`Pixels`). A batch is made
as a whole and with channels last throughout, so that every step runs along whole rows of pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from netwright.core.protocols import Split
from netwright.data import augment
from netwright.data.augment import Augmentation
from netwright.data.draws import Draws, PartOf
from netwright.data.on_device import Blocks, DeviceImages
from netwright.data.resplitting import redivided

CHUNK = 2**22  # bytes that are measured at a time
LEAST_SD = 1 / 255  # one level


class Pixels(Protocol):
    """N images of one size, uint8, channels last."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The images at `positions` (B,), int64, as a new array (B, H, W, C)."""

    def moments(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over those images, in [0, 1], float64 (C,)."""


@dataclass(frozen=True)
class ArrayPixels:
    """Images in memory, or in a file mapped to it: uint8, shape (N, H, W, C)."""

    array: np.ndarray

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, C)."""
        count, height, width, channels = self.array.shape
        return count, height, width, channels

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The images at `positions` (B,), as a new array (B, H, W, C)."""
        return np.take(self.array, positions, axis=0)

    def moments(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over those images, exact sums, in [0, 1]."""
        _, height, width, channels = self.shape
        size = min(max(CHUNK // (height * width * channels), 1), 2**16)  # 2**16 squares of 255 fit 32 bits
        total = np.zeros(channels, np.int64)
        squares = np.zeros(channels, np.int64)
        for start in range(0, len(positions), size):
            images = self.take(positions[start : start + size])
            total += images.sum(0, dtype=np.uint32).sum((0, 1), dtype=np.int64)
            squares += np.square(images, dtype=np.uint16).sum(0, dtype=np.uint32).sum((0, 1), dtype=np.int64)
        count = len(positions) * height * width
        mean = total / count
        return mean / 255, np.sqrt(np.maximum(squares / count - mean**2, 0)) / 255


@dataclass(frozen=True)
class ImageSplits:
    """Images, their labels, and which of them belong to which split.

    Args:
        pixels: All images.
        labels: Class of every image, int64, shape (N,).
        positions: Places in `pixels` and `labels` of the images of "train", "valid", "train+valid" and "test".
        mean: Mean of the training pixels of each channel, in [0, 1].
        sd: Standard deviation of the same, at least 1/255: a channel that hardly varies is not blown up.
        names: Function that tells where image n comes from.
        caveats: Sentences to stand beside any accuracy on this data.
        span: The values that became black and white in images of 16 and 32 bits; None: there were none.
        together: Groups of places of images that no division parts, such as copies of one image.
        content: Gives numbers that change where images do, and not where they lie; none where none are known.
        given: The positions before training and validation images were divided anew; None: they were not.
        blocks: Images that lie on devices, for all divisions.
    """

    pixels: Pixels
    labels: np.ndarray
    positions: Mapping[str, np.ndarray]
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    names: Callable[[int], str]
    caveats: tuple[str, ...] = ()
    span: tuple[float, float] | None = None
    together: tuple[tuple[int, ...], ...] = ()
    content: Callable[[], Sequence[int]] = tuple
    given: Mapping[str, np.ndarray] | None = None
    blocks: Blocks = field(default_factory=Blocks, compare=False, repr=False)

    @staticmethod
    def of(
        pixels: Pixels,
        labels: np.ndarray,
        *,
        train: np.ndarray,
        valid: np.ndarray,
        test: np.ndarray,
        names: Callable[[int], str],
        caveats: tuple[str, ...] = (),
        span: tuple[float, float] | None = None,
        together: tuple[tuple[int, ...], ...] = (),
        content: Callable[[], Sequence[int]] = tuple,
    ) -> ImageSplits:
        """Measure mean and deviation on `train`, and join train and valid for final training."""
        mean, sd = pixels.moments(train)
        positions = {"train": train, "valid": valid, "train+valid": np.concatenate((train, valid)), "test": test}
        means, sds = tuple(mean.tolist()), tuple(np.maximum(sd, LEAST_SD).tolist())
        return ImageSplits(pixels, labels, positions, means, sds, names, caveats, span, together, content)

    @property
    def first(self) -> Mapping[str, np.ndarray]:
        """The positions of the first division."""
        return self.positions if self.given is None else self.given

    def resplit(self, index: int) -> ImageSplits:
        """Division `index` of the same training and validation images, of the first one's mean and deviation.

        These stay so that a network trained on one division fits what is exported with another; see `redivided`.
        """
        first = self.first
        if index == 0:
            return replace(self, positions=first, given=None)
        train, valid = redivided(first["train"], first["valid"], self.labels, self.together, index)
        return replace(self, positions={**first, "train": train, "valid": valid}, given=first)

    def examples(self, split: Split) -> int:
        """How many images the split has."""
        return len(self.positions[split])

    def class_counts(self, split: Split) -> tuple[int, ...]:
        """How many images of each class the split has, in order of the labels."""
        return tuple(np.bincount(self.labels[self.positions[split]], minlength=self.labels.max() + 1).tolist())

    def batches(
        self, split: Split, size: int, rng: np.random.Generator | None, augmentation: Augmentation
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """One pass over a split: float32 images (B, C, H, W), in memory channels last, and labels (B,), int64.

        With `rng`, images are shuffled and augmented, and an incomplete last batch is left out unless it is the only
        one; without, all images come, in order and not augmented.
        """
        for chosen in self._chosen(split, size, rng):
            yield self._batch(chosen, rng, augmentation)  # no name here keeps a batch from being freed

    def shared_batches(
        self,
        split: Split,
        size: int,
        rng: np.random.Generator,
        augmentation: Augmentation,
        shares: Callable[[int], Sequence[slice]],
    ) -> Iterator[tuple[Tensor, Tensor, int]]:
        """The pass of `batches`, but of each batch only the images in `shares(B)`, slice after slice, and with it B."""
        for chosen in self._chosen(split, size, rng):
            places = np.arange(len(chosen))
            rows = np.concatenate([places[share] for share in shares(len(chosen))])
            yield *self._batch(chosen[rows], PartOf(rng, rows, len(chosen)), augmentation), len(chosen)

    def on_device(self, split: Split, device: torch.device, augmentation: Augmentation) -> DeviceImages:
        """The split for a device, which holds its images if they take a small part of its free memory."""
        name: Split = "test" if split == "test" else "train+valid"  # of whatever division
        places = np.sort(self.first[name])
        block = self.blocks.block(name, self.pixels, places, device)
        positions = self.positions[split]
        return DeviceImages(
            self.pixels, self.labels, positions, device, augmentation, self.mean, self.sd, block, places
        )

    def _chosen(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[np.ndarray]:
        """Positions of the images of each batch of a pass."""
        positions = self.positions[split]
        if rng is not None:
            positions = rng.permutation(positions)
        for start in range(0, len(positions), size):
            chosen = positions[start : start + size]
            if rng is not None and len(chosen) < size <= len(positions):
                return
            yield chosen

    def _batch(self, chosen: np.ndarray, rng: Draws | None, augmentation: Augmentation) -> tuple[Tensor, Tensor]:
        images = self.pixels.take(chosen)  # (B, H, W, C)
        if rng is None:
            inputs = augment.normalize(images, self.mean, self.sd)
        else:
            inputs = augment.augment(images, augmentation, self.mean, self.sd, rng)
        return torch.from_numpy(inputs).permute(0, 3, 1, 2), torch.from_numpy(self.labels[chosen])
