"""Choosing among networks of which few images validate: by accuracy, and where it does not tell them apart, by loss.

An accuracy on n images has a standard error of sqrt(p (1 - p) / n), 3 points on 240 images, and the best of several is
best by chance as well. Networks within one standard error of it are as good for all that is known (Breiman et al. 1984,
"Classification and Regression Trees", section 3.4.3), and among these the loss, which says of every image how sure the
network is, knows more. It does so of networks that were trained by the same settings: smoothed or mixed targets make a
network less sure, and no worse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Any, Final

from netwright.core.objectives import Objective

BY: Final = "accuracy"  # the metric, without its split, that losses decide beside


@dataclass(frozen=True)
class Contender:
    """What is known of a network.

    Args:
        score: The objective, higher is better.
        loss: The loss on the same images; None: it was not measured.
        settings: Settings of its training that differ between networks.
    """

    score: float
    loss: float | None
    settings: Mapping[str, Any] = field(default_factory=dict)


def standard_error(share: float, images: int) -> float:
    """Standard error of an accuracy, a share of 1, on so many images."""
    return sqrt(max(0.0, share * (1 - share)) / images) if images > 0 else 0.0


def best_first(found: Sequence[Contender], objective: Objective, images: int) -> list[int]:
    """Positions of networks, the best first; of equals, the first one comes first.

    Losses choose among those that are less than a standard error behind the highest accuracy, and trained like it.

    Args:
        found: Networks.
        objective: What their scores are; of others than accuracy, losses decide nothing.
        images: Number of different images that validate.
    """
    places = sorted(range(len(found)), key=lambda place: -found[place].score)
    if not places or not is_by_accuracy(objective):
        return places
    best = found[places[0]]
    within = standard_error(best.score, images)
    losses = {
        place: each.loss
        for place, each in enumerate(found)
        if each.score > best.score - within and each.settings == best.settings and each.loss is not None
    }
    if best.loss is None or not within:
        return places
    alike = sorted((place for place in places if place in losses), key=lambda place: losses[place])
    return alike + [place for place in places if place not in losses]


def is_by_accuracy(objective: Objective) -> bool:
    """Whether losses decide beside this objective."""
    return objective.bare == BY
