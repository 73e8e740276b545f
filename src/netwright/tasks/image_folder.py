"""Images in folders, one folder per class; `train/`, `valid/` and `test/` around them are taken as given.

Without those folders the images are split by class into 60 % training, 20 % validation and 20 % test images. With
`train/`, what is missing of the others is cut out of it. Searches never read the test part.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from netwright.core.errors import BadReference
from netwright.data.decode import Form
from netwright.data.folder import FolderImages
from netwright.data.images import Augmentation, ImageClassification, Weighting
from netwright.data.inventory import taken, told
from netwright.data.layout import EVERY, arranged
from netwright.data.options import check_least, check_limit, checked_shares, located, recognizing, spread
from netwright.data.preparation import Keeping, Selection, image_task, sides_by_heads, with_channels
from netwright.data.splitting import check_classes, completed, limited
from netwright.data.text import printable
from netwright.data.tree import composed, first_images, scan


def _recognizes(path: Path) -> Mapping[str, Any] | None:
    return {"path": str(path)} if path.is_dir() and any(True for _ in first_images(path, 1)) else None


@recognizing(_recognizes)
@located("path", "cache", "memory_share")
@spread("weighting")
@spread("augmentation")
def image_folder(
    path: str,
    size: int = 64,
    channels: Literal[1, 3] | None = None,
    fit: Literal["crop", "stretch", "pad"] = "crop",
    valid: float = 0.2,
    test: float = 0.2,
    split_seed: int = 0,
    train_limit: int | None = None,
    augmentation: Augmentation = Augmentation(padding=None, flip=True),
    weighting: Weighting = Weighting(),
    cache: str | None = None,
    memory_share: float = 0.05,
    broken_share: float = 0.01,
    classes: str | tuple[str, ...] | None = None,
    follow_links: bool = False,
) -> ImageClassification:
    """Images of any size, brought to `size` x `size`, of as many classes as there are folders.

    Args:
        path: Folder of one folder per class, or of `train/`, `valid/` and `test/` with such folders; names that say the
            same (`Training_Set/`, `val/`) do too.
        size: Side of the images, in pixels.
        channels: 3: color, 1: gray; None: gray where all images are.
        fit: How other sizes become this one; "crop": scaled to cover, the middle cut out;
            "stretch": both sides scaled on their own; "pad": scaled to fit in, black around.
        valid: Share of the images that validate; of those in `train/` when there is one.
        test: Share of the images that test; of those in `train/` when there is one.
        split_seed: Seed of the choice of these images.
        train_limit: Use only so many training images, and a fifth as many to validate and to test; None: all.
        augmentation: How training images are augmented.
        weighting: How much the images of each class count in the training loss.
        cache: Folder for the decoded images; None: the user's cache folder.
        memory_share: Share of the machine's memory; data that takes more is read from the disk as it is needed.
        broken_share: Share of the images that may be broken before the task refuses to start.
        classes: Names of the folders that are the classes, as "a,b,c" or a list, whatever they look like; what else
            is there is left out and counted; "*": every folder in `path`; None: all folders, unless one looks like a
            split, labels or images without labels.
        follow_links: Whether to follow links that lead out of the folder.
    """
    check_least(size=(size, 4), split_seed=(split_seed, 0))
    shares = checked_shares(valid, test)
    selection = _selection(Path(path).expanduser(), _listed(classes), follow_links, shares, split_seed, train_limit)
    keeping = Keeping(cache, memory_share, broken_share)
    selection, chosen = with_channels(selection) if channels is None else (selection, channels)
    form = Form(chosen, size, size, fit)
    return image_task(
        lambda: selection, form, selection.classes, augmentation, keeping, weighting, sides=sides_by_heads
    )


def _selection(
    path: Path, wanted: tuple[str, ...], is_following: bool, shares: Mapping[str, float], seed: int, limit: int | None
) -> Selection:
    tree = scan(path, is_following)
    layout = arranged(tree, wanted)
    found = taken(tree, layout)
    files = sorted(found.used, key=lambda use: (composed(use[0]), use[0]))
    classes = tuple(layout.classes["train"])
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[name] for _, _, name in files], np.int64)
    given = np.array([split for _, split, _ in files])
    parts = completed(
        {split: np.flatnonzero(given == split) for split in layout.classes}, labels, classes, shares, seed
    )
    check_classes(parts, labels, classes, f"add some to the folder of that split in {path}, or remove the class")
    check_limit(limit, len(classes))
    source = FolderImages(path, tuple(name for name, _, _ in files), labels)
    remarks = told(tree, layout, wanted, found)
    return Selection(source, limited(parts, labels, limit, seed), tuple(map(printable, classes)), remarks)


def _listed(classes: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """The names of the classes that an option names. Raises BadReference when it names none, or one without letters."""
    if classes is None:
        return ()
    names = tuple(name.strip() for name in classes.split(",")) if isinstance(classes, str) else classes
    if not names or not all(names):
        raise BadReference(f"task.classes is {classes!r}; name folders, as in a,b,c, or '{EVERY}' for all there are")
    return names


plugin = image_folder
