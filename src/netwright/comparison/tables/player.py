"""A process that plays cells on tables: `python -m netwright.comparison.tables.player`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from netwright.comparison import courses, player, strategy_refs
from netwright.comparison.courses import SearchCell
from netwright.comparison.tables import problems, table_search
from netwright.core import refs
from netwright.core.protocols import Strategy
from netwright.core.run_file import Limits
from netwright.core.table import Table

PROGRAM = "netwright.comparison.tables.player"


@dataclass(frozen=True)
class TablesOrder:
    """What is played: references by name, the limits of each search, and its objectives where there are several."""

    problems: Mapping[str, str]
    strategies: Mapping[str, str]
    trials: int | None
    table_seconds: float | None
    objectives: tuple[str, ...] = ()


class TablePlayer:
    """Tables and strategies, each loaded once, when first needed.

    Args:
        order: The first order, a `TablesOrder` as JSON has it.
    """

    def __init__(self, order: dict[str, Any]) -> None:
        self._problems, self._strategies = order["problems"], order["strategies"]
        # failures end no search: cells of a table may be missing
        self._limits = Limits(trials=order["trials"], table_seconds=order["table_seconds"], failures_in_a_row=0)
        self._objectives = tuple(order["objectives"])
        self._tables: dict[str, Table] = {}
        self._fresh: dict[tuple[str, str], Strategy] = {}
        self._sources: dict[str, str] = {}

    def lines(self, order: dict[str, Any]) -> Iterator[str]:
        """Plays the `seeds` of one `strategy` on one `problem`."""
        return player.answers(order, self._played)

    def _played(self, cell: SearchCell) -> str:
        table = self._table(cell.problem)
        reference = refs.parse(self._strategies[cell.strategy])
        place = cell.strategy, cell.problem
        if place not in self._fresh:
            self._fresh[place] = table_search.strategy_of(reference, table, self._objectives)
            self._sources[cell.strategy] = strategy_refs.source_of(reference)
        strategy = table_search.anew(self._fresh[place], table.space)
        source = self._sources[cell.strategy]
        course = table_search.play(table, strategy, self._limits, cell.seed, source, self._objectives)
        return courses.to_line(cell, course)

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            self._tables[name] = problems.read(refs.parse(self._problems[name]))
        return self._tables[name]


if __name__ == "__main__":
    player.main(TablePlayer)
