"""What `netwright search --json` and `status --json` both say of finished trials."""

from __future__ import annotations

from typing import Any

from netwright.core import objectives
from netwright.report import curves, promotions
from netwright.report.history import History


def of_history(history: History) -> dict[str, Any]:
    """Plain values about finished trials.

    `done` and `failed` are counts; `best` has `trial`, `score`, `key` and, where there is one, `budget`, and is None
    without a success; `model` is that of the last round, None without one. Of a search with promotions there are also
    `budgets`, `rank_agreement` and `brackets` (`promotions.facts`).
    """
    rungs, learned = promotions.summarize(history), curves.learning(history).rounds
    return {
        "done": len(history) - history.failed,
        "failed": history.failed,
        "best": _best(history),
        "model": learned[-1].facts() if learned else None,
        **(promotions.facts(rungs) if rungs else {}),
    }


def _best(history: History) -> dict[str, Any] | None:
    best = history.best_trial
    if best is None:
        return None
    found = {"trial": best.id, "score": objectives.score_of(best), "key": best.key}
    return found if best.proposal.budget is None else {**found, "budget": best.proposal.budget}
