"""Objectives: names of metrics, a leading minus for those to be minimised; and the scores they give a result."""

from __future__ import annotations

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


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial of the highest first score, the earliest of equals; None when none has a score."""
    scored = [trial for trial in trials if trial.scores is not None]
    return max(scored, key=lambda trial: trial.scores[0] if trial.scores else 0.0, default=None)


def _value(result: Result, objective: str) -> float:
    name, sign = (objective[1:], -1.0) if objective[0] == "-" else (objective, 1.0)
    try:
        return sign * result.metrics[name]
    except KeyError:
        measured = ", ".join(sorted(result.metrics))
        raise BadRunFile(f"objective {objective!r} was not measured; the evaluator measures: {measured}") from None
