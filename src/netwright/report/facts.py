"""What `netwright search --json` and `status --json` both say of finished trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netwright.core import objectives
from netwright.core.records import Trial
from netwright.report import curves, promotions


def of_trials(trials: Sequence[Trial]) -> dict[str, Any]:
    """Plain values about finished trials with scores.

    `done` and `failed` are counts; `best` has `trial`, `score`, `key` and, where there is one, `budget`, and is None
    without a success; `model` is that of the last round, None without one. Of a search with promotions there are also
    `budgets`, `rank_agreement` and `brackets` (`promotions.facts`).
    """
    rungs, learned = promotions.summarize(trials), curves.rounds(trials)
    return {
        "done": sum(trial.status == "done" for trial in trials),
        "failed": sum(trial.status == "failed" for trial in trials),
        "best": _best(trials),
        "model": learned[-1].facts() if learned else None,
        **(promotions.facts(rungs) if rungs else {}),
    }


def _best(trials: Sequence[Trial]) -> dict[str, Any] | None:
    best = objectives.best(trials)
    if best is None:
        return None
    found = {"trial": best.id, "score": objectives.score_of(best), "key": best.key}
    return found if best.proposal.budget is None else {**found, "budget": best.proposal.budget}
