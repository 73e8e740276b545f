"""The front over a whole table, from which searches by several objectives are judged: what there was to be found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from netwright.core import directions, front
from netwright.core.errors import BadReference
from netwright.core.objectives import Objective
from netwright.core.records import Proposal, Trial
from netwright.core.table import Table, column_of
from netwright.evaluators.lookup import Lookup


@dataclass(frozen=True)
class ExactFront:
    """The front of a table.

    Args:
        objectives: The objectives, the signal first, as a run file writes them.
        reference: What hypervolumes are measured from: the reference point of the front (`front.reference_point`), as
            measured.
        hypervolume: What the front covers: the most that a search can.
        networks: Number of networks on it.
    """

    objectives: tuple[str, ...]
    reference: tuple[float, ...]
    hypervolume: float
    networks: int

    def shares(self, values: np.ndarray) -> np.ndarray:
        """The share of the exact front's hypervolume after each trial, shape (trials,), from 0 to 1.

        Args:
            values: What the search measured, by the objectives, shape (trials, M); NaN where a trial failed.
        """
        signs = _signs(self.objectives)
        return front.hypervolumes(signs * values, signs * np.array(self.reference)) / self.hypervolume


def exact_front(table: Table, objectives: Sequence[str]) -> ExactFront:
    """The front of a table by several objectives, of means where it has several measurements of a network.

    Raises:
        BadRunFile: An objective is no metric of a look-up, is named twice, or has the wrong direction.
        BadReference: The first one is not the table's signal, or no network has a value for each.
    """
    lookup = lookup_of(table, objectives)
    directions.check(objectives, lookup.measures, lookup.metrics)
    if objectives[0].removesuffix("!") != table.objective.removesuffix("!"):
        raise BadReference(
            f"the first objective on table {table.name!r} is {objectives[0]!r}; it is what a search sees, so write "
            f"{table.objective}, and the others behind it"
        )
    scores = np.column_stack([_scores(table, lookup, Objective.read(text)) for text in objectives])
    known = scores[~np.isnan(scores).any(1)]
    if not len(known):
        raise BadReference(
            f"no network of table {table.name!r} has a value for each of {', '.join(objectives)}; give others"
        )
    reference = front.reference_point(known)
    return ExactFront(
        tuple(objectives),
        tuple((_signs(objectives) * reference).tolist()),
        front.hypervolume(known, reference),
        int(front.nondominated(np.unique(known, axis=0)).sum()),
    )


def lookup_of(table: Table, objectives: Sequence[str]) -> Lookup:
    """A look-up on a table that counts what objectives name, as searches do: of the real networks, see `Lookup`."""
    lookup = Lookup(table)
    named = {Objective.read(text).name for text in objectives}
    return lookup.measuring([each.name for each in lookup.offered if each.name in named])


def _scores(table: Table, lookup: Lookup, objective: Objective) -> np.ndarray:
    """A metric of every network as a score, shape (networks,); NaN where missing."""
    if objective.name in ("signal", "final"):  # with the sign that is asked for, which "!" turns round
        return objective.score(table.columns[column_of(table.signal if objective.name == "signal" else table.final)])
    if objective.name in lookup.counted:
        return objective.score(table.counted(objective.name))
    nobody: Any = None  # a look-up reports to no one
    found = np.full(len(table), np.nan)
    for genotype, row in table.rows.items():
        measured = lookup.evaluate(Trial(1, Proposal(genotype), "", 0, "running"), nobody)
        found[row] = measured.metrics.get(objective.name, np.nan)
    return objective.score(found)


def _signs(objectives: Sequence[str]) -> np.ndarray:
    return np.array([Objective.read(text).sign for text in objectives])
