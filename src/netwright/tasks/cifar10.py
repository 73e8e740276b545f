"""CIFAR-10 (Krizhevsky 2009): 50,000 training and 10,000 test images of 32x32 in ten classes, from local files.

Reads the layout of the Hugging Face data set: a folder of `train*.parquet` and `test*.parquet` with the columns `img`
(encoded bytes) and `label`. Part of the training images, stratified by class, validates.
"""

from __future__ import annotations

import io as streams
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import torch
from PIL import Image

from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.data.images import (
    Augmentation,
    ImageClassification,
    ImageSplits,
    LabeledImages,
    stratified_order,
)


def cifar10(
    path: str,
    valid: int = 10_000,
    split_seed: int = 0,
    train_limit: int | None = None,
    crop: int | None = None,
    padding: int = 0,
    flip: bool = True,
    cutout: int = 0,
) -> ImageClassification:
    """32x32 color images of ten classes.

    Args:
        path: Folder of the parquet files.
        valid: How many of the training images validate.
        split_seed: Which ones.
        train_limit: Use only so many training images, and a fifth as many to validate and to test; None: all.
        crop: Side of a random crop of training images; None: the whole image, moved by up to `padding`.
        padding: Zeros around an image before the crop.
        flip: Mirror half of the training images.
        cutout: Side of a square cut out of training images; 0: none.
    """
    for part in ("train", "test"):
        if not _files(path, part):
            raise BadReference(
                f"task.path is {path!r}, which holds no {part}*.parquet; give the folder of CIFAR-10's files"
            )
    for name, value, least in (("valid", valid, 10), ("split_seed", split_seed, 0), ("padding", padding, 0)):
        if value < least:
            raise BadReference(f"task.{name} is {value}; it must be at least {least}")
    if train_limit is not None and train_limit < 50:
        raise BadReference(f"task.train_limit is {train_limit}; it must be at least 50, five images per class")
    if crop is not None and not 1 <= crop <= 32 + 2 * padding:
        raise BadReference(f"task.crop is {crop}; it must be from 1 to {32 + 2 * padding}")
    augmentation = Augmentation(crop, padding, flip, cutout)
    return ImageClassification(IO(3, 32, 32, 10), partial(_load, path, valid, split_seed, train_limit), augmentation)


def _load(path: str, valid_count: int, split_seed: int, train_limit: int | None) -> ImageSplits:
    rows, test = _rows(path, "train"), _rows(path, "test")
    if valid_count >= len(rows):
        raise BadReference(f"task.valid is {valid_count}; there are only {len(rows)} training images to take it from")
    order = stratified_order(np.array([label for _, label in rows]), split_seed)
    valid, train = np.split(order, (valid_count,))
    if train_limit is not None:
        train, valid, test = train[:train_limit], valid[: train_limit // 5], test[: train_limit // 5]
    return ImageSplits.of(
        _decode([rows[i] for i in np.sort(train)]), _decode([rows[i] for i in np.sort(valid)]), _decode(test)
    )


def _files(path: str, part: str) -> list[Path]:
    return sorted(Path(path).glob(f"{part}*.parquet"))


def _rows(path: str, part: str) -> list[tuple[bytes, int]]:
    """(encoded image, label) of every row."""
    table = pyarrow.parquet.read_table(_files(path, part), columns=["img", "label"])
    images: list[Any] = table["img"].combine_chunks().field("bytes").to_pylist()
    return list(zip(images, table["label"].to_pylist(), strict=True))


def _decode(rows: list[tuple[bytes, int]]) -> LabeledImages:
    pixels = np.stack([np.asarray(Image.open(streams.BytesIO(data)).convert("RGB")) for data, _ in rows])
    images = torch.from_numpy(pixels.transpose(0, 3, 1, 2).copy())  # (N, 3, 32, 32)
    return LabeledImages(images, torch.tensor([label for _, label in rows]))


plugin = cifar10
