"""Objectives: names of metrics, a leading minus for those to be minimised; and the scores they give a result."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from netwright.core.errors import BadRunFile
from netwright.core.records import Result, Trial


def score(result: Result, objectives: Sequence[str]) -> tuple[float, ...] | None:
    """The objectives of a result, each to be maximised; None when the trial failed.

    Raises:
        BadRunFile: The evaluator measured no metric of that name.
    """
    if result.failure:
        return None
    return tuple([_value(result, name) for name in objectives])


def with_scores(trials: Sequence[Trial], objectives: Sequence[str]) -> list[Trial]:
    """The same rows with `scores` filled in."""
    return [replace(t, scores=score(t.result, objectives) if t.result else None) for t in trials]


def rank(trial: Trial) -> tuple[int, float]:
    """What trials with scores are compared by, the best highest: the budget, and of equal budgets the first score.

    Scores at different budgets do not compare: what rose to a larger budget and did worse there than where it came
    from is still what is known best. A trial without a budget comes before all that have one.
    """
    return trial.proposal.budget or 0, trial.scores[0] if trial.scores else -math.inf


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial of the highest first score at the largest budget that has one, the earliest of equals; None: none."""
    return max((trial for trial in trials if trial.scores is not None), key=rank, default=None)


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
