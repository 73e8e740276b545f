"""How far a run has come: counts, the best trial, budgets and models, of trials in hand or of a table of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from netwright.core import objectives
from netwright.core.protocols import Store
from netwright.core.records import MODEL, ROUND, Proposal, Trial
from netwright.report import curves, promotions
from netwright.report.curves import LearnedRound
from netwright.report.promotions import BRACKET, Budgets

IN_FULL = 20_000  # finished trials up to which every one is read and verified; beyond, what SQL counts is believed
PAGE = 10_000


@dataclass(frozen=True)
class RunProgress:
    """What the finished trials of a run come to.

    Args:
        done: Number of trials that succeeded.
        failed: Number of trials that failed.
        seconds: What the evaluations took together; answers from the table cost none.
        best: The best trial, with scores; None: none succeeded.
        budgets: The summary of a search with promotions; None: it had none.
        model: The last round of a strategy that learns with a model; None: there was none.
    """

    done: int
    failed: int
    seconds: float
    best: Trial | None
    budgets: Budgets | None
    model: LearnedRound | None

    @property
    def finished(self) -> int:
        """Number of finished trials."""
        return self.done + self.failed


def of_trials(trials: Sequence[Trial]) -> RunProgress:
    """The progress of finished trials with scores."""
    failed = sum(trial.status == "failed" for trial in trials)
    learned = curves.rounds(trials)
    return RunProgress(
        len(trials) - failed,
        failed,
        curves.evaluation_seconds(trials),
        objectives.best(trials),
        promotions.summarize(trials),
        learned[-1] if learned else None,
    )


def of_table(store: Store, names: Sequence[str] | None) -> RunProgress:
    """The progress of a table.

    Args:
        store: The table.
        names: Objectives of the run, as a run file has them; None: it has none yet.
    """
    tally = store.tally()
    if names is None or tally.finished <= IN_FULL:
        return of_trials(objectives.with_scores(store.finished(), names))
    noted = _noted(store, names) if tally.continued or tally.noted else []
    learned = curves.rounds(noted)
    return RunProgress(
        tally.done,
        tally.failed,
        tally.seconds,
        best_of(store, names),
        promotions.summarize(noted),
        learned[-1] if learned else None,
    )


def best_of(store: Store, names: Sequence[str] | None) -> Trial | None:
    """The best trial of a table, with scores, found without reading every row; None: no trial has succeeded."""
    objective = objectives.first(names)
    best = store.best(objective.name, is_minimized=objective.is_minimized)
    return None if best is None else objectives.with_scores([best], names)[0]


def _noted(store: Store, names: Sequence[str]) -> list[Trial]:
    """The finished trials with scores, reduced to what a summary of budgets and models asks for."""
    found: list[Trial] = []
    after = 0
    while rows := store.finished(after, PAGE):
        after = rows[-1].finish or after
        for row in objectives.with_scores(rows, names):
            asked = row.proposal
            notes = {
                name: value for name, value in asked.notes.items() if name in (ROUND, BRACKET) or name.startswith(MODEL)
            }
            short = Proposal((), (), asked.budget, asked.continues, notes)
            found.append(replace(row, proposal=short, key="", result=None))
    return found
