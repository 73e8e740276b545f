"""Training images that are noise, for benchmarks of how batches are made: their content changes no time."""

from __future__ import annotations

import numpy as np

from netwright.data.image_splits import ArrayPixels, ImageSplits


def splits(count: int) -> ImageSplits:
    """So many training images of 32 x 32 pixels in ten classes; one of them is all of validation and test data."""
    rng, everything = np.random.default_rng(0), np.arange(count)
    return ImageSplits.of(
        ArrayPixels(rng.integers(0, 256, (count, 32, 32, 3), np.uint8)),
        rng.integers(0, 10, count),
        train=everything,
        valid=everything[:1],
        test=everything[:1],
        names=str,
    )
