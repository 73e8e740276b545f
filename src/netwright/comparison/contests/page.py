"""The report of a comparison on real tasks: who won, the final table and curves, as a page and as files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

from netwright.comparison import leading
from netwright.comparison.contests import figures, json_and_csv
from netwright.comparison.contests.json_and_csv import share
from netwright.comparison.contests.standings import RecipeRow, RecipeStanding, Standings
from netwright.comparison.leading import Leading
from netwright.comparison.numbers import MISSING, with_error
from netwright.core import files
from netwright.report import markup
from netwright.report.files import save, smallest_text
from netwright.report.markup import Html

FIGURES = {  # none of them where nothing succeeded
    "hypervolume": (figures.hypervolume, "Hypervolume"),
    "best": (figures.best, "Best so far"),
    "population": (figures.population, "Mean of the population"),
    "size": (figures.size, "Model size against the objective"),
    "fan-in": (figures.fan_in, "Fan-in of the population"),
}
EXPLAINED = (
    "Means over seeds with standard errors. Best: the objective of the best network of a search, chosen by that very "
    "measurement, so that it is too high by about as much as measurements of one network differ. Population: mean "
    "objective of the last P trials; P is the strategy's own population, or that of the others. Fractions are of the "
    "best that any search found; the searches that came so near stand behind the trials and hours of evaluation until "
    "then, over which those are means. Bands: 95 % by Student's t; a search that ended early stays where it was."
)
COVERED = (
    " Hypervolume: the share of that of the front of all searches together which the front of a search's own trials "
    "covers; it changes when searches are added."
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
        standings: The results to show.
        command: The command that made them, for the page; "": no command did.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files.write(folder / "bench.json", (json.dumps(json_and_csv.as_json(standings, folder), indent=1) + "\n").encode())
    files.write(folder / "bench.csv", json_and_csv.rows_csv(standings).encode())
    files.write(folder / "pairs.csv", json_and_csv.pairs_csv(standings).encode())
    parts = [_section(folder, place, standing, standings) for place, standing in enumerate(standings.recipes)]
    columns = ("strategy", "recipe", "seed", "why")
    failed = [(strategy, recipe, str(seed), why) for strategy, recipe, seed, why in standings.failed]
    if failed:
        parts.append(markup.section("What failed", markup.table(columns, failed)))
    if command:
        parts.append(markup.section("To repeat this", markup.listing(command)))
    path = folder / "index.html"
    files.write(path, markup.page("Comparison of strategies", [_winners(standings), *parts]).encode(errors="replace"))
    return path


def columns(standing: RecipeStanding, fractions: Sequence[float]) -> tuple[str, ...]:
    """Heads of the columns of a recipe's table."""
    reached = [
        text for fraction in fractions for text in (f"trials to {share(fraction)}", f"hours to {share(fraction)}")
    ]
    test = [standing.test_metric] if standing.test_metric else []
    first = (*(["hypervolume"] if standing.front else []), f"best {standing.objective}")
    return ("strategy", *first, *test, "population", *reached, "parameters", "fan-in", "repeats")


def cells(row: RecipeRow, standing: RecipeStanding) -> tuple[str, ...]:
    """The cells of a row as text, in the order of `columns`."""
    reached: list[str] = []
    for trials, hours in row.reached.values():
        share = f" ({trials.seeds} of {row.seeds})"
        reached += (
            [f"{trials.mean:,.1f}{share}", f"{hours.mean:.3g}"] if trials.seeds else [f"{MISSING}{share}", MISSING]
        )
    above = "" if math.isnan(row.deviations) else f" ({row.deviations:+.2f})"
    return (
        row.strategy,
        *([with_error(row.hypervolume)] if standing.front else []),
        with_error(row.best),
        *([with_error(row.test)] if standing.test_metric else []),
        with_error(row.population),
        *reached,
        MISSING if math.isnan(row.params.mean) else f"{row.params.mean:,.0f}",
        MISSING if math.isnan(row.fan_in.mean) else f"{row.fan_in.mean:.2f}{above}",
        MISSING if math.isnan(row.repeated) else f"{row.repeated:.0%}",
    )


