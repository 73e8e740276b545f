"""Objectives: names of metrics, a leading minus for those to be minimised; and the scores they give a result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from netwright.core.errors import BadReference, BadRunFile
from netwright.core.records import Result, Trial


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric, and which way is better.

    Args:
        name: Of the metric.
        sign: +1: higher is better; -1: lower.
        shown: How people read it: "share" of 1 as per cent, or a plain "number".
    """

    name: str
    sign: int = 1
    shown: Literal["number", "share"] = "number"


def score(result: Result, objectives: Sequence[str]) -> tuple[float, ...] | None:
    """The objectives of a result, each to be maximised; None when the trial failed.

    Raises:
        BadRunFile: The evaluator measured no metric of that name.
    """
    if result.failure:
        return None
    return tuple([_value(result, name) for name in objectives])


def check_single(strategy: str, objectives: Sequence[str]) -> None:
    """Raise BadReference unless there is exactly one objective for the strategy of that name to rank by."""
    if len(objectives) != 1:
        raise BadReference(f"{strategy} ranks by one objective, the run has {len(objectives)}: {tuple(objectives)}")


def with_scores(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The same rows with `scores` filled in."""
    return [replace(t, scores=score(t.result, objectives) if t.result else None) for t in trials]


def judged_budget(trials: Sequence[Trial]) -> int | None:
    """The budget whose scores alone are judged: the largest that has a score; None: no trial with a budget has one.

    Scores at different budgets do not compare: what rose to a larger budget and did worse there than where it came
    from is still what is known best. A trial without a budget counts for less than any that has one.
    """
    budgets = (trial.proposal.budget for trial in trials if trial.scores)
    return max((budget for budget in budgets if budget is not None), default=None)


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial of the highest first score at the judged budget, the earliest of equals; None: none has a score."""
    return max((trial for trial in trials if trial.scores), key=rank, default=None)


def rank(trial: Trial) -> tuple[int, float]:
    """What trials stand in order by, the best highest: the budget, and of equal budgets the first score."""
    return trial.proposal.budget or 0, trial.scores[0] if trial.scores else -math.inf


def at_budget(trial: Trial) -> str:
    """The trial's budget for people, to stand behind its score; "" where there are none."""
    return "" if trial.proposal.budget is None else f" at budget {trial.proposal.budget}"


def _value(result: Result, objective: str) -> float:
    name, sign = (objective[1:], -1.0) if objective[0] == "-" else (objective, 1.0)
    try:
        return sign * result.metrics[name]
    except KeyError:
        measured = ", ".join(sorted(result.metrics))
        raise BadRunFile(f"objective {objective!r} was not measured; the evaluator measures: {measured}") from None
