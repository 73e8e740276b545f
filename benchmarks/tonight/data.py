"""The data sets: five that are reported and five that defaults may be chosen on, the same images for every column.

Each is written twice: as `NAME.npz` with images (N, H, W, C) uint8, labels (N,) and split (N,) (0 train, 1 valid,
2 test) for the plain baseline, and as what a user of netwright has: a folder `NAME/train/CLASS/*.png`, an array file
`NAME-arrays.npz`, or the name of a task. The images of CIFAR-10 that defaults were chosen on (classes 0 to 3) are in
none of the sets that are reported.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np

from . import characters

CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN, VALID, TEST = 0, 1, 2
SEED = 20_262  # of all draws


@dataclass(frozen=True)
class Images:
    """A data set in memory.

    Args:
        images: (N, H, W, C), uint8.
        labels: (N,), int64, from 0.
        split: (N,), uint8: 0 train, 1 valid, 2 test.
        classes: Names of the classes.
    """

    images: np.ndarray
    labels: np.ndarray
    split: np.ndarray
    classes: tuple[str, ...]

    def digest(self) -> str:
        """Twelve digits that tell these images, labels and splits from any others."""
        parts = (str(self.images.shape).encode(), self.images, self.labels, self.split)
        content = b"".join(part if isinstance(part, bytes) else part.tobytes() for part in parts)
        return hashlib.sha256(content).hexdigest()[:12]


@dataclass(frozen=True)
class DataSet:
    """A data set by name.

    Args:
        make: Makes its images.
        given: What netwright gets: "folder", "arrays", or the name of a task.
        flip: Whether mirror images are still of their class, so that P0 may mirror.
        metric: What is reported: "accuracy", or "balanced" where classes are not of one size.
        reported: False: defaults may be chosen on it, so it stands in no table.
    """

    make: Callable[[], Images]
    given: Literal["folder", "arrays", "digits"]
    flip: bool = True
    metric: Literal["accuracy", "balanced"] = "accuracy"
    reported: bool = True

    def argument(self, name: str, folder: Path) -> str:
        """What stands behind `netwright search`."""
        return {"folder": str(folder / name), "arrays": str(folder / f"{name}-arrays.npz")}.get(self.given, self.given)


def digits() -> Images:
    """The task `digits` as it is."""
    from netwright.tasks import digits as task

    splits = task.plugin().data
    positions = [splits.positions[name] for name in ("train", "valid", "test")]
    order = np.concatenate(positions)
    split = np.repeat(np.arange(3, dtype=np.uint8), [len(each) for each in positions])
    return Images(splits.pixels.take(order), splits.labels[order].astype(np.int64), split, task.CLASSES)


def letters(train: int = 60, test: int = 20, fonts: tuple[Sequence[Path], Sequence[Path]] | None = None) -> Images:
    """62 characters; a fifth of the `train` images of each validates, and the test images are of other fonts."""
    seen, unseen = fonts or characters.fonts()
    parts = [
        characters.drawn(fonts, count, SEED + n) for n, (fonts, count) in enumerate(((seen, train), (unseen, test)))
    ]
    images, labels = (np.concatenate(each) for each in zip(*parts, strict=True))
    split = np.concatenate((_held_out(parts[0][1]), np.full(len(parts[1][1]), TEST, np.uint8)))
    return Images(images, labels, split, characters.NAMES)


def other_fonts() -> tuple[Sequence[Path], Sequence[Path]]:
    """The fonts that `characters` trains on, of which every third one tests."""
    seen, _ = characters.fonts()
    return [font for n, font in enumerate(seen) if n % 3 != 2], seen[2::3]


def cifar(
    classes: Sequence[int],
    train: tuple[int, int] | Mapping[int, tuple[int, int]],
    test: tuple[int, int] | Mapping[int, tuple[int, int]],
    gray: bool = False,
) -> Images:
    """Images of CIFAR-10, the first to the last of each class in a shuffled order, a fifth of `train` to validate."""
    from PIL import Image

    pieces = []
    for part, spans in (("train", train), ("test", test)):
        encoded, labels, order = _cifar_part(part)
        for number, kind in enumerate(classes):
            first, last = spans[kind] if isinstance(spans, Mapping) else spans
            chosen = order[labels[order] == kind][first:last]
            if len(chosen) < last - first:
                raise SystemExit(f"CIFAR-10's {part} images have fewer than {last} of class {kind}")
            for place in chosen:
                image = Image.open(io.BytesIO(encoded[place])).convert("L" if gray else "RGB")
                pixels = np.asarray(image)
                pieces.append((pixels[..., None] if gray else pixels, number, part == "test"))
    images = np.stack([pixels for pixels, _, _ in pieces])
    labels = np.array([number for _, number, _ in pieces], np.int64)
    seen = np.array([not is_test for _, _, is_test in pieces])
    split = np.full(len(labels), TEST, np.uint8)
    split[seen] = _held_out(labels[seen])
    return Images(images, labels, split, tuple(CIFAR_CLASSES[kind] for kind in classes))


SETS: Mapping[str, DataSet] = {
    "digits": DataSet(digits, "digits", flip=False),
    "characters": DataSet(letters, "arrays", flip=False),
    "cifar4to7": DataSet(lambda: cifar(range(4, 8), (0, 300), (0, 250)), "folder"),
    "cifar5000": DataSet(lambda: cifar(range(10), (1000, 1500), (300, 500)), "arrays"),
    "gray90": DataSet(
        lambda: cifar((8, 9), {8: (2000, 3350), 9: (2000, 2150)}, {8: (0, 900), 9: (0, 100)}, gray=True),
        "folder",
        metric="balanced",
    ),
    "cifar0to3": DataSet(lambda: cifar(range(4), (0, 500), (0, 250)), "folder", reported=False),
    "gray0to1": DataSet(
        lambda: cifar((0, 1), {0: (2000, 3350), 1: (2000, 2150)}, (500, 1000), gray=True),
        "folder",
        metric="balanced",
        reported=False,
    ),
    "otherfonts": DataSet(lambda: letters(fonts=other_fonts()), "arrays", flip=False, reported=False),
    "cifar0to3small": DataSet(lambda: cifar(range(4), (0, 300), (0, 250)), "folder", reported=False),
    "cifar0to3large": DataSet(lambda: cifar(range(4), (0, 1000), (0, 1000)), "folder", reported=False),
}
REPORTED = tuple(name for name, each in SETS.items() if each.reported)


def write(name: str, folder: Path) -> Path:
    """Write a data set into `folder` unless it is there already; returns its `NAME.npz`."""
    path = folder / f"{name}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        made = SETS[name].make()
        if SETS[name].given == "folder":
            write_folder(made, folder / name)
        elif SETS[name].given == "arrays":
            with _whole(folder / f"{name}-arrays.npz") as file:
                np.savez(file, **arrays(made))
        with _whole(path) as file:  # last: where it stands, all stands
            np.savez(file, images=made.images, labels=made.labels, split=made.split)
    return path


def read(name: str, folder: Path) -> Images:
    """What `write` wrote; classes are numbers where only the file knows them."""
    with np.load(folder / f"{name}.npz") as file:
        labels = file["labels"]
        return Images(file["images"], labels, file["split"], tuple(map(str, range(int(labels.max()) + 1))))


def arrays(made: Images) -> dict[str, Any]:
    """`x_train`, `y_train` and so on, as the task `arrays` reads them."""
    parts = {}
    for name, number in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        parts[f"x_{name}"] = made.images[made.split == number]
        parts[f"y_{name}"] = made.labels[made.split == number]
    return parts


def write_folder(made: Images, folder: Path) -> None:
    """`train/` and `test/`, a folder of PNG files for each class; netwright chooses what validates from `train/`."""
    from PIL import Image

    shutil.rmtree(folder, ignore_errors=True)
    for place, (pixels, label, split) in enumerate(zip(made.images, made.labels, made.split, strict=True)):
        home = folder / ("test" if split == TEST else "train") / made.classes[label]
        home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(home / f"{place:05}.png")


def _held_out(labels: np.ndarray) -> np.ndarray:
    """The split of images that are no test images: every fifth of each class validates."""
    split = np.full(len(labels), TRAIN, np.uint8)
    for kind in np.unique(labels):
        split[np.flatnonzero(labels == kind)[4::5]] = VALID
    return split


@cache
def _cifar_part(part: str) -> tuple[list[bytes], np.ndarray, np.ndarray]:
    """Encoded images, labels, and a shuffled order of the images of "train" or "test"."""
    import pyarrow.parquet as pq

    root = os.environ.get("NETWRIGHT_DATA")
    files = sorted((Path(root) / "cifar10").glob(f"{part}-*.parquet")) if root else []
    if not files:
        raise SystemExit(
            f"the data sets of CIFAR-10 need NETWRIGHT_DATA to name a folder with cifar10/{part}-*.parquet in it, "
            f"but it is {root!r}; set it, or leave these data sets out with --only"
        )
    table = pq.ParquetDataset(files).read()
    labels = table["label"].to_numpy()
    order = np.random.default_rng(SEED).permutation(len(labels))
    return [each["bytes"] for each in table["img"].to_pylist()], labels, order


class _whole:
    """A file that takes its name when it is whole."""

    def __init__(self, path: Path) -> None:
        self.path, self.draft = path, path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")

    def __enter__(self) -> BinaryIO:
        self.file = self.draft.open("wb")
        return self.file

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.file.close()
        if kind is None:
            self.draft.replace(self.path)
        else:
            self.draft.unlink()
