"""Images and labels that a program holds in memory, or as a data set of torch or Hugging Face, as one array file.

Whatever they come as, they are brought to what the task `arrays` reads, as worker processes and later commands need a
file. One image at a time is in memory. Neither torch nor `datasets` is imported: their data sets are known by what they
have.
"""

from __future__ import annotations

import filecmp
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy

from netwright.core import files, memory, reading
from netwright.core.errors import BadRunFile, StoreError
from netwright.data.decode import Fit, Form
from netwright.data.given_pixels import InColorError, Look, Pairs, look_at, pixels_of
from netwright.data.text import counted, listed

FILE: Final = "data.npz"  # within the folder of a run
SPLITS: Final = {
    "train": "train",
    "training": "train",
    "test": "test",
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
}


class Given:
    """Data that is written into the folder of a run. Takes what `write` does.

    Args:
        folder: Folder of the run.
        data: Images and labels, or a data set.
        classes: Names of the classes.
        columns: Columns of a Hugging Face data set.
        size: Side in pixels.
        fit: How images are brought to it.
    """

    def __init__(
        self,
        folder: Path,
        data: Any,
        *,
        classes: Sequence[str] | None = None,
        columns: tuple[str, str] | None = None,
        size: int | None = None,
        fit: Fit = "crop",
    ) -> None:
        self.path = folder / FILE
        self._data, self._classes, self._columns, self._size, self._fit = data, classes, columns, size, fit
        self._sentence, self._beside, self._is_new = "", frozenset[str](), False

    @contextmanager
    def written(self) -> Iterator[str]:
        """The data lies in the folder; where an error ends the block and no run has begun, it is taken away again.

        Yields:
            A sentence on what was taken for what.
        """
        if not self._sentence:
            self._beside = _names(self.path.parent)
            _, self._sentence = write(
                self.path.parent,
                self._data,
                classes=self._classes,
                columns=self._columns,
                size=self._size,
                fit=self._fit,
            )
            self._is_new = FILE not in self._beside
        try:
            yield self._sentence
        except Exception:
            if self._is_new and _names(self.path.parent) <= self._beside | {FILE}:
                self.path.unlink(missing_ok=True)
                self._sentence = ""
                with suppress(OSError):  # it holds something else
                    self.path.parent.rmdir()
            raise


def write(
    folder: Path,
    data: Any,
    *,
    classes: Sequence[str] | None = None,
    columns: tuple[str, str] | None = None,
    size: int | None = None,
    fit: Fit = "crop",
) -> tuple[Path, str]:
    """Write data into the folder of a run, where it is not there already.

    Args:
        folder: Folder of the run, made when missing.
        data: (images, labels); a data set of torch, or of Hugging Face; or a mapping of "train", and of "valid" and
            "test" where they are given, to any of these. Images are (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or
            3 channels, or a sequence of such images or of Pillow's; values are whole from 0 to 255, or from 0 to 1.
        classes: Names of the classes in order of the labels; None: those that the data states, else the labels.
        columns: Names of the columns of images and labels of a Hugging Face data set; None: by their features.
        size: Side in pixels of the squares that images are brought to; None: all must have one size already.
        fit: How they are, see `Form`.

    Returns:
        Path of the file, and a sentence on what was taken for what.

    Raises:
        BadRunFile: It is no such data: says what, where, and what helps.
        StoreError: The folder holds other data, or the disk has no room for this.
    """
    if size is not None and (type(size) is not int or size < 1):
        raise BadRunFile(f"size is {reading.shown(size)}; it must be a number of pixels, at least 1")
    parts = _parts(data, tuple(classes) if classes is not None else None, columns)
    look, path = look_at(parts, size, fit), folder / FILE
    labels = {part.split: np.empty(part.count, object) for part in parts}
    folder.mkdir(parents=True, exist_ok=True)
    fresh = files.draft_of(path)
    try:
        try:
            names = _write(fresh, parts, look, labels)
        except InColorError:
            look = replace(look, form=replace(look.form, channels=3))
            names = _write(fresh, parts, look, labels)
        if path.exists() and not filecmp.cmp(path, fresh, shallow=False):
            raise StoreError(
                f"{folder} holds the data of another run, or other data than what is given now; give another folder "
                "with out"
            )
        if not path.exists():  # else its time of change stays, by which what was decoded is known
            fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
        _remove_empty(folder)
    told, form = ", ".join(f"{part.count:,} to {_does(part.split, parts)}" for part in parts), look.form
    need = _bytes(parts, form)
    return path, (
        f"images given: {told}; {form.width}x{form.height}, {counted(form.channels, 'channel')}, "
        f"{counted(len(names), 'class')} ({listed(names)}); {memory.size_text(need)} in {path}"
    )


