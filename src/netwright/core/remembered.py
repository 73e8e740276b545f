"""Facts that a table remembers about its run, read as what they must be: numbers, lists and tables of text."""

from __future__ import annotations

import math
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from netwright.core import reading
from netwright.core.baselines import Baseline
from netwright.core.contest import FACT, ContestRecord
from netwright.core.errors import StoreError
from netwright.core.finals import Candidate
from netwright.core.objectives import Objective
from netwright.core.protocols import Store
from netwright.core.reading import BadText

REFERENCE_POINT = "reference_point"  # the fact of what hypervolumes are measured from, as measured
MAX_WORKERS = "max_workers"  # the fact of how many workers the evaluator allows, where it says so
JOINED = "joined"  # the fact of which worker joined last, where their number is limited
MEDIAN_SECONDS = "median_seconds"  # the fact of how long trials took lately
MOST = 1e12  # of hours, and of seconds since 1970: beyond, no clock can have said so
Record = TypeVar("Record", Objective, Baseline, Candidate)


def number(store: Store, name: str) -> float | None:
    """A fact that is a number, at least 0; None: there is none. Raises StoreError for anything else."""
    text = store.recall(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < MOST:
        raise _no(name, text, "a number")
    return value


def texts(store: Store, name: str) -> tuple[str, ...]:
    """A fact that is a list of texts; empty where there is none. Raises StoreError for anything else."""
    found = _json(store, name, "a list of texts", [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise _no(name, str(found), "a list of texts")
    return tuple(found)


def table(store: Store, name: str) -> dict[str, str]:
    """A fact that is texts by name; empty where there is none. Raises StoreError for anything else."""
    found = _json(store, name, "texts by name", {})
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        raise _no(name, str(found), "texts by name")
    return found


def measures(store: Store) -> tuple[Objective, ...]:
    """What the evaluator of the run measures; empty where nothing was noted. Raises StoreError for anything else."""
    return _records(store, "measures", Objective)


def baselines(store: Store) -> tuple[Baseline, ...]:
    """What results are to be compared with; empty where nothing was noted. Raises StoreError for anything else."""
    return _records(store, "baselines", Baseline)


def candidates(store: Store) -> tuple[Candidate, ...]:
    """The networks that are trained in full; empty where nothing was noted. Raises StoreError for anything else."""
    return _records(store, "candidates", Candidate)


def reference_point(store: Store, count: int) -> tuple[float, ...] | None:
    """What hypervolumes of the run are measured from, as measured; None: nothing was noted yet.

    Args:
        store: The table of the run.
        count: Number of objectives.

    Raises:
        StoreError: The fact is no such list of numbers.
    """
    found = _json(store, REFERENCE_POINT, f"list of {count} numbers", None)
    if found is None:
        return None
    is_point = isinstance(found, list) and len(found) == count and all(type(each) in (int, float) for each in found)
    if not is_point or not all(map(math.isfinite, found)):
        raise _no(REFERENCE_POINT, str(found), f"list of {count} numbers")
    return tuple(map(float, found))


def contest(store: Store) -> ContestRecord | None:
    """How far the contest of the run has come; None: none has begun. Raises StoreError for anything else."""
    text = store.recall(FACT)
    if text is None:
        return None
    try:
        reading.json_value(text, reading.MAX_STORED)
        return TypeAdapter(ContestRecord).validate_json(text, strict=True)
    except (ValidationError, BadText):
        raise _no(FACT, text, "a contest") from None


def _records(store: Store, name: str, kind: type[Record]) -> tuple[Record, ...]:
    text = store.recall(name)
    if text is None:
        return ()
    try:
        reading.json_value(text, reading.MAX_STORED)  # pydantic takes NaN for a number
        return TypeAdapter(tuple[kind, ...]).validate_json(text, strict=True)  # type: ignore[valid-type]
    except (ValidationError, BadText):
        raise _no(name, text, f"list of {name}") from None


def _json(store: Store, name: str, what: str, default: object) -> Any:
    text = store.recall(name)
    if text is None:
        return default
    try:
        return reading.json_value(text, reading.MAX_STORED)
    except BadText:
        raise _no(name, text, what) from None


def _no(name: str, text: str, what: str) -> StoreError:
    return StoreError(
        f"the table of the run is damaged: its fact {name!r} is {reading.shown(text, 40)}, which is no "
        f"{what.removeprefix('a ')}; restore a copy or start in another folder"
    )
