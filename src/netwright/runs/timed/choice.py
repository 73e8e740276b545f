"""Choosing among networks of which few images validate: by accuracy, and where it does not tell them apart, by loss.

An accuracy on n images has a standard error of sqrt(p (1 - p) / n), 3 points on 240 images, and the best of several is
best by chance as well. Networks within one standard error of it are as good for all that is known (Breiman et al. 1984,
"Classification and Regression Trees", section 3.4.3), and among these the loss, which says of every image how sure the
network is, knows more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from netwright.core.objectives import Objective

BY: Final = "accuracy"  # the metric, without its split, that losses decide beside


@dataclass(frozen=True)
class Measured:
    """What is known of a network.

    Args:
        score: The objective, higher is better.
        loss: The loss on the same images; None: it was not measured.
    """

    score: float
    loss: float | None


def standard_error(share: float, images: int) -> float:
    """Standard error of an accuracy, a share of 1, on so many images."""
    return sqrt(max(0.0, share * (1 - share)) / images) if images > 0 else 0.0


def best_first(found: Sequence[Measured], objective: Objective, images: int) -> list[int]:
    """Positions of networks, the best first; of equals, the first one comes first.

    Args:
        found: Networks.
        objective: What their scores are; of others than accuracy, losses decide nothing.
        images: Number of different images that validate.
    """
    places = sorted(range(len(found)), key=lambda place: -found[place].score)
    if not places or objective.bare != BY:
        return places
    best = found[places[0]].score
    least = best - standard_error(best, images)
    alike = [place for place in places if found[place].score >= least]
    losses = {place: loss for place in alike if (loss := found[place].loss) is not None}
    if len(losses) < len(alike):
        return places
    return [*sorted(alike, key=lambda place: losses[place]), *places[len(alike) :]]
