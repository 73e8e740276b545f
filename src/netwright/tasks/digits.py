"""Handwritten digits: the 1,797 real 8x8 images that scikit-learn ships (Alpaydin and Kaynak 1998), no download.

Split into 60 % training, 20 % validation and 20 % test images, stratified by class; searches never read the test part.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.data.images import (
    ArrayPixels,
    Augmentation,
    ImageClassification,
    ImageSplits,
    Weighting,
    stratified_order,
)
from netwright.data.options import check_least, spread

SIDE = 8
TEST = VALID = 360
CLASSES = tuple("0123456789")


@spread("weighting")
@spread("augmentation")
def digits(
    split_seed: int = 0,
    train_limit: int | None = None,
    augmentation: Augmentation = Augmentation(padding=1),
    weighting: Weighting = Weighting(),
) -> ImageClassification:
    """8x8 images of ten digits.

    Args:
        split_seed: Seed that decides which images go into which split.
        train_limit: Use only so many training images, of each class about its share; None: all.
        augmentation: How training images are augmented.
        weighting: How much the images of each class count in the training loss.
    """
    check_least(split_seed=(split_seed, 0))
    if train_limit is not None:
        check_least(train_limit=(train_limit, len(CLASSES)))
    load = partial(_load, split_seed, train_limit)
    augmentation = augmentation.fitted(SIDE, SIDE, 1)
    return ImageClassification(IO(1, SIDE, SIDE, 10), load, CLASSES, augmentation, weighting=weighting)


def _load(split_seed: int, train_limit: int | None) -> ImageSplits:
    table = _table()
    pixels = ArrayPixels((table[:, :-1].reshape(-1, 8, 8, 1) * 15).astype(np.uint8))  # 0 to 16 becomes 0 to 240
    labels = table[:, -1].astype(np.int64)
    order = stratified_order(labels, split_seed)
    test, valid, train = np.split(order, (TEST, TEST + VALID))
    test, valid, train = np.sort(test), np.sort(valid), np.sort(train[:train_limit])
    return ImageSplits.of(pixels, labels, train=train, valid=valid, test=test, names="digit {}".format)


def _table() -> np.ndarray:
    """The images, and in the last column their classes, shape (1797, 65).

    Read from scikit-learn's file: to import its `load_digits` would cost every process that trains 0.7 s.
    """
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise BadReference("task 'digits' needs scikit-learn, which has its images; install scikit-learn")
    return np.loadtxt(Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")


plugin = digits
