"""CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32x32 in ten classes.

Reads the layout of the Hugging Face data set: a folder of `train*.parquet` and `test*.parquet` with the columns `img`
(encoded bytes) and `label`; without a folder, the `datasets` library fetches it. Part of the training images,
stratified by class, validates.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from netwright.data.cifar import PublishedImages, cifar, holds
from netwright.data.images import Augmentation, ImageClassification, Weighting
from netwright.data.options import located, recognizing, spread
from netwright.data.preparation import Keeping

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
PUBLISHED = PublishedImages("CIFAR-10", "uoft-cs/cifar10", ("label",), CLASSES)


@recognizing(partial(holds, PUBLISHED))
@located("path", "cache", "memory_share")
@spread("weighting")
@spread("augmentation")
def cifar10(
    path: str | None = None,
    valid: int = 10_000,
    split_seed: int = 0,
    train_limit: int | None = None,
    augmentation: Augmentation = Augmentation(flip=True),
    weighting: Weighting = Weighting(),
    cache: str | None = None,
    memory_share: float = 0.05,
    broken_share: float = 0.01,
    channels: Literal[1, 3] = 3,
) -> ImageClassification:
    """32x32 color images of ten classes.

    Args:
        path: Folder of the parquet files; None: fetched with `datasets`.
        valid: How many of the training images validate.
        split_seed: Seed of the choice of these images.
        train_limit: Use only so many training images, and a fifth as many to validate and to test; None: all.
        augmentation: How training images are augmented.
        weighting: How much the images of each class count in the training loss.
        cache: Folder for the decoded images; None: the user's cache folder.
        memory_share: Share of the machine's memory; data that takes more is read from the disk as it is needed.
        broken_share: Share of the images that may be broken before the task refuses to start.
        channels: 3: color, 1: gray.
    """
    keeping = Keeping(cache, memory_share, broken_share)
    return cifar(PUBLISHED, path, valid, split_seed, train_limit, augmentation, keeping, channels, weighting)


plugin = cifar10
