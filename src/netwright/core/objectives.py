"""Objectives: what a search maximizes or minimizes, how it is written and shown, and which trial is best by it.

A run file writes an objective as the name of a metric, with a leading minus where lower is better ("-valid_loss").
Where it names none, the first metric that the evaluator measures counts. An exclamation mark behind the name says that
a direction is meant which `core.directions` would refuse.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from netwright.core.errors import BadRunFile
from netwright.core.records import MEMORY, Result, Trial

Shown = Literal["number", "share"]
SPLITS: tuple[Literal["valid"], Literal["test"]] = (
    "valid",
    "test",
)  # where an evaluator measures: what its metrics begin with

Value = TypeVar("Value", float, np.ndarray)


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric, and which way it is better.

    The measures of a task are objectives too, with names that have no split yet ("accuracy").

    Args:
        name: Name of the metric, as in "valid_accuracy".
        sign: 1 where higher is better, -1 where lower is.
        shown: How sentences write a value: as a plain number, or as a share of 1 in percent.
        is_meant: Whether the sign holds although the metric is known to be better the other way.
    """

    name: str
    sign: Literal[1, -1] = 1
    shown: Shown = "number"
    is_meant: bool = False

    @staticmethod
    def read(text: str) -> Objective:
        """Read the spelling of a run file; `str` writes it."""
        name, is_meant = text.removesuffix("!"), text.endswith("!")
        return (
            Objective(name[1:], -1, is_meant=is_meant) if name.startswith("-") else Objective(name, is_meant=is_meant)
        )

    def __str__(self) -> str:
        return f"{'-' * self.is_minimized}{self.name}{'!' * self.is_meant}"

    @property
    def direction(self) -> str:
        """Which way is better, in words."""
        return "lower is better" if self.is_minimized else "higher is better"

    @property
    def is_minimized(self) -> bool:
        """Whether lower is better."""
        return self.sign < 0

    @property
    def is_share(self) -> bool:
        """Whether values are shares of 1."""
        return self.shown == "share"

    @property
    def label(self) -> str:
        """The metric in words: "valid accuracy", "params"."""
        return self.name.replace("_", " ")

    @property
    def split(self) -> str:
        """Where it is measured: "valid" or "test"; "" for what belongs to no split, such as the parameters."""
        split, underscore, _ = self.name.partition("_")
        return split if underscore and split in SPLITS else ""

    @property
    def bare(self) -> str:
        """The name without its split, as a task has it."""
        return self.name.removeprefix(f"{self.split}_") if self.split else self.name

    def on(self, split: str) -> Objective:
        """A measure of a task as it is called where it is measured: "accuracy" becomes "valid_accuracy"."""
        return replace(self, name=f"{split}_{self.name}")

    def moved_to(self, split: str) -> Objective:
        """This objective measured on another split; one that belongs to no split stays as it is."""
        return replace(self, name=self.bare).on(split) if self.split else self

    def score(self, value: Value) -> Value:
        """A measured value, negated where lower is better: higher scores are always better."""
        return -value if self.sign < 0 else value

    def measured(self, score: Value) -> Value:
        """Inverse of `score`."""
        return self.score(score)

    def text(self, value: float) -> str:
        """A measured value for a sentence: "98.06 %", "7.33 MiB", or "0.1234"."""
        return f"{100 * value:.2f} %" if self.is_share else shortened(self.name, value)

    def amount(self, value: float) -> str:
        """A difference of two measured values for a sentence: "2.00 points", or "0.1234"."""
        return f"{100 * value:.2f} points" if self.is_share else shortened(self.name, value)


# what follows from the network alone, without any training; `core.records.Counts` says what each is
COUNTED = (Objective("params", -1), Objective("multiply_adds", -1), Objective(MEMORY, -1))
UNNAMED = Objective("first metric")  # stands for the objective of a run that names none, until something was measured


def short(value: float) -> str:
    """A measured value as text: four decimals, or a whole number with thousands set apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if abs(value) >= 0.001 or value == 0 else f"{value:.2e}"


def bytes_text(value: float) -> str:
    """Bytes for people, in units of 2**20 or 2**10: "7.33 MiB", "11.50 KiB"."""
    return f"{value / 2**20:,.2f} MiB" if abs(value) >= 2**20 else f"{value / 2**10:,.2f} KiB"


def shortened(metric: str, value: float) -> str:
    """A metric's value as text: memory in MiB or KiB, all others as `short` writes them."""
    return bytes_text(value) if metric == MEMORY else short(value)


def shown(names: Sequence[str] | None, measures: Sequence[Objective] = ()) -> tuple[Objective, ...]:
    """The objectives of a run, at least one, each shown like the measure of the same name, whatever the split.

    Args:
        names: The objectives as the run file has them; None: it names none.
        measures: What the evaluator measures; empty where that is not known.
    """
    if names is None:
        return (UNNAMED,)
    ways = {measure.moved_to(SPLITS[0]).name: measure.shown for measure in measures}
    read = map(Objective.read, names)
    return tuple(replace(each, shown=ways.get(each.moved_to(SPLITS[0]).name, each.shown)) for each in read)


