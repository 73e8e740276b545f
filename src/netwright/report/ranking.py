"""Whether the scores of a search order networks as training each of them alone does, by a sample that was trained.

Beside the score stand what costs nothing, the numbers of parameters and of multiply-adds, and other trainings of the
same sample: a score that orders no better than a count has told the search nothing. Yu et al. 2020, "Evaluating the
Search Phase of Neural Architecture Search" (arXiv:1902.08142), on why a search by shared weights needs such a check.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.core import ranking
from netwright.core.finals import Candidate
from netwright.core.objectives import Objective
from netwright.core.ranking import Correlation, RankAgreement
from netwright.core.records import Trial
from netwright.report.history import History

SEARCHED = "score of the search"
COUNTS = {"params": "parameters", "multiply_adds": "multiply-adds"}  # of which more counts as better


@dataclass(frozen=True)
class Trainings:
    """A sample as it was trained alone, once or several times each network.

    Args:
        candidates: The networks, with the trials that they are from.
        rows: Finished trainings.
        setting: How they were trained, in short: "30 epochs, channels 64".
        length: The unit that says how long, and how many of it: ("epochs", 30); None: not known.
    """

    candidates: Sequence[Candidate]
    rows: Sequence[Trial]
    setting: str
    length: tuple[str, float] | None = None

    @property
    def seconds(self) -> float:
        """What a training took on average; 0: none has finished."""
        spent = [row.result.seconds for row in self.rows if row.result]
        return sum(spent) / len(spent) if spent else 0.0

    def means(self, metric: str, candidates: Sequence[Candidate]) -> np.ndarray:
        """The mean of a metric over the trainings of each network, shape (candidates,); NaN: it was not measured."""
        measured: dict[tuple[float, ...], list[float]] = {}
        for row in self.rows:
            if row.result and not row.result.failure and metric in row.result.metrics:
                measured.setdefault(row.proposal.genotype, []).append(float(row.result.metrics[metric]))
        found = (measured.get(candidate.genotype, ()) for candidate in candidates)
        return np.array([math.fsum(values) / len(values) if values else math.nan for values in found])


@dataclass(frozen=True, eq=False)
class Order:
    """Something by which networks can be ordered, and how well it orders the sample.

    Args:
        name: What it is, for people.
        values: The networks' values, shape (networks,), higher is better; NaN where there is none.
        agreement: With the networks trained alone, over those that have a value.
        seconds: What a value costs, on average; None: nothing to speak of.
    """

    name: str
    values: np.ndarray
    agreement: RankAgreement
    seconds: float | None = None

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"by": self.name, "seconds": self.seconds, **self.agreement.facts()}

    def sentence(self) -> str:
        """How well it orders the sample, in words, without a period."""
        found = self.agreement
        within = f"within the best {found.top} of them {found.top_kendall}"
        hits = f"{found.precision * found.top:.3g} of these are among its own best {found.top}"
        return f"Kendall's tau {found.kendall}, Spearman {found.spearman}; {within}, and {hits}"


@dataclass(frozen=True, eq=False)
class SampleRanking:
    """A sample of the networks of a search: their scores there, and what came of training each alone.

    Args:
        goal: The first objective of the search.
        trials: Ids of the trials whose networks were trained, those that succeeded.
        truth: Values of the networks trained alone, shape (networks,), higher is better.
        setting: How they were trained, in short: "30 epochs".
        seconds: What a training took, on average.
        orders: What is to be judged: the score of the search first, then counts and other trainings.
        failed: Ids of the trials whose trainings have not succeeded.
    """

    goal: Objective
    trials: tuple[int, ...]
    truth: np.ndarray
    setting: str
    seconds: float
    orders: tuple[Order, ...]
    failed: tuple[int, ...] = ()

    @property
    def searched(self) -> Order:
        """The score of the search."""
        return self.orders[0]

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Columns, and a row for each order."""
        top = self.searched.agreement.top
        best = f"best {top}"
        columns = ("ordered by", "Kendall", "Spearman", f"Kendall, {best}", f"Spearman, {best}", f"found of {best}")
        rows: list[tuple[str, ...]] = [
            (
                order.name,
                str(found.kendall),
                str(found.spearman),
                str(found.top_kendall),
                str(found.top_spearman),
                f"{found.precision:.0%}",
                str(found.networks),
                "" if order.seconds is None else f"{order.seconds:.3g} s",
            )
            for order in self.orders
            for found in (order.agreement,)
        ]
        return (*columns, "networks", "cost of each"), rows

    def sentences(self) -> list[str]:
        """What the sample says of the score, and whether it knows more than counting; without periods."""
        length = f", {self.setting}" if self.setting else ""
        sampled = f"{len(self.trials)} of its networks as training each alone does{length}"
        said = [f"how far {self.goal.name} of the search orders {sampled}: {self.searched.sentence()}"]
        counted = [order for order in self.orders if order.name in COUNTS.values() and _tau(order) == _tau(order)]
        if counted and _tau(self.searched) == _tau(self.searched):
            better = max(counted, key=_tau)
            knows = "more" if _tau(self.searched) > _tau(better) else "no more"
            ties = " (the intervals overlap)" if knows == "more" and _overlap(self.searched, better) else ""
            said.append(
                f"the score knows {knows} of their order than counting {better.name}, by which Kendall's tau is "
                f"{better.agreement.kendall}{ties}"
            )
        if self.failed:
            said.append(f"not trained yet, or failed: trials {', '.join(map(str, self.failed))}")
        return said

    def facts(self) -> dict[str, Any]:
        """For JSON: what was trained, the agreement of each order, and the points of the scatter, as measured."""
        searched, trained = self.goal.measured(self.searched.values), self.goal.measured(self.truth)
        return {
            "metric": self.goal.name,
            "setting": self.setting,
            "seconds": self.seconds,
            "orders": [order.facts() for order in self.orders],
            "networks": [
                {"trial": trial, "searched": before, "trained": now}
                for trial, before, now in zip(self.trials, searched.tolist(), trained.tolist(), strict=True)
            ],
            "failed": list(self.failed),
        }


