"""What a course is worth: pure functions of arrays.

* The **incumbent** after each trial is the network of the best signal so far, the first of equals.
* The **final measure** is that of the incumbent: what a search chooses is all that it can be asked for.
* The **regret** is the best signal of the table less the incumbent's, in the signal's units, 0 or more. Where the
  search saw single measurements, it is that of their mean.
* The best was **found** when the regret is 0: any of several best networks counts.
* A search is **within x %** of the best from the first trial whose regret is at most x / 100 of the size of the best
  signal: within 1 % of an accuracy of 90 % is 89.1 %.
* Where there are several objectives, the **hypervolume** is the share of that of the table's exact front which the
  front of all trials so far covers.

After a search has ended, because a small space was exhausted, its incumbent stays.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from netwright.comparison.courses import Course

WITHIN = (1.0, 0.5, 0.1)  # percent of the best signal


class MeanOfSeeds(NamedTuple):
    """A mean over `seeds` values and its standard error, sample sd / sqrt(seeds); NaN where not defined."""

    mean: float
    error: float
    seeds: int


def incumbents(scores: np.ndarray) -> np.ndarray:
    """Position of the best so far at each position, shape of `scores`, int64; -1 before the first number."""
    best = np.fmax.accumulate(scores) if len(scores) else scores
    is_record = ~np.isnan(best)
    is_record[1:] &= ~(best[1:] == best[:-1])
    return np.maximum.accumulate(np.where(is_record, np.arange(len(scores)), -1)) if len(scores) else np.zeros(0, int)


def carried(values: np.ndarray, chosen: np.ndarray, length: int) -> np.ndarray:
    """`values` of the incumbents, shape (length,): the last one stays; NaN where there is no incumbent."""
    found = np.full(length, np.nan)
    count = min(length, len(chosen))
    if count:
        found[:count] = np.where(chosen[:count] >= 0, values[chosen[:count]], np.nan)
        found[count:] = found[count - 1]
    return found


def regret_path(course: Course, sign: int, best: float, length: int) -> np.ndarray:
    """Regret after each trial, shape (length,); NaN before the first success.

    Args:
        course: The course of a search.
        sign: 1 where a higher signal is better, else -1.
        best: Best signal of the table, as a score.
        length: Number of trials.
    """
    values = course.values if len(course.values) else course.signals
    return best - carried(sign * values, incumbents(sign * course.signals), length)


def final_path(course: Course, sign: int, length: int) -> np.ndarray:
    """Final measure of the incumbent after each trial, as measured, shape (length,); NaN where it is not known."""
    return carried(course.finals, incumbents(sign * course.signals), length)


def points(course: Course) -> np.ndarray:
    """What each trial measured by all objectives, shape (trials, M); NaN where the signal has no value that compares.

    Where the search saw single measurements of the signal, it is their mean.
    """
    values = course.values if len(course.values) else course.signals
    return np.column_stack([np.where(np.isnan(course.signals), np.nan, values), course.others])


def at_costs(path: np.ndarray, costs: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """A path over trials as one over seconds of evaluation, shape of `grid`; NaN before the first trial is done."""
    done = np.searchsorted(np.cumsum(costs), grid, side="right")
    return np.where(done > 0, path[np.maximum(done, 1) - 1], np.nan) if len(path) else np.full(len(grid), np.nan)


def first_within(regrets: np.ndarray, bound: float) -> np.ndarray:
    """Trials until a regret is at most `bound`, shape (searches,); NaN: never. `regrets` are (searches, trials)."""
    is_within = regrets <= bound
    first = np.argmax(is_within, axis=1) + 1.0 if regrets.shape[1] else np.zeros(len(regrets))
    return np.where(is_within.any(axis=1), first, np.nan)


def mean(values: np.ndarray) -> MeanOfSeeds:
    """Mean and standard error of the numbers among `values`, shape (n,)."""
    known = values[~np.isnan(values)]
    count = len(known)
    if not count:
        return MeanOfSeeds(math.nan, math.nan, 0)
    if known.min() == known.max():  # no rounding where there is nothing to round
        return MeanOfSeeds(float(known[0]), 0.0 if count > 1 else math.nan, count)
    return MeanOfSeeds(float(known.mean()), float(known.std(ddof=1)) / math.sqrt(count), count)


def mean_path(paths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over the first axis, NaN left out; the mean of none and the error of one are NaN."""
    is_known = ~np.isnan(paths)
    count = is_known.sum(axis=0)
    means = np.where(is_known, paths, 0.0).sum(axis=0) / np.maximum(count, 1)
    squares = np.where(is_known, (paths - means) ** 2, 0.0).sum(axis=0)
    errors = np.sqrt(squares / np.maximum(count - 1, 1) / np.maximum(count, 1))
    return np.where(count > 0, means, np.nan), np.where(count > 1, errors, np.nan)
