"""Plays one cell on a table of measured results: a search with the real controller, and the course that it took."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from netwright.comparison.courses import Course
from netwright.comparison.tables import exact_front
from netwright.controller import Search
from netwright.core import refs
from netwright.core.objectives import Objective
from netwright.core.protocols import SearchSpace, Strategy
from netwright.core.records import Genotype, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Limits
from netwright.core.table import Table, column_of
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore

MESSAGE_CHARACTERS = 300  # kept of a failed trial's message


def strategy_of(reference: Reference, table: Table, objectives: Sequence[str] = ()) -> Strategy:
    """Makes a strategy for a table and checks its options. Raises BadReference, MissingCapability.

    Args:
        reference: The strategy.
        table: The table.
        objectives: What is searched by, where there are several objectives; empty: the table's signal.
    """
    named = tuple(objectives) or (table.objective,)
    lookup = exact_front.lookup_of(table, named)

    def foretell(
        genotype: Genotype,
    ) -> Mapping[str, float]:  # no method: copies share the table
        return lookup.foretell(genotype)

    strategy: Strategy = refs.load("strategy", reference, space=table.space, objectives=named, foretell=foretell)
    return strategy


def anew(strategy: Strategy, space: SearchSpace) -> Strategy:
    """A copy of a strategy that was told nothing yet: it takes tens of microseconds, checking the options anew 4 ms."""
    return copy.deepcopy(strategy, {id(space): space})


def play(
    table: Table,
    strategy: Strategy,
    limits: Limits,
    seed: int,
    source: str = "",
    objectives: Sequence[str] = (),
) -> Course:
    """Plays one search from its beginning to its end.

    Args:
        table: The table that answers the trials.
        strategy: A strategy that was told nothing yet.
        limits: When the search ends.
        seed: Seed of the search.
        source: Digest of the strategy's program, for the course.
        objectives: As in `strategy_of`.
    """
    store, watch = MemoryStore(), _Watch()
    named = tuple(objectives) or (table.objective,)
    search = Search(
        table.space,
        strategy,
        store,
        Inline(exact_front.lookup_of(table, named)),
        named,
        limits,
        seed,
        watchers=(watch,),
    )
    watch.begin = time.perf_counter()
    ending = search.run()
    trials = store.finished()
    is_failed = np.array([trial.status == "failed" for trial in trials], bool)
    return Course(
        signals=_signals(table, trials),
        finals=_metric(trials, "final"),
        is_repeat=_repeats(trials),
        ending=ending,
        elapsed=np.rint((np.array(watch.told_at, np.float64) - watch.begin) * 1e6).astype(np.int64),
        costs=np.array([trial.result.seconds for trial in trials if trial.result and table.seconds], np.float64),
        values=_means(table, trials),
        is_failed=is_failed if is_failed.any() else np.zeros(0, bool),
        message=_in_one_line(trials[int(is_failed.argmax())]) if is_failed.any() else "",
        source=source,
        others=np.column_stack([_metric(trials, Objective.read(each).name) for each in named[1:]])
        if len(named) > 1
        else np.zeros((0, 0)),
    )


@dataclass
class _Watch:
    """Notes when the strategy had been told each trial."""

    begin: float = 0.0
    told_at: list[float] = field(default_factory=list)

    def asked(self, trial: Trial) -> None:
        """Nothing to note."""

    def told(self, trial: Trial) -> None:  # noqa: ARG002 - they come in order
        """Note the time."""
        self.told_at.append(time.perf_counter())

    def tick(self) -> None:
        """Nothing to note."""


def _signals(table: Table, trials: Sequence[Trial]) -> np.ndarray:
    """What the search saw; NaN for what was measured at another budget, whose signals do not compare."""
    signals = _metric(trials, "signal")
    others = {budget for budget, column in table.budgets.items() if column_of(column) != column_of(table.signal)}
    if others:
        signals[[trial.proposal.budget in others for trial in trials]] = np.nan
    return signals


def _means(table: Table, trials: Sequence[Trial]) -> np.ndarray:
    """The mean of the single measurements of each network, of which a trial saw one; empty where there is one each."""
    column = column_of(table.signal)
    if column not in table.repeats:
        return np.zeros(0)
    rows = [table.rows.get(trial.proposal.genotype) for trial in trials]
    return np.array([np.nan if row is None else table.columns[column].item(row) for row in rows], np.float64)


def _metric(trials: Sequence[Trial], name: str) -> np.ndarray:
    return np.array([trial.result.metrics.get(name, np.nan) for trial in trials if trial.result], np.float64)


def _repeats(trials: Sequence[Trial]) -> np.ndarray:
    """Which trials measured a network again; at another budget, as a promotion does, it is no repetition."""
    known: set[tuple[str, int | None]] = set()
    is_repeat = np.zeros(len(trials), bool)
    for place, trial in enumerate(trials):
        asked = trial.key, trial.proposal.budget
        is_repeat[place] = asked in known
        known.add(asked)
    return is_repeat


def _in_one_line(trial: Trial) -> str:
    message = trial.result.message.strip() if trial.result else ""
    return message.rpartition("\n")[2][:MESSAGE_CHARACTERS]  # the last one of a traceback says what went wrong
