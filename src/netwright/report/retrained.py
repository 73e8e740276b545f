"""The front of a search, trained anew from other seeds: what was measured then and now, and what is still on it.

A front is made of the luckiest measurements of a search, each of one training. Here every network of it has been
trained again, of a generator several networks, and measured on the same split.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from netwright.core import choosing, front
from netwright.core.choosing import Which
from netwright.core.finals import Candidate, Measured
from netwright.core.objectives import Objective, measured
from netwright.core.records import Genotype, Trial
from netwright.report.history import History


@dataclass(frozen=True)
class Retrained:
    """One point of the front.

    Args:
        trial: Id of the trial of the search.
        genotype: Its genotype.
        old: What the search measured, a value for each objective.
        new: What was measured anew, mean and spread for each objective.
        metrics: Means of all that was measured anew, by name.
        n: Number of trainings.
        seed: Seed of the training that did best by the first objective; of a generator, it draws that network.
        is_on_front: Whether no other point is better by the new means.
    """

    trial: int
    genotype: Genotype
    old: tuple[float, ...]
    new: tuple[Measured, ...]
    metrics: Mapping[str, float]
    n: int
    seed: int
    is_on_front: bool


@dataclass(frozen=True)
class RetrainedFront:
    """The front, then and now.

    Args:
        goals: The objectives of the search, at least two.
        points: Those that were trained anew, the best by the first objective as measured now first; at least one.
        failed: Ids of the trials whose trainings all failed.
        setting: How they were trained, in short: "30 epochs".
    """

    goals: tuple[Objective, ...]
    points: tuple[Retrained, ...]
    failed: tuple[int, ...] = ()
    setting: str = ""

    def chosen(self, which: Which) -> Retrained:
        """The point that is meant, by the new means (`choosing.chosen`)."""
        scores = _scores([point.new for point in self.points], self.goals)
        return self.points[choosing.chosen(scores, [point.metrics for point in self.points], which)]

    def facts(self) -> list[dict[str, Any]]:
        """For JSON: of each point `trial`, `old` and `new` by objective, `n`, `seed` and `on_front`."""
        return [
            {
                "trial": point.trial,
                "old": {goal.name: value for goal, value in zip(self.goals, point.old, strict=True)},
                "new": {
                    goal.name: {"mean": mean.value, "sd": mean.sd}
                    for goal, mean in zip(self.goals, point.new, strict=True)
                },
                "n": point.n,
                "seed": point.seed,
                "on_front": point.is_on_front,
            }
            for point in self.points
        ]

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Columns, and a row for each point: each objective in the search and now."""
        columns = ("trial", *(f"{goal.label}, {when}" for goal in self.goals for when in ("searched", "now")))
        rows = [
            (
                str(point.trial),
                *(
                    text
                    for goal, value, mean in zip(self.goals, point.old, point.new, strict=True)
                    for text in (goal.text(value), spread(goal, mean))
                ),
                str(point.n),
                "yes" if point.is_on_front else "no",
            )
            for point in self.points
        ]
        return (*columns, "trainings", "still on the front"), rows

    def lines(self) -> list[str]:
        """The table and the sentences for a terminal."""
        columns, rows = self.table()
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        aligned = [
            "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (columns, *rows)
        ]
        return [*aligned, *self.sentences()]

    def sentences(self) -> list[str]:
        """How many points are still on the front, and how much better the search made them look."""
        still = [point.trial for point in self.points if point.is_on_front]
        left = [point.trial for point in self.points if not point.is_on_front]
        count = f"{len(still)} of {len(self.points)} points of the front are still nondominated"
        said = [f"{count}: trials {_listed(still)}" + (f"; no more: {_listed(left)}" if left else "")]
        goal = self.goals[0]
        gains = [goal.score(point.new[0].value) - goal.score(point.old[0]) for point in self.points]
        gain = statistics.fmean(gains)
        way = "better" if gain > 0 else "worse"
        length = f" after {self.setting}" if self.setting else ""
        said.append(f"{goal.name} is on average {goal.amount(abs(gain))} {way} now{length} than the search measured it")
        if self.failed:
            said.append(f"all trainings failed of trials {_listed(self.failed)}")
        return said


def of(
    history: History, goals: Sequence[Objective], candidates: Sequence[Candidate], rows: Sequence[Trial], setting: str
) -> RetrainedFront | None:
    """What became of a front; None: no training has succeeded yet.

    Args:
        history: The search.
        goals: Its objectives.
        candidates: The networks that were trained anew, with the trials that they are from.
        rows: Their trainings.
        setting: How they were trained, in short.
    """
    points: list[Retrained] = []
    failed: list[int] = []
    for candidate in candidates:
        trial = history.trial(candidate.trial_id or 0)
        if trial is None or not trial.scores:
            continue
        own = [
            row for row in rows if row.proposal.genotype == candidate.genotype and row.result and not row.result.failure
        ]
        if not own:
            failed.append(trial.id)
            continue
        old = tuple(measured(np.array(trial.scores), goals).tolist())
        points.append(_point(trial, old, goals, sorted(own, key=lambda row: row.id)))
    if not points:
        return None
    scores = _scores([point.new for point in points], goals)
    on_front = front.nondominated(scores)
    order = np.argsort(-scores[:, 0], kind="stable")
    listed = tuple(replace(points[place], is_on_front=bool(on_front[place])) for place in order)
    return RetrainedFront(tuple(goals), listed, tuple(failed), setting)


def spread(goal: Objective, mean: Measured) -> str:
    """A mean and its spread: "81.20 % +- 1.10 points"."""
    return goal.text(mean.value) + (f" +- {goal.amount(mean.sd)}" if mean.sd else "")


def _point(trial: Trial, old: tuple[float, ...], goals: Sequence[Objective], rows: Sequence[Trial]) -> Retrained:
    measurements = [row.result.metrics for row in rows if row.result]
    new: list[Measured] = []
    for goal, known in zip(goals, old, strict=True):
        name = goal.moved_to("valid").name
        values = [found[name] for found in measurements if name in found]
        # what trainings do not measure, such as an estimated latency, is as it was
        complete = values if len(values) == len(measurements) else [known]
        new.append(
            Measured(goal, statistics.fmean(complete), statistics.stdev(complete) if len(complete) > 1 else None)
        )
    names = set.intersection(*map(set, measurements))
    means = {name: statistics.fmean(found[name] for found in measurements) for name in sorted(names)}
    metrics = means | {goal.name: mean.value for goal, mean in zip(goals, new, strict=True)}
    first = goals[0].moved_to("valid")
    scores = [first.score(found.get(first.name, -math.inf * first.sign)) for found in measurements]
    seed = rows[int(np.argmax(scores))].seed
    return Retrained(trial.id, trial.proposal.genotype, old, tuple(new), metrics, len(rows), seed, False)


def _scores(new: Sequence[Sequence[Measured]], goals: Sequence[Objective]) -> np.ndarray:
    return measured(np.array([[mean.value for mean in means] for means in new]), goals)


def _listed(trials: Sequence[int]) -> str:
    return ", ".join(map(str, trials))
