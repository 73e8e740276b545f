"""What the finished trials of a search say, as arrays and short lists: the numbers behind every figure and table.

Numpy only, for a million trials: no function goes through all of them one by one, and the lists are short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from netwright.core.records import MODEL, ROUND, Trial
from netwright.report.history import History

MOST_ROUNDS = 200  # of learning that are listed
MOST_IDS = 10  # listed of one kind of failure


@dataclass(frozen=True)
class FailureGroup:
    """Trials that failed for one reason: `failure` is the kind, `reason` the last line of their messages.

    Of their ids, `trial_ids` are the first ones, at most MOST_IDS of `times`.
    """

    failure: str
    reason: str
    times: int
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


@dataclass(frozen=True)
class Learning:
    """What a strategy learned: rounds from the first to the last, in between `left_out` of them not listed."""

    rounds: tuple[LearnedRound, ...] = ()
    left_out: int = 0


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
    tops = spread(records(values), most // 2)
    lowest = [] if np.isnan(values).all() else [int(np.nanargmin(values))]
    fixed = np.union1d(tops, [0, len(values) - 1, *lowest]).astype(np.int64)
    return np.union1d(fixed, spread(np.arange(len(values)), most - len(fixed)))


def spread(positions: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the positions, evenly spread, the first and the last among them."""
    if len(positions) <= most:
        return positions
    return positions[np.linspace(0, len(positions) - 1, most).astype(np.int64)]


def start_population(history: History) -> int:
    """How many trials were asked before the first that descends from others; 0 when none does.

    A trial that continues another at a larger budget is the same network again and no descendant.
    """
    descendants = history.ids[(history.parents > 0) & (history.continued == 0)]
    return int(np.count_nonzero(history.ids < descendants.min())) if len(descendants) else 0


def finalists(history: History, most: int = 10) -> list[Trial]:
    """The best different networks (`key`) of a search, best first, by what was measured alone.

    A network counts by its trial at the largest budget, and networks at a larger budget come before all others; at one
    budget the score decides, and among equals the trial that finished first. A training that ended by itself counts as
    one at the largest budget of all, as it would have stayed as it is.

    Args:
        history: Finished trials; those that failed are passed over.
        most: Largest number of networks to name, at least 0.
    """
    scored = np.flatnonzero(~np.isnan(history.scores))
    top = history.budgets[scored].max(initial=0)
    budgets = np.where(history.has_ended[scored], top, history.budgets[scored])
    ranked = scored[np.lexsort((-history.scores[scored], -budgets))]  # stable: of equals, the first to finish
    _, first = np.unique(history.keys[ranked], return_index=True)
    return history.trials(ranked[np.sort(first)[:most]])


def lineage(history: History, place: int) -> np.ndarray:
    """Positions of a trial and its ancestors by first parent, oldest first, shape (generations,), int64.

    Ends early at a parent that has not finished, or that was met before.
    """
    parents = history.places(history.parents).tolist()
    line: dict[int, None] = {}
    while place >= 0 and place not in line:
        line[place] = None
        place = parents[place]
    return np.array(list(line), np.int64)[::-1]


def failures(history: History) -> list[FailureGroup]:
    """Failed trials by kind and last line of the message, most frequent first."""
    failed = np.flatnonzero(history.reasons >= 0)
    order = failed[np.argsort(history.reasons[failed], kind="stable")]
    counts = np.bincount(history.reasons[failed], minlength=len(history.kinds))
    groups = np.split(order, np.cumsum(counts)[:-1]) if len(failed) else []
    found = [
        FailureGroup(failure, reason, len(group), tuple(history.ids[group[:MOST_IDS]].tolist()))
        for (failure, reason), group in zip(history.kinds, groups, strict=True)
    ]
    return sorted(found, key=lambda group: -group.times)


def learning(history: History) -> Learning:
    """What a strategy's notes say of the model that it learns with, round by round; empty without such notes.

    Of many rounds, MOST_ROUNDS are listed, evenly spread.
    """
    known = np.flatnonzero(~np.isnan(history.rounds))
    numbers, firsts, which, counts = np.unique(
        np.trunc(history.rounds[known]), return_index=True, return_inverse=True, return_counts=True
    )
    bests = np.full(len(numbers), np.nan)
    np.fmax.at(bests, which, history.scores[known])
    learned = np.flatnonzero(history.is_learned[known[firsts]])
    shown = spread(learned, MOST_ROUNDS)
    trials = history.trials(known[firsts[shown]])
    rounds = (
        LearnedRound(int(numbers[k]), int(counts[k]), None if np.isnan(bests[k]) else float(bests[k]), _model(trial))
        for k, trial in zip(shown, trials, strict=True)
    )
    return Learning(tuple(rounds), len(learned) - len(shown))


def evaluation_seconds(history: History) -> float:
    """Seconds that workers spent on these trials; answers taken from the table cost none."""
    return float(history.seconds.sum())


def utilization(history: History, workers: int, wall_seconds: float) -> float:
    """Share of the workers' time that went into evaluations, about 0 to 1.

    Raises:
        ValueError: `workers` or `wall_seconds` is not above 0.
    """
    if not (workers > 0 and wall_seconds > 0):
        raise ValueError(f"workers is {workers} and wall_seconds {wall_seconds}; both must be greater than 0")
    return evaluation_seconds(history) / (workers * wall_seconds)


def _model(trial: Trial) -> dict[str, float]:
    """What the notes of a trial say of a model: values by name of measure."""
    return {name.removeprefix(MODEL): value for name, value in trial.proposal.notes.items() if name.startswith(MODEL)}