def _does(split: str, parts: Sequence[Pairs]) -> str:
    does = {"train": "train", "valid": "validate", "test": "test"}
    if split != "train":
        return does[split]
    missing = [does[name] for name in does if name not in {part.split for part in parts}]
    return " and ".join(["train", *missing]) if len(missing) < 2 else "train, validate and test"


def _parts(data: Any, classes: tuple[str, ...] | None, columns: tuple[str, str] | None) -> list[Pairs]:
    """The splits of what was given, training first."""
    if not isinstance(data, Mapping):
        return [_pairs("train", data, classes, columns)]
    given: dict[str, Any] = {}
    for name, part in data.items():
        split = SPLITS.get(name) if isinstance(name, str) else None
        if split is None or split in given:
            raise BadRunFile(
                f"the data has a part {reading.shown(name)}; give train, and valid and test where there are such"
            )
        given[split] = part
    if "train" not in given:
        raise BadRunFile(f"the data has the parts {', '.join(map(str, data)) or 'none'}; one of them must be train")
    return [_pairs(split, given[split], classes, columns) for split in ("train", "valid", "test") if split in given]


def _pairs(split: str, data: Any, classes: tuple[str, ...] | None, columns: tuple[str, str] | None) -> Pairs:
    if isinstance(data, tuple) and len(data) == 2:
        images, labels = data
        for what, part in (("images", images), ("labels", labels)):
            if not hasattr(part, "__len__") or not hasattr(part, "__getitem__") or isinstance(part, str | bytes | dict):
                raise BadRunFile(f"{what} to {split} are a {type(part).__name__}; give an array or a sequence")
        shape = getattr(labels, "shape", (len(labels),))
        if len(shape) > 1 and tuple(shape[1:]) != (1,):
            raise BadRunFile(
                f"labels to {split} have the shape {tuple(shape)}; give one number or name for each image, as by "
                "labels.argmax(1) of a table of zeros and ones"
            )
        if len(images) != len(labels):
            raise BadRunFile(f"there are {len(images):,} images to {split} and {len(labels):,} labels; give one each")
        return _counted(Pairs(split, data, len(images), None, classes))
    if hasattr(data, "features") and hasattr(data, "column_names"):
        return _of_table(split, data, classes, columns)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, np.ndarray | str | list):
        if hasattr(data, "shape"):
            raise BadRunFile(f"images to {split} come without labels; give both, as (images, labels)")
        stated = getattr(data, "classes", None) or getattr(getattr(data, "dataset", None), "classes", None)
        named = classes or (tuple(map(str, stated)) if isinstance(stated, list | tuple) else None)
        return _counted(Pairs(split, data, len(data), (0, 1), named))
    what = "images without labels" if isinstance(data, np.ndarray | list) else f"a {type(data).__name__}"
    raise BadRunFile(
        f"the {split} data is {what}; give (images, labels), a data set whose items have numbers, or a mapping of "
        "train, valid and test to such"
    )


def _of_table(split: str, data: Any, classes: tuple[str, ...] | None, columns: tuple[str, str] | None) -> Pairs:
    """The pairs of a Hugging Face data set: the columns are known by their features, or by their names."""
    if not hasattr(data, "__len__"):
        raise BadRunFile(
            f"the {split} data is streamed, so that its size is not known; load it with streaming=False, or take some "
            "of it into a list"
        )
    kinds = {name: type(feature).__name__ for name, feature in data.features.items()}
    if columns is None:
        images = [name for name, kind in kinds.items() if kind == "Image"]
        labels = [name for name, kind in kinds.items() if kind == "ClassLabel"]
        labels = labels or [name for name in ("label", "labels") if name in kinds]
        if len(images) != 1 or len(labels) != 1:
            told = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
            raise BadRunFile(
                f"the {split} data has the columns {told}, of which not one alone is of images and one of classes; say "
                "which, as columns=('image', 'label')"
            )
        columns = images[0], labels[0]
    if missing := [name for name in columns if name not in kinds]:
        raise BadRunFile(f"the {split} data has no column {missing[0]!r}; there are {', '.join(kinds)}")
    named = getattr(data.features[columns[1]], "names", None)
    return _counted(Pairs(split, data, len(data), columns, classes or (tuple(map(str, named)) if named else None)))


