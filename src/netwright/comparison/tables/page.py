"""The report of a comparison: curves with bands for each problem, and one page with tables, curves and every pair."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from netwright.comparison import caveats, output, standings
from netwright.comparison.measures import WITHIN, Mean
from netwright.comparison.problems import Problem
from netwright.comparison.results import Curve, Pair, Results, Row
from netwright.core import files
from netwright.report import markup
from netwright.report.figures import INK, PALETTE, STYLES, TEXT_SIZE
from netwright.report.files import save
from netwright.report.markup import Html
from netwright.report.text import printable, shortened, text_width

SIZE = (7.2, 4.2)  # inches
BAND = 1.96  # standard errors either side of a mean: 95 %
LONG = 1000  # trials from which on their axis is logarithmic
SETTLED = 0.1  # share of a search after which the axis of final measures begins to matter
MISSING = "–"
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
PAIRS_EXPLAINED = (
    "Strategy less other, over common seeds: the mean difference, its 95 % interval by paired bootstrap, and twice the "
    "share of resampled means on the other side of zero. Nothing is corrected for the number of pairs."
)


def write(folder: Path, results: Results, command: str = "") -> Path:
    """Write all files of a comparison.

    Args:
        folder: Gets index.html, bench.json, bench.csv, pairs.csv and, for each problem, `<problem>-regret` and
            `<problem>-final` as .png and .svg; made when missing.
        results: What there is to show.
        command: That made it, for the page; "": none did.

    Returns:
        The path of index.html.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files.write(folder / "bench.json", (json.dumps(output.as_json(results, folder), indent=1) + "\n").encode())
    files.write(folder / "bench.csv", output.rows_csv(results).encode())
    files.write(folder / "pairs.csv", output.pairs_csv(results).encode())
    drawn = {
        problem.name: _figures(folder, number, problem, results) for number, problem in enumerate(problems(results))
    }
    parts = [_problem(problem, results, drawn[problem.name]) for problem in problems(results)]
    path = folder / "index.html"
    page = markup.page("Comparison of strategies", [*parts, _failed(results), _repeated(command)])
    files.write(path, page.encode(errors="replace"))
    return path


def problems(results: Results) -> list[Problem]:
    """What was compared on, in order."""
    return list({curve.problem.name: curve.problem for curve in results.curves}.values())


def regret(curves: Sequence[Curve]) -> Figure:
    """Mean regret of each strategy as the search goes on, on a logarithmic axis, with its 95 % band."""
    figure, axes = _start(curves)
    shown = np.concatenate([curve.regret for curve in curves])
    positive = shown[shown > 0]
    floor = positive.min() / 1.6 if len(positive) else 0.0  # a band around small regrets would reach below 0
    for number, curve in enumerate(curves):
        _line(axes, curve.x, curve.regret, curve.regret_error, number, floor)
    if len(positive):
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(floor, positive.max() * 1.4)
        _plain_ticks(axes)
    signal = printable(curves[0].problem.signal) if curves else "signal"
    axes.set_ylabel(f"regret in {signal}", size=TEXT_SIZE, parse_math=False)
    return _finish(figure, axes, curves)


def final(curves: Sequence[Curve]) -> Figure:
    """Mean final measure of each strategy's incumbent as the search goes on, with its 95 % band.

    The axis shows what happens after the first tenth: the first few networks are far from all others.
    """
    figure, axes = _start(curves)
    for number, curve in enumerate(curves):
        _line(axes, curve.x, curve.final, curve.final_error, number)
    settled = np.concatenate([curve.final[int(SETTLED * len(curve.x)) :] for curve in curves] or [np.zeros(0)])
    errors = np.concatenate([curve.final_error[int(SETTLED * len(curve.x)) :] for curve in curves] or [np.zeros(0)])
    if not np.isnan(settled).all():
        around = BAND * np.nan_to_num(errors)
        low, high = np.nanmin(settled - around), np.nanmax(settled + around)
        space = 0.06 * (high - low) or 0.5
        axes.set_ylim(low - space, high + space)
    name = printable(curves[0].problem.final) if curves else "final measure"
    hint = " (lower is better)" if curves and curves[0].problem.final_sign < 0 else ""
    axes.set_ylabel(f"{name} of the incumbent{hint}", size=TEXT_SIZE, parse_math=False)
    axes.ticklabel_format(axis="y", useOffset=False)
    return _finish(figure, axes, curves)


