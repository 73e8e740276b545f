"""What `netwright search --json`, `status --json` and `report --json` say of finished trials and trained networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netwright.core import objectives
from netwright.core.baselines import Baseline, beside
from netwright.core.finals import Final
from netwright.core.objectives import Objective
from netwright.core.records import Trial
from netwright.report import promotions
from netwright.report.progress import RunProgress


def of_progress(
    progress: RunProgress,
    objective: Objective,
    known: Sequence[Baseline] = (),
    metrics: Sequence[Objective] = (),
) -> dict[str, Any]:
    """Plain values about finished trials.

    `done` and `failed` are counts, and so are `trainings` and `answers`, which came from the table; `best` has `trial`,
    `score` (higher is better), `key`, `metric`, `value` as it was measured, `note`, which says which way is better and
    what to compare the value with, and, where there are such, `budget` and `metrics`, the values reported beside by
    name, and is None without a success; `model` is that of
    the last round, None without one. Of a search with promotions there are also `budgets`, `rank_agreement` and
    `brackets` (`promotions.facts`), of one by several objectives `front`, `hypervolume`, `reference_point` and `knee`
    (`RunFront.facts`).
    """
    return {
        "done": progress.done,
        "failed": progress.failed,
        "trainings": progress.trainings,
        "answers": progress.answers,
        "best": _best(progress.best, objective, known, metrics),
        "model": progress.model.facts() if progress.model else None,
        **(promotions.facts(progress.budgets) if progress.budgets else {}),
        **(progress.front.facts() if progress.front else {}),
    }


def of_final(final: Final) -> dict[str, Any]:
    """Plain values about a network that was trained in full; `mean` and `sd` are of `metric` over `n` trainings.

    `further` has the same of what else was measured, by name of the metric.
    """
    own = {name: getattr(final, name) for name in ("label", "metric", "mean", "sd", "n", "params", "note")}
    return own | {"further": {each.objective.name: {"mean": each.value, "sd": each.sd} for each in final.further}}


def _best(
    best: Trial | None, objective: Objective, known: Sequence[Baseline], metrics: Sequence[Objective]
) -> dict[str, Any] | None:
    if best is None:
        return None
    score = objectives.score_of(best)
    found: dict[str, Any] = {"trial": best.id, "score": score, "key": best.key, "metric": objective.name}
    if score is not None:
        value = objective.measured(score)
        found |= {"value": value, "note": beside(objective, value, known)[1:-1]}
    if metrics and best.result is not None:
        measured = best.result.metrics
        found["metrics"] = {each.name: measured[each.name] for each in metrics if each.name in measured}
    return found if best.proposal.budget is None else {**found, "budget": best.proposal.budget}
