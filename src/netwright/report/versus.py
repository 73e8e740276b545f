"""Runs beside each other: how much a search gained over random networks of its space, and whose front dominates whose.

Ru et al. 2020 (arXiv:2004.01395) compare searches by the first, a ratio, so that what a space is worth by itself is
left out, and their two spaces by the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from netwright.core import in_full, refs, whereabouts
from netwright.core.errors import BadReference
from netwright.core.objectives import Objective, short
from netwright.core.protocols import SamplesAtRandom
from netwright.data.text import counted
from netwright.report import fronts
from netwright.report.reported import ReportedRun

RESAMPLES = 2000
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True)
class Advantage:
    """What a search found, over what random networks of the same space come to.

    Args:
        searched: Name of the run that searched.
        sampled: Name of the run of random networks.
        metric: What was measured.
        what: What of the search is compared: "networks trained in full", or "trials at the judged budget".
        found: Mean of the search.
        chance: Mean of the random networks.
        ratio: The first by the second.
        low: The least ratio that agrees with the measurements (95 %, both resampled); NaN where either has one.
        high: The largest one.
        is_lower_better: Whether a ratio below 1 is the gain, as of a loss.
    """

    searched: str
    sampled: str
    metric: str
    what: str
    found: float
    chance: float
    ratio: float
    low: float
    high: float
    is_lower_better: bool = False

    def sentence(self) -> str:
        """The advantage in words, with a period."""
        within = "" if math.isnan(self.low) else f" ({self.low:.3f} to {self.high:.3f})"
        way = "; lower is better" if self.is_lower_better else ""
        return (
            f"Searched over random, {self.searched} by {self.sampled}: {self.ratio:.3f}{within}, "
            f"{self.metric} {short(self.found)} by {short(self.chance)} ({self.what}{way})."
        )


@dataclass(frozen=True)
class Domination:
    """How much of one run's front another one's dominates: is at least as good in all, and better in one.

    Args:
        over: Name of the run whose front may dominate.
        under: Name of the other run.
        dominated: Number of points of the other front that it dominates.
        points: Number of points on the other front.
    """

    over: str
    under: str
    dominated: int
    points: int

    @property
    def is_whole(self) -> bool:
        """Whether it dominates the other front."""
        return self.dominated == self.points

    def sentence(self) -> str:
        """The comparison in words, with a period."""
        if self.is_whole:
            return (
                f"The front of {self.over} dominates that of {self.under}: all {counted(self.points, 'point')} of it."
            )
        return (
            f"The front of {self.over} dominates {self.dominated:,} of {self.points:,} points on that of {self.under}."
        )


def advantages(runs: Sequence[ReportedRun], rng: np.random.Generator) -> list[Advantage]:
    """The advantage of each search over each run of random networks of the same space that were trained alike."""
    if len(runs) < 2:
        return []  # without loading any strategy
    sampled = [run for run in runs if _is_sampled(run)]
    found = []
    for search in runs:
        for chance in sampled:
            if (
                search not in sampled
                and search.run.space == chance.run.space
                and (advantage := _advantage(search, chance, rng))
            ):
                found.append(advantage)
    return found


def dominations(runs: Sequence[ReportedRun]) -> list[Domination]:
    """Each front against each other one of the same objectives, of networks that were trained alike."""
    known = [(run, _front(run)) for run in runs if len(run.objectives) > 1]
    return [
        Domination(over.name, under.name, int(_dominated(lower, upper).sum()), len(lower))
        for (over, upper), (under, lower) in permutations(known, 2)
        if [str(goal) for goal in over.objectives] == [str(goal) for goal in under.objectives]
        and whereabouts.without(over.run.task) == whereabouts.without(under.run.task)
        and _way(over) == _way(under)
        and len(upper)
        and len(lower)
    ]


def facts(runs: Sequence[ReportedRun], rng: np.random.Generator) -> dict[str, Any]:
    """Both as JSON: `advantages` and `dominations`; numbers that are not known are null."""

    def row(given: Advantage | Domination) -> dict[str, Any]:
        values = {name: getattr(given, name) for name in given.__dataclass_fields__}
        return {name: None if isinstance(v, float) and math.isnan(v) else v for name, v in values.items()}

    return {
        "advantages": [row(advantage) for advantage in advantages(runs, rng)],
        "dominations": [{**row(each), "dominates": each.is_whole} for each in dominations(runs)],
    }


def _is_sampled(run: ReportedRun) -> bool:
    """Whether the trials of a run are a random sample of its space, as its strategy says."""
    try:
        return isinstance(refs.locate("strategy", run.run.strategy.name), SamplesAtRandom)
    except BadReference:  # it cannot be imported here
        return False


def _advantage(search: ReportedRun, chance: ReportedRun, rng: np.random.Generator) -> Advantage | None:
    """By tested networks where the random ones were tested too, else by trials of one objective trained alike."""
    if whereabouts.without(search.run.task) != whereabouts.without(chance.run.task):
        return None
    final = next((each for each in search.finals if each.is_tested and not each.reference), None)
    if final is not None and chance.objective.name == final.metric:
        values = np.array([each.value for each in final.repetitions])
        return _ratio(search, chance, final.objective, "networks trained in full", values, _trials(chance), rng)
    if str(search.objective) != str(chance.objective) or _way(search) != _way(chance):
        return None
    what = "trials at the judged budget"
    return _ratio(search, chance, search.objective, what, _trials(search), _trials(chance), rng)


def _ratio(
    search: ReportedRun,
    chance: ReportedRun,
    objective: Objective,
    what: str,
    found: np.ndarray,
    random: np.ndarray,
    rng: np.random.Generator,
) -> Advantage | None:
    if not len(found) or not len(random) or not random.mean():
        return None
    low = high = math.nan
    if min(len(found), len(random)) > 1:
        above, below = (rng.choice(each, (RESAMPLES, len(each))).mean(1) for each in (found, random))
        low, high = np.quantile(above / below, INTERVAL)
    ratio = float(found.mean() / random.mean())
    means = float(found.mean()), float(random.mean())
    return Advantage(
        search.name,
        chance.name,
        objective.label,
        what,
        *means,
        ratio,
        float(low),
        float(high),
        is_lower_better=objective.sign < 0,
    )


def _trials(run: ReportedRun) -> np.ndarray:
    """What the trials of a run at the judged budget measured of its first objective."""
    scores = run.history.scores[run.history.is_judged & ~run.history.is_reused]
    return np.asarray(run.objective.measured(scores[~np.isnan(scores)]))


def _way(run: ReportedRun) -> tuple[str, dict[str, Any], Any]:
    """How trials at the judged budget are trained: the evaluator, its options, and the length, by option or budget."""
    says, options = in_full.of(run.run.evaluator), run.run.evaluator.options
    budgets = run.history.budgets[run.history.is_judged]
    given = [options[name] for name in says.lengths if name in options]
    apart = (*says.lengths, *says.searched, "horizon")  # which is the largest budget, and so the length there
    alike = {name: value for name, value in says.way(options).items() if name not in apart}
    return run.run.evaluator.name, alike, int(budgets.max(initial=0)) or next(iter(given), None)


def _front(run: ReportedRun) -> np.ndarray:
    return run.history.points[fronts.places(run.history)]


def _dominated(points: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Which points another set dominates, shape (points,), bool."""
    is_as_good = np.all(by[None] >= points[:, None], axis=2)
    is_better = np.any(by[None] > points[:, None], axis=2)
    return np.asarray(np.any(is_as_good & is_better, axis=1))