def cells(row: Row) -> tuple[str, ...]:
    """A row as text, by COLUMNS."""
    reached = (_reached(row.within[percent], row.seeds) for percent in WITHIN)
    return (
        row.strategy,
        with_error(row.final),
        with_error(row.regret),
        MISSING if math.isnan(row.found_best) else f"{row.found_best:.1%}",
        *reached,
        MISSING if math.isnan(row.repeated) else f"{row.repeated:.0%}",
        MISSING if math.isnan(row.microseconds) else f"{row.microseconds:,.0f}",
    )


def with_error(found: Mean) -> str:
    """A mean and its standard error, as many decimals as tell two digits of the error."""
    if math.isnan(found.mean):
        return MISSING
    if not found.error > 0:
        return f"{found.mean:.6g}" if math.isnan(found.error) else f"{found.mean:.6g} ± 0"
    places = decimals(found.error)
    return f"{found.mean:,.{places}f} ± {found.error:,.{places}f}"


def decimals(error: float) -> int:
    """How many places behind the point show two digits of `error`."""
    return min(12, max(0, 1 - math.floor(math.log10(error)))) if error > 0 else 2


def title(row: Row) -> str:
    """What a table of rows is about."""
    trials = "" if row.trials is None else f"{row.trials:,} trials"
    if row.table_seconds is None:
        return f"{row.problem.name}, {trials}"
    at_most = f", at most {trials}" if trials else ""
    return f"{row.problem.name}, {row.table_seconds:,.15g} s{at_most}"


def groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows of one problem and horizon together, in order."""
    found: dict[tuple[str, int | None], list[Row]] = {}
    for row in rows:
        found.setdefault((row.problem.name, row.trials), []).append(row)
    return list(found.values())


def _reached(found: Mean, seeds: int) -> str:
    return f"{found.mean:,.1f} ({found.seeds / seeds:.0%})" if found.seeds else MISSING


def _figures(folder: Path, number: int, problem: Problem, results: Results) -> list[Html]:
    curves = [curve for curve in results.curves if curve.problem.name == problem.name]
    captions = {"regret": f"Regret on {problem.name}", "final": f"Final measure on {problem.name}"}
    shown = []
    for measure, figure in (("regret", regret(curves)), ("final", final(curves))):
        path = folder / f"{file_name(problem, problems(results))}-{measure}"
        save(figure, path)
        svg = path.with_name(path.name + ".svg").read_text(encoding="utf-8")
        shown.append(markup.figure(svg, f"{measure}{number}", captions[measure]))
    return shown


def file_name(problem: Problem, among: Sequence[Problem]) -> str:
    """The problem's name in letters that every file system has, unlike those of the others."""
    names = [re.sub(r"[^A-Za-z0-9_.-]+", "-", each.name).strip("-.")[:80] for each in among]
    place = [each.name for each in among].index(problem.name)
    name = names[place]
    return name if name and names.count(name) == 1 else f"{name}-{place + 1}".lstrip("-")


def _problem(problem: Problem, results: Results, drawn: Sequence[Html]) -> Html:
    remarks = [f"{remark[0].upper()}{remark[1:]}." for remark in results.remarks.get(problem.name, ())]
    parts: list[str] = [*remarks, Html(f'<div class="curves">{"".join(drawn)}</div>')]
    for rows in groups([row for row in results.rows if row.problem.name == problem.name]):
        listed = markup.table(COLUMNS, [cells(row) for row in rows], COLUMNS[1:])
        warnings = [f"{row.strategy}: {warning}." for row in rows for warning in row.warnings]
        pairs = [pair for pair in results.pairs if pair.problem.name == problem.name and pair.trials == rows[0].trials]
        seeds = sorted({row.seeds for row in rows})
        count = f"{seeds[0]:,}" if len(seeds) == 1 else f"{seeds[0]:,} to {seeds[-1]:,}"
        heading = f"{title(rows[0])}, {count} seeds"
        parts.append(markup.subsection(heading, listed, *warnings, EXPLAINED, *pairs_parts(pairs)))
    return markup.section(problem.name, *parts)


