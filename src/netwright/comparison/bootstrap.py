"""Differences between strategies, with intervals: the paired bootstrap over common seeds (Efron and Tibshirani 1993).

Searches from one seed begin with the same random networks, so that their difference varies less than either does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
CHUNK = 2_000_000  # draws held in memory at a time
INTERVAL = 95.0  # percent
FEW = 20  # seeds; with fewer, intervals of resampled means are clearly too short


class Difference(NamedTuple):
    """A mean difference over `seeds` common seeds, and its 95 % interval from `low` to `high`.

    `p` is twice the share of resampled means at 0 or on the other side of it; one mean is added to these and to all, so
    that it is never 0. Interval and `p` are NaN below two seeds, which have no spread.
    """

    mean: float
    low: float
    high: float
    p: float
    seeds: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves 0 out and there are seeds enough to believe it."""
        return self.seeds >= FEW and (self.low > 0 or self.high < 0)


def paired(differences: np.ndarray, rng: np.random.Generator, resamples: int = RESAMPLES) -> list[Difference]:
    """The mean of each column and its interval, resampled by rows.

    Args:
        differences: Shape (seeds, pairs); NaN where a seed has not both of a pair.
        rng: Draws the seeds, the same for all columns.
        resamples: Number of means that are drawn.

    Returns:
        A difference for each column: NaN where no seed has both; interval and p are NaN where only one seed has both.
    """
    is_known = ~np.isnan(differences)
    values, weights = np.where(is_known, differences, 0.0), is_known.astype(float)
    seeds = len(differences)
    drawn = [
        _means(_counts(seeds, count, rng), values, weights)
        for count in _chunks(resamples, max(1, CHUNK // max(1, seeds)))
    ]
    means = np.concatenate(drawn) if seeds else np.zeros((0, differences.shape[1]))  # (resamples, pairs)
    return [_difference(values[:, n], is_known[:, n], means[:, n]) for n in range(differences.shape[1])]


def _difference(values: np.ndarray, is_known: np.ndarray, means: np.ndarray) -> Difference:
    count = int(is_known.sum())
    if not count:
        return Difference(np.nan, np.nan, np.nan, np.nan, 0)
    mean = float(values.sum()) / count
    if count < 2:
        return Difference(mean, np.nan, np.nan, np.nan, count)
    means = means[~np.isnan(means)]  # a draw of only those seeds that lack one of the pair
    low, high = np.percentile(means, [(100 - INTERVAL) / 2, (100 + INTERVAL) / 2])
    other_side = min(int((means <= 0).sum()), int((means >= 0).sum()))
    p = min(1.0, 2 * (other_side + 1) / (len(means) + 1))
    return Difference(mean, float(low), float(high), p, count)


def _means(counts: np.ndarray, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    drawn = counts @ weights
    return np.where(drawn > 0, counts @ values / np.maximum(drawn, 1), np.nan)


def _counts(seeds: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each seed is drawn, shape (resamples, seeds)."""
    places = rng.integers(seeds, size=(resamples, seeds)) + seeds * np.arange(resamples)[:, None]
    return np.bincount(places.ravel(), minlength=resamples * seeds).reshape(resamples, seeds).astype(float)


def _chunks(total: int, size: int) -> list[int]:
    whole, rest = divmod(total, size)
    return [size] * whole + ([rest] if rest else [])
