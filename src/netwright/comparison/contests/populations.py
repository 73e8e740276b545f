"""Courses of searches on real tasks as arrays: the best so far, the population, and how soon a fraction was reached.

The **population** of a search after t trials is the last P trials that it was told, whatever its strategy: exactly the
population of aging evolution, and for the others what they measure at that time, so that all are read in one way. P is
the strategy's own `population` where it has one, else the largest among those it is compared with, else its `batch`,
else 100. Those of the P that failed, or were measured at another budget than the one that is judged, have no score and
are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from netwright.comparison import measures
from netwright.comparison.contests import fan_in
from netwright.core import refs
from netwright.core.protocols import SearchSpace
from netwright.core.records import Trial
from netwright.core.refs import Reference
from netwright.report import curves
from netwright.report.history import History

POPULATION = 100  # where no strategy says


@dataclass(frozen=True, eq=False)
class SearchPath:
    """One search, trial by trial in order of finishing, each of shape (trials,).

    NaN where a trial has no score: it failed, or its budget is not the one that is judged.

    Args:
        scores: The first objective, higher is better.
        best: The highest score so far.
        population: Mean score of the last P trials.
        params: Number of parameters of each network.
        hours: Hours of evaluation until then; answers from the table cost none.
        fan_in: Mean fan-in of each network over the graphs in which it varies.
        is_repeat: Whether the network was measured before in this search, at the same budget.
        failures: Number of trials that failed.
        points: Scores of all objectives, shape (trials, M).
        covered: Where there are several objectives, the share of the hypervolume of the front of all searches together
            that the front of the trials so far covers; (0,): there is one.
    """

    scores: np.ndarray
    best: np.ndarray
    population: np.ndarray
    params: np.ndarray
    hours: np.ndarray
    fan_in: np.ndarray
    is_repeat: np.ndarray
    failures: int = 0
    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    covered: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def incumbent(self) -> int:
        """Position of the best trial, the first of equals; -1: none succeeded."""
        return int(measures.incumbents(self.scores)[-1]) if len(self.scores) else -1


def path(trials: Sequence[Trial], population: int, space: SearchSpace, graphs: Sequence[str]) -> SearchPath:
    """The path of a search whose trials have scores; `graphs` are names of those whose fan-in varies."""
    history = History.of(trials)
    scores = history.scores
    known: dict[str, float] = {}
    if graphs:
        networks = {trial.key: trial.proposal.genotype for trial in trials}
        found = fan_in.of_networks(space, list(networks.values()))
        known = dict(zip(networks, fan_in.mean(found, graphs, len(networks)).tolist(), strict=True))
    seen: set[tuple[str, int | None]] = set()
    is_repeat = np.zeros(len(trials), bool)
    for place, trial in enumerate(trials):
        measured = (trial.key, trial.proposal.budget)
        is_repeat[place] = measured in seen
        seen.add(measured)
    edges = np.array([known.get(trial.key, np.nan) for trial in trials], np.float64)
    return SearchPath(
        scores=scores,
        best=curves.best_so_far(scores),
        population=curves.moving_average(scores, population),
        params=history.params,
        hours=np.cumsum(history.seconds) / 3600,
        fan_in=np.where(np.isnan(scores), np.nan, edges),
        is_repeat=is_repeat,
        failures=history.failed,
        points=history.points,
    )


def sizes(strategies: Mapping[str, Reference]) -> dict[str, int]:
    """P, the size of the population, of each strategy, by label."""
    own = {label: _option(reference, "population") for label, reference in strategies.items()}
    largest = max((size for size in own.values() if size), default=None)
    return {
        label: own[label] or largest or _option(reference, "batch") or POPULATION
        for label, reference in strategies.items()
    }


def bound(best: float, fraction: float) -> float:
    """The score that is `fraction` of the best: below it by (1 - fraction) of its absolute value, whatever its sign."""
    return best - (1 - fraction) * abs(best)


def reached(found: SearchPath, score: float) -> tuple[float, float]:
    """Number of trials and hours until the best so far was at least `score`; NaN: never."""
    places = np.flatnonzero(found.best >= score)
    return (float(places[0]) + 1, float(found.hours[places[0]])) if len(places) else (np.nan, np.nan)


def _option(reference: Reference, name: str) -> int | None:
    """The value of a whole-numbered option, its default where it is not given; None: there is none."""
    accepted = refs.options_of(refs.locate("strategy", reference.name))
    value = reference.options.get(name, accepted[name].default if name in accepted else None)
    return value if type(value) is int and value > 0 else None
