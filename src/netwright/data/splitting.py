"""Which images train, validate and test: cut by class, at random, the same for the same seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from netwright.core.errors import BadReference
from netwright.data.images import ranks, stratified_order
from netwright.data.text import counted, shortened


@dataclass(frozen=True)
class SplitParts:
    """Positions of the images of each split in their source, ascending, int64.

    Args:
        train: Those that train.
        valid: Those that validate.
        test: Those that test.
        is_valid_given: Whether those that validate were given as such, and not cut out of the others.
    """

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    is_valid_given: bool = False

    @property
    def chosen(self) -> np.ndarray:
        """All of them, ascending."""
        return np.sort(np.concatenate((self.train, self.valid, self.test)))


def completed(
    given: Mapping[str, np.ndarray], labels: np.ndarray, classes: Sequence[str], shares: Mapping[str, float], seed: int
) -> SplitParts:
    """The splits that are given, and those that are not, cut by class out of the training images.

    Args:
        given: Positions of the images of "train", and of "valid" and "test" where there are such.
        labels: Class of every image, shape (N,).
        classes: Names of the classes.
        shares: Shares of the given training images that validate and test; at least one image of each class.
        seed: Seed of the choice of these images.

    Raises:
        BadReference: A class with fewer training images than splits to cut from them.
    """
    counts = np.bincount(labels[given["train"]], minlength=len(classes))
    scarce, least = int(counts.argmin()), 4 - len(given)
    if counts[scarce] < least:
        others = int((counts < least).sum()) - 1
        also = f", as {'does' if others == 1 else 'do'} {counted(others, 'other class')} that have fewer" * (others > 0)
        raise BadReference(
            f"class {shortened(classes[scarce])!r} has {counted(int(counts[scarce]), 'training image')}; it needs at "
            f"least {least}, one for each split that is cut from them{also}"
            f"; add some or remove {'these classes' if others else 'the class'}"
        )
    found, left = dict(given), 1.0
    for split in ("test", "valid"):
        if split not in given:
            found["train"], found[split] = _cut(found["train"], labels, shares[split] / left, seed)
            left -= shares[split]
    return SplitParts(found["train"], found["valid"], found["test"], "valid" in given)


def limited(parts: SplitParts, labels: np.ndarray, limit: int | None, seed: int) -> SplitParts:
    """Only `limit` training images and a fifth as many of the others, by class; None: all."""
    if limit is None:
        return parts
    return replace(
        parts,
        train=_beginning(parts.train, labels, limit, seed),
        valid=_beginning(parts.valid, labels, limit // 5, seed),
        test=_beginning(parts.test, labels, limit // 5, seed),
    )


def once(parts: SplitParts, copies: Sequence[Sequence[int]]) -> SplitParts:
    """The parts with copies of an image in one of them only: what tests does not validate, and neither trains.

    Args:
        parts: Positions by split.
        copies: Groups of positions of equal images.
    """
    valid = parts.valid[~np.isin(parts.valid, _copies_of(parts.test, copies))]
    held = np.concatenate((parts.valid, parts.test))
    return replace(parts, train=parts.train[~np.isin(parts.train, _copies_of(held, copies))], valid=valid)


def check_classes(parts: SplitParts, labels: np.ndarray, classes: Sequence[str], remedy: str) -> None:
    """Raise BadReference when a class is not in every split; `remedy` says what to do about it."""
    for name, positions in (("train", parts.train), ("validate", parts.valid), ("test", parts.test)):
        missing = np.flatnonzero(np.bincount(labels[positions], minlength=len(classes)) == 0)
        if len(missing):
            others = len(missing) - 1
            more = f" ({'nor has' if others == 1 else 'nor have'} {counted(others, 'other class')})" if others else ""
            raise BadReference(f"class {shortened(classes[missing[0]])!r} has no image to {name}{more}; {remedy}")


def _cut(positions: np.ndarray, labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a share of every class off, at least one image, leaving at least one: the rest, and what was cut off."""
    own = labels[positions]
    counts = np.bincount(own)
    wanted = np.clip(np.rint(share * counts), 1, np.maximum(counts - 1, 1))
    is_cut = ranks(own, stratified_order(own, seed)) < wanted[own]
    return positions[~is_cut], positions[is_cut]


def _beginning(positions: np.ndarray, labels: np.ndarray, limit: int, seed: int) -> np.ndarray:
    """The first `limit` positions in stratified order, one of each class before all others."""
    own = labels[positions]
    order = stratified_order(own, seed)
    is_later = ranks(own, order)[order] > 0
    return np.sort(positions[order[np.argsort(is_later, kind="stable")][:limit]])


def _copies_of(positions: np.ndarray, copies: Sequence[Sequence[int]]) -> list[int]:
    there = set(positions.tolist())
    return [position for group in copies if not there.isdisjoint(group) for position in group]