def of(
    history: History, goal: Objective, sampled: Sequence[Trainings], shared_seconds: float = 0.0
) -> SampleRanking | None:
    """What trainings of samples say of a search; None: fewer than 3 networks of a sample have been trained.

    Args:
        history: The search.
        goal: Its first objective.
        sampled: Trainings of samples, those asked for last at the end. The sample is that of the last; its truth is
            the longest training that it has had, and the others of it are compared.
        shared_seconds: What was spent on weights that networks share, of which each bears its part.
    """
    if not sampled:
        return None
    sample = list(sampled[-1].candidates)
    alike = [each for each in sampled if {c.genotype for c in sample} <= {c.genotype for c in each.candidates}]
    truth = _longest(alike)
    metric = goal.moved_to("valid").name
    trained = goal.score(truth.means(metric, sample))
    places = history.places(np.array([candidate.trial_id or 0 for candidate in sample]))
    scores = np.where(places >= 0, history.scores[places], np.nan)
    is_known = ~np.isnan(trained) & ~np.isnan(scores)
    if np.count_nonzero(is_known) < ranking.FEWEST:
        return None
    known = np.flatnonzero(is_known)
    kept = [sample[place] for place in known]
    searched = len(np.unique(history.keys[~np.isnan(history.scores)]))
    cost = float(history.seconds[places[known]].mean()) + shared_seconds / searched
    listed: list[tuple[str, np.ndarray, float | None]] = [(SEARCHED, scores[known], cost)]
    listed += [(name, truth.means(count, kept), None) for count, name in COUNTS.items()]
    for each in alike:
        if each is not truth:
            own = [part for part in each.setting.split(", ") if part not in truth.setting.split(", ")]
            name = ", ".join(filter(None, ("trained alone", *(own or [each.setting]))))
            listed.append((name, goal.score(each.means(metric, kept)), each.seconds))
    orders = (_order(name, values, trained[known], seconds) for name, values, seconds in listed)
    return SampleRanking(
        goal,
        tuple(candidate.trial_id or 0 for candidate in kept),
        trained[known],
        truth.setting,
        truth.seconds,
        tuple(order for order in orders if order),
        tuple(candidate.trial_id or 0 for candidate, is_there in zip(sample, is_known, strict=True) if not is_there),
    )


def _longest(sampled: Sequence[Trainings]) -> Trainings:
    """The longest trainings, of equal ones the last; by the clock where their lengths have different units."""
    units = {each.length[0] if each.length else None for each in sampled}
    if len(units) == 1 and None not in units:
        return max(reversed(sampled), key=lambda each: each.length[1] if each.length else 0.0)
    return max(reversed(sampled), key=lambda each: each.seconds)


def _order(name: str, values: np.ndarray, truth: np.ndarray, seconds: float | None) -> Order | None:
    """None: too few networks have a value."""
    has_value = ~np.isnan(values)
    if np.count_nonzero(has_value) < ranking.FEWEST:
        return None
    found = ranking.agreement(values[has_value], truth[has_value], np.random.default_rng(0))
    return Order(name, values, found, seconds)


def _tau(order: Order) -> float:
    return order.agreement.kendall.value


def _overlap(one: Order, other: Order) -> bool:
    first, second = (_interval(order.agreement.kendall) for order in (one, other))
    return first[0] <= second[1] and second[0] <= first[1]


def _interval(found: Correlation) -> tuple[float, float]:
    return (found.value, found.value) if math.isnan(found.low) else (found.low, found.high)
