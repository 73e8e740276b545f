"""Rows of results as they are written: without NaN for JSON, without nested rows for CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any


def number(value: float) -> float | None:
    """The value; None for NaN, which JSON has no word for."""
    return None if math.isnan(value) else value


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with "reached" as columns of its own and lists as texts."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name == "reached":
            found |= {f"{what}_to_{near}": one for near, each in value.items() for what, one in each.items()}
        else:
            found[name] = "; ".join(map(str, value)) if isinstance(value, list) else value
    return found


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """CSV text of these columns: a line of their names, then the rows, if any."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
