"""What a list of finished trials says, as arrays and short tuples: the numbers behind every figure and table.

Numpy only. Trials are given as `Store.finished` returns them, in order of `finish`, with `scores` filled in; position
k of an array is the trial that finished as number k + 1. Built for a million trials: one pass per function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from netwright.core import objectives
from netwright.core.records import MODEL, ROUND, Trial


@dataclass(frozen=True)
class FailureGroup:
    """Trials that failed for one reason: `failure` is the kind, `reason` the last line of their messages."""

    failure: str
    reason: str
    trial_ids: tuple[int, ...]


@dataclass(frozen=True)
class LearnedRound:
    """A round of a strategy that learns with a model.

    Args:
        number: Number of the round: 1, 2, ...
        trials: Number of its proposals that have finished.
        best: The highest first score among them; None: all failed.
        model: How good the model was: values by name of measure.
    """

    number: int
    trials: int
    best: float | None
    model: Mapping[str, float]

    def facts(self) -> dict[str, float]:
        """The round and its measures, for JSON."""
        return {ROUND: self.number, **self.model}

    def __str__(self) -> str:
        listed = (f"{name.replace('_', ' ')} {value:.4f}" for name, value in self.model.items())
        return f"model of round {self.number}: {', '.join(listed)}"


def scores(trials: Sequence[Trial]) -> np.ndarray:
    """First score of each trial, shape (trials,), float64, higher is better; NaN where it failed."""
    values = (np.nan if (score := objectives.score_of(trial)) is None else score for trial in trials)
    return np.fromiter(values, np.float64, len(trials))


def is_judged(trials: Sequence[Trial]) -> np.ndarray:
    """Which trials compare with the best: those of the judged budget; shape (trials,), bool.

    All trials do where no other budget has a score.
    """
    top = objectives.judged_budget(trials)
    if all(trial.proposal.budget == top for trial in trials if trial.scores):
        return np.ones(len(trials), bool)
    return np.fromiter((trial.proposal.budget == top for trial in trials), bool, len(trials))


def metric(trials: Sequence[Trial], name: str) -> np.ndarray:
    """A metric of each trial, shape (trials,), float64; NaN where it failed or was not measured."""
    values = (trial.result.metrics.get(name, np.nan) if trial.result else np.nan for trial in trials)
    return np.fromiter(values, np.float64, len(trials))


def best_so_far(values: np.ndarray) -> np.ndarray:
    """Highest value up to and including each position, shape of `values`; NaN before the first number."""
    return np.fmax.accumulate(values) if len(values) else values


def moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """Mean of the last `window` values at each position, of those that are numbers; shape of `values`.

    The first positions average what there is; NaN where a whole window is NaN.

    Raises:
        ValueError: `window` is below 1.
    """
    if window < 1:
        raise ValueError(f"window is {window}; it must be at least 1")
    is_number = ~np.isnan(values)
    if not is_number.any():
        return values
    center = float(np.mean(values[is_number]))  # running sums of differences from it lose no digits
    sums = np.concatenate([[0.0], np.cumsum(np.where(is_number, values - center, 0.0))])
    counts = np.concatenate([[0], np.cumsum(is_number)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    seen = counts[ends] - counts[starts]
    return np.where(seen > 0, center + (sums[ends] - sums[starts]) / np.maximum(seen, 1), np.nan)


def records(values: np.ndarray) -> np.ndarray:
    """Positions at which the best so far improved, in rising order, shape (records,), int64."""
    best = best_so_far(values)
    if not len(best):
        return np.zeros(0, np.int64)
    is_first = ~np.isnan(best)
    is_first[1:] &= ~(best[1:] == best[:-1])
    return np.flatnonzero(is_first)


def thin(values: np.ndarray, most: int = 5000) -> np.ndarray:
    """Positions that a plot of a very long run shows, in rising order, at most `most`; all if there are no more.

    Every record of the best so far stays, and so do the first and last position and the smallest value; the rest is
    spread evenly. More records than half of `most` are themselves spread evenly, the last one kept.

    Raises:
        ValueError: `most` is below 8.
    """
    if most < 8:
        raise ValueError(f"most is {most}; it must be at least 8")
    if len(values) <= most:
        return np.arange(len(values))
    tops = _spread(records(values), most // 2)
    lowest = [] if np.isnan(values).all() else [int(np.nanargmin(values))]
    fixed = np.union1d(tops, [0, len(values) - 1, *lowest]).astype(np.int64)
    return np.union1d(fixed, _spread(np.arange(len(values)), most - len(fixed)))


def start_population(trials: Sequence[Trial]) -> int:
    """How many trials were asked before the first that descends from others; 0 when none does.

    A trial that continues another at a larger budget is the same network again and no descendant.
    """
    with_parents = [t.id for t in trials if t.proposal.parents and t.proposal.continues is None]
    first = min(with_parents, default=0)
    return sum(trial.id < first for trial in trials)


def ten_best(trials: Sequence[Trial], most: int = 10) -> list[Trial]:
    """Best trials of different networks (`key`), best first, the earliest of equals; failed ones are left out.

    Larger budgets come first: each network stands with its score at the largest that it was measured at.
    """
    seen: dict[str, Trial] = {}
    for trial in sorted((each for each in trials if each.scores), key=objectives.rank, reverse=True):  # stable
        if len(seen) == most:
            break
        seen.setdefault(trial.key, trial)
    return list(seen.values())


def lineage(trials: Sequence[Trial], trial_id: int) -> list[Trial]:
    """A trial and its ancestors by first parent, oldest first; empty when there is no such trial.

    Ends early at a parent that is not among `trials`, or that was met before.
    """
    by_id = {trial.id: trial for trial in trials}
    line: dict[int, Trial] = {}
    trial = by_id.get(trial_id)
    while trial is not None and trial.id not in line:
        line[trial.id] = trial
        parents = trial.proposal.parents
        trial = by_id.get(parents[0]) if parents else None
    return list(line.values())[::-1]


def failures(trials: Sequence[Trial]) -> list[FailureGroup]:
    """Failed trials by kind and last line of the message, most frequent first."""
    groups: dict[tuple[str, str], list[int]] = {}
    for trial in trials:
        if trial.result is not None and trial.result.failure:
            reason = trial.result.message.strip().rpartition("\n")[2].strip()
            groups.setdefault((trial.result.failure, reason), []).append(trial.id)
    found = [FailureGroup(failure, reason, tuple(ids)) for (failure, reason), ids in groups.items()]
    return sorted(found, key=lambda group: -len(group.trial_ids))


def rounds(trials: Sequence[Trial]) -> list[LearnedRound]:
    """What a strategy's notes say of the model that it learns with, round by round; empty without such notes."""
    groups: dict[int, list[Trial]] = {}
    for trial in trials:
        if (number := trial.proposal.notes.get(ROUND)) is not None:
            groups.setdefault(int(number), []).append(trial)
    found = (_learned_round(number, group) for number, group in sorted(groups.items()))
    return [each for each in found if each.model]


