"""Images and labels that a program holds in memory, or as a data set of torch or Hugging Face, as one array file.

Whatever they come as, they are brought to what the task `arrays` reads, as worker processes and later commands need a
file. One image at a time is in memory. Neither torch nor `datasets` is imported: their data sets are known by what they
have.
"""

from __future__ import annotations

import filecmp
import io
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.lib import format as npy
from PIL import Image, ImageOps

from netwright.core import files, memory, reading
from netwright.core.errors import BadRunFile, StoreError
from netwright.data import decode
from netwright.data.decode import Fit, Form
from netwright.data.text import counted, listed

FILE: Final = "data.npz"  # within the folder of a run
PROBED: Final = 64  # images that are looked at, spread over each split, to see what all are
SPLITS: Final = {
    "train": "train",
    "training": "train",
    "test": "test",
    **dict.fromkeys(("valid", "validation", "val", "dev"), "valid"),
}
PLAIN: Final = ("1", "L", "RGB")  # modes of Pillow that need no thought
GRAYS: Final = ("1", "L", "LA", "La")
AS_OTHERS: Final = {"La": "LA", "RGBa": "RGBA", "HSV": "RGB", "YCbCr": "RGB"}  # modes that no file is decoded to
ROUNDED: Final = 1e-3  # of the greatest value, by which scaling images may have passed it
AMBIGUOUS: Final = 2.0  # up to which a greatest value is neither that of images from 0 to 1 nor from 0 to 255


@dataclass(frozen=True)
class Pairs:
    """Images and labels of one split, each read when it is asked for.

    Args:
        split: "train", "valid" or "test".
        items: What is asked for the pair at a position.
        count: Number of pairs.
        keys: What leads to image and label in an item; None: the item is (images, labels), each asked for a position.
        classes: Names of the classes in order of the labels; None: not known.
    """

    split: str
    items: Any
    count: int
    keys: tuple[Any, Any] | None
    classes: tuple[str, ...] | None = None

    def at(self, position: int) -> tuple[Any, Any]:
        """Image and label. Raises BadRunFile where an item is no such pair."""
        if self.keys is None:
            return self.items[0][position], self.items[1][position]
        item = self.items[position]
        try:
            return item[self.keys[0]], item[self.keys[1]]
        except (KeyError, IndexError, TypeError):
            raise BadRunFile(
                f"item {position} of the {self.split} data is a {type(item).__name__}; it must be an image and "
                "its label"
            ) from None


@dataclass(frozen=True)
class _Look:
    """What all images become: their form, and by what values are multiplied to be from 0 to 255.

    Args:
        form: The form.
        scale: The factor, of images of floats.
        where: An image that has the size of the form by itself, as all must; "": they are brought to it.
    """

    form: Form
    scale: float
    where: str


class _InColorError(Exception):
    """An image has color, and those that were looked at have none."""


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
    look, path = _look(parts, size, fit), folder / FILE
    labels = {part.split: np.empty(part.count, object) for part in parts}
    folder.mkdir(parents=True, exist_ok=True)
    fresh = files.draft_of(path)
    try:
        try:
            names = _write(fresh, parts, look, labels)
        except _InColorError:
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


def _look(parts: Sequence[Pairs], size: int | None, fit: Fit) -> _Look:
    """What all images are to become, by a look at some of each split."""
    sizes: dict[tuple[int, int], str] = {}
    channels, highest = 1, 0.0
    for part in parts:
        for position in np.unique(np.linspace(0, part.count - 1, PROBED).astype(int)).tolist():
            image, _ = part.at(position)
            if isinstance(image, Image.Image):
                shown = _as_shown(image, part.split, position)
                found = shown.height, shown.width, 1 if image.mode in GRAYS else 3
            else:
                array = _array(image, part.split, position)
                found = (array.shape[0], array.shape[1], array.shape[2])
                highest = max(highest, float(array.max()) if array.dtype.kind == "f" else 255.0)
            sizes.setdefault(found[:2], f"{part.split} {position}")
            channels = max(channels, found[2])
    if size is None and len(sizes) > 1:
        (one, where), (other, there) = list(sizes.items())[:2]
        raise _several_sizes(one, where, other, there)
    if 1 + ROUNDED < highest <= AMBIGUOUS:
        raise BadRunFile(
            f"images have values up to {highest:g}, which are neither from 0 to 1 nor, clearly, from 0 to 255; give "
            "images before they are normalized, as whole numbers where they are that dark"
        )
    height, width = (size, size) if size is not None else next(iter(sizes))
    where = "" if size is not None else next(iter(sizes.values()))
    return _Look(Form(channels, height, width, fit), 255.0 if 0 < highest <= 1 + ROUNDED else 1.0, where)


def _several_sizes(one: tuple[int, int], where: str, other: tuple[int, int], there: str) -> BadRunFile:
    return BadRunFile(
        f"images have several sizes, as {one[1]}x{one[0]} ({where}) and {other[1]}x{other[0]} ({there}); give "
        "size, as in size=64, to cut and scale all to squares"
    )


