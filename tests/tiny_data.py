"""Small data sets in the layouts that users have."""

import io
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from netwright.data.outcome import Outcome


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def cifar(folder: Path, train: int = 60, test: int = 20, classes: int = 10) -> Path:
    """CIFAR's parquet files, each image noise; those beyond the first thousand are copies of these."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        labels = pa.array([n % classes for n in range(count)])
        name = "label" if classes == 10 else "fine_label"
        noise = rng.integers(0, 256, (min(count, 1000), 32, 32, 3), dtype=np.uint8)
        images = pa.array(list(islice(cycle([{"bytes": png(each), "path": None} for each in noise]), count)))
        pq.write_table(pa.table({"img": images, name: labels}), folder / f"{part}.parquet")
    return folder


def photos(folder: Path, classes: tuple[str, ...] = ("dark", "light"), images: int = 20, side: int = 8) -> Path:
    """One folder of PNG files per class; the classes differ in brightness, so that a network can learn them."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(classes):
        (folder / name).mkdir(parents=True)
        low = 256 * label // len(classes)
        for n in range(images):
            pixels = rng.integers(low, low + 256 // len(classes), (side, side, 3), dtype=np.uint8)
            (folder / name / f"{n:03d}.png").write_bytes(png(pixels))
    return folder


def outcome() -> Outcome:
    """What became of six images of two classes, two of which are kept."""
    return Outcome(
        np.arange(6) % 2,
        np.arange(6) % 3 % 2,
        np.ones(6, np.float32),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.arange(2),
        ("a/1.png", "b/2.png"),
        ("a", "b"),
        ("a caveat",),
    )
