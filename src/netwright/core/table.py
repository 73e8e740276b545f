"""Tables of measured results: what became of the networks of a space, looked up instead of trained."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from netwright.core import directions
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.objectives import Objective
from netwright.core.protocols import SearchSpace
from netwright.core.records import IO, Counts, Genotype

Which = Literal["signal", "final"]


@runtime_checkable
class ReadsText(Protocol):
    """Capability of a space: it reads and prints the strings by which a benchmark names its networks."""

    def text(self, genotype: Genotype) -> str:
        """The string of a genotype."""

    def parse(self, text: str) -> Genotype:
        """Inverse of `text`. Raises InvalidGenotype."""


@dataclass(frozen=True, eq=False)
class Table:
    """Measured results of the networks of a space.

    Args:
        name: Name of the table for people, as in "nats_tss cifar10".
        space: The space of the genotypes.
        rows: Position of each genotype in the columns.
        columns: Values by column name, each column of shape (N,), float64, NaN where missing.
        signal: Column that a search sees; a leading minus: lower is better. A name that tells another direction, as
            "loss" does, is refused unless an exclamation mark behind it says that it is meant.
        final: Column that is reported, written in the same way.
        seconds: Column with the cost of one evaluation, in seconds.
        budgets: Signal column by budget, for strategies that ask for budgets; empty: there is one budget.
        budget_seconds: Cost column by budget; a budget without one costs what `seconds` says.
        repeats: For a column that is a mean, the columns with its single measurements, of which a look-up picks one by
            its seed; lists of one length belong together by position, so that a signal goes with its cost.
        remarks: What was corrected while reading, in sentences.
        io: What the networks took and gave when they were measured; None: not known, so that nothing can be counted.

    Raises:
        BadReference: A named column is not there, or holds no number; or its direction is known to be another one.
    """

    name: str
    space: SearchSpace
    rows: Mapping[Genotype, int]
    columns: Mapping[str, np.ndarray]
    signal: str
    final: str
    seconds: str | None = None
    budgets: Mapping[int, str] = field(default_factory=dict)
    budget_seconds: Mapping[int, str] = field(default_factory=dict)
    repeats: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    io: IO | None = None
    _counts: dict[str, Counts] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        costs = [*self.budget_seconds.values(), *([self.seconds] if self.seconds else [])]
        named = [self.signal, self.final, *self.budgets.values(), *costs]
        repeated = [*self.repeats, *itertools.chain(*self.repeats.values())]
        for column in repeated:
            if column not in self.columns:
                raise BadReference(
                    f"repeats of table {self.name!r} name {column!r}, which is no column of numbers; its columns of "
                    f"numbers: {', '.join(self.columns)}"
                )
        for name in named:
            column = column_of(name)
            if column not in self.columns:
                listed = ", ".join(self.columns)
                raise BadReference(f"table {self.name!r} has no column {column!r}; its columns of numbers: {listed}")
            if np.isnan(self.columns[column]).all():
                raise BadReference(f"column {column!r} of table {self.name!r} holds no number; give another column")
        for which, name in (("signal", self.signal), ("final", self.final)):
            if wrong := directions.fault(Objective.read(name)):
                raise BadReference(f"{which} of table {self.name!r} is {name!r}: {wrong}")

    def __len__(self) -> int:
        """How many networks the table holds."""
        return len(self.rows)

    def lookup(self, genotype: Genotype, budget: int | None = None, seed: int = 0) -> Mapping[str, float]:
        """`signal`, `final` and `seconds` of a genotype as they stand in the columns; NaN where missing.

        Args:
            genotype: A genotype of the table's space.
            budget: One of `budgets`; None: the columns `signal` and `seconds`.
            seed: Picks one of several measurements, where the table has them; any whole number from 0.

        Raises:
            NetwrightError: The genotype has no row, or there is no such budget.
        """
        row = self.rows.get(genotype)
        if row is None:
            raise NetwrightError(
                f"table {self.name!r} has no row for the genotype {genotype}; it has {len(self):,} rows"
            )
        signal, seconds = self.signal, self.seconds
        if budget is not None:
            signal, seconds = self._of_budget(budget), self.budget_seconds.get(budget, seconds)
        return {
            "signal": self._measured(signal, row, seed),
            "final": self.columns[column_of(self.final)].item(row),
            "seconds": self._measured(seconds, row, seed) if seconds else 0.0,
        }

    def count(self, genotype: Genotype) -> Counts:
        """Size and cost of the network that the space builds, counted once for each key.

        What does nothing in a network, such as edges that lead nowhere, is not counted, though it may have been there
        when the table was measured.

        Raises:
            BadReference: It is not known for which inputs to count.
        """
        if self.io is None:
            raise BadReference(f"table {self.name!r} does not say what went into its networks; name no counted metric")
        key = self.space.key(genotype)
        if key not in self._counts:
            self._counts[key] = self.space.count(genotype, self.io)
        return self._counts[key]

    def fingerprint(self) -> str:
        """A digest, equal for equal content: genes, networks, and the columns that a search or a report reads."""
        measures = [self.signal, self.final, *([self.seconds] if self.seconds else [])]
        measures += [*self.budgets.values(), *self.budget_seconds.values()]
        columns = [column_of(measure) for measure in measures]
        columns += [single for column in columns for single in self.repeats.get(column, ())]
        hashed = hashlib.blake2b(digest_size=16)
        hashed.update(repr((self.space.genes, measures, columns, list(self.budgets), list(self.rows.items()))).encode())
        for column in columns:
            hashed.update(np.ascontiguousarray(self.columns[column], np.float64).tobytes())
        return hashed.hexdigest()

    def counted(self, metric: str) -> np.ndarray:
        """A counted metric, such as "params", of all rows, shape (N,). Raises BadReference as `count` does."""
        found = np.full(len(self), np.nan)
        for genotype, row in self.rows.items():
            found[row] = self.count(genotype).known()[metric]
        return found

    def check_budget(self, budget: int) -> None:
        """Raise NetwrightError for a budget that the table does not have."""
        self._of_budget(budget)

    def scores(self, which: Which) -> np.ndarray:
        """A column with its sign applied, shape (N,): higher is better, NaN where missing."""
        measure = Objective.read(self.signal if which == "signal" else self.final)
        return measure.score(self.columns[measure.name])

    @property
    def objective(self) -> str:
        """The objective of a search on this table: "signal", or "-signal" where lower is better."""
        return str(self.measures[0])

    @property
    def measures(self) -> tuple[Objective, ...]:
        """What a look-up gives, "signal" and "final", each with the sign of its column."""
        signs = (("signal", Objective.read(self.signal).sign), ("final", Objective.read(self.final).sign))
        return tuple(Objective(name, sign) for name, sign in signs)

    def _of_budget(self, budget: int) -> str:
        if budget in self.budgets:
            return self.budgets[budget]
        listed = ", ".join(map(str, self.budgets)) or "its own alone, so give none"
        raise NetwrightError(f"table {self.name!r} has no budget {budget}; it has {listed}")

    def _measured(self, name: str, row: int, seed: int) -> float:
        """The column's value in a row or, where the row has single measurements of it, one of them."""
        column = column_of(name)
        if column in self.repeats:
            found = [self.columns[single].item(row) for single in self.repeats[column]]
            present = [value for value in found if not math.isnan(value)]
            if present:
                return present[seed % len(present)]
        return self.columns[column].item(row)


def column_of(name: str) -> str:
    """The column of a measure: its name without the minus that says that lower is better."""
    return Objective.read(name).name
