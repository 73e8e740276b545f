"""Answers trials from a table of measured results, without training: strategies are compared in seconds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from netwright.core import refs
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.objectives import COUNTED, Objective
from netwright.core.protocols import Context, SearchSpace, Task
from netwright.core.records import IO, Genotype, Result, Trial
from netwright.core.table import Table


@dataclass(frozen=True)
class Lookup:
    """Looks trials up. Metrics are `signal` and `final`, as they stand in the table.

    A run whose objectives name `params`, `multiply_adds` or `memory_per_sample` gets them too, where the table says
    what went into its networks: of the real networks, without what does nothing in them, whatever the table says.

    Args:
        table: A Table, or the reference of one, as in "nats_tss(path='nats_tss.csv', dataset='cifar10')".
        space: Space of the search, whose genes must be those of the table; None: the table's own.
        task: Not used; a run gives one to every evaluator.
        counted: Names of the counted metrics that are given too; objectives that name them add them.
        needs_final: Whether a missing final measure is a failure, as a missing signal is; so where objectives name it.

    Raises:
        BadReference: There is no such table, or it is of another space.
    """

    table: Any
    space: SearchSpace | None = None
    task: Task | None = None
    counted: tuple[str, ...] = ()
    needs_final: bool = False
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
        for name in self.counted:
            if name not in (each.name for each in COUNTED) or table.io is None:
                raise BadReference(
                    f"evaluator.counted names {name!r}; what can be counted is "
                    f"{', '.join(each.name for each in COUNTED)}, of a table that says what went into its networks"
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
    def io(self) -> IO | None:
        """What went into the networks of the table, by which constraints count them; None: it does not say."""
        return self._table.io

    @property
    def metrics(self) -> tuple[Objective, ...]:
        """The same, and what is counted."""
        return (*self._table.measures, *(each for each in COUNTED if each.name in self.counted))

    @property
    def offered(self) -> tuple[Objective, ...]:
        """What can be counted, and the final measure, which is no longer left out then where it is missing."""
        return (self._table.measures[1], *(() if self._table.io is None else COUNTED))

    def fingerprint(self) -> str:
        """That of the table, whose answers a run remembers."""
        return self._table.fingerprint()

    def measuring(self, names: Sequence[str]) -> Lookup:
        """A look-up that gives these too."""
        counted = tuple(dict.fromkeys((*self.counted, *(name for name in names if name != "final"))))
        needs_final = self.needs_final or "final" in names
        return replace(self, table=self._table, counted=counted, needs_final=needs_final)

    def foretell(self, genotype: Genotype) -> Mapping[str, float]:
        """The counted metrics that are given. Raises InvalidGenotype."""
        counts = self._table.count(genotype).known() if self.counted else {}
        return {name: float(counts[name]) for name in self.counted}

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

        A missing signal and a genotype without a row are failures; a missing final measure is left out, unless it is
        needed.
        """
        asked = trial.proposal
        try:
            found = self._table.lookup(asked.genotype, asked.budget, trial.seed)
        except NetwrightError as error:
            return Result(failure="error", message=str(error))
        signal, final, seconds = found["signal"], found["final"], found["seconds"]
        seconds = 0.0 if math.isnan(seconds) else seconds
        if math.isnan(signal) or (self.needs_final and math.isnan(final)):
            missing = "signal" if math.isnan(signal) else "final measure"
            message = f"the {missing} of genotype {asked.genotype} is missing in table {self._table.name!r}"
            return Result(seconds=seconds, failure="error", message=message)
        metrics = {"signal": signal} if math.isnan(final) else {"signal": signal, "final": final}
        return Result({**metrics, **self.foretell(asked.genotype)}, (), seconds)


def _genes(space: SearchSpace) -> str:
    names = [gene.name for gene in space.genes]
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


plugin = Lookup
