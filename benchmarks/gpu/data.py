"""Decodes CIFAR-10 once, for the runs that follow, and writes it as one array file for the plain network.

python benchmarks/gpu/data.py FOLDER_OF_PARQUET_FILES IMAGES.npz [--limit N]
"""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
from PIL import Image

from netwright.tasks.cifar10 import cifar10

VALID = (5000, 10_000)  # images that validate, in the runs that follow


def arrays(folder: Path, limit: int | None) -> dict[str, Any]:
    """Images (N, 32, 32, 3) uint8, labels (N,) int64, split (N,) uint8: 0 to train, 2 to test."""
    images: list[np.ndarray] = []
    labels: list[int] = []
    split: list[int] = []
    for name, number in (("train", 0), ("test", 2)):
        rows: list[dict[str, Any]] = []
        for path in sorted(folder.glob(f"{name}*.parquet")):
            rows += parquet.read_table(path, columns=["img", "label"]).to_pylist()
        for row in rows[:limit]:
            images.append(np.asarray(Image.open(io.BytesIO(row["img"]["bytes"])).convert("RGB")))
            labels.append(row["label"])
            split.append(number)
    return {"images": np.stack(images), "labels": np.array(labels), "split": np.array(split, np.uint8)}


def main() -> None:
    parser = argparse.ArgumentParser(description="CIFAR-10, decoded once.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--limit", type=int, help="so many images of each part")
    given = parser.parse_args()
    if not given.images.exists():
        given.images.parent.mkdir(parents=True, exist_ok=True)
        draft = given.images.with_name(f".{os.getpid()}.npz")
        np.savez(draft, **arrays(given.folder, given.limit))
        draft.replace(given.images)
    for valid in VALID if given.limit is None else ():
        for sentence in cifar10(path=str(given.folder), valid=valid).prepare():
            print(sentence)
    print(given.images)


if __name__ == "__main__":
    main()
