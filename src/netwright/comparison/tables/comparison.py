"""A whole comparison on tables: whatever can be refused is refused first, then the missing cells are played."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netwright.comparison import courses, pool, strategy_refs
from netwright.comparison.courses import Course, SearchCell
from netwright.comparison.tables import cell_file, player, problems, table_search
from netwright.comparison.tables.plan import ComparisonPlan
from netwright.comparison.tables.player import TablesOrder
from netwright.comparison.tables.problems import Problem
from netwright.core.errors import BadReference
from netwright.core.table import Table


@dataclass(frozen=True)
class Comparison:
    """A plan that can be carried out: its tables were read and its strategies made.

    Args:
        plan: What is compared.
        problems: Problems, in order of the plan's tables.
        sources: Digest of the program of each strategy, by label.
        starts: The options of each strategy that say how many random networks begin a search, by its label.
    """

    plan: ComparisonPlan
    problems: tuple[Problem, ...]
    sources: Mapping[str, str]
    starts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def strategies(self) -> tuple[str, ...]:
        """Labels of the strategies, in the plan's order."""
        return tuple(strategy_refs.label(strategy) for strategy in self.plan.strategies)

    @property
    def cells(self) -> list[SearchCell]:
        """All cells to play, seed by seed, so that a comparison that is stopped early has some of everything."""
        return [
            SearchCell(strategy, problem.name, seed)
            for seed in self.plan.seeds
            for problem in self.problems
            for strategy in self.strategies
        ]

    def remarks(self, problem: Problem) -> tuple[str, ...]:
        """Sentences about a problem: what its table says, and whether it has too few networks."""
        small = [horizon for horizon in self.plan.horizons if horizon > problem.networks]
        if not small:
            return problem.remarks
        text = f"it has {problem.networks:,} networks, fewer than T = {small[0]:,} trials"
        return (*problem.remarks, f"{text}: a strategy that repeats none stops when the space is exhausted")


@dataclass(frozen=True)
class ComparisonOutcome:
    """What became of the cells: courses cut to the plan's limits, and the faults of those that have none."""

    courses: Mapping[SearchCell, Course]
    faults: Mapping[SearchCell, str] = field(default_factory=dict)
    damaged: int = 0  # number of damaged lines whose cells had to be played anew


def prepare(asked: ComparisonPlan) -> Comparison:
    """Reads the tables and makes each strategy for each of them.

    Raises:
        NetwrightError: A table, a strategy or an option of one is refused; nothing was written.
    """
    tables = [(reference, problems.read(reference)) for reference in asked.tables]
    found = tuple(problems.describe(table, reference, asked.objectives) for reference, table in tables)
    _refuse_twice(found)
    for problem, (_, table) in zip(found, tables, strict=True):
        _refuse_free(asked, problem, table)
    starts: dict[str, Mapping[str, int]] = {}
    for reference in asked.strategies:
        made = [table_search.strategy_of(reference, table, asked.objectives) for _, table in tables]
        starts[strategy_refs.label(reference)] = strategy_refs.random_starts(reference, made[0])
    sources = {strategy_refs.label(reference): strategy_refs.source_of(reference) for reference in asked.strategies}
    return Comparison(asked, found, sources, starts)


def carry_out(
    comparison: Comparison, where: Path, workers: int, watch: Callable[[int, int], None] = lambda _done, _all: None
) -> ComparisonOutcome:
    """Play what is missing; call it within `folder.taken(where)`.

    Args:
        comparison: The comparison as prepared.
        where: Folder with the cells played so far; those of other plans stay in it.
        workers: Number of processes at a time.
        watch: Told how many cells are done, and how many there are.

    Raises:
        StoreError: The folder has cells of another table of that name.
        WorkerError: The processes cannot start.
        KeyboardInterrupt: The user stopped it; what was played is in the folder.
    """
    cell_file.claim(where, comparison.problems)
    stored, asked = cell_file.read(where), comparison.plan
    cells = comparison.cells
    done = {cell: course for cell in cells if (course := _usable(stored.cells.get(cell), asked)) is not None}
    missing = [cell for cell in cells if cell not in done]
    # a cell that was played anew has a whole line since, so that its damaged one is not worth a word again
    damaged = sum(cell in missing if cell else bool(missing) for cell in stored.damaged if cell not in stored.cells)
    faults: dict[SearchCell, str] = {}
    watch(len(done), len(cells))
    order = TablesOrder(
        {problem.name: str(reference) for problem, reference in zip(comparison.problems, asked.tables, strict=True)},
        {strategy_refs.label(strategy): str(strategy) for strategy in asked.strategies},
        asked.trials,
        asked.table_seconds,
        asked.objectives,
    )
    writer = cell_file.Writer(where)
    try:
        with closing(pool.play(vars(order), missing, workers, where / "logs", player.PROGRAM)) as playing:
            for played in playing:
                if played.course is None:
                    faults[played.cell] = played.fault
                else:
                    writer.add(played.cell, played.course)
                    done[played.cell] = played.course
                watch(len(done) + len(faults), len(cells))
    finally:
        writer.close()
    return ComparisonOutcome({cell: done[cell] for cell in cells if cell in done}, faults, damaged)


def _usable(course: Course | None, asked: ComparisonPlan) -> Course | None:
    return None if course is None else courses.cut(course, asked.trials, asked.table_seconds)


def _refuse_twice(found: Sequence[Problem]) -> None:
    names = [problem.name for problem in found]
    for name in names:
        if names.count(name) > 1:
            raise BadReference(
                f"two tables are called {name!r}; give each once, or a name of its own, as in \"csv(path='my.csv',...,"
                "name='mine')\""
            )


def _refuse_free(asked: ComparisonPlan, problem: Problem, table: Table) -> None:
    """Raise BadReference for a table without costs beside a limit of seconds, where a search would never end."""
    if asked.table_seconds is None:
        return
    if table.seconds is None:
        raise BadReference(
            f"--table-seconds is {asked.table_seconds:g}, but table {problem.name!r} has no costs; give "
            "its column with --seconds, or --trials instead"
        )
    if not np.nanmin(table.columns[table.seconds]) > 0:
        raise BadReference(
            f"--table-seconds is {asked.table_seconds:g}, but some evaluations of table {problem.name!r} cost nothing, "
            "so that a search need not end; give --trials instead"
        )
