"""Several objectives at once: which points are dominated, how much a front covers, and where it bends.

All functions take scores, shape (N, M): one row for each point, one column for each objective, each to be maximized (a
metric that is better when it is lower is negated: `Objective.score`). A point dominates another one when it is at least
as good in every objective and better in one.
"""

from __future__ import annotations

import numpy as np

BEHIND = 0.1  # how far the reference point lies behind the worst of a front, as a share of its range


def nondominated(scores: np.ndarray) -> np.ndarray:
    """Which points are on the front: those that no other point dominates. Equal points are all on it.

    Args:
        scores: Shape (N, M), finite.

    Returns:
        Shape (N,), bool.
    """
    return layers(scores, most=1) == 0


def layers(scores: np.ndarray, most: int | None = None) -> np.ndarray:
    """The layer of each point: 0 on the front, 1 on the front of what is left without it, and so on.

    Two objectives take O(N log N) for each layer, more of them O(N^2).

    Args:
        scores: Shape (N, M), finite.
        most: Stop after so many layers; the points behind them get `most`. None: all are told apart.

    Returns:
        Shape (N,), int.

    Source: Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", section III.A.
    """
    count = len(scores)
    found = np.full(count, count if most is None else most)
    left = np.lexsort(-scores.T[::-1]) if scores.shape[1] else np.arange(count)  # whoever dominates stands before
    layer = 0
    while len(left) and (most is None or layer < most):
        is_first = _first_layer(scores[left])
        found[left[is_first]] = layer
        left, layer = left[~is_first], layer + 1
    return found


def crowding(scores: np.ndarray) -> np.ndarray:
    """How far each point of one layer lies from its neighbors: the sum over objectives of their scaled distances.

    Args:
        scores: Shape (N, M), of points that do not dominate each other.

    Returns:
        Shape (N,); infinite for the ends of each objective.

    Source: Deb et al. 2002, section III.B.
    """
    found = np.zeros(len(scores))
    for column in scores.T:
        order = column.argsort(kind="stable")
        ordered = column[order]
        found[order[0]] = found[order[-1]] = np.inf
        if span := ordered[-1] - ordered[0]:
            found[order[1:-1]] += (ordered[2:] - ordered[:-2]) / span
    return found


def reference_point(scores: np.ndarray) -> np.ndarray:
    """A reference point for `hypervolume`: behind the worst of the front in each objective, by a tenth of its range.

    Where all of a front are equal in an objective, as those of a front of one point, the range of all points takes the
    place of the front's: else nothing that is worse in it than this one would count.

    Args:
        scores: Shape (N, M), N at least 1.

    Returns:
        Shape (M,).
    """
    found = scores[nondominated(scores)]
    span = np.ptp(found, axis=0)
    return _behind(found.min(0), np.where(span > 0, span, np.ptp(scores, axis=0)))


def behind(scores: np.ndarray) -> np.ndarray:
    """A reference point behind the worst of all these points, as `reference_point` has it behind the worst of a front.

    Where all are equal in an objective, it is a tenth of that score's size behind it, or 0.1 of nothing.

    Args:
        scores: Shape (N, M), N at least 1.

    Returns:
        Shape (M,).
    """
    return _behind(scores.min(0), np.ptp(scores, axis=0))


def _behind(worst: np.ndarray, span: np.ndarray) -> np.ndarray:
    return worst - BEHIND * np.where(span > 0, span, np.where(worst != 0, np.abs(worst), 1.0))


def hypervolume(scores: np.ndarray, reference: np.ndarray) -> float:
    """The volume that points dominate in front of a reference point, exactly.

    Args:
        scores: Shape (N, M); points that are not better than the reference in every objective add nothing.
        reference: Shape (M,).

    Source: Zitzler and Thiele 1998; beyond two objectives by exclusive volumes (While, Bradstreet and Barone 2012, "A
    Fast Way of Calculating Exact Hypervolumes").
    """
    gains = scores - reference
    gains = gains[(gains > 0).all(1)]
    return _volume(gains[nondominated(gains)]) if len(gains) else 0.0


def hypervolumes(scores: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The hypervolume of the first points, up to and including each: what a search had covered after each trial.

    Args:
        scores: Shape (N, M); a point with NaN in it adds nothing, as that of a trial that failed.
        reference: Shape (M,).

    Returns:
        Shape (N,), never falling.
    """
    gains = scores - reference
    added = np.zeros(len(scores))
    covered = np.zeros((0, scores.shape[1]))  # the front so far
    for place in np.flatnonzero((gains > 0).all(1)):
        gain = gains[place]
        if (covered >= gain).all(1).any():
            continue
        shared = np.minimum(covered, gain)
        added[place] = gain.prod() - _volume(shared[nondominated(shared)])
        covered = np.vstack([covered[~(covered <= gain).all(1)], gain])
    return np.cumsum(added)


def knee(scores: np.ndarray) -> int:
    """Position of the point where the front bends most: the best compromise where nobody says what counts more.

    Each objective is scaled to 0 and 1 over the front, and the point farthest in front of the plane through its ends is
    the knee; of equal ones the first.

    Args:
        scores: Shape (N, M), N at least 1; dominated points are never the knee.

    Source: Das 1999, "On characterizing the 'knee' of the Pareto curve", for the plane through the ends.
    """
    places = np.flatnonzero(nondominated(scores))
    front = scores[places]
    span = np.ptp(front, axis=0)
    scaled = (front - front.min(0)) / np.where(span > 0, span, 1.0)
    return int(places[np.argmax(scaled.sum(1))])


def _first_layer(ordered: np.ndarray) -> np.ndarray:
    """Which of points in descending lexicographic order no other one dominates, shape (N,)."""
    if ordered.shape[1] == 1:
        return ordered[:, 0] == ordered[0, 0]
    if ordered.shape[1] == 2:
        return _staircase(ordered)
    is_first = np.zeros(len(ordered), bool)
    front = np.empty_like(ordered)
    size = 0
    for place, point in enumerate(ordered):
        rivals = front[:size]
        if not ((rivals >= point).all(1) & (rivals > point).any(1)).any():
            is_first[place] = True
            front[size] = point
            size += 1
    return is_first


def _staircase(ordered: np.ndarray) -> np.ndarray:
    """The same for two objectives: a point is dominated by whoever was as good in the second one before it.

    Those of equal first score stand in descending order of the second, so that only the first of them, and its equals,
    can be on the front.
    """
    first, second = ordered.T
    begins = np.r_[True, first[1:] != first[:-1]]  # of a group of equal first scores
    group = np.cumsum(begins) - 1
    best = second[begins]
    before = np.r_[-np.inf, np.maximum.accumulate(best)[:-1]]
    return (second == best[group]) & (second > before[group])


def _volume(gains: np.ndarray) -> float:
    """The volume of points that do not dominate each other, all greater than 0, in front of the origin."""
    count, objectives = gains.shape
    if count == 0:
        return 0.0
    if count == 1:
        return float(gains[0].prod())
    if objectives == 1:
        return float(gains.max())
    if objectives == 2:
        first, second = np.unique(gains, axis=0)[::-1].T  # first falls, second rises
        return float((first * np.diff(second, prepend=0.0)).sum())
    ordered = gains[np.argsort(gains[:, -1], kind="stable")]  # the volume shared with those behind is limited by these
    total = 0.0
    for place, point in enumerate(ordered):
        limited = np.minimum(ordered[place + 1 :], point)
        total += float(point.prod()) - (_volume(limited[nondominated(limited)]) if len(limited) else 0.0)
    return total