def _counted(pairs: Pairs) -> Pairs:
    if not pairs.count:
        raise BadRunFile(f"there are no images to {pairs.split}; give some, or leave that part out")
    return pairs


def _bytes(parts: Sequence[Pairs], form: Form) -> int:
    return sum(part.count for part in parts) * form.height * form.width * form.channels


def _write(path: Path, parts: Sequence[Pairs], look: Look, labels: dict[str, np.ndarray]) -> list[str]:
    """Write the file; returns the names of the classes. The same data gives the same bytes.

    Raises:
        StoreError: The disk has no room for it.
        InColorError: An image has more channels than all are to have.
    """
    form = look.form
    if (need := _bytes(parts, form)) > (free := shutil.disk_usage(path.parent).free):
        raise StoreError(
            f"{counted(sum(part.count for part in parts), 'image')} of {form.width}x{form.height} take "
            f"{memory.size_text(need)}, and {memory.size_text(free)} are free where {path.parent} lies; give a smaller "
            "size, or another folder with out"
        )
    is_whole = len(parts) == 1
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for part in parts:
            name = "images" if is_whole else f"x_{part.split}"
            head = {"descr": "|u1", "fortran_order": False}
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                shape = (part.count, form.height, form.width, form.channels)
                npy.write_array_header_1_0(stream, {**head, "shape": shape})
                for position in range(part.count):
                    image, label = part.at(position)
                    own = pixels_of(image, look, part.split, position)
                    labels[part.split][position] = _label(label, part.split, position)
                    stream.write(own.tobytes())
        named, names = _numbered(parts, labels)
        for split, numbers in named.items():
            with archive.open(f"{'labels' if is_whole else f'y_{split}'}.npy", "w") as stream:
                npy.write_array(stream, numbers)
        if names != list(map(str, range(len(names)))):
            with archive.open("classes.npy", "w") as stream:
                npy.write_array(stream, np.array(names))
    return names


def _label(label: Any, split: str, position: int) -> int | str:
    if isinstance(label, str):
        return label
    value = label
    try:
        value = label.item() if hasattr(label, "item") else label  # of an array or tensor of one number
        if float(value) != int(value):
            raise ValueError
    except (TypeError, ValueError, OverflowError, RuntimeError):
        told = reading.shown(value if isinstance(value, float) else label)
        raise BadRunFile(f"the label of {split} {position} is {told}; it must be a whole number or a name") from None
    return int(value)


def _numbered(parts: Sequence[Pairs], labels: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Labels counted from 0, by split, and the names of the classes: those that training images have."""
    kinds = {type(label) for found in labels.values() for label in found.tolist()}
    if len(kinds) > 1:
        raise BadRunFile("some labels are numbers and some are names; give one kind")
    stated = parts[0].classes
    known = sorted(set(labels["train"].tolist()))
    if stated and str in kinds:
        if odd := [label for label in known if label not in stated]:
            raise BadRunFile(f"the label {reading.shown(odd[0])} is none of the classes {listed(stated)}")
        known = [name for name in stated if name in set(known)]
    elif stated and (odd := [label for label in known if not 0 <= label < len(stated)]):
        raise BadRunFile(f"the label {odd[0]} is beyond the {counted(len(stated), 'class')}, which count from 0")
    if len(known) < 2:
        raise BadRunFile(
            f"all training images have the label {reading.shown(known[0])}; there must be two classes at least"
        )
    numbers = {label: number for number, label in enumerate(known)}
    for split, found in labels.items():
        if odd := [label for label in found.tolist() if label not in numbers]:
            raise BadRunFile(
                f"the label {reading.shown(odd[0])} is in the {split} data and not in that to train; add such images, "
                "or leave that part out"
            )
    named = {split: np.array([numbers[label] for label in found.tolist()], np.int64) for split, found in labels.items()}
    names = [stated[label] if stated and not isinstance(label, str) else str(label) for label in known]
    return named, names


def _names(folder: Path) -> frozenset[str]:
    return frozenset(os.listdir(folder)) if folder.is_dir() else frozenset()


def _remove_empty(folder: Path) -> None:
    """Leave no folder behind for data that was refused."""
    if not any(folder.iterdir()):
        folder.rmdir()