def evaluation_seconds(trials: Sequence[Trial]) -> float:
    """Seconds that workers spent on these trials; answers taken from the table cost none."""
    return sum(trial.result.seconds for trial in trials if trial.result and trial.result.reused is None)


def utilization(trials: Sequence[Trial], workers: int, wall_seconds: float) -> float:
    """Share of the workers' time that went into evaluations, about 0 to 1.

    Raises:
        ValueError: `workers` or `wall_seconds` is not above 0.
    """
    if not (workers > 0 and wall_seconds > 0):
        raise ValueError(f"workers is {workers} and wall_seconds {wall_seconds}; both must be greater than 0")
    return evaluation_seconds(trials) / (workers * wall_seconds)


def _learned_round(number: int, trials: Sequence[Trial]) -> LearnedRound:
    notes = trials[0].proposal.notes
    model = {name.removeprefix(MODEL): value for name, value in notes.items() if name.startswith(MODEL)}
    values = scores(trials)
    best = None if np.isnan(values).all() else float(np.nanmax(values))
    return LearnedRound(number, len(trials), best, model)


def _spread(positions: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the positions, evenly spread, the first and the last among them."""
    if len(positions) <= most:
        return positions
    return positions[np.linspace(0, len(positions) - 1, most).astype(np.int64)]
