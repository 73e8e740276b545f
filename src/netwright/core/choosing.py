"""Which trial of a run is meant: the best, one by its number, the knee of the front, or the best of it that holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from netwright.core import constraints, front
from netwright.core.constraints import Constraint
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.objectives import shortened


@dataclass(frozen=True)
class Which:
    """What a user says to choose one trial of a run; nothing: the best by the first objective.

    Args:
        trial: Its number.
        knee: Whether it is the knee of the front.
        at: Conditions such as "params <= 2e5": the best by the first objective of those of the front that meet all.

    Raises:
        BadRunFile: More than one of them is given, or a condition cannot be read.
    """

    trial: int | None = None
    knee: bool = False
    at: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given = {"--trial": self.trial is not None, "--knee": self.knee, "--at": bool(self.at)}
        if sum(given.values()) > 1:
            raise BadRunFile(f"{' and '.join(name for name in given if given[name])} are given; give one of them")
        for text in self.at:
            if constraints.condition(text) is None:
                raise BadRunFile(f"--at {text!r} cannot be read; write it as 'params<=2e5' or 'valid_accuracy>=0.9'")

    @property
    def is_of_front(self) -> bool:
        """Whether it chooses from the front."""
        return self.knee or bool(self.at)

    @cached_property
    def conditions(self) -> tuple[Constraint, ...]:
        """The conditions, read."""
        return tuple(found for found in map(constraints.condition, self.at) if found)


BEST = Which()


def chosen(scores: np.ndarray, metrics: Sequence[Mapping[str, float]], which: Which) -> int:
    """The place of a point of a front.

    Args:
        scores: Shape (N, M), N and M at least 1, each to be maximized. Dominated points are never chosen.
        metrics: What was measured of each point, by name, N of them.
        which: Which point; the number of a trial says nothing here.

    Returns:
        The first of equally good ones.

    Raises:
        BadReference: There is one objective, so that there is no front to choose from; a condition is on a metric that
            was not measured; or no point meets all conditions.
    """
    if which.is_of_front and scores.shape[1] < 2:
        asked = "--knee" if which.knee else "--at"
        raise BadReference(
            f"{asked} chooses from the front of several objectives, and the run has one; leave it out for the best, or "
            "search with --objectives"
        )
    if which.knee:
        return front.knee(scores)
    places = np.flatnonzero(front.nondominated(scores))
    for condition in which.conditions:
        places = _meeting(places, metrics, condition, which)
    return int(places[np.argmax(scores[places, 0])])


def refuse_unmeasured(metrics: Sequence[Mapping[str, float]], conditions: Sequence[Constraint]) -> None:
    """Refuse conditions on a metric that none of the points has. Raises BadReference."""
    names = set[str]().union(*metrics)
    for condition in conditions:
        if condition.metric not in names:
            raise BadReference(
                f"--at {str(condition)!r} is on {condition.metric}, which was not measured; of the front are known: "
                f"{', '.join(sorted(names))}"
            )


def _meeting(
    places: np.ndarray, metrics: Sequence[Mapping[str, float]], condition: Constraint, which: Which
) -> np.ndarray:
    """Those of the places where the condition holds. Raises BadReference where there is none."""
    refuse_unmeasured([metrics[place] for place in places], [condition])
    known = [place for place in places if condition.metric in metrics[place]]
    found = [place for place in known if condition.admits(metrics[place][condition.metric])]
    if not found:
        values = [metrics[place][condition.metric] for place in known]
        is_upper = condition.comparison[0] == "<"
        value = shortened(condition.metric, min(values) if is_upper else max(values))
        nearest = f"the {'smallest' if is_upper else 'largest'} is {value}"
        others = " besides the conditions before it" if which.conditions[0] is not condition else ""
        raise BadReference(f"no point of the front meets --at {str(condition)!r}{others}: {nearest}; ask for less")
    return np.array(found)
