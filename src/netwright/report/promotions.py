"""What a search with several budgets says: its rungs and brackets, and whether small budgets rank as large ones do.

Numpy only. A network is followed over its budgets by `continues`: the trial that carried on another's training. Nothing
here knows a strategy; brackets are those that `notes` name. Rank agreement is over networks that were measured at both
budgets. Where a search promoted some and not others, it is not that of all networks: selection lowers it (the better
two of every four, and 0.52 becomes 0.41), what the two trainings share raises it. Where every network was measured at
both (strategy `panel`), it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.core.ranking import FEWEST, kendall, spearman
from netwright.data.text import counted
from netwright.report import curves
from netwright.report.history import History

MOST = 2000  # networks in a rank agreement; where there are more, evenly spread over the search
MOST_RUNGS = 20  # budgets that are looked at; where there are more, evenly spread, the largest among them
MOST_CONTINUED = 64  # trials, one the continuation of another, that a network is followed over


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
        selected: Whether these are promoted ones, while others were measured at the smaller budget alone.
    """

    low: int
    high: int
    networks: int
    spearman: float
    kendall: float
    selected: bool = True


@dataclass(frozen=True)
class Budgets:
    """A search over budgets; rungs and agreements from the smallest budget on, brackets by number.

    `more_brackets` and `more_budgets` are how many brackets and budgets are left out.
    """

    rungs: tuple[Rung, ...]
    agreements: tuple[Agreement, ...]
    brackets: Mapping[int, tuple[Rung, ...]]
    more_brackets: int = 0
    more_budgets: int = 0


@dataclass(frozen=True)
class Lines:
    """Networks that were promoted, each known by the position of its last trial, in order of finishing.

    Args:
        before: For each trial of the history, the position of the one that it continues; -1: none.
        ends: Position of the last trial of each network, shape (networks,), int64.
        bests: Position of the best trial of each network, shape of `ends`; -1: none has a score.
    """

    before: np.ndarray
    ends: np.ndarray
    bests: np.ndarray

    def line(self, number: int) -> list[int]:
        """Positions of the trials of network 0, 1, ... by rising budget."""
        return [int(places[0]) for places, _ in _steps(self.before, self.ends[[number]])][::-1]

    def members(self, numbers: np.ndarray) -> np.ndarray:
        """Which trials belong to one of these networks; shape (trials,), bool."""
        found = np.zeros(len(self.before), bool)
        for places, _ in _steps(self.before, self.ends[numbers]):
            found[places] = True
        return found


def summarize(history: History, most_brackets: int | None = None) -> Budgets | None:
    """The summary of a search; None where no trial carried on another at a larger budget.

    Args:
        history: The finished trials.
        most_brackets: Number of brackets to look at, the first ones; None: all.
    """
    before = _before(history)
    after, earlier = _pairs(before)
    is_budget = history.budgets[earlier] > 0
    after, earlier = after[is_budget], earlier[is_budget]
    if not len(after):
        return None
    ladder = np.unique(history.budgets[history.budgets > 0])
    shown = curves.spread(ladder, MOST_RUNGS)
    is_promoted = np.isin(history.ids, history.continued)
    is_bracket = ~np.isnan(history.brackets)
    numbers = np.unique(np.trunc(history.brackets[is_bracket]))
    listed = numbers[:most_brackets]
    is_listed = is_bracket & (np.trunc(history.brackets) <= listed.max(initial=-np.inf))
    return Budgets(
        _rungs(history, is_promoted, np.ones(len(history), bool), shown).get(0, ()),
        tuple(_agreements(history, after, earlier, shown)),
        {int(listed[k]): rungs for k, rungs in _rungs(history, is_promoted, is_listed, shown, listed).items()},
        len(numbers) - len(listed),
        len(ladder) - len(shown),
    )


def lines(history: History) -> Lines:
    """The networks that were promoted."""
    before = _before(history)
    is_end = before >= 0
    is_end[before[before >= 0]] = False
    ends = np.flatnonzero(is_end)
    bests, rank = np.full(len(ends), -1), (np.full(len(ends), -1), np.full(len(ends), -np.inf))
    for places, which in _steps(before, ends):
        budgets, scores = history.budgets[places], history.scores[places]
        is_better = (budgets > rank[0][which]) | ((budgets == rank[0][which]) & (scores > rank[1][which]))
        better = np.flatnonzero(is_better & ~np.isnan(scores))
        rank[0][which[better]], rank[1][which[better]], bests[which[better]] = (
            budgets[better],
            scores[better],
            places[better],
        )
    return Lines(before, ends, bests)


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
            said.append(f"rank agreement of {between}: not defined, {_networks(each)}")
            continue
        numbers = f"Spearman {each.spearman:.2f}, Kendall {each.kendall:.2f}"
        said.append(f"rank agreement of {between}: {numbers}, {_networks(each)}")
    return said


