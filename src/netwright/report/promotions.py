"""What a search with several budgets says: its rungs and brackets, and whether small budgets rank as large ones do.

Numpy only. A network is followed over its budgets by `continues`: the trial that carried on another's training. Nothing
here knows a strategy; brackets are those that `notes` name. Rank agreement is over networks that were measured at both
budgets, and these were promoted: it says less than one over all networks would, and is often lower.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.core.objectives import score_of
from netwright.core.records import Trial

FEWEST = 3  # networks that have an order worth the name
MOST = 2000  # networks in a rank agreement; where there are more, evenly spread over the search
BRACKET = "bracket"  # the note of a proposal that numbers its bracket


@dataclass(frozen=True)
class Rung:
    """What finished at one budget.

    Args:
        budget: The budget, in the evaluator's unit.
        trials: Number of finished trials.
        failed: Number of these that failed.
        promoted: Number of these that another finished trial continues.
        best: Highest score; None: no trial succeeded.
    """

    budget: int
    trials: int
    failed: int
    promoted: int
    best: float | None


@dataclass(frozen=True)
class Agreement:
    """How far the scores at two budgets order the same networks alike.

    Args:
        low: The smaller budget.
        high: The larger budget.
        networks: Number of networks that were measured at both.
        spearman: Correlation of ranks, -1 to 1; NaN for fewer than 3 networks, or where all are equal at one budget.
        kendall: Tau-b, -1 to 1: the share of pairs in the same order less that of pairs in the other; NaN as above.
    """

    low: int
    high: int
    networks: int
    spearman: float
    kendall: float


@dataclass(frozen=True)
class Budgets:
    """A search over budgets; rungs and agreements from the smallest budget on, brackets by number."""

    rungs: tuple[Rung, ...]
    agreements: tuple[Agreement, ...]
    brackets: Mapping[int, tuple[Rung, ...]]


def summarize(trials: Sequence[Trial]) -> Budgets | None:
    """The summary of finished trials with scores; None where no trial carried on another at a larger budget."""
    pairs = _pairs(trials)
    if not pairs:
        return None
    promoted = {trial.proposal.continues for trial in trials}
    brackets: dict[int, list[Trial]] = defaultdict(list)
    for trial in trials:
        if BRACKET in trial.proposal.notes:
            brackets[int(trial.proposal.notes[BRACKET])].append(trial)
    return Budgets(
        _rungs(trials, promoted),
        tuple(_agreement(low, high, pairs[low, high]) for low, high in sorted(pairs)),
        {number: _rungs(brackets[number], promoted) for number in sorted(brackets)},
    )


def lines(trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
    """The trials of each promoted network by rising budget; networks in order of their last trial's finish."""
    by_id = {trial.id: trial for trial in trials}
    continued = {trial.proposal.continues for trial in trials}
    ends = [trial for trial in trials if trial.proposal.continues in by_id and trial.id not in continued]
    return [(*list(_earlier(trial, by_id))[::-1], trial) for trial in ends]


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Correlation of the ranks of two lists of numbers, shape (n,); equals have their mean rank. NaN: not defined."""
    return _correlation(_ranks(x), _ranks(y)) if len(x) >= FEWEST else math.nan


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b of two lists of numbers, shape (n,); NaN: not defined."""
    if len(x) < FEWEST:
        return math.nan
    signs_x, signs_y = np.sign(x[:, None] - x), np.sign(y[:, None] - y)
    size = math.sqrt(float((signs_x**2).sum() * (signs_y**2).sum()))
    return float((signs_x * signs_y).sum()) / size if size else math.nan


def facts(found: Budgets) -> dict[str, Any]:
    """The summary as JSON; numbers that are not defined are null."""

    def rungs(given: Sequence[Rung]) -> list[dict[str, Any]]:
        return [{name: getattr(rung, name) for name in Rung.__dataclass_fields__} for rung in given]

    return {
        "budgets": rungs(found.rungs),
        "rank_agreement": [
            {name: _number(getattr(each, name)) for name in Agreement.__dataclass_fields__} for each in found.agreements
        ],
        "brackets": [{"bracket": number, "budgets": rungs(given)} for number, given in found.brackets.items()],
    }


def sentences(found: Budgets) -> list[str]:
    """The rank agreement in words, one sentence for each pair of budgets."""
    said = []
    for each in found.agreements:
        between = f"budgets {each.low:,} and {each.high:,}"
        if math.isnan(each.spearman):
            said.append(f"rank agreement of {between}: not defined, {_networks(each.networks)}")
            continue
        numbers = f"Spearman {each.spearman:.2f}, Kendall {each.kendall:.2f}"
        said.append(f"rank agreement of {between}: {numbers}, {_networks(each.networks)}")
    return said


def _networks(count: int) -> str:
    return f"{count:,} network{'s' if count != 1 else ''} with scores at both"


def _earlier(trial: Trial, by_id: Mapping[int, Trial]) -> Iterator[Trial]:
    """The trials that a trial carries on, the last one first."""
    seen = {trial.id}
    while (before := trial.proposal.continues) in by_id and before not in seen:
        assert before is not None
        trial = by_id[before]
        seen.add(trial.id)
        yield trial


def _pairs(trials: Sequence[Trial]) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """Scores at both of two budgets, for each pair of budgets between which a network was promoted."""
    by_id = {trial.id: trial for trial in trials}
    found: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for trial in trials:
        for earlier in _earlier(trial, by_id):
            low, high = earlier.proposal.budget, trial.proposal.budget
            if low is None or high is None or not low < high:
                continue
            both, before, after = found[low, high], score_of(earlier), score_of(trial)
            if before is not None and after is not None:
                both.append((before, after))
    return dict(found)


def _rungs(trials: Sequence[Trial], promoted: set[int | None]) -> tuple[Rung, ...]:
    by_budget: dict[int, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.proposal.budget is not None:
            by_budget[trial.proposal.budget].append(trial)
    return tuple(
        Rung(
            budget,
            len(here),
            sum(trial.scores is None for trial in here),
            sum(trial.id in promoted for trial in here),
            max((score for trial in here if (score := score_of(trial)) is not None), default=None),
        )
        for budget, here in sorted(by_budget.items())
    )


def _agreement(low: int, high: int, both: Sequence[tuple[float, float]]) -> Agreement:
    shown: list[int] = (
        np.unique(np.linspace(0, len(both) - 1, min(len(both), MOST)).astype(int)).tolist() if both else []
    )
    scores = np.array([both[place] for place in shown], np.float64).reshape(-1, 2)
    x, y = scores[:, 0], scores[:, 1]
    return Agreement(low, high, len(both), spearman(x, y), kendall(x, y))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0 on, shape of `values`; equals have their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean: np.ndarray = (ends - (counts + 1) / 2)[places.reshape(-1)]
    return mean


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    size = math.sqrt(float((x**2).sum() * (y**2).sum()))
    return float((x * y).sum()) / size if size else math.nan


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
