"""Which images train, validate and test: cut by class, at random, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netwright.core.errors import BadReference
from netwright.data.images import stratified_order
from netwright.data.text import counted, shortened


@dataclass(frozen=True)
class Parts:
    """Positions of the images of each split in their source, ascending, int64."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        """All of them, ascending."""
        return np.sort(np.concatenate((self.train, self.valid, self.test)))


def completed(
    given: Mapping[str, np.ndarray], labels: np.ndarray, classes: Sequence[str], shares: Mapping[str, float], seed: int
) -> Parts:
    """The splits that are given, and those that are not, cut by class out of the training images.

    Args:
        given: Positions of "train", and of "valid" and "test" where there are such.
        labels: Of all images, shape (N,).
        classes: Their names.
        shares: Of the given training images: how many validate and test, of each class at least one.
        seed: Which ones.

    Raises:
        BadReference: A class with fewer training images than splits to cut from them.
    """
    counts = np.bincount(labels[given["train"]], minlength=len(classes))
    scarce, least = int(counts.argmin()), 4 - len(given)
    if counts[scarce] < least:
        raise BadReference(
            f"class {shortened(classes[scarce])!r} has {counted(int(counts[scarce]), 'training image')}; it needs at "
            f"least {least}, one for each split that is cut from them; add some or remove the class"
        )
    found, left = dict(given), 1.0
    for split in ("test", "valid"):
        if split not in given:
            found["train"], found[split] = _cut(found["train"], labels, shares[split] / left, seed)
            left -= shares[split]
    return Parts(found["train"], found["valid"], found["test"])


def limited(parts: Parts, labels: np.ndarray, limit: int | None, seed: int) -> Parts:
    """Only `limit` training images and a fifth as many of the others, by class; None: all."""
    if limit is None:
        return parts
    return Parts(
        _beginning(parts.train, labels, limit, seed),
        _beginning(parts.valid, labels, limit // 5, seed),
        _beginning(parts.test, labels, limit // 5, seed),
    )


def checked_shares(valid: float, test: float) -> dict[str, float]:
    """Both shares by split. Raises BadReference unless they are shares and leave something to train on."""
    for name, share in (("valid", valid), ("test", test)):
        if not 0 < share < 1:
            raise BadReference(f"task.{name} is {share}; it must be a share of the images, between 0 and 1")
    if valid + test >= 1:
        raise BadReference(f"task.valid and task.test are {valid} and {test}; their sum must be below 1")
    return {"valid": valid, "test": test}


def check_limit(limit: int | None, classes: int) -> None:
    """Raise BadReference for a `train_limit` that leaves a class without an image to validate or to test."""
    if limit is not None and limit < 5 * classes:
        raise BadReference(f"task.train_limit is {limit}; it must be at least {5 * classes}, five images per class")


def check_classes(parts: Parts, labels: np.ndarray, classes: Sequence[str], mend: str) -> None:
    """Raise BadReference when a class is not in every split; `mend` says what to do about it."""
    for name, positions in (("train", parts.train), ("validate", parts.valid), ("test", parts.test)):
        missing = np.flatnonzero(np.bincount(labels[positions], minlength=len(classes)) == 0)
        if len(missing):
            more = f" (nor have {len(missing) - 1} other classes)" if len(missing) > 1 else ""
            raise BadReference(f"class {shortened(classes[missing[0]])!r} has no image to {name}{more}; {mend}")


def _cut(positions: np.ndarray, labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a share of every class off, at least one image, leaving at least one: the rest, and what was cut off."""
    own = labels[positions]
    counts = np.bincount(own)
    wanted = np.clip(np.rint(share * counts), 1, np.maximum(counts - 1, 1))
    is_cut = _ranks(own, stratified_order(own, seed)) < wanted[own]
    return positions[~is_cut], positions[is_cut]


def _beginning(positions: np.ndarray, labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """The first so many in stratified order, one of each class before all others."""
    own = labels[positions]
    order = stratified_order(own, seed)
    is_later = _ranks(own, order)[order] > 0
    return np.sort(positions[order[np.argsort(is_later, kind="stable")][:limit]])


def _ranks(labels: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The how-manieth of its class each image is, in that order."""
    ranks = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        ranks[members] = np.arange(len(members))
    return ranks
