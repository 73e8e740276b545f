"""The finished trials of a search, however many there are: numbers on all of them in columns, and any of them in whole.

A million trials as objects take gigabytes, their columns a hundred megabytes. Whatever reports say of all trials is
worked out from the columns; the few trials that are shown are read again from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np

from netwright.core import objectives
from netwright.core.errors import StoreError
from netwright.core.protocols import Store
from netwright.core.records import MODEL, ROUND, Trial, has_stopped_early

PAGE = 2000  # rows that are in memory at a time
BRACKET = "bracket"  # the note of a proposal that numbers its bracket
MOST_REASONS = 1000  # kinds of failures told apart; all that come later are of the kind OTHER
OTHER = "another reason"
LONGEST = 500  # characters of a reason that are kept

Fetch = Callable[[Sequence[int]], list[Trial]]

# a column's type, and its value for a trial
COLUMNS: dict[str, tuple[type, Callable[[Trial], Any]]] = {
    "ids": (np.int64, lambda t: t.id),
    "finishes": (np.int64, lambda t: t.finish or 0),
    "scores": (np.float64, lambda t: t.scores[0] if t.scores else np.nan),
    "budgets": (np.int64, lambda t: t.proposal.budget or 0),
    "has_ended": (np.bool_, has_stopped_early),
    "params": (np.float64, lambda t: t.result.metrics.get("params", np.nan) if t.result else np.nan),
    "seconds": (np.float64, lambda t: t.result.seconds if t.result and t.result.reused is None else 0.0),
    "is_reused": (np.bool_, lambda t: t.result is not None and t.result.reused is not None),
    "parents": (np.int64, lambda t: t.proposal.parents[0] if t.proposal.parents else 0),
    "continued": (np.int64, lambda t: t.proposal.continues or 0),
    "brackets": (np.float64, lambda t: _note(t, BRACKET)),
    "rounds": (np.float64, lambda t: _note(t, ROUND)),
    "is_learned": (np.bool_, lambda t: any(name.startswith(MODEL) for name in t.proposal.notes)),
    "keys": (np.int64, lambda t: _number(t.key)),
}


def _number(key: str) -> int:
    """A number for a key, the same in every process: Python's own hash of a text is not, nor what is drawn by it."""
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little", signed=True)


@dataclass(frozen=True, eq=False)
class History:
    """Finished trials in order of finishing: position k of each column, shape (trials,), is trial number k of them.

    Args:
        ids: Ids, int64.
        finishes: Numbers in order of finishing, int64; with gaps where rows of the table were left out.
        scores: First scores, float64, higher is better; NaN where the trial failed.
        others: Scores of the further objectives, shape (trials, M - 1), float64; NaN where the trial failed.
        budgets: Budgets, int64; 0: none.
        has_ended: Whether the training ended by itself before its budget.
        params: Parameters as measured, float64; NaN: not measured.
        seconds: Seconds of evaluation, float64; 0 where the answer came from the table.
        is_reused: Whether the answer came from the table.
        parents: Id of the first parent, int64; 0: none.
        continued: Id of the trial that was carried on, int64; 0: none.
        brackets: Number of the bracket that the notes name, float64; NaN: none.
        rounds: Number of the round of learning, float64; NaN: none.
        is_learned: Whether the notes say how good a model is.
        keys: A hash of the key, int64: equal for equal networks.
        reasons: Position in `kinds` of why the trial failed, int64; -1: it did not.
        kinds: Why trials failed: the kind of failure and the last line of the message, in order of appearance.
        faults: What is damaged or missing in the table and was left out, a sentence each.
    """

    ids: np.ndarray
    finishes: np.ndarray
    scores: np.ndarray
    others: np.ndarray
    budgets: np.ndarray
    has_ended: np.ndarray
    params: np.ndarray
    seconds: np.ndarray
    is_reused: np.ndarray
    parents: np.ndarray
    continued: np.ndarray
    brackets: np.ndarray
    rounds: np.ndarray
    is_learned: np.ndarray
    keys: np.ndarray
    reasons: np.ndarray
    kinds: tuple[tuple[str, str], ...]
    _fetch: Fetch
    faults: tuple[str, ...] = ()

    @staticmethod
    def of(trials: Sequence[Trial]) -> History:
        """The history of finished trials with scores that are in memory, in order of finishing."""
        return _from_pages([trials], lambda places: [trials[place] for place in places])

    @staticmethod
    def read(opened: Callable[[], Store], names: Sequence[str] | None) -> History:
        """The history of a table, which is read a page at a time.

        Args:
            opened: Opens the table for reading; called again whenever whole trials are asked for.
            names: Objectives as the run file has them; None: the first metric of each result.

        Raises:
            BadRunFile: An objective was not measured.
        """
        with closing(opened()) as store:
            history = replace(History.of_store(store, names), faults=tuple(store.faults()))

        def fetch(places: Sequence[int]) -> list[Trial]:
            with closing(opened()) as store:
                return _fetched(store, history.finishes[list(places)].tolist(), names)

        return replace(history, _fetch=fetch)

    @staticmethod
    def of_store(store: Store, names: Sequence[str] | None) -> History:
        """The history of a table that stays open as long as the history is used; see `read`."""
        history = _from_pages(objectives.with_scores(page, names) for page in _pages(store))

        def fetch(places: Sequence[int]) -> list[Trial]:
            return _fetched(store, history.finishes[list(places)].tolist(), names)

        return replace(history, _fetch=fetch)

    def __len__(self) -> int:
        return len(self.ids)

    def trials(self, places: Iterable[int]) -> list[Trial]:
        """The trials at some positions in whole, with scores, in the order asked for."""
        listed = [int(place) for place in places]
        return self._fetch(listed) if listed else []

    def places(self, ids: np.ndarray) -> np.ndarray:
        """Positions of the trials with these ids, shape of `ids`, int64; -1 where none of them has finished."""
        if not len(self):
            return np.full(np.shape(ids), -1, np.int64)
        order = np.argsort(self.ids, kind="stable")
        nearest = order[np.minimum(np.searchsorted(self.ids, ids, sorter=order), len(self) - 1)]
        return np.where(self.ids[nearest] == ids, nearest, -1)

    def trial(self, trial_id: int) -> Trial | None:
        """The trial with this id in whole; None: no such trial has finished."""
        place = int(self.places(np.array(trial_id)))
        return None if place < 0 else self.trials([place])[0]

    @property
    def points(self) -> np.ndarray:
        """The scores of all objectives, shape (trials, M); NaN where the trial failed."""
        return np.column_stack([self.scores, self.others])

    @property
    def failed(self) -> int:
        """How many trials failed."""
        return int(np.count_nonzero(self.reasons >= 0))

    @property
    def is_judged(self) -> np.ndarray:
        """Which trials compare with the best: those of the judged budget; shape (trials,), bool.

        All trials do where no other budget has a score. See `objectives.judged_budget`.
        """
        scored = self.budgets[~np.isnan(self.scores)]
        top = scored.max(initial=0)
        return np.ones(len(self), bool) if (scored == top).all() else self.budgets == top

    def best(self, among: np.ndarray | None = None) -> int | None:
        """Position of the best trial (`objectives.best`); None: none has a score.

        Args:
            among: Which trials count, shape (trials,), bool; None: all.
        """
        is_rival = ~np.isnan(self.scores) if among is None else among & ~np.isnan(self.scores)
        rivals = np.flatnonzero(is_rival)
        if not len(rivals):
            return None
        rivals = rivals[self.budgets[rivals] == self.budgets[rivals].max()]
        for column in (self.scores, *self.others.T):
            rivals = rivals[column[rivals] == column[rivals].max()]
        return int(rivals[0])

    @property
    def best_trial(self) -> Trial | None:
        """The best trial in whole; None: none has a score."""
        place = self.best()
        return None if place is None else self.trials([place])[0]


