"""Standings as JSON and CSV, for other programs: numbers that are not defined are null, or empty."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from netwright.comparison.contests.standings import RecipePair, RecipeRow, RecipeStanding, Standings
from netwright.comparison.measures import MeanOfSeeds
from netwright.comparison.rows import as_csv, flat, number

PAIR_COLUMNS = ("recipe", "measure", "strategy", "other", "seeds", "difference", "low", "high", "p")


def as_json(standings: Standings, folder: Path) -> dict[str, Any]:
    """One object of plain values: `rows`, `pairs`, `fan_ins`, `failed` and `folder`."""
    keys = ("strategy", "recipe", "seed", "message")
    return {
        "rows": [_row(row, standing) for standing in standings.recipes for row in standing.rows],
        "pairs": [_pair(pair, standing) for standing in standings.recipes for pair in standing.pairs],
        "fan_ins": {standing.name: _fan_ins(standing) for standing in standings.recipes if standing.fan_ins},
        "failed": [dict(zip(keys, each, strict=True)) for each in standings.failed],
        "folder": str(folder),
    }


def rows_csv(standings: Standings) -> str:
    """A line for each row, with a header."""
    rows = [flat(_row(row, standing)) for standing in standings.recipes for row in standing.rows]
    return as_csv(rows, list(dict.fromkeys(name for row in rows for name in row)))


def pairs_csv(standings: Standings) -> str:
    """A line for each pair, with a header; the header alone where there is one strategy."""
    pairs = [_pair(pair, standing) for standing in standings.recipes for pair in standing.pairs]
    return as_csv(pairs, PAIR_COLUMNS)


def share(fraction: float) -> str:
    """A fraction as it is typed; different fractions have different texts."""
    return repr(fraction).removesuffix(".0")


def _row(row: RecipeRow, standing: RecipeStanding) -> dict[str, Any]:
    reached = {
        share(fraction): {"trials": number(trials.mean), "hours": number(hours.mean), "seeds": trials.seeds}
        for fraction, (trials, hours) in row.reached.items()
    }
    return {
        "strategy": row.strategy,
        "recipe": standing.name,
        "trials": row.trials,
        "seeds": row.seeds,
        "objective": standing.objective,
        **_mean("best", row.best),
        **_mean("population", row.population),
        "population_size": row.size,
        "test_metric": standing.test_metric,
        **_mean("test", row.test),
        "reached": reached,
        "mean_params": number(row.params.mean),
        "mean_fan_in": number(row.fan_in.mean),
        "fan_in_deviations": number(row.deviations),
        "hours": number(row.hours),
        "repeated": number(row.repeated),
        "best_of_all": number(standing.best),
        "beside_best": standing.beside,
        "warnings": list(row.warnings),
        **_front(row, standing),
    }


def _front(row: RecipeRow, standing: RecipeStanding) -> dict[str, Any]:
    """What there is to say where there are several objectives; empty where there is one."""
    if (found := standing.front) is None:
        return {}
    return {
        "objectives": [str(goal) for goal in found.goals],
        **_mean("hypervolume", row.hypervolume),
        "hypervolume_of_all": found.hypervolume,
        "reference_point": list(found.reference),
    }


def _pair(pair: RecipePair, standing: RecipeStanding) -> dict[str, Any]:
    found = pair.difference
    return {
        "recipe": standing.name,
        "measure": pair.measure,
        "strategy": pair.strategy,
        "other": pair.other,
        "seeds": found.seeds,
        "difference": number(found.mean),
        "low": number(found.low),
        "high": number(found.high),
        "p": number(found.p),
    }


def _fan_ins(standing: RecipeStanding) -> dict[str, Any]:
    center, spread = standing.random_fan_in or (math.nan, math.nan)
    listed = [
        {"edges": each.edges, "trials": each.score.seeds, "mean": number(each.score.mean)} for each in standing.fan_ins
    ]
    return {"random_mean": number(center), "random_sd": number(spread), "by_edges": listed}


def _mean(name: str, found: MeanOfSeeds) -> dict[str, float | None]:
    return {f"mean_{name}": number(found.mean), f"se_{name}": number(found.error)}
