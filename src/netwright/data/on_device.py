"""Batches of images that a device makes: of pixels that lie there once, as bytes, or that the host hands it in time.

The host shuffles and draws, for a whole pass at once; the device picks, augments and normalizes. Order and draws come
from the processor's generators, so that the images of a batch and what happens to them depend neither on the device nor
on whether the pixels fit on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor

from netwright.data import augment_tensors
from netwright.data.augment import Augmentation
from netwright.data.augment_tensors import Scaling
from netwright.plans import torch_rng

if TYPE_CHECKING:
    from netwright.data.image_splits import Pixels

SHARE = 0.25  # of the free memory of a device, which images may take: the rest is for networks
BLOCK = 2**26  # bytes that are copied at a time
READERS = 4  # threads that read the images of a batch


class Contribution(NamedTuple):
    """What the host contributes to a batch.

    Args:
        size: Number of images in the whole batch.
        images: Places of the images at hand in the block on the device, int64, shape (B,); or where there is none, the
            images, uint8, shape (B, H, W, C).
        labels: Their classes, int64, shape (B,).
        draws: Numbers for their augmentation, as of `augment_tensors.drawn`; None: they are not augmented.
    """

    size: int
    images: Tensor
    labels: Tensor
    draws: Tensor | None


class Blocks:
    """The images of one data set that lie on devices: each is read once, whatever splits and trainings it serves.

    A block that was made for other pixels is made anew.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[torch.device, str], tuple[Pixels, Tensor]] = {}

    def block(
        self, name: str, pixels: Pixels, places: np.ndarray, device: torch.device, free: int | None = None
    ) -> Tensor | None:
        """The images at `places` on the device, uint8, shape (N, H, W, C); None: they take too much of its memory.

        Args:
            name: What this part of the data is called here.
            pixels: All images.
            places: Places of the part's images, ascending.
            device: Where they are to lie.
            free: Bytes that are free there; None: as the device says.
        """
        pixels_of, block = self._held.get((device, name), (None, None))
        if block is not None and pixels_of is pixels:
            return block
        size = int(np.prod(pixels.shape[1:]))
        if len(places) * size > SHARE * (free_bytes(device) if free is None else free):
            return None
        rows = max(BLOCK // size, 1)
        with torch.inference_mode(False):  # a measurement may be the first to ask, and trainings use it later
            block = torch.empty((len(places), *pixels.shape[1:]), dtype=torch.uint8, device=device)
            for start in range(0, len(places), rows):
                block[start : start + rows] = torch.from_numpy(pixels.take(places[start : start + rows]))
        self._held[device, name] = pixels, block
        return block


def free_bytes(device: torch.device) -> int:
    """Bytes of memory that are free on a device; what this process keeps there for later counts as taken."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


@dataclass(frozen=True)
class DeviceImages:
    """A split of images whose batches a device makes; fits `protocols.DeviceSplit`.

    Args:
        pixels: All images.
        labels: Class of every one of them, int64.
        positions: Places in `pixels` and `labels` of the images of the split.
        device: The device.
        augmentation: How training images are augmented.
        mean: Mean of each channel, in [0, 1].
        sd: Standard deviation of each channel, on that scale, not 0.
        block: Images on the device; None: the host hands over those of each batch.
        places: Places in `pixels` of the images of the block, ascending.
    """

    pixels: Pixels
    labels: np.ndarray
    positions: np.ndarray
    device: torch.device
    augmentation: Augmentation
    mean: Sequence[float]
    sd: Sequence[float]
    block: Tensor | None
    places: np.ndarray

    @property
    def is_resident(self) -> bool:
        """Whether the images lie on the device."""
        return self.block is not None

    def parts(
        self,
        size: int,
        rng: np.random.Generator | None,
        shares: Callable[[int], Sequence[slice]] | None = None,
        start: int = 0,
    ) -> Iterator[Contribution]:
        """What the host contributes to each batch of a pass, from batch `start` on.

        The images and their order are those of `ImageSplits.batches`, the draws are others: `augment_tensors` draws
        from a generator of torch.

        Args:
            size: Number of images in a batch.
            rng: Source of order and draws; None: all images come, in order and not augmented.
            shares: Gives which images of a batch of so many are wanted here; None: all.
            start: Number of the first batch that is wanted.
        """
        order = self.positions if rng is None else rng.permutation(self.positions)
        starts = range(0, len(order), size)
        if rng is not None and len(order) > size:  # incomplete ones are left out
            starts = range(0, len(order) - size + 1, size)
        batches = [np.arange(first, min(first + size, len(order))) for first in starts]
        draws = None
        if rng is not None:
            draws = augment_tensors.drawn(self.augmentation, len(order), torch_rng.from_numpy(rng))
        sizes = [len(batch) for batch in batches[start:]]
        wanted = [batch if shares is None else _shared(batch, shares(len(batch))) for batch in batches[start:]]
        if self.block is None:
            return self._handed(sizes, wanted, order, draws)
        return self._picked(sizes, wanted, order, draws)

    def batch(self, part: Contribution) -> tuple[Tensor, Tensor, int]:
        """Images (B, C, H, W), float32, in memory channels last, labels (B,), int64, and the whole batch's size."""
        if self.block is None:
            part = Contribution(part.size, *(each if each is None else self._there(each) for each in part[1:]))
        images = part.images if self.block is None else self.block[part.images]
        if part.draws is None:
            images = augment_tensors.normalize(images, self._scaling)
        else:
            images = augment_tensors.augment(images, self.augmentation, self._scaling, part.draws)
        return images.permute(0, 3, 1, 2), part.labels, part.size

    def _picked(
        self, sizes: list[int], wanted: list[np.ndarray], order: np.ndarray, draws: Tensor | None
    ) -> Iterator[Contribution]:
        """Parts of a pass over a block; what it takes is handed over at once."""
        if not wanted:
            return
        lengths, numbers = [len(rows) for rows in wanted], np.concatenate(wanted)
        chosen = order[numbers]
        rows, labels = np.searchsorted(self.places, chosen), self.labels[chosen]
        values = [torch.from_numpy(rows), torch.from_numpy(labels)]
        values += [] if draws is None else [draws[torch.from_numpy(numbers)]]
        there = [self._there(self._pinned(each)).split(lengths) for each in values]
        yield from map(Contribution, sizes, *there, *[[None] * len(sizes)] * (draws is None))

    def _handed(
        self, sizes: list[int], wanted: list[np.ndarray], order: np.ndarray, draws: Tensor | None
    ) -> Iterator[Contribution]:
        """Parts of a pass whose images the host reads, in memory from which a GPU copies without waiting."""
        with ThreadPoolExecutor(READERS, "images") as pool:
            for size, numbers in zip(sizes, wanted, strict=True):
                chosen = order[numbers]
                labels = self._pinned(torch.from_numpy(self.labels[chosen]))
                random = None if draws is None else self._pinned(draws[torch.from_numpy(numbers)])
                yield Contribution(size, self._read(chosen, pool), labels, random)

    def _read(self, places: np.ndarray, pool: ThreadPoolExecutor) -> Tensor:
        """The images at these places, read by several threads: neither reading nor checking holds the interpreter."""
        shape, is_pinned = (len(places), *self.pixels.shape[1:]), self.device.type == "cuda"
        images = torch.empty(shape, dtype=torch.uint8, pin_memory=is_pinned)
        into = images.numpy()

        def read(rows: slice) -> None:
            into[rows] = self.pixels.take(places[rows])

        length = max(-(-len(places) // READERS), 1)
        list(pool.map(read, (slice(start, start + length) for start in range(0, len(places), length))))
        return images

    def _there(self, values: Tensor) -> Tensor:
        return values.to(self.device, non_blocking=True)

    def _pinned(self, values: Tensor) -> Tensor:
        return values.pin_memory() if self.device.type == "cuda" else values

    @cached_property
    def _scaling(self) -> Scaling:
        return Scaling.of(self.mean, self.sd, self.device)


def _shared(batch: np.ndarray, shares: Sequence[slice]) -> np.ndarray:
    return np.concatenate([batch[share] for share in shares])
