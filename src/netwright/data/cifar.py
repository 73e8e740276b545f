"""What CIFAR-10 and CIFAR-100 (Krizhevsky 2009) have in common: 32x32 color images, training and test part, parquet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from netwright.core.errors import BadReference
from netwright.data.decode import Form
from netwright.data.hub import HubImages, check_datasets, fetch
from netwright.data.images import Augmentation, ImageClassification, Weighting, stratified_order
from netwright.data.options import check_least, check_limit
from netwright.data.parquet import ParquetImages, read_columns
from netwright.data.preparation import Keeping, Selection, image_task
from netwright.data.splitting import SplitParts, check_classes, limited
from netwright.data.text import counted, listed, shortened

SIDE = 32
JPEG = b"\xff\xd8\xff"  # how such a file begins; the originals are PNG
PARTS = ("train", "test")
SHARD = re.compile(r"-(\d+)-of-(\d+)\.parquet$")  # one of several files of a part
IMAGE_COLUMNS = ("img", "image")


@dataclass(frozen=True)
class PublishedImages:
    """A data set as it is published.

    Args:
        title: Name of the data set, for people.
        hub_name: Name of the data set on the Hugging Face hub.
        label_columns: Names that the column of labels may have, the one on the hub first.
        classes: Names of the classes in order of the labels, for files that do not say them.
    """

    title: str
    hub_name: str
    label_columns: tuple[str, ...]
    classes: tuple[str, ...]


def cifar(
    data: PublishedImages,
    path: str | None,
    valid: int,
    split_seed: int,
    train_limit: int | None,
    augmentation: Augmentation,
    keeping: Keeping,
    channels: int = 3,
    weighting: Weighting = Weighting(),
) -> ImageClassification:
    """The task; see tasks/cifar10.py for the options.

    Raises:
        BadReference: An option out of range, or files that are not those of the data set.
        MissingCapability: No path, and no library to fetch the data with.
    """
    check_least(valid=(valid, len(data.classes)), split_seed=(split_seed, 0))
    check_limit(train_limit, len(data.classes))
    form = Form(channels, SIDE, SIDE)
    cut = partial(_selection, data, valid, split_seed, train_limit)
    if path is None:
        check_datasets(data.title)
        return image_task(partial(_fetched, data, cut), form, data.classes, augmentation, keeping, weighting)
    selection = _read(data, Path(path).expanduser(), path, cut)
    return image_task(lambda: selection, form, selection.classes, augmentation, keeping, weighting)


def holds(data: PublishedImages, path: Path) -> Mapping[str, Any] | None:
    """Options for a folder that holds the files of a data set, by the heads of its files; None: it does not."""
    files = [next(iter(sorted(path.glob(f"{part}*.parquet"))), None) for part in PARTS]
    if None in files or not path.is_dir():
        return None
    try:
        _, _, names = read_columns([file for file in files if file], IMAGE_COLUMNS, data.label_columns[:1])
    except BadReference:
        return None
    return {"path": str(path)} if len(names) in (0, len(data.classes)) else None


def _fetched(data: PublishedImages, cut: Callable[..., Selection]) -> Selection:
    source = fetch(data.hub_name, IMAGE_COLUMNS[0], data.label_columns[0])
    return cut(source, data.classes, (f"{data.title}: the splits {' and '.join(source.counts)} of {data.hub_name}",))


def _read(data: PublishedImages, folder: Path, path: str, cut: Callable[..., Selection]) -> Selection:
    files = {part: tuple(sorted(folder.glob(f"{part}*.parquet"))) for part in PARTS}
    for part, found in files.items():
        if not found:
            meant = next((f"; perhaps {p.parent}" for p in sorted(folder.glob(f"*/{part}*.parquet"))), "")
            raise BadReference(
                f"task.path is {path!r}, which holds no {part}*.parquet; give the folder of {data.title}'s files{meant}"
            )
        _check_shards(part, found)
    image, label, names = read_columns(
        [f for found in files.values() for f in found], IMAGE_COLUMNS, data.label_columns
    )
    if names and len(names) != len(data.classes):
        raise BadReference(
            f"column {label!r} in {folder} has {len(names)} classes and that of {data.title} {len(data.classes)}; "
            f"give the folder of {data.title}'s files"
        )
    source = ParquetImages(files, image, label)
    return cut(source, names or data.classes, _remarks(data, source, folder, bool(names)))


def _check_shards(part: str, files: Sequence[Path]) -> None:
    """Raise BadReference for files of which some are missing, or two sets of files for one part."""
    shards = {file: SHARD.search(file.name) for file in files}
    totals = {int(found[2]) for found in shards.values() if found}
    if len(totals) > 1 or (totals and not all(shards.values())):
        raise BadReference(
            f"{files[0].parent} holds {part} more than once, as {listed([file.name for file in files])}; keep one set"
        )
    for total in totals:
        there = {int(found[1]) for found in shards.values() if found}
        if len(there) < total:
            missing = next(n for n in range(total) if n not in there)
            raise BadReference(
                f"{files[0].parent} lacks file {missing} of {total} of the {part} images, counted from 0 (there are "
                f"{listed([file.name for file in files])}); get the files anew"
            )


def _remarks(data: PublishedImages, source: ParquetImages, folder: Path, is_named: bool) -> tuple[str, ...]:
    """Sentences on what is read, and on what is left out."""
    used = {file for files in source.files.values() for file in files}
    others = sorted(shortened(each.name) for each in folder.iterdir() if each not in used)
    parts = [f"{counted(len(files), 'file')} of {part}" for part, files in source.files.items()]
    taken = (
        f"{data.title} in {folder}: {' and '.join(parts)}; images in the column {source.image}, labels in "
        f"{source.label}, whose names are those {'that the files give' if is_named else 'as published'}"
    )
    return (taken, f"{counted(len(others), 'entry')} beside them left out: {listed(others)}") if others else (taken,)


def _selection(
    data: PublishedImages,
    valid_count: int,
    seed: int,
    limit: int | None,
    source: ParquetImages | HubImages,
    classes: tuple[str, ...],
    remarks: tuple[str, ...],
) -> Selection:
    labels, count = source.labels, source.counts["train"]
    if len(odd := np.flatnonzero((labels < 0) | (labels >= len(classes)))):
        raise BadReference(
            f"image {source.name(int(odd[0]))} of {data.title} has the label {labels[odd[0]]}; labels must be from 0 "
            f"to {len(classes) - 1}; get the files anew"
        )
    if valid_count >= count:
        raise BadReference(f"task.valid is {valid_count}; there are only {count} training images to take it from")
    valid, train = np.split(stratified_order(labels[:count], seed), (valid_count,))
    parts = SplitParts(np.sort(train), np.sort(valid), np.arange(count, len(labels)))
    check_classes(parts, labels, classes, "get the files anew or change task.valid")
    chosen = limited(parts, labels, limit, seed)
    cut = f"{valid_count:,} of the {count:,} images of train validate, as task.valid says; those of test test"
    return Selection(source, chosen, classes, (*remarks, cut), _caveats(data, source, chosen.chosen))


def _caveats(data: PublishedImages, source: ParquetImages | HubImages, chosen: np.ndarray) -> tuple[str, ...]:
    """A caveat if the images were encoded anew; the first one tells, since copies are made of whole data sets."""
    first = next(iter(source.images(chosen[:1])), None)
    if not (isinstance(first, bytes) and first.startswith(JPEG)):
        return ()
    return (
        f"these images were encoded as JPEG anew: accuracies are not comparable to the last digit with those on the "
        f"original {data.title}",
    )