def pairs_parts(pairs: Sequence[Pair | standings.Pair]) -> list[str]:
    """Table and explanation of pairs of one problem or recipe; none where there are no pairs."""
    if not pairs:
        return []
    columns = ("measure", "strategy", "other", "difference", "95 % interval", "p", "seeds")
    rows = [(pair.measure, pair.strategy, pair.other, *difference(pair)) for pair in pairs]
    caveat = caveats.few_seeds([pair.difference for pair in pairs])
    shown = [f"{caveat[0].upper()}{caveat[1:]}."] if caveat else []
    return [markup.table(columns, rows, columns[3:]), PAIRS_EXPLAINED, *shown]


def difference(pair: Pair | standings.Pair) -> tuple[str, ...]:
    """Mean, interval, p and seeds of a pair as text; one seed alone has no interval."""
    found = pair.difference
    if not found.seeds:
        return (MISSING, MISSING, MISSING, "0")
    if math.isnan(found.low):
        return (f"{found.mean:+.6g}", MISSING, MISSING, f"{found.seeds:,}")
    places = decimals((found.high - found.low) / (2 * BAND))
    interval = f"{found.low:+,.{places}f} to {found.high:+,.{places}f}"
    return (f"{found.mean:+,.{places}f}", interval, f"{found.p:.2g}", f"{found.seeds:,}")


def _failed(results: Results) -> str:
    if not results.failed:
        return ""
    columns = ("strategy", "problem", "seed", "why")
    return markup.section(
        "Failed searches", markup.table(columns, [(s, p, str(n), w) for s, p, n, w in results.failed])
    )


def _repeated(command: str) -> str:
    return markup.section("To repeat this", markup.listing(command)) if command else ""


def _start(curves: Sequence[Curve]) -> tuple[Figure, Axes]:
    """An empty pair of axes; every style is given here, so that no global setting is touched."""
    figure = Figure(figsize=SIZE, layout="constrained", facecolor="white")
    axes = figure.add_subplot(facecolor="white")
    name = printable(curves[0].problem.name) if curves else ""
    axes.set_title(
        f"{name}: mean over seeds, band: 95 %", loc="left", size=TEXT_SIZE, color="#555555", parse_math=False
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#777777")
    axes.grid(True, which="both", color="#ececec", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=TEXT_SIZE - 0.5, color="#777777", labelcolor=INK)
    return figure, axes


def _line(
    axes: Axes, x: np.ndarray, means: np.ndarray, errors: np.ndarray, number: int, floor: float = -math.inf
) -> None:
    color, style = PALETTE[number % len(PALETTE)], STYLES[number // len(PALETTE) % len(STYLES)]
    axes.plot(x, means, color=color, linestyle=style, linewidth=1.6)
    band = BAND * np.nan_to_num(errors)
    low, high = np.maximum(means - band, floor), np.maximum(means + band, floor)
    axes.fill_between(x, low, high, color=color, alpha=0.15, linewidth=0)


def _finish(figure: Figure, axes: Axes, curves: Sequence[Curve]) -> Figure:
    """The horizontal axis, and a legend above the axes, in as many columns as fit."""
    is_seconds = any(curve.is_seconds for curve in curves)
    longest = max((float(curve.x[-1]) for curve in curves), default=1.0)
    axes.set_xlabel("seconds of evaluation" if is_seconds else "trials", size=TEXT_SIZE)
    if longest >= LONG and not is_seconds:
        axes.set_xscale("log")
        axes.set_xlim(1, longest)
    else:
        axes.set_xlim(0, longest * 1.01)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    names = [shortened(curve.strategy, SIZE[0] - 1, TEXT_SIZE) for curve in curves]
    widest = max((text_width(name, TEXT_SIZE) for name in names), default=1.0) + 0.55
    columns = max(1, min(len(names), int((SIZE[0] - 0.3) / widest)))
    # a label that starts with an underscore would be left out
    labels = [f"\u200b{name}" if name.startswith("_") else name for name in names]
    legend = figure.legend(
        axes.lines, labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=TEXT_SIZE
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _plain_ticks(axes: Axes) -> None:
    """Numbers on the logarithmic axis as 0.2 and 5, also between its powers of ten where it spans few of them."""
    axes.yaxis.set_major_formatter("{x:g}")
    low, high = axes.get_ylim()
    if high / low < 1000:
        axes.yaxis.set_minor_formatter(lambda value, _place: f"{value:g}" if f"{value:.1e}"[0] in "25" else "")
    else:
        axes.yaxis.set_minor_formatter(NullFormatter())
