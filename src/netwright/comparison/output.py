"""Results as JSON and CSV, for other programs: numbers that are not defined are null, or empty."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netwright.comparison.results import Pair, Results, Row


def as_json(results: Results, folder: Path) -> dict[str, Any]:
    """One object of plain values: `rows`, `pairs`, `failed`, `remarks` and `folder`."""
    keys = ("strategy", "problem", "seed", "message")
    return {
        "rows": [_row(row) for row in results.rows],
        "pairs": [_pair(pair) for pair in results.pairs],
        "failed": [dict(zip(keys, each, strict=True)) for each in results.failed],
        "remarks": {name: list(remarks) for name, remarks in results.remarks.items()},
        "folder": str(folder),
    }


def rows_csv(results: Results) -> str:
    """A line for each row, with a header."""
    return _csv([_flat(_row(row)) for row in results.rows])


def pairs_csv(results: Results) -> str:
    """A line for each pair, with a header; the header alone where there is one strategy."""
    return _csv([_pair(pair) for pair in results.pairs])


def _row(row: Row) -> dict[str, Any]:
    return {
        "strategy": row.strategy,
        "table": row.problem.table,
        "dataset": row.problem.dataset,
        "trials": row.trials,
        "seeds": row.seeds,
        "mean_test": _number(row.final.mean),
        "se_test": _number(row.final.error),
        "mean_regret": _number(row.regret.mean),
        "se_regret": _number(row.regret.error),
        "found_best": _number(row.found_best),
        "reached": {
            f"{percent:g}%": {"trials": _number(found.mean), "se": _number(found.error), "seeds": found.seeds}
            for percent, found in row.within.items()
        },
        "microseconds_per_trial": _number(row.microseconds),
        "mean_trials": _number(row.made),
        "repeated": _number(row.repeated),
        "signal": row.problem.signal,
        "final": row.problem.final,
        "best_signal": row.problem.sign * row.problem.best,
        "warnings": list(row.warnings),
    }


def _pair(pair: Pair) -> dict[str, Any]:
    difference = pair.difference
    return {
        "table": pair.problem.table,
        "dataset": pair.problem.dataset,
        "trials": pair.trials,
        "measure": "test" if pair.measure == "final" else pair.measure,  # as in the rows
        "strategy": pair.strategy,
        "other": pair.other,
        "seeds": difference.seeds,
        "difference": _number(difference.mean),
        "low": _number(difference.low),
        "high": _number(difference.high),
        "p": _number(difference.p),
    }


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name == "reached":
            flat |= {f"{what}_to_{near}": number for near, found in value.items() for what, number in found.items()}
        else:
            flat[name] = "; ".join(value) if isinstance(value, list) else value
    return flat


def _csv(rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue()


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
