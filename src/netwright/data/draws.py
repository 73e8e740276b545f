"""The draws of a whole batch where only some of its images are at hand: several processes share a batch."""

from __future__ import annotations

import numpy as np


class PartOf:
    """Draws for all images of a batch and gives the draws of some, which depend on their places in the batch only.

    The three methods are those of `np.random.Generator`; the first axis of what they give is the images.

    Args:
        rng: Source of all draws; it advances as if all images were at hand.
        rows: Places in the batch of the images at hand, in order, int64.
        batch: Number of images in the whole batch.
    """

    def __init__(self, rng: np.random.Generator, rows: np.ndarray, batch: int) -> None:
        self._rng, self._rows, self._batch = rng, rows, batch

    def random(self, size: int) -> np.ndarray:  # noqa: ARG002 - as many as there are rows
        """Uniform in [0, 1)."""
        return self._rng.random(self._batch)[self._rows]

    def integers(self, high: int | tuple[int, ...], size: int | tuple[int, ...]) -> np.ndarray:
        """Uniform from 0 to below `high`."""
        others = () if isinstance(size, int) else size[1:]
        return self._rng.integers(high, size=(self._batch, *others))[self._rows]

    def uniform(
        self, low: float | np.ndarray, high: float | np.ndarray, size: int | tuple[int, ...] | None = None
    ) -> np.ndarray:
        """Uniform from `low` to `high`, which may differ between images."""
        shape = np.broadcast_shapes(np.shape(low), np.shape(high)) if size is None else size
        others = () if isinstance(shape, int) else shape[1:]
        return low + (high - low) * self._rng.random((self._batch, *others))[self._rows]


Draws = np.random.Generator | PartOf