def _networks(agreement: Agreement) -> str:
    if agreement.selected:
        return counted(agreement.networks, "promoted network")
    return f"{counted(agreement.networks, 'network')}, none selected"


def _before(history: History) -> np.ndarray:
    """For each trial, the position of the one that it carries on at a larger budget, int64; -1: none."""
    before = history.places(history.continued)
    is_larger = history.budgets > history.budgets[before]
    return np.where((before >= 0) & is_larger, before, -1)


def _steps(before: np.ndarray, ends: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions of trials and which of the ends each belongs to: first the ends themselves, then what they continue."""
    places, which = ends, np.arange(len(ends))
    for _ in range(MOST_CONTINUED):
        if not len(places):
            return
        yield places, which
        is_on = before[places] >= 0
        places, which = before[places[is_on]], which[is_on]


def _pairs(before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of trials, in rising order, and of earlier trials that they carry on, at once or by way of others."""
    everything = np.arange(len(before))
    found = [(everything[which], places) for places, which in _steps(before, everything)][1:]
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    after, earlier = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.argsort(after, kind="stable")
    return after[order], earlier[order]


def _rungs(
    history: History,
    is_promoted: np.ndarray,
    is_counted: np.ndarray,
    ladder: np.ndarray,
    brackets: np.ndarray | None = None,
) -> dict[int, tuple[Rung, ...]]:
    """Rungs of the trials that count by the position of their bracket; 0 where no brackets are given."""
    places = np.flatnonzero(is_counted & np.isin(history.budgets, ladder))
    bracket = np.zeros(len(places), np.int64)
    if brackets is not None:
        bracket = np.searchsorted(brackets, np.trunc(history.brackets[places]))
    cells, which = np.unique(
        bracket * len(ladder) + np.searchsorted(ladder, history.budgets[places]), return_inverse=True
    )
    best = np.full(len(cells), np.nan)
    np.fmax.at(best, which, history.scores[places])
    counts, failed, promoted = (
        np.bincount(which, weights, len(cells)).astype(np.int64).tolist()
        for weights in (None, np.isnan(history.scores[places]), is_promoted[places])
    )
    found: dict[int, tuple[Rung, ...]] = {}
    for k, cell in enumerate(cells.tolist()):
        number, step = divmod(cell, len(ladder))
        rung = Rung(int(ladder[step]), counts[k], failed[k], promoted[k], _number(float(best[k])))
        found[number] = (*found.get(number, ()), rung)
    return found


def _agreements(history: History, after: np.ndarray, earlier: np.ndarray, ladder: np.ndarray) -> Iterator[Agreement]:
    """Agreement of each pair of budgets between which a network was promoted."""
    low, high = history.budgets[earlier], history.budgets[after]
    is_shown = np.isin(low, ladder) & np.isin(high, ladder)
    after, earlier, low, high = after[is_shown], earlier[is_shown], low[is_shown], high[is_shown]
    cells, which = np.unique(
        np.searchsorted(ladder, low) * len(ladder) + np.searchsorted(ladder, high), return_inverse=True
    )
    has_score = ~np.isnan(history.scores)
    is_scored = has_score[after] & has_score[earlier]
    for k, cell in enumerate(cells.tolist()):
        both = np.flatnonzero(is_scored & (which == k))
        shown = curves.spread(both, MOST)
        x, y = history.scores[earlier[shown]], history.scores[after[shown]]
        smaller, larger = (int(ladder[rung]) for rung in divmod(cell, len(ladder)))
        carried = len(np.unique(earlier[which == k]))
        is_selected = carried < np.count_nonzero(history.budgets == smaller)
        spearmans, kendalls = (spearman(x, y), kendall(x, y)) if len(both) >= FEWEST else (math.nan, math.nan)
        yield Agreement(smaller, larger, len(both), spearmans, kendalls, bool(is_selected))


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