def title(standing: RecipeStanding) -> str:
    """Title of a recipe's table: trials, seeds and task."""
    seeds = max((row.seeds for row in standing.rows), default=0)
    return f"{standing.name}: {standing.run.limits.trials:,} trials, {seeds:,} seeds, {standing.run.task}"


def top(standing: RecipeStanding) -> str:
    """The best of all, which way is better, and what it is to be compared with; "" where nothing succeeded."""
    if math.isnan(standing.best):
        return ""
    found = standing.front
    pairs = zip(found.goals, found.reference, strict=True) if found else ()
    point = ", ".join(f"{goal.name} {value:.6g}" for goal, value in pairs)
    front = f" Hypervolumes are measured from {point}." if point else ""
    return f"The best of all: {standing.objective} {standing.best:.6g} {standing.beside}.{front}"


def winner(standing: RecipeStanding) -> Leading | None:
    """Who is first; None: fewer than two have what decides.

    That is hypervolume where there are several objectives, else what full trainings tested, else the best.
    """
    if standing.front:
        covered = {row.strategy: row.hypervolume for row in standing.rows}
        return leading.leading("hypervolume", "hypervolume", 1, covered, standing.pairs)
    if standing.test_metric:
        tested = {row.strategy: row.test for row in standing.rows}
        return leading.leading("test", standing.test_metric, standing.sign, tested, standing.pairs)
    best = {row.strategy: row.best for row in standing.rows}
    return leading.leading("best", f"best {standing.objective}", standing.sign, best, standing.pairs)


def _winners(standings: Standings) -> Html:
    """A sentence for each recipe; empty where nothing was compared."""
    named = [(title(standing), winner(standing)) for standing in standings.recipes]
    told = [f"{name}: {leading.sentence(found)}." for name, found in named if found]
    return markup.section("Who won", *told) if told else Html("")


def _section(folder: Path, place: int, standing: RecipeStanding, standings: Standings) -> Html:
    drawn = []
    for name, (figure, caption) in FIGURES.items():
        path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', standing.name)}-{name}"
        is_empty = {"fan-in": standing.random_fan_in is None, "hypervolume": standing.front is None}
        if math.isnan(standing.best) or is_empty.get(name, False):
            for suffix in (".png", ".svg"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            continue
        made = figure(standing)
        save(made, path)
        svg = path.with_name(path.name + ".svg").read_text(encoding="utf-8")
        shown = f"{caption}: {standing.name}"
        drawn.append(markup.figure(svg, f"{name.replace('-', '')}{place}", shown, smallest_text(made)))
    heads = columns(standing, standings.fractions)
    listed = markup.table(heads, [cells(row, standing) for row in standing.rows], heads[1:])
    warnings = [f"{remark}." for remark in standing.remarks]
    warnings += [f"{row.strategy}: {warning}." for row in standing.rows for warning in row.warnings]
    explained = EXPLAINED + COVERED * (standing.front is not None)
    parts = [listed, *warnings, top(standing), explained, *leading.parts(winner(standing))]
    return markup.section(
        title(standing), Html(f'<div class="curves">{"".join(drawn)}</div>'), *parts, *_fan_in_parts(standing)
    )


def _fan_in_parts(standing: RecipeStanding) -> list[str]:
    if standing.random_fan_in is None:
        return []
    heads = ("edges", "trials", f"mean {standing.objective}")
    rows = [(f"{each.edges:.6g}", f"{each.score.seeds:,}", with_error(each.score)) for each in standing.fan_ins]
    center, spread = standing.random_fan_in
    random = f"Random networks: {center:.2f}, standard deviation {spread:.2f}."
    return [markup.subsection("Fan-in of the output", markup.table(heads, rows, heads), random, FAN_IN_EXPLAINED)]
