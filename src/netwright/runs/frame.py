"""Trials as a table for data analysis, made by whichever library is there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final, Literal

from netwright.core.errors import MissingCapability
from netwright.core.genes import Choice, Gene
from netwright.core.records import Trial

Kind = Literal["pandas", "polars", "dicts"]
LIBRARIES: Final = ("pandas", "polars")


def rows(trials: Sequence[Trial], genes: Sequence[Gene], front: Collection[int] | None = None) -> list[dict[str, Any]]:
    """A row for each trial, all with the same columns.

    The trial's own facts come first, then what was measured by name of metric, then genes as "gene NAME" (an option by
    its text) and notes of the strategy as "note NAME". None: the trial has no such value.

    Args:
        trials: The trials.
        genes: The genes of the space.
        front: Ids of the trials on the front, for the column "on_front"; None: there is no such column.
    """
    metrics = _names(trial.result.metrics for trial in trials if trial.result)
    notes = _names(trial.proposal.notes for trial in trials)
    found = [_row(trial, genes, metrics, notes) for trial in trials]
    if front is None:
        return found
    return [row | {"on_front": trial.id in front} for row, trial in zip(found, trials, strict=True)]


def frame(listed: list[dict[str, Any]], kind: Kind | None = None) -> Any:
    """The rows as a frame.

    Args:
        listed: Rows with the same columns.
        kind: What is made; None: a pandas frame where pandas is installed, else polars', else the rows themselves.

    Raises:
        MissingCapability: The library asked for is not installed, or there is no such kind.
    """
    if kind == "dicts":
        return listed
    if kind is not None and kind not in LIBRARIES:
        raise MissingCapability(f"kind is {kind!r}; there are pandas, polars and dicts")
    for name in LIBRARIES if kind is None else (kind,):
        with suppress(ImportError):
            return _polars(listed) if name == "polars" else _pandas(listed)
    if kind is not None:
        raise MissingCapability(f"{kind} is not installed; install it, or give kind='dicts'")
    return listed


def _pandas(listed: list[dict[str, Any]]) -> Any:
    import pandas

    return pandas.DataFrame(listed)


def _polars(listed: list[dict[str, Any]]) -> Any:
    import polars

    return polars.DataFrame(listed, infer_schema_length=None)


def _row(trial: Trial, genes: Sequence[Gene], metrics: Sequence[str], notes: Sequence[str]) -> dict[str, Any]:
    proposal, result = trial.proposal, trial.result
    own = {
        "trial": trial.id,
        "finish": trial.finish,
        "status": trial.status,
        "failure": result.failure or None if result else None,
        "seconds": result.seconds if result else None,
        "budget": proposal.budget,
        "parent": proposal.parents[0] if proposal.parents else None,
        "continues": proposal.continues,
        "reused": result.reused if result else None,
        "seed": str(trial.seed),  # beyond what frames hold as numbers
        "key": trial.key,
    }
    measured = {name: result.metrics.get(name) if result else None for name in metrics}
    chosen = {f"gene {gene.name}": _value(gene, value) for gene, value in zip(genes, proposal.genotype, strict=True)}
    return own | measured | chosen | {f"note {name}": proposal.notes.get(name) for name in notes}


def _value(gene: Gene, value: float) -> int | float | str:
    return gene.options[int(value)] if isinstance(gene, Choice) else value


def _names(mappings: Any) -> list[str]:
    """All names, in the order in which they first occur."""
    return list(dict.fromkeys(name for mapping in mappings for name in mapping))
