"""Trials of several budgets in a contest: one alone is judged (`objectives.judged_budget`), the others cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netwright.core import objectives
from netwright.core.records import Trial


def judged(trials: Sequence[Trial], budget: int | None) -> list[Trial]:
    """The same trials; those of another budget have no scores."""
    return [trial if trial.proposal.budget == budget else replace(trial, scores=None) for trial in trials]


def spent(trials: Sequence[Trial]) -> int:
    """Sum of the budgets of a search's trials; one that continues another costs what it goes beyond that one."""
    own = {trial.id: trial.proposal.budget or 0 for trial in trials}
    return sum(own[trial.id] - own.get(trial.proposal.continues or 0, 0) for trial in trials)


def sentence(searches: Sequence[Sequence[Trial]]) -> str:
    """What a reader of these searches must know of their budgets; "" where there is one budget."""
    trials = [trial for search in searches for trial in search]
    found = {trial.proposal.budget for trial in trials}
    listed = ", ".join(map(str, sorted(budget for budget in found if budget is not None)))
    top = objectives.judged_budget(trials)
    if top is None or len(found) < 2:
        return ""
    if None in found:
        listed += " or none"
    count = sum(trial.proposal.budget == top for trial in trials)
    worth = sum(map(spent, searches)) / top / len(searches)
    return (
        f"its trials have budgets {listed}: the {count:,} of {len(trials):,} with {top} are judged; "
        f"the others count as trials alone; a search spent what {worth:,.1f} trials with {top} cost"
    )