def beside(names: Sequence[str] | None, measures: Sequence[Objective] = ()) -> tuple[Objective, ...]:
    """The metrics that a run reports beside its objectives, each shown like the measure of the same name."""
    return shown(names, measures) if names else ()


def first(names: Sequence[str] | None, measures: Sequence[Objective] = ()) -> Objective:
    """The objective that trials are ranked by, displays show and full trainings measure; arguments as in `shown`."""
    return shown(names, measures)[0]


def named(names: Sequence[str] | None, trials: Iterable[Trial]) -> tuple[str, ...] | None:
    """The objectives of a run; if it names none, the first metric of its results; None before there are any."""
    if names is not None:
        return tuple(names)
    metrics = next((trial.result.metrics for trial in trials if trial.result and trial.result.metrics), {})
    return next(((name,) for name in metrics), None)


def to_json(measures: Sequence[Objective]) -> str:
    """Measures as text, for a table to remember."""
    return json.dumps([asdict(measure) for measure in measures])


def scorer(objectives: Sequence[str] | None) -> Callable[[Result], tuple[float, ...] | None]:
    """A function from a result to its scores, one per objective, each to be maximized; None for a failed trial.

    The function raises BadRunFile where an objective names a metric that the evaluator did not measure.

    Args:
        objectives: The objectives as a run file has them; None: the first metric of each result.
    """
    known = None if objectives is None else [Objective.read(text) for text in objectives]

    def score(result: Result) -> tuple[float, ...] | None:
        if result.failure:
            return None
        if known is None:
            return (_first(result),)
        return tuple([_value(result, objective) for objective in known])

    return score


def score(result: Result, objectives: Sequence[str] | None) -> tuple[float, ...] | None:
    """The scores of one result; see `scorer`."""
    return scorer(objectives)(result)


def with_scores(trials: Sequence[Trial], objectives: Sequence[str] | None) -> list[Trial]:
    """The trials with `scores` filled in."""
    score = scorer(objectives)
    return [
        Trial(t.id, t.proposal, t.key, t.seed, t.status, t.result, score(t.result) if t.result else None, t.finish)
        for t in trials
    ]  # dataclasses.replace takes three times as long


def score_of(trial: Trial) -> float | None:
    """The score that a trial is ranked by, that of the first objective; None: it has none."""
    return trial.scores[0] if trial.scores else None


def judged_budget(trials: Sequence[Trial]) -> int | None:
    """The only budget whose scores are judged: the largest with a score; None: no trial with a budget has a score.

    Scores at different budgets cannot be compared: a network that was promoted to a larger budget and did worse there
    than before is still the one known best. A trial without a budget counts for less than any that has one.
    """
    budgets = (trial.proposal.budget for trial in trials if trial.scores)
    return max((budget for budget in budgets if budget is not None), default=None)


def best(trials: Sequence[Trial]) -> Trial | None:
    """The trial with the highest score at the judged budget, the earliest among equals; None: none has a score.

    With several objectives the first decides, by which displays, reports and full trainings go; among those equal in it
    the second does, and so on, so that the best stands on the front.
    """
    return max((trial for trial in trials if trial.scores), key=rank, default=None)


def rank(trial: Trial) -> tuple[float, ...]:
    """The key that trials are ordered by, highest for the best: first the budget, then the scores."""
    return trial.proposal.budget or 0, *(trial.scores or (-math.inf,))


def at_budget(trial: Trial) -> str:
    """The trial's budget for people, to follow its score; "" where it has none."""
    return "" if trial.proposal.budget is None else f" at budget {trial.proposal.budget}"


def result_of(trial: Trial, objective: Objective) -> str:
    """The objective and its value for the trial: "valid_accuracy 0.9444 at budget 4"; "" without a score."""
    found = score_of(trial)
    return (
        ""
        if found is None
        else f"{objective.name} {shortened(objective.name, objective.measured(found))}{at_budget(trial)}"
    )


def results_of(trial: Trial, goals: Sequence[Objective]) -> str:
    """Several objectives and their values: "valid_accuracy 0.9444, params 12,345 at budget 4"; "" without scores."""
    if not trial.scores:
        return ""
    known = [(goal.name, goal.measured(score)) for goal, score in zip(goals, trial.scores, strict=True)]
    values = [f"{name} {shortened(name, value)}" for name, value in known]
    return f"{', '.join(values)}{at_budget(trial)}"


def measured(scores: np.ndarray, goals: Sequence[Objective]) -> np.ndarray:
    """Scores of several objectives, the last axis, as measured: the sign of those to be minimized is turned back."""
    return scores * [goal.sign for goal in goals]


def _first(result: Result) -> float:
    for value in result.metrics.values():
        return float(value)
    raise BadRunFile("the evaluator measured nothing, so there is no objective; let it return a metric")


def _value(result: Result, objective: Objective) -> float:
    try:
        return objective.score(float(result.metrics[objective.name]))
    except KeyError:
        measured = ", ".join(sorted(result.metrics))
        raise BadRunFile(
            f"objective {str(objective)!r} was not measured; the evaluator measures: {measured}; give one of these by "
            "--objectives: a folder without any result to compare can be started anew"
        ) from None
