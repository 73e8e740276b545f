"""Trials of several budgets: what was measured at one budget says little of another, so the largest alone is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from netwright.core.records import Trial


def largest(trials: Sequence[Trial]) -> int | None:
    """The largest budget of any trial; None: the evaluator's own, where some trials have no other."""
    found = {trial.proposal.budget for trial in trials}
    return None if None in found else max((budget for budget in found if budget is not None), default=None)


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
    found = sorted({trial.proposal.budget for trial in trials if trial.proposal.budget is not None})
    listed = ", ".join(map(str, found))
    top = largest(trials)
    if top is None or len(found) < 2:
        return ""
    count = sum(trial.proposal.budget == top for trial in trials)
    worth = sum(map(spent, searches)) / top / len(searches)
    return (
        f"its trials have budgets {listed}: the {count:,} of {len(trials):,} with {top} are judged; "
        f"the others count as trials alone; a search spent what {worth:,.1f} trials with {top} cost"
    )
