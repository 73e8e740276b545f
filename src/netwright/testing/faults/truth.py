"""What a table must hold after any number of faults: what the undisturbed search would have asked and measured."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from netwright.controller import Search
from netwright.core import building, refs, run_file, seeds
from netwright.core.errors import NetwrightError
from netwright.core.objectives import scorer
from netwright.core.records import Result, Trial
from netwright.core.run_file import Limits, RunFile
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore
from netwright.stores.sqlite import SqliteStore
from netwright.testing.faults.searching import TABLE, Subject


@dataclass(frozen=True)
class Accounted:
    """What a table came to.

    Args:
        asked: Number of rows.
        final: Number of trials with a result.
        doubled: Results and rows beyond one for each trial that was to be asked.
        lost: How often the worker of a row was taken for lost.
        wrong: What is not as it must be; a sentence each.
    """

    asked: int
    final: int
    doubled: int
    lost: int
    wrong: tuple[str, ...]


def examined(folder: Path, subject: Subject, trials: int) -> Accounted:
    """Look at the table of a run that has ended with so many trials."""
    wrong = []
    path = folder / TABLE
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
        if (check := [text for (text,) in db.execute("PRAGMA integrity_check")]) != ["ok"]:
            wrong.append(f"the table is damaged: {check[0]}")
        ids = [number for (number,) in db.execute("SELECT id FROM trials NOT INDEXED")]
        [(lost,)] = db.execute("SELECT COALESCE(SUM(losses), 0) FROM trials NOT INDEXED")
        places = [place for (place,) in db.execute("SELECT finish FROM trials NOT INDEXED WHERE finish IS NOT NULL")]
    doubled = max(0, len(ids) - trials, max(places, default=0) - trials) + _repeats(ids) + _repeats(places)
    try:
        with closing(SqliteStore(str(path), mode="read")) as store:
            wrong += store.faults()
            rows, unfinished = store.finished(), store.unfinished()
            run = run_file.from_toml(store.recall("run") or "")
    except NetwrightError as error:
        return Accounted(len(ids), 0, doubled, lost, (*wrong, f"the table does not open: {error}"))
    wrong += [f"trial {row.id} is {row.status}" for row in unfinished]
    wrong += [f"trial {row.id} failed: {_failure(row)}" for row in rows if row.status != "done"]
    if (found := sorted(row.id for row in rows)) != list(range(1, trials + 1)):
        wrong.append(f"{len(found)} trials finished of {trials}, numbers {found[:3]} to {found[-3:]}")
    if [row.finish for row in rows] != list(range(1, len(rows) + 1)):
        wrong.append("the order in which trials finished has gaps")
    if not wrong:
        wrong += _replayed(run, rows)
        wrong += _measured_again(run, subject, rows) if subject.quick else []
        wrong += _compared(run, subject, rows) if subject.workers == 1 else []
    return Accounted(len(ids), len(rows), doubled, lost, tuple(wrong))


def _replayed(run: RunFile, rows: Sequence[Trial]) -> list[str]:
    """Whether a strategy that is told the table proposes every one of its rows, at some moment when it may have.

    Row k was asked when some first t rows had been told and the others asked before were pending; how many were, the
    table does not say, but no more than there were workers and rows ahead of them.
    """
    parts = building.build(run)
    score, streams, wrong = scorer(run.objectives), seeds.Streams(run.seed), []
    by_number = {row.id: row for row in rows}
    open_numbers = set(by_number)
    told: list[int] = []
    asked: dict[int, list[int]] = {number: [] for number in by_number}  # moments at which the row fits
    for t in range(len(rows) + 1):
        # rows asked when t were told are those after the last that was told or pending then
        for number in range(t + 1, min(len(rows), t + 2 * (run.workers or 1) + 4) + 1):
            before = set(range(1, number)) - set(told)
            if number in told or len(before) != number - 1 - t:  # a row asked later was told already
                continue
            waiting = tuple(replace(by_number[n], status="pending", result=None, finish=None) for n in sorted(before))
            proposal = parts.strategy.ask(streams.rng(seeds.ASK, number), waiting)
            row = by_number[number]
            if proposal and (proposal.genotype, proposal.parents) == (row.proposal.genotype, row.proposal.parents):
                asked[number].append(t)
        if t < len(rows):
            row = rows[t]
            assert row.result is not None
            parts.strategy.tell(replace(row, scores=score(row.result)), streams.rng(seeds.TELL, t + 1))
            told.append(row.id)
            open_numbers.discard(row.id)
    lost = [number for number, moments in asked.items() if not moments]
    if lost:
        wrong.append(f"a strategy that is told the table does not propose trial {lost[0]} ({len(lost)} of them)")
    return wrong


class _Lent:
    """What an evaluation is lent that nobody waits for."""

    threads, worker_index, run = 1, 0, None

    def __init__(self, folder: Path) -> None:
        self.folder = self.shared = folder

    def report(self, step: int, metrics: Any) -> bool:  # noqa: ARG002
        return True

    def should_stop(self) -> bool:
        return False

    def checkpoint_of(self, trial_id: int) -> Path | None:  # noqa: ARG002
        return None

    def members(self, budget: int) -> Sequence[Trial]:  # noqa: ARG002
        return ()


def _measured_again(run: RunFile, subject: Subject, rows: Sequence[Trial]) -> list[str]:
    """Whether each result is what an evaluation without interruption gives."""
    evaluator = building.build_evaluator(replace(run, evaluator=refs.parse(subject.quick)))
    for row in rows:
        with TemporaryDirectory() as folder:
            found = evaluator.evaluate(row, _Lent(Path(folder)))
        if _values(found) != _values(row.result):
            return [f"trial {row.id} measured {_values(row.result)}, and undisturbed {_values(found)}"]
    return []


def _compared(run: RunFile, subject: Subject, rows: Sequence[Trial]) -> list[str]:
    """Whether one worker, undisturbed, makes the same table, bit for bit but for times."""
    whole = replace(run, limits=Limits(trials=len(rows)))
    if subject.quick:
        whole = replace(whole, evaluator=refs.parse(subject.quick))
    parts, store = building.build(whole), MemoryStore()
    with TemporaryDirectory() as folder:
        Search(
            *(parts.space, parts.strategy, store, Inline(parts.evaluator)),
            objectives=run.objectives,
            limits=whole.limits,
            seed=run.seed,
            reuse=run.reuse,
            folder=Path(folder),
            io=parts.io,
        ).run()
    for mine, other in zip(rows, store.finished(), strict=True):
        if _bits(mine) != _bits(other):
            return [
                f"trial {mine.id} finished as number {mine.finish} as {_bits(mine)}, and undisturbed {_bits(other)}"
            ]
    return []


def _bits(row: Trial) -> tuple[Any, ...]:
    return (row.id, row.proposal, row.key, row.seed, row.status, row.finish, _values(row.result))


def _values(result: Result | None) -> tuple[Any, ...]:
    return () if result is None else (dict(result.metrics), tuple(result.curve), result.failure, result.reused)


def _failure(row: Trial) -> str:
    return "" if row.result is None else f"{row.result.failure} {row.result.message.strip()[-300:]}"


def _repeats(numbers: Sequence[int]) -> int:
    return sum(count - 1 for count in Counter(numbers).values())