def rows(store: Store) -> Iterator[Trial]:
    """The finished rows of a table in order of finishing, of which few are in memory at a time."""
    return chain.from_iterable(_pages(store))


def _fetched(store: Store, numbers: Sequence[int], names: Sequence[str] | None) -> list[Trial]:
    """The trials that finished as those numbers, with scores."""
    found = [trial for number in numbers for trial in store.finished(number - 1, 1)]
    if [trial.finish for trial in found] != list(numbers):
        raise StoreError("rows of the table have changed while it was read; give the same command again")
    return objectives.with_scores(found, names)


def _pages(store: Store) -> Iterator[list[Trial]]:
    after = 0
    while page := store.finished(after, PAGE):
        yield page
        after = page[-1].finish or 0


def _nothing(_places: Sequence[int]) -> list[Trial]:
    return []


def _from_pages(pages: Iterable[Sequence[Trial]], fetch: Fetch = _nothing) -> History:
    kinds: dict[tuple[str, str], int] = {}
    parts: dict[str, list[np.ndarray]] = {name: [np.zeros(0, dtype)] for name, (dtype, _) in COLUMNS.items()}
    reasons, others = [np.zeros(0, np.int64)], [np.zeros((0, 0))]
    for page in pages:
        for name, (dtype, value) in COLUMNS.items():
            parts[name].append(np.fromiter(map(value, page), dtype, len(page)))
        reasons.append(np.fromiter((_reason(trial, kinds) for trial in page), np.int64, len(page)))
        others.append(_others(page))
    columns: dict[str, Any] = {name: np.concatenate(parts.pop(name)) for name in COLUMNS}
    more = max(each.shape[1] for each in others)  # a page of failures alone has no column
    padded = [np.pad(each, ((0, 0), (0, more - each.shape[1])), constant_values=np.nan) for each in others]
    columns |= {"reasons": np.concatenate(reasons), "others": np.concatenate(padded)}
    return History(**columns, kinds=tuple(kinds), _fetch=fetch)


def _others(page: Sequence[Trial]) -> np.ndarray:
    """Scores of the further objectives, a row for each trial; without columns where none has any."""
    width = next((len(trial.scores) - 1 for trial in page if trial.scores), 0)
    if not width:
        return np.zeros((len(page), 0))
    none = (np.nan,) * width
    return np.array([trial.scores[1:] if trial.scores else none for trial in page], np.float64)


def _reason(trial: Trial, kinds: dict[tuple[str, str], int]) -> int:
    """The number of the reason why the trial failed, a new one where it is new; -1: it did not fail."""
    if trial.result is None or not trial.result.failure:
        return -1
    reason = trial.result.message.strip().rpartition("\n")[2].strip()
    kind = trial.result.failure, reason if len(reason) <= LONGEST else f"{reason[:LONGEST]}…"
    if kind not in kinds and len(kinds) >= MOST_REASONS:
        kind = trial.result.failure, OTHER
    return kinds.setdefault(kind, len(kinds))


def _note(trial: Trial, name: str) -> float:
    value = trial.proposal.notes.get(name, np.nan)
    return value if isinstance(value, int | float) else np.nan
