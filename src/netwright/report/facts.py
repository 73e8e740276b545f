"""What `netwright search --json` and `status --json` both say of finished trials."""

from __future__ import annotations

from typing import Any

from netwright.core import objectives
from netwright.core.records import Trial
from netwright.report import promotions
from netwright.report.progress import RunProgress


def of_progress(progress: RunProgress) -> dict[str, Any]:
    """Plain values about finished trials.

    `done` and `failed` are counts; `best` has `trial`, `score`, `key` and, where there is one, `budget`, and is None
    without a success; `model` is that of the last round, None without one. Of a search with promotions there are also
    `budgets`, `rank_agreement` and `brackets` (`promotions.facts`).
    """
    return {
        "done": progress.done,
        "failed": progress.failed,
        "best": _best(progress.best),
        "model": progress.model.facts() if progress.model else None,
        **(promotions.facts(progress.budgets) if progress.budgets else {}),
    }


def _best(best: Trial | None) -> dict[str, Any] | None:
    if best is None:
        return None
    found = {"trial": best.id, "score": objectives.score_of(best), "key": best.key}
    return found if best.proposal.budget is None else {**found, "budget": best.proposal.budget}
