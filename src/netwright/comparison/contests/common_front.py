"""The front of all searches of a contest together, from which each is judged where there are several objectives.

What there is to be found on a real task nobody knows, so that shares are of what all searches found together. They
change when searches are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from netwright.comparison.contests.populations import SearchPath
from netwright.core import front, objectives
from netwright.core.objectives import Objective

Paths = Mapping[str, Mapping[int, SearchPath]]  # of searches, by label of strategy and by seed


@dataclass(frozen=True)
class CommonFront:
    """The front of all searches on a recipe.

    Args:
        goals: The objectives, at least two.
        reference: What hypervolumes are measured from, as measured: what the recipe says, else the reference point of
            this front (`front.reference_point`).
        hypervolume: What the front covers.
    """

    goals: tuple[Objective, ...]
    reference: tuple[float, ...]
    hypervolume: float


def common_front(paths: Paths, goals: Sequence[Objective], given: Sequence[float] | None) -> CommonFront | None:
    """The front of all searches; None: there is one objective, or nothing succeeded, or nothing lies before `given`."""
    listed = [path.points for of_label in paths.values() for path in of_label.values() if path.incumbent >= 0]
    if len(goals) < 2 or not listed:
        return None
    scores = np.concatenate(listed)
    scores = scores[~np.isnan(scores).any(1)]
    reference = front.reference_point(scores) if given is None else _signed(given, goals)
    volume = front.hypervolume(scores, reference)
    return CommonFront(tuple(goals), tuple(_signed(reference, goals).tolist()), volume) if volume > 0 else None


def judged(paths: Paths, found: CommonFront | None) -> dict[str, dict[int, SearchPath]]:
    """The searches, with what each had covered after each trial; as they are where there is no common front."""
    if found is None:
        return {label: dict(of_label) for label, of_label in paths.items()}
    reference = _signed(found.reference, found.goals)
    return {
        label: {seed: replace(path, covered=_shares(path, reference, found)) for seed, path in of_label.items()}
        for label, of_label in paths.items()
    }


def _shares(path: SearchPath, reference: np.ndarray, found: CommonFront) -> np.ndarray:
    if path.incumbent < 0:  # it has no scores at all
        return np.zeros(len(path.scores))
    return front.hypervolumes(path.points, reference) / found.hypervolume


def _signed(point: Sequence[float] | np.ndarray, goals: Sequence[Objective]) -> np.ndarray:
    """Scores of values, and values of scores."""
    return objectives.measured(np.array(point, np.float64), goals)
