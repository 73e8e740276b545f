"""Answers trials from a table of measured results, without training: strategies are compared in seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from netwright.core import refs
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.objectives import Objective
from netwright.core.protocols import Context, SearchSpace, Task
from netwright.core.records import Genotype, Result, Trial
from netwright.core.table import Table


@dataclass(frozen=True)
class Lookup:
    """Looks trials up. Metrics are `signal` and `final`, as they stand in the table.

    Args:
        table: A Table, or the reference of one, as in "nats_tss(path='nats_tss.csv', dataset='cifar10')".
        space: Space of the search, whose genes must be those of the table; None: the table's own.
        task: Not used; a run gives one to every evaluator.

    Raises:
        BadReference: There is no such table, or it is of another space.
    """

    table: Any
    space: SearchSpace | None = None
    task: Task | None = None
    _table: Table = field(init=False, repr=False)

    def __post_init__(self) -> None:
        table = refs.load("table", refs.parse(self.table)) if isinstance(self.table, str) else self.table
        if not isinstance(table, Table):
            raise BadReference(
                f"evaluator.table is a {type(table).__name__}; give a Table or the reference of one, as in "
                "\"nats_tss(path='nats_tss.csv')\""
            )
        if self.space is not None and self.space.genes != table.space.genes:
            raise BadReference(
                f"table {table.name!r} holds networks of another space than the search's: "
                f"its genes are {_genes(table.space)}, those of the search {_genes(self.space)}"
            )
        object.__setattr__(self, "_table", table)

    @property
    def states_seconds(self) -> bool:
        """Whether the table has costs."""
        return self._table.seconds is not None

    @property
    def measures(self) -> tuple[Objective, ...]:
        """The table's signal and final measure."""
        return self._table.measures

    @property
    def metrics(self) -> tuple[Objective, ...]:
        """The same: a look-up gives nothing else."""
        return self._table.measures

    def check_settings(
        self,
        genotype: Genotype,  # noqa: ARG002 - one without a row says so in its trial
        *,
        budget: int | None = None,
        data_is_ready: bool = False,  # noqa: ARG002
    ) -> None:
        """Raise NetwrightError for a budget that the table does not have."""
        if budget is not None:
            self._table.check_budget(budget)

    def evaluate(self, trial: Trial, context: Context) -> Result:  # noqa: ARG002 - nothing to report
        """The trial's row at its budget, and its cost in seconds of the table (0: the table has none).

        A missing signal and a genotype without a row are failures; a missing final measure is left out.
        """
        asked = trial.proposal
        try:
            found = self._table.lookup(asked.genotype, asked.budget, trial.seed)
        except NetwrightError as error:
            return Result(failure="error", message=str(error))
        signal, final, seconds = found["signal"], found["final"], found["seconds"]
        seconds = 0.0 if math.isnan(seconds) else seconds
        if math.isnan(signal):
            message = f"the signal of genotype {asked.genotype} is missing in table {self._table.name!r}"
            return Result(seconds=seconds, failure="error", message=message)
        return Result({"signal": signal} if math.isnan(final) else {"signal": signal, "final": final}, (), seconds)


def _genes(space: SearchSpace) -> str:
    names = [gene.name for gene in space.genes]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


plugin = Lookup
