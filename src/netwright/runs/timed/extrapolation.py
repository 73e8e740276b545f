"""Where trainings of a contest will come to: the course of a loss, drawn further as a power law.

A ranking is shorter than the training that follows it, and so favors networks that learn soon, which are small ones,
over those that learn for longer. A loss falls about as a power of what is learned from (Hestness et al. 2017, "Deep
Learning Scaling is Predictable, Empirically", which finds exponents from 0.07 to 0.35, where 1/2 is what estimation
errors allow); its exponent from the search to the ranking says how much a network gains from still more time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Final, TypeVar

from netwright.core.objectives import Objective

STEEPEST: Final = 0.5  # exponent

Key = TypeVar("Key")


@dataclass(frozen=True)
class TwoPoints:
    """Two points of a training.

    Args:
        steps: Steps until the later one.
        loss: The loss then.
        earlier_steps: The same of the earlier point.
        earlier_loss: The same.
    """

    steps: float
    loss: float
    earlier_steps: float
    earlier_loss: float

    @property
    def span(self) -> float:
        """Ratio of the steps."""
        return self.steps / self.earlier_steps

    @property
    def slope(self) -> float:
        """Exponent by which the loss falls with the steps, from 0 to `STEEPEST`."""
        return min(STEEPEST, max(0.0, math.log(self.earlier_loss / self.loss) / math.log(self.span)))

    @property
    def is_known(self) -> bool:
        """Whether there are two points to draw a line through."""
        return 0 < self.earlier_steps < self.steps and self.loss > 0 and self.earlier_loss > 0


def factors(courses: Mapping[Key, TwoPoints | None], longer: Mapping[Key, float]) -> dict[Key, float]:
    """By what the loss of each network will be multiplied, at most 1, when its training goes on.

    A network whose course is not known gains like the others do in the mean; nothing is drawn further than it was seen.

    Args:
        courses: Courses of networks, from points that are about as far apart; None: it is not known.
        longer: How many times as long the whole training of each will be.
    """
    known = [each for each in courses.values() if each and each.is_known]
    if not known:
        return dict.fromkeys(courses, 1.0)
    slope, span = fmean(each.slope for each in known), fmean(each.span for each in known)
    own = {key: (each.slope, each.span) if each and each.is_known else (slope, span) for key, each in courses.items()}
    return {key: max(1.0, min(longer[key], own[key][1])) ** -own[key][0] for key in courses}


def drawn(value: float, objective: Objective, factor: float) -> float:
    """A measured value where the loss has been multiplied: errors of shares, and losses, shrink with it; others stay.

    Args:
        value: The value.
        objective: What it measures.
        factor: By what the loss is multiplied.
    """
    if objective.bare == "loss" or (objective.is_share and objective.is_minimized):
        return value * factor
    return value + (1 - value) * (1 - factor) if objective.is_share else value
