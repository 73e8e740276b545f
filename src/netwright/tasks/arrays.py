"""Images in a NumPy file: a `.npz` of `x_train, y_train, x_test, y_test`, or of `images, labels`.

`x_valid, y_valid` validate when they are there, else part of the training images does; so is the test cut where only
`x_test` is missing. An array `classes` of texts names the classes. `images` are split by class into
60 % training, 20 % validation and 20 % test images. Searches never read the test part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from netwright.core.errors import BadReference
from netwright.data import archive
from netwright.data.archive import ArchiveImages, Head
from netwright.data.decode import Form
from netwright.data.folder_names import kind_of
from netwright.data.images import Augmentation, ImageClassification, Weighting
from netwright.data.options import check_least, check_limit, checked_shares, located, recognizing, spread
from netwright.data.preparation import Keeping, Selection, image_task
from netwright.data.sizes import smaller_or
from netwright.data.splitting import check_classes, completed, limited
from netwright.data.text import DOES, counted, listed, shortened

LAYOUTS = {
    "train": ("x_train", "y_train"),
    "valid": ("x_valid", "y_valid"),
    "test": ("x_test", "y_test"),
}
WHOLE = ("images", "labels")
NAMES = "classes"  # names of the classes in order of the labels, where the file has them
MAX_VALUES = 2**28  # of an image
MAX_NAMES = 2**24  # bytes of the names of classes


def _recognizes(path: Path) -> Mapping[str, Any] | None:
    return {"path": str(path)} if path.suffix.lower() == ".npz" and path.is_file() else None


@recognizing(_recognizes)
@located("path", "cache", "memory_share")
@spread("weighting")
@spread("augmentation")
def arrays(
    path: str,
    valid: float = 0.2,
    test: float = 0.2,
    split_seed: int = 0,
    train_limit: int | None = None,
    size: int | None = None,
    fit: Literal["crop", "stretch", "pad"] = "crop",
    augmentation: Augmentation = Augmentation(padding=None),
    weighting: Weighting = Weighting(),
    cache: str | None = None,
    memory_share: float = 0.05,
) -> ImageClassification:
    """Images of one size, uint8, (N, H, W), (N, H, W, C) or (N, C, H, W) with 1 or 3 channels; labels from 0.

    Args:
        path: The file, ending in `.npz`.
        valid: Share of the images that validate; not used with `x_valid`.
        test: Share of the images that test; not used with `x_test`.
        split_seed: Seed of the choice of these images.
        train_limit: Use only so many training images, and a fifth as many to validate and to test; None: all.
        size: Side of the squares that images are brought to, in pixels; None: they stay as they are.
        fit: How images of other sizes become ones of this size; "crop": scaled to cover, the middle cut out;
            "stretch": both sides scaled on their own; "pad": scaled to fit in, black around.
        augmentation: How training images are augmented.
        weighting: How much the images of each class count in the training loss.
        cache: Folder for a copy that workers share; None: the user's cache folder.
        memory_share: Share of the machine's memory; data that takes more is read from the disk as it is needed.
    """
    check_least(split_seed=(split_seed, 0), **({} if size is None else {"size": (size, 4)}))
    shares = checked_shares(valid, test)
    selection, form = _selection(Path(path).expanduser(), shares, split_seed, train_limit)
    # other forms than squares stay, unless the user says a size
    sides = smaller_or(form.height) if form.height == form.width else ()
    form = replace(form, fit=fit) if size is None else Form(form.channels, size, size, fit)
    keeping = Keeping(cache, memory_share)
    classes = selection.classes
    return image_task(lambda: selection, form, classes, augmentation, keeping, weighting, sides=lambda _: sides)


def _selection(path: Path, shares: Mapping[str, float], seed: int, limit: int | None) -> tuple[Selection, Form]:
    heads = archive.heads(path)
    layout = _layout(path, heads)
    sides = {split: _sides(path, images, heads[images]) for split, (images, _) in layout.items()}
    (first, *others) = sides.items()
    if other := next((split for split, side in others if side != first[1]), None):
        names = layout[first[0]][0], layout[other][0]
        raise BadReference(
            f"{names[0]} and {names[1]} of {path} are {heads[names[0]].shape} and {heads[names[1]].shape}; "
            f"all images must have one size and the channels in one place"
        )
    found = {
        split: _labels(path, label, heads[label], heads[images].shape[0]) for split, (images, label) in layout.items()
    }
    classes = _named(path, heads, _classes(path, found))
    labels = np.concatenate(list(found.values()))
    stops = np.cumsum([len(part) for part in found.values()])
    given = dict(zip(found, np.split(np.arange(len(labels)), stops[:-1]), strict=True))
    parts = completed(given, labels, classes, shares, seed)
    check_classes(parts, labels, classes, f"add some to that part of {path}, or take the class out of all parts")
    check_limit(limit, len(classes))
    height, width, channels, is_channels_first = first[1]
    members = {"image" if layout[s] == WHOLE else s: images for s, (images, _) in layout.items()}
    source = ArchiveImages(path, members, heads, labels, is_channels_first)
    remarks = _remarks(heads, layout, is_channels_first)
    return Selection(source, limited(parts, labels, limit, seed), classes, remarks), Form(channels, height, width)


def _layout(path: Path, heads: Mapping[str, Head]) -> Mapping[str, tuple[str, str]]:
    """Members of images and labels by split."""
    layout: Mapping[str, tuple[str, str]] = {"train": WHOLE}
    if not set(WHOLE) <= set(heads):
        layout = {split: names for split, names in LAYOUTS.items() if split == "train" or set(names) & set(heads)}
        if len(layout) == 1:  # a file that validates may leave the test to a cut; one of neither is not understood
            layout = {split: LAYOUTS[split] for split in ("train", "test")}
    missing = [name for names in layout.values() for name in names if name not in heads]
    if missing:
        raise BadReference(
            f"{path} has no array {missing[0]}; its arrays: {', '.join(heads) or 'none'}; give it x_train, y_train, "
            f"x_test and y_test, or images and labels"
        )
    for name in sorted(set(heads).difference(*layout.values())):
        if name[:2] in ("x_", "y_") and kind_of(name[2:]):
            raise BadReference(
                f"{path} has an array {name}, which looks like a split, beside "
                f"{', '.join(n for names in layout.values() for n in names)}, which alone would be read; name it as in "
                f"x_valid, y_valid, or take it out"
            )
    return layout


def _remarks(
    heads: Mapping[str, Head], layout: Mapping[str, tuple[str, str]], is_channels_first: bool
) -> tuple[str, ...]:
    """Sentences on which array is taken for what, and which are left out."""
    parts = [
        f"{images} ({'x'.join(map(str, heads[images].shape))}) with {labels}" + f" to {DOES[split]}" * (len(layout) > 1)
        for split, (images, labels) in layout.items()
    ]
    cut = [f"to {does}" for split, does in DOES.items() if split not in layout]
    rest = f"; images {' and '.join(cut)} are cut from {'those to train' if len(layout) > 1 else 'them'}" if cut else ""
    order = "first" if is_channels_first else "last"
    taken = f"arrays, with channels {order}: {', '.join(parts)}{rest}"
    used = {NAMES, *(name for names in layout.values() for name in names)}
    others = [shortened(name) for name in heads if name not in used]
    return (taken, f"{counted(len(others), 'array')} left out: {listed(others)}") if others else (taken,)


def _sides(path: Path, name: str, head: Head) -> tuple[int, int, int, bool]:
    """Height, width, channels, and whether channels come first."""
    if head.dtype != np.uint8:
        raise BadReference(f"{name} of {path} is {head.dtype}; images must be uint8, from 0 to 255")
    shape = head.shape
    if len(shape) in (3, 4) and math.prod(shape[1:]) > MAX_VALUES:
        raise BadReference(f"{name} of {path} has the shape {shape}; an image may have {MAX_VALUES:,} values at most")
    if len(shape) == 3 and min(shape) > 0:
        return shape[1], shape[2], 1, False
    is_last, is_first = (len(shape) == 4 and min(shape) > 0 and shape[axis] in (1, 3) for axis in (3, 1))
    if is_last == is_first:
        raise BadReference(
            f"{name} of {path} has the shape {shape}; images must be (N, height, width), (N, height, width, 1 or 3) or "
            f"(N, 1 or 3, height, width){', and it must be clear which' if is_last else ''}"
        )
    return (shape[2], shape[3], shape[1], True) if is_first else (shape[1], shape[2], shape[3], False)


def _labels(path: Path, name: str, head: Head, count: int) -> np.ndarray:
    if head.shape not in ((count,), (count, 1)):
        raise BadReference(f"{name} of {path} has the shape {head.shape}; it must be ({count},), one label per image")
    is_number = np.issubdtype(head.dtype, np.integer) or np.issubdtype(head.dtype, np.floating)
    values = archive.read(path, name) if is_number or head.dtype.hasobject else np.empty(0, head.dtype)
    if not is_number or not (np.isfinite(values) & (values == np.rint(values))).all():
        raise BadReference(f"{name} of {path} holds {values.dtype} that are no whole numbers; labels count from 0")
    values = values.reshape(-1)
    if len(odd := values[(values < 0) | (values >= 2**31)]):
        raise BadReference(f"{name} of {path} holds the label {odd[0]}; labels count from 0")
    return values.astype(np.int64)


def _classes(path: Path, labels: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """Names of the classes, which are the labels of the training images: no other may occur."""
    known = np.unique(labels["train"])
    if len(gaps := np.setdiff1d(np.arange(len(known)), known)):
        raise BadReference(f"no training image of {path} has the label {gaps[0]}; labels count from 0 without gaps")
    if len(known) < 2:
        raise BadReference(f"all training images of {path} have the label 0; there must be at least two classes")
    for split, part in labels.items():
        if len(odd := np.setdiff1d(part, known)):
            raise BadReference(
                f"the label {odd[0]} is in y_{split} but not in y_train of {path}; add training images or remove it"
            )
    return tuple(map(str, known.tolist()))


def _named(path: Path, heads: Mapping[str, Head], numbers: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the classes as the file has them, else their numbers."""
    head = heads.get(NAMES)
    if head is None or head.dtype.kind != "U" or head.shape != (len(numbers),) or head.size > MAX_NAMES:
        return numbers
    names = tuple(map(str, archive.read(path, NAMES).tolist()))
    return names if len(set(names)) == len(names) and all(names) else numbers


plugin = arrays
