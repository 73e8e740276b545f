"""Facts that a table remembers about its run, read as what they must be: numbers, lists and tables of text."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

from netwright.core.baselines import Baseline
from netwright.core.errors import StoreError
from netwright.core.objectives import Objective, Shown
from netwright.core.protocols import Store

SHOWN = get_args(Shown)


def number(store: Store, name: str) -> float | None:
    """A fact that is a number, at least 0; None: there is none. Raises StoreError for anything else."""
    text = store.recall(name)
    if text is None:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
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


def records(store: Store, name: str) -> list[dict[str, Any]]:
    """A fact that is a list of records; empty where there is none. Raises StoreError for anything else."""
    found = _json(store, name, "a list of records", [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _no(name, str(found), "a list of records")
    return found


def measures(store: Store) -> tuple[Objective, ...]:
    """What the evaluator of the run measures; empty where nothing was noted. Raises StoreError for anything else."""
    listed = records(store, "measures")
    try:
        found = tuple(Objective(**fields) for fields in listed)
    except TypeError:
        raise _no("measures", str(listed), "a list of measures") from None
    if not all(isinstance(each.name, str) and each.sign in (1, -1) and each.shown in SHOWN for each in found):
        raise _no("measures", str(listed), "a list of measures")
    return found


def baselines(store: Store) -> tuple[Baseline, ...]:
    """What results are to be compared with; empty where nothing was noted. Raises StoreError for anything else."""
    listed = records(store, "baselines")
    try:
        found = tuple(Baseline(**fields) for fields in listed)
    except TypeError:
        raise _no("baselines", str(listed), "a list of baselines") from None
    for each in found:
        is_text = all(isinstance(text, str) for text in (each.name, each.words, each.verdict))
        if not (is_text and type(each.value) in (int, float) and math.isfinite(each.value)):
            raise _no("baselines", str(listed), "a list of baselines")
    return found


def _json(store: Store, name: str, what: str, default: object) -> Any:
    text = store.recall(name)
    if text is None:
        return default
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _no(name, text, what) from None


def _no(name: str, text: str, what: str) -> StoreError:
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    return StoreError(
        f"the table of the run is damaged: its fact {name!r} is {shown!r}, which is no {what.removeprefix('a ')}; "
        "restore a copy or start in another folder"
    )
