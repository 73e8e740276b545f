"""The report of a comparison on real tasks: curves, the final table and every pair, as a page and as files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netwright.comparison import contest_figures
from netwright.comparison.measures import Mean
from netwright.comparison.page import MISSING, pairs_parts, with_error
from netwright.comparison.rows import as_csv, flat, number
from netwright.comparison.standings import Pair, Row, Standing, Standings
from netwright.core import files
from netwright.report import markup
from netwright.report.files import save
from netwright.report.markup import Html

FIGURES = {
    "best": (contest_figures.best, "Best so far"),
    "population": (contest_figures.population, "Mean of the population"),
    "size": (contest_figures.size, "Model size against the objective"),
    "fan-in": (contest_figures.fan_in, "Fan-in of the population"),
}
PAIR_COLUMNS = ("recipe", "measure", "strategy", "other", "seeds", "difference", "low", "high", "p")
EXPLAINED = (
    "Means over seeds with standard errors. Best: the objective of the best network of a search, chosen by that very "
    "measurement, so that it is too high by about as much as measurements of one network differ. Population: mean "
    "objective of the last P trials; P is the strategy's own population, or that of the others. Fractions are of the "
    "best that any search found; the searches that came so near stand behind the trials and hours of evaluation until "
    "then, over which those are means. Bands: 95 % by Student's t; a search that ended early stays where it was."
)
FAN_IN_EXPLAINED = (
    "Edges into the last node of each graph of a network, a mean over those graphs in which they vary: of a cell that "
    "concatenates its unread states, how many these are. In brackets: standard deviations of random networks above "
    "their mean, for the last P trials of each search. The table counts all trials of all strategies: strategies that "
    "learn measure some networks more often, so that it shows what goes together, not what causes what."
)


def write(folder: Path, standings: Standings, command: str = "") -> Path:
    """Write index.html, bench.json, bench.csv, pairs.csv and the figures of each recipe; returns the page's path.

    Args:
        folder: Made when missing.
        standings: What there is to show.
        command: That made it, for the page; "": none did.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = as_json(standings, folder)
    rows = [flat(row) for row in found["rows"]]
    files.write(folder / "bench.json", (json.dumps(found, indent=1) + "\n").encode())
    files.write(folder / "bench.csv", as_csv(rows, list(rows[0]) if rows else []).encode())
    files.write(folder / "pairs.csv", as_csv(found["pairs"], PAIR_COLUMNS).encode())
    parts = [_section(folder, place, standing, standings) for place, standing in enumerate(standings.recipes)]
    columns = ("strategy", "recipe", "seed", "why")
    failed = [(strategy, recipe, str(seed), why) for strategy, recipe, seed, why in standings.failed]
    if failed:
        parts.append(markup.section("What failed", markup.table(columns, failed)))
    if command:
        parts.append(markup.section("To repeat this", markup.listing(command)))
    path = folder / "index.html"
    files.write(path, markup.page("Comparison of strategies", parts).encode(errors="replace"))
    return path


def columns(standing: Standing, fractions: Sequence[float]) -> tuple[str, ...]:
    """Of the table of a recipe."""
    reached = [
        text for fraction in fractions for text in (f"trials to {share(fraction)}", f"hours to {share(fraction)}")
    ]
    test = [standing.test_metric] if standing.test_metric else []
    return ("strategy", f"best {standing.objective}", *test, "population", *reached, "parameters", "fan-in", "repeats")


def cells(row: Row, standing: Standing) -> tuple[str, ...]:
    """A row as text, by `columns`."""
    reached: list[str] = []
    for trials, hours in row.reached.values():
        share = f" ({trials.seeds} of {row.seeds})"
        reached += (
            [f"{trials.mean:,.1f}{share}", f"{hours.mean:.3g}"] if trials.seeds else [f"{MISSING}{share}", MISSING]
        )
    above = "" if math.isnan(row.deviations) else f" ({row.deviations:+.2f})"
    return (
        row.strategy,
        with_error(row.best),
        *([with_error(row.test)] if standing.test_metric else []),
        with_error(row.population),
        *reached,
        MISSING if math.isnan(row.params.mean) else f"{row.params.mean:,.0f}",
        MISSING if math.isnan(row.fan_in.mean) else f"{row.fan_in.mean:.2f}{above}",
        MISSING if math.isnan(row.repeated) else f"{row.repeated:.0%}",
    )


def share(fraction: float) -> str:
    """A fraction as it is typed: two that differ have two texts."""
    return repr(fraction).removesuffix(".0")


def title(standing: Standing) -> str:
    """What the table of a recipe is about."""
    seeds = max((row.seeds for row in standing.rows), default=0)
    return f"{standing.name}: {standing.run.limits.trials:,} trials, {seeds:,} seeds, {standing.run.task}"


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


def _section(folder: Path, place: int, standing: Standing, standings: Standings) -> Html:
    drawn = []
    for name, (figure, caption) in FIGURES.items():
        if name == "fan-in" and standing.random_fan_in is None:
            continue
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', standing.name)}-{name}"
        save(figure(standing), path)
        svg = path.with_name(path.name + ".svg").read_text(encoding="utf-8")
        drawn.append(markup.figure(svg, f"{name.replace('-', '')}{place}", f"{caption}: {standing.name}"))
    heads = columns(standing, standings.fractions)
    listed = markup.table(heads, [cells(row, standing) for row in standing.rows], heads[1:])
    warnings = [f"{remark}." for remark in standing.remarks]
    warnings += [f"{row.strategy}: {warning}." for row in standing.rows for warning in row.warnings]
    top = "" if math.isnan(standing.best) else f"The best of all: {standing.best:.6g}."
    parts = [listed, *warnings, top, EXPLAINED, *pairs_parts(standing.pairs)]
    return markup.section(
        title(standing), Html(f'<div class="curves">{"".join(drawn)}</div>'), *parts, *_fan_in_parts(standing)
    )


def _fan_in_parts(standing: Standing) -> list[str]:
    if standing.random_fan_in is None:
        return []
    heads = ("edges", "trials", f"mean {standing.objective}")
    rows = [(f"{each.edges:.6g}", f"{each.score.seeds:,}", with_error(each.score)) for each in standing.fan_ins]
    center, spread = standing.random_fan_in
    random = f"Random networks: {center:.2f}, standard deviation {spread:.2f}."
    return [markup.subsection("Fan-in of the output", markup.table(heads, rows, heads), random, FAN_IN_EXPLAINED)]


def _row(row: Row, standing: Standing) -> dict[str, Any]:
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
        "warnings": list(row.warnings),
    }


def _pair(pair: Pair, standing: Standing) -> dict[str, Any]:
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


def _fan_ins(standing: Standing) -> dict[str, Any]:
    center, spread = standing.random_fan_in or (math.nan, math.nan)
    listed = [
        {"edges": each.edges, "trials": each.score.seeds, "mean": number(each.score.mean)} for each in standing.fan_ins
    ]
    return {"random_mean": number(center), "random_sd": number(spread), "by_edges": listed}


def _mean(name: str, found: Mean) -> dict[str, float | None]:
    return {f"mean_{name}": number(found.mean), f"se_{name}": number(found.error)}
