"""How far one list of numbers orders networks as another one does: rank correlations, their intervals, the best few.

Kendall's tau-b is the share of pairs in the same order less that of pairs in the other, ties left out on either side
(Kendall 1945, "The treatment of ties in ranking problems"); Spearman's correlation is that of the ranks. Intervals are
percentiles of the bootstrap (Efron and Tibshirani 1993), over networks. Numpy only, so that a look at a run is quick.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

FEWEST = 3  # networks that have an order worth the name
FEWEST_RESAMPLED = 5  # networks, of fewer of which resamples tell nothing
RESAMPLES = 2000
INTERVAL = (0.025, 0.975)
CHUNK = 4_000_000  # pairs in memory at a time
MOST = 2000  # networks of a bootstrap, which holds all pairs of them


@dataclass(frozen=True)
class Correlation:
    """A correlation of ranks, -1 to 1, and the interval that holds it with 95 %; NaN where not defined."""

    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        """For people: "0.62 [0.48, 0.73]"."""
        if math.isnan(self.value):
            return "not defined"
        return f"{self.value:.2f}" + ("" if math.isnan(self.low) else f" [{self.low:.2f}, {self.high:.2f}]")

    def facts(self) -> dict[str, float | None]:
        """For JSON: `value`, `low` and `high`, null where not defined."""
        return {name: None if math.isnan(v := getattr(self, name)) else v for name in ("value", "low", "high")}


@dataclass(frozen=True)
class RankAgreement:
    """How far a score orders networks as the truth does.

    Args:
        networks: Number of networks.
        kendall: Kendall's tau-b over all of them.
        spearman: Spearman's correlation over all of them.
        top: Number of networks that are best in truth, of which the following speaks.
        top_kendall: Kendall's tau-b within these.
        top_spearman: Spearman's correlation within these.
        precision: Share of these that are among as many best by the score; of equal scores, what chance gives.
    """

    networks: int
    kendall: Correlation
    spearman: Correlation
    top: int
    top_kendall: Correlation
    top_spearman: Correlation
    precision: float

    @property
    def chance(self) -> float:
        """What the precision of a score would be that knows nothing."""
        return self.top / self.networks if self.networks else math.nan

    def facts(self) -> dict[str, Any]:
        """For JSON; numbers that are not defined are null."""
        correlations = ("kendall", "spearman", "top_kendall", "top_spearman")
        return {
            "networks": self.networks,
            "top": self.top,
            **{name: getattr(self, name).facts() for name in correlations},
            "precision": None if math.isnan(self.precision) else self.precision,
            "precision_by_chance": None if math.isnan(self.chance) else self.chance,
        }


def agreement(
    scores: np.ndarray, truth: np.ndarray, rng: np.random.Generator, *, share: float = 0.2, resamples: int = RESAMPLES
) -> RankAgreement:
    """Compare what a score says of networks with the truth.

    Args:
        scores: What is to be judged, shape (n,); higher is better.
        truth: What it is judged by, shape (n,); higher is better.
        rng: Draws the networks of each resample.
        share: Share of the networks that count as the top, the best in truth, at least 3.
        resamples: Number of resamples; 0: no intervals. There are none of fewer than 5 and of more than
            2,000 networks either.
    """
    scores, truth = np.asarray(scores, np.float64), np.asarray(truth, np.float64)
    count = len(truth)
    top = best(truth, min(count, max(FEWEST, math.ceil(share * count - 1e-9))))
    every, within = (_correlations(scores[places], truth[places], rng, resamples) for places in (np.arange(count), top))
    return RankAgreement(count, *every, len(top), *within, precision(scores, truth, len(top)))


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Correlation of the ranks of two lists of numbers, shape (n,); equals have their mean rank. NaN: not defined."""
    return _correlation(_ranks(x), _ranks(y)) if len(x) > 1 else math.nan


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b of two lists of numbers, shape (n,); NaN: not defined. Bit for bit that of scipy."""
    alike = differ_x = differ_y = 0
    for start in range(0, len(x), rows := max(1, CHUNK // max(1, len(x)))):
        signs_x, signs_y = (_signs(values, slice(start, start + rows)) for values in (x, y))
        alike += int((signs_x * signs_y).sum(dtype=np.int64))
        differ_x, differ_y = differ_x + int(np.count_nonzero(signs_x)), differ_y + int(np.count_nonzero(signs_y))
    if not (differ_x and differ_y):
        return math.nan
    return min(1.0, max(-1.0, alike // 2 / math.sqrt(differ_x // 2) / math.sqrt(differ_y // 2)))  # each pair came twice


def best(values: np.ndarray, count: int) -> np.ndarray:
    """Positions of so many of the highest values, the highest first; of equals the first ones."""
    return np.argsort(-np.asarray(values, np.float64), kind="stable")[:count]


def precision(scores: np.ndarray, truth: np.ndarray, count: int) -> float:
    """Share of so many networks that are best in truth which are among as many best by score; NaN: there are none.

    Where equal scores lie on the edge, the share to be expected when chance breaks the ties.
    """
    if not 0 < count <= len(truth):
        return math.nan
    is_best = np.zeros(len(truth), bool)
    is_best[best(truth, count)] = True
    edge = scores[best(scores, count)[-1]]
    above, level = scores > edge, scores == edge
    drawn = (count - np.count_nonzero(above)) / np.count_nonzero(level)
    return float(np.count_nonzero(is_best & above) + drawn * np.count_nonzero(is_best & level)) / count


def _correlations(
    x: np.ndarray, y: np.ndarray, rng: np.random.Generator, resamples: int
) -> tuple[Correlation, Correlation]:
    """Kendall's and Spearman's, with intervals."""
    if len(x) < FEWEST:
        return Correlation(math.nan), Correlation(math.nan)
    values = kendall(x, y), spearman(x, y)
    if not resamples or not FEWEST_RESAMPLED <= len(x) <= MOST:
        return Correlation(values[0]), Correlation(values[1])
    taus, rhos = _resampled(x, y, rng.multinomial(len(x), np.full(len(x), 1 / len(x)), resamples))
    return _with_interval(values[0], taus), _with_interval(values[1], rhos)


def _with_interval(value: float, drawn: np.ndarray) -> Correlation:
    known = drawn[~np.isnan(drawn)]  # in a resample of few networks all may be equal
    if math.isnan(value) or not len(known):
        return Correlation(value)
    low, high = np.quantile(known, INTERVAL).tolist()
    return Correlation(value, low, high)


def _resampled(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both correlations of each resample; a network that is drawn twice ties with itself.

    Args:
        x: Shape (n,).
        y: Shape (n,).
        counts: How often each network is in each resample, shape (resamples, n).
    """
    weights = counts.astype(np.float32)  # sums of pairs stay whole numbers below 2**24, which are exact
    signs_x, signs_y = (_signs(values, slice(None)).astype(np.float32) for values in (x, y))
    pairs = [
        ((weights @ each) * weights).sum(1, dtype=np.float64)
        for each in (signs_x * signs_y, np.abs(signs_x), np.abs(signs_y))
    ]
    ranks_x, ranks_y = (weights @ ((signs > 0) + (signs == 0) / 2).astype(np.float32).T for signs in (signs_x, signs_y))
    with np.errstate(invalid="ignore", divide="ignore"):
        return pairs[0] / np.sqrt(pairs[1] * pairs[2]), _weighted(ranks_x, ranks_y, weights)


def _weighted(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The correlation of each row, weighted, shape (rows,)."""
    total = weights.sum(1, keepdims=True, dtype=np.float64)
    x, y = (each - (weights * each).sum(1, keepdims=True, dtype=np.float64) / total for each in (x, y))
    size = np.sqrt((weights * x**2).sum(1) * (weights * y**2).sum(1))
    found: np.ndarray = (weights * x * y).sum(1) / size
    return found


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 on, shape of `values`; equals have their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: np.ndarray = (ends - (counts + 1) / 2)[places.reshape(-1)]
    return mean


def _signs(values: np.ndarray, rows: slice) -> np.ndarray:
    """Whether each of some values is above, at or below each of all: 1, 0 or -1, shape (rows, n), int8."""
    return (values[rows, None] > values).astype(np.int8) - (values[rows, None] < values)


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    size = math.sqrt(float((x**2).sum() * (y**2).sum()))
    return float((x * y).sum()) / size if size else math.nan
