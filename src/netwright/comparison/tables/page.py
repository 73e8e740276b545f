"""The report of a comparison on tables: one page that says who won, with a table and curves for each problem."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

from netwright.comparison import leading
from netwright.comparison.leading import Leading
from netwright.comparison.measures import WITHIN, MeanOfSeeds
from netwright.comparison.numbers import MISSING, with_error
from netwright.comparison.tables import figures, json_and_csv
from netwright.comparison.tables.problems import Problem
from netwright.comparison.tables.summary import ProblemRow, Results
from netwright.core import files
from netwright.report import markup
from netwright.report.files import save, smallest_text
from netwright.report.markup import Html

COLUMNS = (
    *("strategy", "final", "regret", "found best"),
    *(f"trials to {percent:g} %" for percent in WITHIN),
    *("repeats", "µs/trial"),
)
EXPLAINED = (
    "Means over seeds with standard errors. Final: the reported measure of the network with the best signal so far. "
    "Regret: how far its signal is from the best of the table. Trials to x %: until that distance was at most x % of "
    "the best signal, over the searches that came so near, whose share stands behind it. Repeats: share of the trials "
    "that measured a network again."
)
COVERED = (
    " Hypervolume: the share of that of the exact front, over all networks of the table, which the front of all trials "
    "so far covers."
)


def write(folder: Path, results: Results, command: str = "") -> Path:
    """Write all files of a comparison.

    Args:
        folder: Gets index.html, bench.json, bench.csv, pairs.csv and, for each problem, `<problem>-regret`,
            `<problem>-final` and `<problem>-hypervolume` as .png and .svg, where there is something to draw; made when
            missing.
        results: The results to show.
        command: The command that made them, for the page; "": no command did.

    Returns:
        The path of index.html.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files.write(folder / "bench.json", (json.dumps(json_and_csv.as_json(results, folder), indent=1) + "\n").encode())
    files.write(folder / "bench.csv", json_and_csv.rows_csv(results).encode())
    files.write(folder / "pairs.csv", json_and_csv.pairs_csv(results).encode())
    drawn = {
        problem.name: _figures(folder, number, problem, results) for number, problem in enumerate(problems(results))
    }
    parts = [_problem(problem, results, drawn[problem.name]) for problem in problems(results)]
    path = folder / "index.html"
    page = markup.page("Comparison of strategies", [_winners(results), *parts, _failed(results), _repeated(command)])
    files.write(path, page.encode(errors="replace"))
    return path


def problems(results: Results) -> list[Problem]:
    """The problems that were compared on, in order."""
    return list({curve.problem.name: curve.problem for curve in results.curves}.values())


def columns(problem: Problem) -> tuple[str, ...]:
    """Heads of the columns of a problem's tables."""
    return (COLUMNS[0], "hypervolume", *COLUMNS[1:]) if problem.front else COLUMNS


def cells(row: ProblemRow) -> tuple[str, ...]:
    """The cells of a row as text, in the order of `columns`."""
    reached = (_reached(row.within[percent], row.seeds) for percent in WITHIN)
    return (
        row.strategy,
        *([with_error(row.hypervolume)] if row.hypervolume else []),
        with_error(row.final),
        with_error(row.regret),
        MISSING if math.isnan(row.found_best) else f"{row.found_best:.1%}",
        *reached,
        MISSING if math.isnan(row.repeated) else f"{row.repeated:.0%}",
        MISSING if math.isnan(row.microseconds) else f"{row.microseconds:,.0f}",
    )


def title(row: ProblemRow) -> str:
    """Title of a table of rows: problem, trials and seconds."""
    trials = "" if row.trials is None else f"{row.trials:,} trials"
    if row.table_seconds is None:
        return f"{row.problem.name}, {trials}"
    at_most = f", at most {trials}" if trials else ""
    return f"{row.problem.name}, {row.table_seconds:,.15g} s{at_most}"


def groups(rows: Sequence[ProblemRow]) -> list[list[ProblemRow]]:
    """Rows of one problem and horizon together, in order."""
    found: dict[tuple[str, int | None], list[ProblemRow]] = {}
    for row in rows:
        found.setdefault((row.problem.name, row.trials), []).append(row)
    return list(found.values())


