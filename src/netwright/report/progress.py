"""How far a run has come: counts, the best trial, budgets and models, of a table of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from netwright.core import objectives, remembered
from netwright.core.objectives import Objective
from netwright.core.protocols import Store
from netwright.core.records import Tally, Trial
from netwright.data.text import counted
from netwright.report import curves, fronts, promotions
from netwright.report.curves import LearnedRound
from netwright.report.fronts import RunFront
from netwright.report.history import History
from netwright.report.promotions import Budgets

IN_FULL = 20_000  # finished trials up to which every one is read and verified; beyond, what SQL counts is believed


@dataclass(frozen=True)
class RunProgress:
    """What the finished trials of a run come to.

    Args:
        done: Number of trials that succeeded.
        failed: Number of trials that failed.
        answers: Number of trials that were answered from the table.
        seconds: What the evaluations took together; answers from the table cost none.
        best: The best trial, with scores; None: none succeeded.
        budgets: The summary of a search with promotions; None: it had none.
        model: The last round of a strategy that learns with a model; None: there was none.
        front: The front of a search by several objectives; None: it has one, or no trial has succeeded.
    """

    done: int
    failed: int
    answers: int
    seconds: float
    best: Trial | None
    budgets: Budgets | None
    model: LearnedRound | None
    front: RunFront | None = None

    @property
    def finished(self) -> int:
        """Number of finished trials."""
        return self.done + self.failed

    @property
    def trainings(self) -> int:
        """Number of finished trials that were evaluated, and not answered from the table."""
        return self.finished - self.answers

    @property
    def work(self) -> str:
        """What the finished trials were, in words; "" where none was answered from the table."""
        return work(self.finished, self.answers)


def work(trials: int, answers: int) -> str:
    """Trainings and answers apart: "7,000 trials: 1,312 trainings, 5,688 answers"; "" where there are no answers."""
    if not answers:
        return ""
    trainings = f"{counted(trials - answers, 'training')}, {counted(answers, 'answer')} from the table"
    return f"{counted(trials, 'trial')}: {trainings}"


def of_history(
    history: History, goals: Sequence[Objective] = (), reference: Sequence[float] | None = None
) -> RunProgress:
    """The progress of finished trials.

    Args:
        history: The trials.
        goals: The objectives, where there are several.
        reference: The reference point of the run, as measured; None: it has none yet.
    """
    learned = curves.learning(history).rounds
    return RunProgress(
        len(history) - history.failed,
        history.failed,
        int(history.is_reused.sum()),
        curves.evaluation_seconds(history),
        history.best_trial,
        promotions.summarize(history),
        learned[-1] if learned else None,
        fronts.of_history(history, goals, reference),
    )


def of_table(store: Store, names: Sequence[str] | None, tally: Tally | None = None) -> RunProgress:
    """The progress of a table.

    Args:
        store: The table.
        names: Objectives of the run, as a run file has them; None: it has none yet.
        tally: What its rows come to, for which all of them are read; None: it is asked.
    """
    tally, goals = tally or store.tally(), objectives.shown(names)
    reference = remembered.reference_point(store, len(goals)) if len(goals) > 1 else None
    if len(goals) > 1 and tally.finished > IN_FULL:
        return of_history(History.of_store(store, names), goals, reference)
    if names is None or tally.finished <= IN_FULL:
        return of_history(History.of(objectives.with_scores(store.finished(), names)), goals, reference)
    noted = History.of_store(store, names) if tally.continued or tally.noted else History.of([])
    best, learned = best_of(store, names), curves.learning(noted).rounds
    return RunProgress(
        tally.done,
        tally.failed,
        tally.reused,
        tally.seconds,
        best,
        promotions.summarize(noted),
        learned[-1] if learned else None,
    )


def best_of(store: Store, names: Sequence[str] | None) -> Trial | None:
    """The best trial of a table, with scores; None: no trial has succeeded.

    It is found without reading every row where there is one objective.
    """
    if names is not None and len(names) > 1:  # equal in the first, the others decide
        return History.of_store(store, names).best_trial
    objective = objectives.first(names)
    best = store.best(objective.name, is_minimized=objective.is_minimized)
    return None if best is None else objectives.with_scores([best], names)[0]