def _as_shown(image: Image.Image, split: str, position: int) -> Image.Image:
    """An image of Pillow as programs show it: upright, and with its transparency, as its file is decoded for `predict`.

    Raises:
        BadRunFile: It has more than 256 levels of brightness, of which only all images together say what is white.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise BadRunFile(
            f"the image {split} {position} is of Pillow's mode {image.mode}, which has more than 8 bits; give a folder "
            "of files, whose brightness is scaled by that of all, or images of 8 bits"
        )
    shown = ImageOps.exif_transpose(image)
    if "transparency" in shown.info:
        return shown.convert("RGBA")
    return shown.convert(AS_OTHERS[shown.mode]) if shown.mode in AS_OTHERS else shown


def _array(image: Any, split: str, position: int) -> np.ndarray:
    """An image as (H, W, C). Raises BadRunFile for what is none."""
    is_tensor = hasattr(image, "detach")
    try:
        array = np.asarray(image.detach().cpu() if is_tensor else image)
    except Exception as error:  # whatever a strange object does when it is asked for numbers
        raise BadRunFile(f"{split} {position} is a {type(image).__name__}, no image ({error})") from None
    if array.dtype.kind not in "buif":
        raise BadRunFile(
            f"{split} {position} is a {type(image).__name__}, no image; give arrays, tensors or Pillow images"
        )
    if array.ndim == 2 and min(array.shape) > 0:
        return array[:, :, None]
    is_last, is_first = (array.ndim == 3 and min(array.shape) > 0 and array.shape[k] in (1, 3) for k in (2, 0))
    if is_first and (is_tensor or not is_last):
        return array.transpose(1, 2, 0)
    if is_last and not is_first:
        return array
    clear = ", and it must be clear which" if is_last else ""
    raise BadRunFile(
        f"the image {split} {position} has the shape {array.shape}; it must be (height, width), (height, width, 1 or "
        f"3) or (1 or 3, height, width){clear}"
    )


def _pixels(image: Any, look: _Look, split: str, position: int) -> np.ndarray:
    """An image as it is written: uint8, (H, W, C)."""
    form = look.form
    if isinstance(image, Image.Image):
        channels, image = 1 if image.mode in GRAYS else 3, _as_shown(image, split, position)
        size = image.height, image.width
    else:
        array = _array(image, split, position)
        channels, size = array.shape[2], array.shape[:2]
    if look.where and size != (form.height, form.width):
        raise _several_sizes((form.height, form.width), look.where, size, f"{split} {position}")
    if channels > form.channels:
        raise _InColorError
    if not isinstance(image, Image.Image):
        if array.dtype == bool:
            array = array * np.uint8(255)
        if array.dtype != np.uint8:
            array = _eight_bits(array, look.scale, split, position)
        if array.shape == (form.height, form.width, form.channels):
            return array
        if array.shape[:2] == (form.height, form.width) and array.shape[2] == 1:
            return np.repeat(array, form.channels, axis=2)
        image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else np.ascontiguousarray(array))
    if image.mode not in PLAIN:
        encoded = io.BytesIO()
        try:
            image.save(encoded, "TIFF")
            found, _ = decode.decode(
                encoded.getvalue(), channels=form.channels, height=form.height, width=form.width, fit=form.fit
            )
        except (decode.BadImage, OSError) as error:
            raise BadRunFile(f"the image {split} {position} cannot be used: {error}") from None
        return found
    image = image.convert("L" if form.channels == 1 else "RGB")
    if image.size != (form.width, form.height):
        image = decode.resized(image, form)
    return np.asarray(image).reshape(form.height, form.width, form.channels)


def _eight_bits(array: np.ndarray, scale: float, split: str, position: int) -> np.ndarray:
    low, high = float(array.min()), float(array.max())
    most = 1.0 if scale > 1 and array.dtype.kind == "f" else 255.0
    rounded = ROUNDED * most
    if not (low >= -rounded and high <= most + rounded):  # nor is a number that is none
        raise BadRunFile(
            f"the image {split} {position} has values from {low:g} to {high:g}, {array.dtype}; give images before they "
            "are normalized, from 0 to 255 or from 0 to 1: what networks need is measured and done in training"
        )
    return np.rint(np.clip(array, 0, most) * (scale if array.dtype.kind == "f" else 1)).astype(np.uint8)


def _bytes(parts: Sequence[Pairs], form: Form) -> int:
    return sum(part.count for part in parts) * form.height * form.width * form.channels


def _write(path: Path, parts: Sequence[Pairs], look: _Look, labels: dict[str, np.ndarray]) -> list[str]:
    """Write the file; returns the names of the classes. The same data gives the same bytes.

    Raises:
        StoreError: The disk has no room for it.
        _InColorError: An image has more channels than all are to have.
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
                    own = _pixels(image, look, part.split, position)
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