def winner(rows: Sequence[ProblemRow], results: Results) -> Leading | None:
    """Who is first in a group of rows by hypervolume or, of one objective, the final measure; None: fewer than two."""
    problem, trials = rows[0].problem, rows[0].trials
    pairs = [pair for pair in results.pairs if (pair.problem.name, pair.trials) == (problem.name, trials)]
    covered = {row.strategy: row.hypervolume for row in rows if row.hypervolume}
    if covered:
        return leading.leading("hypervolume", "hypervolume", 1, covered, pairs)
    means = {row.strategy: row.final for row in rows}
    return leading.leading("final", problem.final, problem.final_sign, means, pairs)


def _winners(results: Results) -> Html:
    """A sentence for each problem and horizon; empty where nothing was compared."""
    named = [(title(rows[0]), winner(rows, results)) for rows in groups(results.rows)]
    told = [f"{name}: {leading.sentence(found)}." for name, found in named if found]
    return markup.section("Who won", *told) if told else Html("")


def _reached(found: MeanOfSeeds, seeds: int) -> str:
    return f"{found.mean:,.1f} ({found.seeds / seeds:.0%})" if found.seeds else MISSING


def _figures(folder: Path, number: int, problem: Problem, results: Results) -> list[Html]:
    curves = [curve for curve in results.curves if curve.problem.name == problem.name]
    captions = {"hypervolume": "Hypervolume", "regret": "Regret", "final": "Final measure"}
    shown = []
    made = (figures.hypervolume(curves), figures.regret(curves), figures.final(curves))
    for measure, figure in zip(captions, made, strict=True):
        path = folder / f"{file_name(problem, problems(results))}-{measure}"
        if figure is None:
            for suffix in (".png", ".svg"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            continue
        save(figure, path)
        svg = path.with_name(path.name + ".svg").read_text(encoding="utf-8")
        caption = f"{captions[measure]} on {problem.name}"
        shown.append(markup.figure(svg, f"{measure}{number}", caption, smallest_text(figure)))
    return shown


def file_name(problem: Problem, among: Sequence[Problem]) -> str:
    """The problem's name in characters that every file system takes, unlike the names of the others."""
    names = [re.sub(r"[^A-Za-z0-9_.-]+", "-", each.name).strip("-.")[:80] for each in among]
    place = [each.name for each in among].index(problem.name)
    name = names[place]
    return name if name and names.count(name) == 1 else f"{name}-{place + 1}".lstrip("-")


def _problem(problem: Problem, results: Results, drawn: Sequence[Html]) -> Html:
    remarks = [f"{remark[0].upper()}{remark[1:]}." for remark in results.remarks.get(problem.name, ())]
    which = f"A search sees {problem.searched}; reported is {problem.reported}."
    parts: list[str] = [which, *remarks, Html(f'<div class="curves">{"".join(drawn)}</div>')]
    for rows in groups([row for row in results.rows if row.problem.name == problem.name]):
        heads = columns(problem)
        listed = markup.table(heads, [cells(row) for row in rows], heads[1:])
        warnings = [f"{row.strategy}: {warning}." for row in rows for warning in row.warnings]
        seeds = sorted({row.seeds for row in rows})
        count = f"{seeds[0]:,}" if len(seeds) == 1 else f"{seeds[0]:,} to {seeds[-1]:,}"
        heading = f"{title(rows[0])}, {count} seeds"
        parts.append(markup.subsection(heading, listed, *warnings, EXPLAINED + COVERED * (problem.front is not None)))
        parts += leading.parts(winner(rows, results))
    return markup.section(problem.name, *parts)


def _failed(results: Results) -> str:
    if not results.failed:
        return ""
    columns = ("strategy", "problem", "seed", "why")
    return markup.section(
        "Failed searches", markup.table(columns, [(s, p, str(n), w) for s, p, n, w in results.failed])
    )


def _repeated(command: str) -> str:
    return markup.section("To repeat this", markup.listing(command)) if command else ""
