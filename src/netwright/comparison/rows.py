"""Rows of results as they are written: for JSON without NaN, for CSV without rows in rows."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any


def number(value: float) -> float | None:
    """The value; None: it is NaN, which JSON has no word for."""
    return None if math.isnan(value) else value


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row whose "reached" has become columns, and its lists texts."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        if name == "reached":
            found |= {f"{what}_to_{near}": one for near, each in value.items() for what, one in each.items()}
        else:
            found[name] = "; ".join(value) if isinstance(value, list) else value
    return found


def as_csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows of these columns, with a line of their names, which stands alone where there are no rows."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
