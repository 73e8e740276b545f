"""How networks of one generator, or trainings of one network, differ among themselves, beside how generators differ.

An analysis of variance with one random factor over genotypes that were measured several times, as the strategy `panel`
measures them. Numpy and scipy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from netwright.core.objectives import Objective
from netwright.core.ranking import spearman
from netwright.data.text import counted
from netwright.report.history import History

FEWEST = 5  # genotypes, each measured twice at least, that are worth an analysis
LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """The spread of one objective, as measured.

    Args:
        objective: The objective.
        within: Standard deviation of measurements of one genotype; where genotypes differ in it, of the mean variance.
        between: Standard deviation of genotypes, without what measuring each so few times adds to it.
        share: Share of the variance of a measurement that is between genotypes; how far one measurement tells them
            apart.
        low: The least share that agrees with the measurements (95 %).
        high: The largest one.
        good: Standard deviation within the better half of the genotypes.
        poor: The same of the worse half.
    """

    objective: Objective
    within: float
    between: float
    share: float
    low: float
    high: float
    good: float
    poor: float


@dataclass(frozen=True, eq=False)
class Spreads:
    """Genotypes that were measured several times.

    Args:
        places: Positions of the measurements of each genotype, the best mean of the first objective first.
        spreads: One for each objective.
        ties: Spearman's correlation between means of the first objective and of each further one, as measured.
    """

    places: tuple[np.ndarray, ...]
    spreads: tuple[Spread, ...]
    ties: tuple[float, ...]

    @property
    def measurements(self) -> int:
        """Number of measurements."""
        return sum(map(len, self.places))

    def sentences(self) -> list[str]:
        """Whether the first objective goes with the others, in words, one sentence for each of these."""
        said, first = [], self.spreads[0]
        for each, tie in zip(self.spreads[1:], self.ties, strict=True):
            known = "is not defined" if math.isnan(tie) else f"is {tie:.2f}"
            label = f"{first.objective.label} and {each.objective.label}"
            said.append(f"Spearman's correlation of {label} over genotypes {known}.")
        return said

    def facts(self) -> dict[str, Any]:
        """The analysis as JSON."""
        names = [name for name in Spread.__dataclass_fields__ if name != "objective"]
        return {
            "genotypes": len(self.places),
            "measurements": self.measurements,
            "objectives": [
                {"metric": each.objective.name, **{name: getattr(each, name) for name in names}}
                for each in self.spreads
            ],
            "rank_correlations": [None if math.isnan(tie) else tie for tie in self.ties],
        }


def of_history(history: History, goals: Sequence[Objective]) -> Spreads | None:
    """The spread of a run; None where fewer than half of its trials at the judged budget repeat a genotype.

    Args:
        history: The finished trials. Those count that were measured, at the judged budget, and have a score.
        goals: The objectives of the run.
    """
    known = np.flatnonzero(history.is_judged & ~np.isnan(history.points).any(1) & ~history.is_reused)
    _, which, counts = np.unique(history.keys[known], return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(counts > 1)
    if len(repeated) < FEWEST or 2 * int(counts[repeated].sum()) < len(known):
        return None
    groups = [known[which == genotype] for genotype in repeated]
    groups.sort(key=lambda places: -float(history.scores[places].mean()))
    points = np.column_stack([goal.measured(history.points[:, k]) for k, goal in enumerate(goals)])
    means = np.array([points[places].mean(0) for places in groups])
    return Spreads(
        tuple(groups),
        tuple(_spread(goal, [points[places, k] for places in groups]) for k, goal in enumerate(goals)),
        tuple(spearman(means[:, 0], means[:, k]) for k in range(1, len(goals))),
    )


def _spread(objective: Objective, groups: Sequence[np.ndarray]) -> Spread:
    """Components of variance by the method of moments; the interval is exact where all groups are of one size."""
    sizes = np.array([len(group) for group in groups])
    free = int(sizes.sum()) - len(groups)
    squares = np.array([np.sum((group - group.mean()) ** 2) for group in groups])
    means = np.array([group.mean() for group in groups])
    overall = float(np.concatenate(groups).mean())
    within = float(squares.sum()) / free
    across = float(np.sum(sizes * (means - overall) ** 2)) / (len(groups) - 1)
    size = (sizes.sum() - (sizes**2).sum() / sizes.sum()) / (len(groups) - 1)
    between = max(0.0, (across - within) / size)
    whole = within + between
    if not whole:
        return Spread(objective, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    low = high = 1.0
    if within:
        ratio, tails = across / within, ((1 + LEVEL) / 2, (1 - LEVEL) / 2)
        ends = [ratio / special.fdtri(len(groups) - 1, free, tail) for tail in tails]
        low, high = (max(0.0, (end - 1) / (end - 1 + size)) for end in ends)
    half = len(groups) // 2
    good, poor = (
        math.sqrt(squares[part].sum() / max(1, int((sizes[part] - 1).sum())))
        for part in (slice(half), slice(half, None))
    )
    return Spread(
        objective, math.sqrt(within), math.sqrt(between), between / whole, float(low), float(high), good, poor
    )


def title(found: Spreads) -> str:
    """What was measured how often, in words."""
    counts = sorted({len(places) for places in found.places})
    each = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{counted(len(found.places), 'genotype')}, each measured {each} times"
