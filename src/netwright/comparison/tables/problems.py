"""What must be known of a table to judge searches on it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from netwright.comparison.tables.exact_front import ExactFront, exact_front
from netwright.core import genes, refs
from netwright.core.errors import BadReference
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.core.table import Table, column_of

SPELLED_OUT = 3  # best networks whose final measures are listed


@dataclass(frozen=True)
class Problem:
    """What strategies are compared on.

    Args:
        name: Name of the table, unique in a comparison.
        table: Name of the plug-in; of the table, where the plug-in has no data sets to choose from.
        dataset: Which of the plug-in's data sets; "": it has none.
        signal: Column that a search sees.
        final: Column that is reported.
        sign: 1 where a higher signal is better, -1 where a lower one is.
        final_sign: 1 where a higher final measure is better, -1 where a lower one is.
        best: The best signal as a score: `sign` times what stands in the table.
        networks: Number of networks in the table.
        digest: Digest of the table's content.
        remarks: Sentences: what was corrected while reading, and what to bear in mind.
        front: The front of the table, where there are several objectives; None: there is one.
    """

    name: str
    table: str
    dataset: str
    signal: str
    final: str
    sign: Literal[1, -1]
    final_sign: Literal[1, -1]
    best: float
    networks: int
    digest: str
    remarks: tuple[str, ...] = ()
    front: ExactFront | None = None

    @property
    def searched(self) -> str:
        """The signal, and which way it is better."""
        first = f"{self.signal} ({Objective(self.signal, self.sign).direction})"
        others = [Objective.read(text) for text in self.front.objectives[1:]] if self.front else []
        named = {"final": self.final}
        return " and ".join([first, *(f"{named.get(other.name, other.name)} ({other.direction})" for other in others)])

    @property
    def reported(self) -> str:
        """The final measure, and which way it is better."""
        return f"{self.final} ({Objective(self.final, self.final_sign).direction})"


def read(reference: Reference) -> Table:
    """The table of a reference. Raises BadReference where the plug-in makes no Table, and what reading it raises."""
    table = refs.load("table", reference)
    if not isinstance(table, Table):
        raise BadReference(f"table {reference.name!r} is a {type(table).__name__}; it must be a Table")
    return table


def describe(table: Table, reference: Reference, objectives: Sequence[str] = ()) -> Problem:
    """The facts of a table that was read from a reference.

    Args:
        table: The table.
        reference: What it was read from.
        objectives: What is searched by, where there are several objectives. The problem has a name and a digest of its
            own then: its searches are others.

    Raises:
        NetwrightError: The table does not go with the objectives.
    """
    front = exact_front(table, objectives) if objectives else None
    several = f" by {', '.join(objectives)}" if objectives else ""
    chosen = refs.options_of(refs.locate("table", reference.name)).get("dataset")
    default = chosen.default if chosen is not None and chosen.default is not inspect.Parameter.empty else ""
    dataset = str(reference.options.get("dataset", default))
    caveat = difference_of_bests(table)
    return Problem(
        name=f"{table.name}{several}",
        table=reference.name if dataset else table.name,
        dataset=dataset,
        signal=column_of(table.signal),
        final=column_of(table.final),
        sign=Objective.read(table.signal).sign,
        final_sign=Objective.read(table.final).sign,
        best=float(np.nanmax(table.scores("signal"))),
        networks=len(table),
        digest=table.fingerprint() if front is None else genes.digest(f"{table.fingerprint()} {front}"),
        remarks=(*table.remarks, *([caveat] if caveat else []), *([_told(front)] if front else [])),
        front=front,
    )


def _told(front: ExactFront) -> str:
    """A sentence on the front of a table."""
    names = [Objective.read(text).name for text in front.objectives]
    point = ", ".join(f"{name} {value:.6g}" for name, value in zip(names, front.reference, strict=True))
    return f"the exact front has {front.networks:,} networks; hypervolumes are measured from {point}"


def difference_of_bests(table: Table) -> str:
    """A sentence where some best network by signal is not the best by final measure; "" where each is."""
    signals, finals = table.scores("signal"), table.scores("final")
    chosen, best = finals[signals == np.nanmax(signals)], float(np.nanmax(finals))
    if np.isnan(chosen).any() or chosen.min() == best:
        return ""
    signal, final = column_of(table.signal), column_of(table.final)
    values = [f"{value:.6g}" for value in np.unique(Objective.read(table.final).measured(chosen))]
    found = " and ".join(values) if len(values) <= SPELLED_OUT else f"between {values[0]} and {values[-1]}"
    which = (
        f"the {len(chosen)} best networks by {signal} have" if len(chosen) > 1 else f"the best network by {signal} has"
    )
    return f"{which} {final} {found}; the best of all has {Objective.read(table.final).measured(best):.6g}"
