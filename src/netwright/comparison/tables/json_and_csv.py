"""Results as JSON and CSV, for other programs: numbers that are not defined are null, or empty."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netwright.comparison.rows import as_csv, flat, number
from netwright.comparison.tables.summary import ProblemPair, ProblemRow, Results

PAIR_COLUMNS = (
    *("table", "dataset", "trials", "table_seconds", "measure", "strategy", "other"),
    *("seeds", "difference", "low", "high", "p"),
)


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
    rows = [flat(_row(row)) for row in results.rows]
    return as_csv(rows, list(rows[0]) if rows else [])


def pairs_csv(results: Results) -> str:
    """A line for each pair, with a header; the header alone where there is one strategy."""
    return as_csv([_pair(pair) for pair in results.pairs], PAIR_COLUMNS)


def _row(row: ProblemRow) -> dict[str, Any]:
    return {
        "strategy": row.strategy,
        "table": row.problem.table,
        "dataset": row.problem.dataset,
        "trials": row.trials,
        "table_seconds": row.table_seconds,
        "seeds": row.seeds,
        "mean_test": number(row.final.mean),
        "se_test": number(row.final.error),
        "mean_regret": number(row.regret.mean),
        "se_regret": number(row.regret.error),
        "found_best": number(row.found_best),
        "reached": {
            f"{percent:g}%": {"trials": number(found.mean), "se": number(found.error), "seeds": found.seeds}
            for percent, found in row.within.items()
        },
        "microseconds_per_trial": number(row.microseconds),
        "mean_trials": number(row.made),
        "repeated": number(row.repeated),
        "signal": row.problem.signal,
        "final": row.problem.final,
        "best_signal": row.problem.sign * row.problem.best,
        "warnings": list(row.warnings),
        **_front(row),
    }


def _front(row: ProblemRow) -> dict[str, Any]:
    """What there is to say where there are several objectives; empty where there is one."""
    if row.problem.front is None or row.hypervolume is None:
        return {}
    return {
        "objectives": list(row.problem.front.objectives),
        "mean_hypervolume": number(row.hypervolume.mean),
        "se_hypervolume": number(row.hypervolume.error),
        "exact_hypervolume": row.problem.front.hypervolume,
        "reference_point": list(row.problem.front.reference),
    }


def _pair(pair: ProblemPair) -> dict[str, Any]:
    difference = pair.difference
    return {
        "table": pair.problem.table,
        "dataset": pair.problem.dataset,
        "trials": pair.trials,
        "table_seconds": pair.table_seconds,
        "measure": "test" if pair.measure == "final" else pair.measure,  # as in the rows
        "strategy": pair.strategy,
        "other": pair.other,
        "seeds": difference.seeds,
        "difference": number(difference.mean),
        "low": number(difference.low),
        "high": number(difference.high),
        "p": number(difference.p),
    }
