"""Training and validation images divided anew, several times, so that results depend less on one small division."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np

from netwright.core import seeds


def redivided(
    train: np.ndarray, valid: np.ndarray, labels: np.ndarray, together: Sequence[Sequence[int]], index: int
) -> tuple[np.ndarray, np.ndarray]:
    """Another division of the same images; 0 is the one that is given.

    Each class validates with as many images as in the first division, and those that have waited longest are taken, so
    that divisions share no image that validates until all have had their turn. Division `index` is the same whatever
    the number of divisions.

    Images of one group are never parted, unless the first division parts them and they are of several classes; a group
    of several classes stays where it is. Where no group is small enough, a class validates with fewer images, and where
    that would be none, with those of the first division.

    Args:
        train: Positions of the images that train in the first division.
        valid: Positions of those that validate.
        labels: Class of every image, int64, shape (N,).
        together: Groups of positions that must not be parted, such as copies of one image; groups that share an image
            are one.
        index: Which division, from 0.

    Returns:
        Positions of the images that train and of those that validate, each ascending.
    """
    if index == 0:
        return train, valid
    group = _groups(together, len(labels))
    pool = np.concatenate((seeds.rng_for(0, seeds.SPLIT, 1).permutation(train), valid))
    is_valid = np.zeros(len(labels), bool)
    is_valid[valid] = True
    is_fixed = _is_mixed(group, labels, pool)
    chosen = [pool[is_valid[pool] & is_fixed[pool]]]
    free = pool[~is_fixed[pool]]
    for positions in _by_class(free, labels):
        chosen.append(_taken(positions, group[positions], int(is_valid[positions].sum()), index))
    now = np.sort(np.concatenate(chosen))
    return np.sort(pool[~np.isin(pool, now)]), now


def _by_class(positions: np.ndarray, labels: np.ndarray) -> Iterator[np.ndarray]:
    """The positions of each class, in the order that they have."""
    order = positions[np.argsort(labels[positions], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[order])) + 1
    yield from np.split(order, starts) if len(order) else ()


def _taken(positions: np.ndarray, group: np.ndarray, count: int, index: int) -> np.ndarray:
    """Which images of a class validate in a division.

    Args:
        positions: All its images, with the last `count` of them, as far as groups allow, those of the first division.
        group: Group of each of them; -1: it is in none.
        count: How many of them validate.
        index: Which division, from 1.
    """
    if (group < 0).all():
        return np.take(positions, np.arange((index - 1) * count, index * count), mode="wrap")
    units: dict[int, list[int]] = {}
    for place, (position, own) in enumerate(zip(positions.tolist(), group.tolist(), strict=True)):
        units.setdefault(own if own >= 0 else -1 - place, []).append(position)
    waiting = deque(units.values())
    taken: list[list[int]] = []
    for _ in range(index):
        taken, left = [], count
        passed: list[list[int]] = []
        while waiting and left:
            unit = waiting.popleft()
            fits = len(unit) <= left
            (taken if fits else passed).append(unit)
            left -= len(unit) * fits
        waiting.extendleft(reversed(passed))
        waiting.extend(taken)
    return np.array([one for unit in taken for one in unit] or positions[len(positions) - count :], np.int64)


def _groups(together: Sequence[Sequence[int]], size: int) -> np.ndarray:
    """The group of each of `size` images, -1: it is in none, where groups that share an image are one, int64."""
    lead: dict[int, int] = {}

    def find(one: int) -> int:
        while lead.setdefault(one, one) != one:
            lead[one] = lead[lead[one]]
            one = lead[one]
        return one

    for members in together:
        for member in members[1:]:
            lead[find(member)] = find(members[0])
    found = np.full(size, -1, np.int64)
    for one in list(lead):
        found[one] = find(one)
    return found


def _is_mixed(group: np.ndarray, labels: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Which images are in a group that has several classes among the images of the pool, (N,)."""
    members = pool[group[pool] >= 0]
    least, most = np.full(len(group), len(labels) + 1, np.int64), np.full(len(group), -1, np.int64)
    np.minimum.at(least, group[members], labels[members])
    np.maximum.at(most, group[members], labels[members])
    result = np.zeros(len(group), bool)
    result[members] = least[group[members]] != most[group[members]]
    return result
