"""Images in folders, one folder per class; `train/`, `valid/` and `test/` around them are taken as given.

Without those folders the images are split by class into 60 % training, 20 % validation and 20 % test images. With
`train/`, what is missing of the others is cut out of it. Searches never read the test part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from netwright.core.errors import BadReference
from netwright.data.decode import Form
from netwright.data.folder import FolderImages, common_folders, find, remark, subfolders
from netwright.data.images import Augmentation, ImageClassification, Weighting
from netwright.data.options import check_least, check_limit, checked_shares, spread
from netwright.data.preparation import Keeping, Selection, image_task
from netwright.data.splitting import check_classes, completed, limited
from netwright.data.text import listed, printable, shortened

SPLITS = {"train": "train", "valid": "valid", "val": "valid", "validation": "valid", "test": "test"}  # by folder


@spread("weighting")
@spread("augmentation")
def image_folder(
    path: str,
    size: int = 64,
    channels: Literal[1, 3] = 3,
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
) -> ImageClassification:
    """Images of any size, brought to `size` x `size`, of as many classes as there are folders.

    Args:
        path: Folder of one folder per class, or of `train/`, `valid/` (or `val/`, `validation/`) and `test/` with such
            folders.
        size: Side of the images, in pixels.
        channels: 3: color, 1: gray.
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
    """
    check_least(size=(size, 4), split_seed=(split_seed, 0))
    shares = checked_shares(valid, test)
    selection = _selection(Path(path).expanduser(), shares, split_seed, train_limit)
    keeping = Keeping(cache, memory_share, broken_share)
    form = Form(channels, size, size, fit)
    return image_task(lambda: selection, form, selection.classes, augmentation, keeping, weighting)


def _selection(path: Path, shares: Mapping[str, float], seed: int, limit: int | None) -> Selection:
    folders = _split_folders(path)
    found = {split: find(path / folder) for split, folder in folders.items()}
    classes = tuple(found["train"].classes)
    if len(classes) < 2:
        raise BadReference(f"{path} holds one class, {shortened(classes[0])!r}; there must be at least two")
    for split, here in found.items():
        if extra := sorted(set(here.classes) - set(classes)):
            raise BadReference(
                f"class {shortened(extra[0])!r} is in {folders[split]}/ but not in train/ of {path}; "
                f"add training images or remove the folder"
            )
    files = [(str(Path(folders[s], f)), s, c) for s, h in found.items() for c, fs in h.classes.items() for f in fs]
    files.sort()
    number = {name: label for label, name in enumerate(classes)}
    labels = np.array([number[name] for _, _, name in files], np.int64)
    given = np.array([split for _, split, _ in files])
    parts = completed({split: np.flatnonzero(given == split) for split in folders}, labels, classes, shares, seed)
    check_classes(parts, labels, classes, f"add some to the folder of that split in {path}, or remove the class")
    check_limit(limit, len(classes))
    ignored = [str(Path(folders[split], name)) for split, here in found.items() for name in here.ignored]
    source = FolderImages(path, tuple(name for name, _, _ in files), labels)
    return Selection(source, limited(parts, labels, limit, seed), tuple(map(printable, classes)), remark(ignored))


def _split_folders(path: Path) -> dict[str, str]:
    """The folder of every split that has one; the folder itself, as training images, when there are none."""
    names = subfolders(path)
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        found[SPLITS.get(name.lower(), "")].append(name)
    others = found.pop("", [])
    is_split = any(subfolders(path / name) for name in found.get("train", []))
    if not is_split or (others and len(others) == len(names) - 1):  # a class of trains
        _refuse_splits(path, names)
        return {"train": ""}
    if others:
        raise BadReference(
            f"{path} holds {found['train'][0]}/ and {shortened(others[0])}/; leave only train/, valid/ and test/ there"
        )
    for same in found.values():
        if len(same) > 1:
            raise BadReference(f"{path} holds {same[0]}/ and {same[1]}/; keep one of them")
    return {split: name for split, [name] in found.items()}


def _refuse_splits(path: Path, names: Sequence[str]) -> None:
    """Raise BadReference for folders of classes that look like splits under other names: they hold the same folders."""
    if len(names) > 1 and len(common := common_folders(path, names)) > 1:
        raise BadReference(
            f"{listed([shortened(f'{name}/') for name in names])} in {path} hold the same folders, "
            f"{listed([shortened(name) for name in common])}: they look like splits; name them train/, valid/ and "
            f"test/, or, if they are classes, put their images straight into them"
        )


plugin = image_folder
