"""What a search by several objectives has found: its front, what that covers, and where it bends.

The front is that of the judged budget (`objectives.judged_budget`); of trials with equal values the earliest stands on
it. What a search covers is the hypervolume in front of the run's reference point, which its table remembers from the
first trials on (`runs/watched_front.py`), so that the figures of one run compare over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.core import choosing, front, objectives
from netwright.core.choosing import Which
from netwright.core.objectives import Objective, short, shortened
from netwright.core.records import Trial
from netwright.report.history import History


@dataclass(frozen=True)
class RunFront:
    """The front of a run.

    Args:
        goals: The objectives, at least two.
        trials: The trials on it, with scores, the best by the first objective first.
        knee: That of them at which the front bends most (`front.knee`).
        reference: The reference point, as measured; None: too few trials have finished to propose one.
        hypervolume: What the front covers of what lies in front of the reference point; None where that is not known.
    """

    goals: tuple[Objective, ...]
    trials: tuple[Trial, ...]
    knee: Trial
    reference: tuple[float, ...] | None
    hypervolume: float | None

    def facts(self) -> dict[str, Any]:
        """For JSON: `front`, a list of trials with values as measured, `hypervolume`, `reference_point` and `knee`."""
        return {
            "front": [{"trial": trial.id, **values(trial, self.goals)} for trial in self.trials],
            "hypervolume": self.hypervolume,
            "reference_point": None if self.reference is None else list(self.reference),
            "knee": self.knee.id,
        }

    def sentences(self) -> tuple[str, ...]:
        """Lines for people: how many trials it has and what it covers, and its knee."""
        count = f"{len(self.trials):,} trial{'s' if len(self.trials) > 1 else ''}"
        covers = "" if self.hypervolume is None else f", hypervolume {short(self.hypervolume)} before {self.before}"
        knee = objectives.results_of(self.knee, self.goals)
        return f"front: {count}{covers}", f"knee of the front: trial {self.knee.id}, {knee}"

    @property
    def before(self) -> str:
        """The reference point for people: "valid_accuracy 0.1000, params 20,000"; "" where there is none."""
        pairs = zip(self.goals, self.reference or (), strict=False)
        return ", ".join(f"{goal.name} {shortened(goal.name, value)}" for goal, value in pairs)


def values(trial: Trial, goals: Sequence[Objective]) -> dict[str, float]:
    """The values of a trial with scores, as measured, by name of objective."""
    return {goal.name: goal.measured(score) for goal, score in zip(goals, trial.scores or (), strict=True)}


def scores(history: History) -> np.ndarray:
    """The scores that compare, shape (trials, M): NaN for trials that failed or have another budget."""
    return np.where(history.is_judged[:, None], history.points, np.nan)


def places(history: History) -> np.ndarray:
    """Positions of the trials on the front, the best by the first objective first, shape (front,), int64."""
    found = scores(history)
    rivals = np.flatnonzero(~np.isnan(found).any(1))
    _, earliest = np.unique(found[rivals], axis=0, return_index=True)
    rivals = rivals[np.sort(earliest)]
    on_front = rivals[front.nondominated(found[rivals])] if len(rivals) else rivals
    return on_front[np.argsort(-found[on_front, 0], kind="stable")]


def covered(history: History, goals: Sequence[Objective], reference: Sequence[float]) -> np.ndarray:
    """The hypervolume after each trial, shape (trials,).

    Args:
        history: The finished trials.
        goals: The objectives.
        reference: The reference point, as measured.
    """
    return front.hypervolumes(scores(history), _scored(reference, goals))


def of_history(history: History, goals: Sequence[Objective], reference: Sequence[float] | None) -> RunFront | None:
    """The front of finished trials; None: the run has one objective, or no trial has a score.

    Args:
        history: The finished trials.
        goals: The objectives of the run.
        reference: The reference point of the run, as measured; None: it has none yet.
    """
    if len(goals) < 2 or not len(found := places(history)):
        return None
    trials, points = history.trials(found), history.points[found]
    return RunFront(
        tuple(goals),
        tuple(trials),
        trials[front.knee(points)],
        None if reference is None else tuple(reference),
        None if reference is None else front.hypervolume(points, _scored(reference, goals)),
    )


def chosen(history: History, which: Which) -> Trial | None:
    """The trial of a run that is meant; None: nothing has succeeded, or nothing with that number has finished.

    Raises:
        BadReference: The front has no such point (`choosing.chosen`).
    """
    if which.trial is not None:
        return history.trial(which.trial)
    if not which.is_of_front:
        return history.best_trial
    found = places(history)
    if not len(found):
        return None
    trials = history.trials(found)
    metrics = [trial.result.metrics if trial.result else {} for trial in trials]
    return trials[choosing.chosen(history.points[found], metrics, which)]


def _scored(reference: Sequence[float], goals: Sequence[Objective]) -> np.ndarray:
    return objectives.measured(np.array(reference, np.float64), goals)
