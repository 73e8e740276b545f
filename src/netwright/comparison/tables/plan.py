"""What is compared on tables: strategies, tables, seeds and how far each search goes, as typed on a command line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.comparison import strategy_refs
from netwright.core import refs
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.refs import Reference

TRIALS = 100  # when no limit is given
FILES = (".csv", ".tsv", ".parquet")  # a table whose name ends so is a file
STANDARD = ("predictor", "random", "aging(population=10,sample=3)", "local_search")  # compared when none are given

SEVERAL = ("nsga2", "random")  # the same where there are several objectives


@dataclass(frozen=True)
class ComparisonPlan:
    """Every strategy on every table from every seed.

    Args:
        strategies: At least one strategy, each once.
        tables: At least one table.
        seeds: At least one seed, each once, in [0, 2**63).
        horizons: Numbers of trials after which results are reported, rising; searches go on to the last. Right only
            where no option of a strategy depends on the number of trials. Empty: `table_seconds` alone ends a search.
        table_seconds: A search ends when its evaluations have cost so much; None: no such limit.
        objectives: What is searched by, where there are several objectives, the signal first: metrics of look-ups as a
            run file writes them. Empty: the table's signal.

    Raises:
        BadReference: A strategy is given twice.
        BadRunFile: No strategy, table, seed or limit, or a limit that is no limit.
    """

    strategies: tuple[Reference, ...]
    tables: tuple[Reference, ...]
    seeds: tuple[int, ...]
    horizons: tuple[int, ...] = ()
    table_seconds: float | None = None
    objectives: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("strategies", "tables", "seeds"):
            if not getattr(self, name):
                raise BadRunFile(f"a comparison needs {name}; there are none")
        for number, strategy in enumerate(self.strategies):
            if strategy in self.strategies[:number]:
                raise BadReference(f"strategy {strategy_refs.label(strategy)} is given twice; give it once")
        if len(self.objectives) == 1:
            raise BadRunFile(
                f"objectives name {self.objectives[0]} alone; name several, or leave them out: a search goes by the "
                "signal of the table then"
            )
        if min(self.seeds) < 0 or max(self.seeds) >= 2**63:
            raise BadRunFile(f"seeds are {min(self.seeds)} to {max(self.seeds)}; they go from 0 to 2**63 - 1")
        if not self.horizons and self.table_seconds is None:
            raise BadRunFile("a comparison needs an end; give --trials or --table-seconds")
        if self.horizons and min(self.horizons) < 1:
            raise BadRunFile(f"trials is {min(self.horizons)}; it must be at least 1")
        if self.table_seconds is not None and not 0 < self.table_seconds < float("inf"):
            raise BadRunFile(f"table_seconds is {self.table_seconds}; it must be a number greater than 0")

    @property
    def trials(self) -> int | None:
        """Number of trials of each search; None: as many as `table_seconds` allows."""
        return self.horizons[-1] if self.horizons else None


def standard(objectives: Sequence[str] = ()) -> tuple[Reference, ...]:
    """The strategies that are compared when none are given, as far as they are installed.

    Args:
        objectives: The objectives, where there are several.
    """
    known = refs.available("strategy")
    listed = SEVERAL if objectives else STANDARD
    return tuple(reference for reference in map(refs.parse, listed) if reference.name in known)


def read_trials(text: str | None, table_seconds: float | None) -> tuple[int, ...]:
    """Reads numbers of trials with commas between, in rising order; None: 100, or none beside another limit."""
    if text is None:
        return (TRIALS,) if table_seconds is None else ()
    try:
        return tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        raise BadRunFile(f"--trials is {text!r}; write a number, or several as in 100,200") from None


def read_tables(
    texts: Sequence[str], datasets: Sequence[str] = (), options: Mapping[str, Any] | None = None
) -> tuple[Reference, ...]:
    """Reads tables: references or files, each once for each data set, with `options` put over their own.

    Raises:
        BadReference: An option that a table does not take, or no such table.
    """
    return tuple(found for text in texts for found in _tables(text, datasets, dict(options or {})))


def is_file(text: str) -> bool:
    """Whether a table is given as a file rather than as a reference."""
    # os.path takes a reference longer than a file's name may be, where Path raises
    return os.path.isfile(text) or ("(" not in text and Path(text).suffix.lower() in FILES)


def _tables(text: str, datasets: Sequence[str], options: dict[str, Any]) -> Iterable[Reference]:
    if is_file(text):
        if "path" in options:
            raise BadReference(f"the path of table {text} is given again as {options['path']!r}; give it once")
        reference = Reference("csv", {"path": text})
    else:
        reference = refs.parse(text)
    whole = Reference(reference.name, {**reference.options, **options})
    if not datasets:
        return [whole]
    if "dataset" not in refs.options_of(refs.locate("table", reference.name)):
        raise BadReference(
            f"table {reference.name!r} has no data sets to choose from; leave --dataset out, or name those of "
            "other tables in their references, as in \"nats_tss(path='nats_tss.csv',dataset='cifar10')\""
        )
    return [Reference(whole.name, {**whole.options, "dataset": dataset}) for dataset in datasets]
