"""The curves of one or several searches, after figures 3 to 5 of Liu et al. 2018, and the lineage of a trial.

Each function returns a matplotlib Figure, or None where there is nothing to draw; `files.save` writes it. Several runs
share one pair of axes, with a color and a line style each. A minimized objective is shown as measured,
so that lower is better. Figures are so narrow that they can be read on a phone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from netwright.core.objectives import UNNAMED, Objective, short
from netwright.core.records import MEMORY
from netwright.report import curves
from netwright.report.history import History
from netwright.report.text import printable, shortened, text_width

# Okabe and Ito's scheme for color-blind readers, without yellow
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8A6D00", "#56B4E9", "#444444")
STYLES = ("-", "--", ":", "-.")
TEXT_SIZE = 10.0  # points
INK = "#333333"
SIZE = (4.4, 3.0)  # inches: 422 pixels of a page, in which 10 points are 10 pixels still where 335 are left
WINDOWS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
RASTER = 1000  # points above which they are one image within an SVG
FEW, MANY = 50, 500  # points: fewer are large, and more lie below the lines
POINTS = 5000  # at most, of one run in one figure
NAMED = 60  # points of a lineage that carry their trial's id
OUTLIERS = 4  # times finer that the fitness axis must become to be cut
NOTED = 0.13  # share of the height in which words about the start population stand alone
LETTERS = 46  # in a line above the axes
UPRIGHT = 30  # letters in a line beside the axes
GRAY, OTHERS = "#999999", "gray: at others"  # of trials at other budgets than the largest
SCALES = ((1e9, "billions"), (1e6, "millions"), (1e3, "thousands"))


@dataclass(frozen=True)
class RunData:
    """One search as the figures see it."""

    label: str
    history: History
    objective: Objective = UNNAMED


def fitness(runs: Sequence[RunData]) -> Figure | None:
    """The objective of every trial, its moving average, and where the start population ends (figure 3)."""
    window = average_window(runs)
    scores = [run.history.scores for run in runs]
    if all(np.isnan(values).all() for values in scores):
        return None
    has_failed = any(np.isnan(values).any() for values in scores)
    failed = "; ticks at the bottom: failed" if has_failed else ""
    judged = [run.history.is_judged for run in runs]
    budgets = "" if all(mask.all() for mask in judged) else f" at the largest budget, {OTHERS}"
    figure, axes = start()
    shown = sum(
        _cloud(axes, run.objective.measured(values), window, number, mask)
        for number, (run, values, mask) in enumerate(zip(runs, scores, judged, strict=True))
    )
    _entitle(axes, f"dots: {_dots(shown, scores)}{budgets}; line: {_mean(runs, window)}{failed}")
    _cut_outliers(axes, runs, scores)
    for number, values in enumerate(scores):
        _failed_ticks(axes, values, number)
    return _finish(figure, axes, runs, objective_label(runs))


def best(runs: Sequence[RunData]) -> Figure | None:
    """The best objective so far after each trial (figure 4)."""
    figure, axes = start("large dot: the best trial")
    for number, run in enumerate(runs):
        values, scores = shown_scores(run), np.where(run.history.is_judged, run.history.scores, np.nan)
        steps = curves.spread(curves.records(scores), POINTS)
        if not len(steps):
            continue
        color, style = ink(number)
        places = np.append(steps, len(values) - 1)
        heights = np.append(values[steps], values[steps[-1]])
        axes.plot(places + 1, heights, color=color, linestyle=style, linewidth=1.6, drawstyle="steps-post")
        if len(steps) <= FEW:
            axes.plot(steps + 1, heights[:-1], "o", color=color, markersize=4)
        axes.plot(steps[-1] + 1, heights[-1], "o", color=color, markersize=7)
        if len(runs) == 1:
            text = f"trial {run.history.ids[steps[-1]]}: {short(heights[-1])}"
            side = -1 if run.objective.is_minimized else 1  # where the curve never is
            axes.margins(y=0.12)
            align = "right" if steps[-1] > len(values) / 2 else "left"
            note(axes, text, (steps[-1] + 1, heights[-1]), (0, 9 * side), align, "bottom" if side > 0 else "top")
    return _finish(figure, axes, runs, objective_label(runs)) if axes.lines else None


def parameters(runs: Sequence[RunData]) -> Figure | None:
    """Parameters of every trial and their moving average (figure 5)."""
    window = average_window(runs)
    figure, axes = start()
    counts = [run.history.params for run in runs]
    if all(np.isnan(each).all() for each in counts):
        return None
    factor, label = parameter_scale(counts)
    shown = sum(_cloud(axes, values / factor, window, number) for number, values in enumerate(counts))
    _entitle(axes, f"dots: {_dots(shown, counts)}; line: {_mean(runs, window)}")
    return _finish(figure, axes, runs, label)


def thousands(largest: float) -> tuple[float, str]:
    """What values up to this one are divided by on an axis, and the word for it: "thousands"; "" for 1."""
    return next(((factor, unit) for factor, unit in SCALES if largest >= factor), (1.0, ""))


def scale(objective: Objective, largest: float) -> tuple[float, str]:
    """What values of an objective up to this one are divided by on an axis, and the label of that axis."""
    factor, unit = thousands(largest)
    if objective.name == MEMORY:
        factor, unit = (2.0**20, "MiB") if largest >= 2**20 else (2.0**10, "KiB")
    label, bracket, hint = objective_label([RunData("", History.of([]), objective)]).partition("(")
    return factor, f"{label.rstrip()}{f', {unit}' if unit else ''} {bracket}{hint}"


def parameter_scale(counts: Sequence[np.ndarray]) -> tuple[float, str]:
    """What numbers of parameters are divided by on an axis, and the label of that axis."""
    highest = max((float(np.nanmax(each)) for each in counts if not np.isnan(each).all()), default=0.0)
    factor, unit = thousands(highest)
    return factor, f"parameters ({unit})" if unit else "parameters"


def lineage(history: History, line: np.ndarray, objective: Objective = UNNAMED) -> Figure:
    """The objective along a line of descent, oldest first (`curves.lineage`), the trial's id at each point.

    The ancestors or the trial itself have a score.

    The figure widens up to 60 generations; of longer lines some ids are left out, and of very long ones some points,
    never the first or last.
    """
    places = curves.thin(history.scores[line], RASTER)
    values, ids = objective.measured(history.scores[line[places]]), history.ids[line[places]]
    fewer = "" if len(places) == len(line) else f"; {len(places):,} of {len(line):,} generations"
    figure, axes = start(f"number at each point: trial{fewer}", width=min(max(SIZE[0], 0.26 * len(line) + 1), 16.5))
    axes.plot(places, values, "-o", color=PALETTE[0], markersize=4, linewidth=1.2)
    axes.margins(x=0.02 if len(line) > 12 else 0.06, y=0.22)
    stride = -(-len(places) // NAMED)
    for number, place in enumerate(places.tolist()):
        is_last = number == len(places) - 1
        is_named = is_last or (number % stride == 0 and number < len(places) - stride)
        if (is_named or len(places) <= NAMED) and not np.isnan(values[number]):
            _name_point(axes, place, values, number, str(ids[number]))
    axes.set_xlabel("generation (0: start population)", size=TEXT_SIZE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_ylabel(objective_label([RunData("", history, objective)]), size=TEXT_SIZE, parse_math=False)
    group_thousands(axes)
    return figure


def average_window(runs: Sequence[RunData]) -> int:
    """How many trials the moving averages of these runs span: about a fortieth of the longest."""
    longest = max((len(run.history) for run in runs), default=0)
    return max((window for window in WINDOWS if window <= longest / 40), default=WINDOWS[0])


def shown_scores(run: RunData) -> np.ndarray:
    """The first objective as measured, shape (trials,): scores with a minimized one's sign turned back."""
    return run.objective.measured(run.history.scores)


def objective_label(runs: Sequence[RunData]) -> str:
    """The label of the axis of the first objective."""
    names = sorted({printable(run.objective.label) for run in runs})
    is_share = len(names) == 1 and all(run.objective.is_share for run in runs)
    directions = {run.objective.is_minimized for run in runs}
    hint = "" if len(directions) != 1 else " (lower is better)" if directions == {True} else " (higher is better)"
    name = fill(f"{' / '.join(names)}{', fraction' if is_share else ''}", UPRIGHT)
    return name + (hint if len(name + hint) <= UPRIGHT else hint.replace(" ", "\n", 1))


def start(title: str = "", width: float = SIZE[0]) -> tuple[Figure, Axes]:
    """An empty pair of axes; every style is given here, so that no global setting is touched."""
    figure = Figure(figsize=(width, SIZE[1]), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    dress(axes, title)
    return figure, axes


def dress(axes: Axes, title: str = "") -> None:
    """Give axes the style of all figures, and a legend above them."""
    axes.set_facecolor("white")
    _entitle(axes, title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#777777")
    axes.grid(True, color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT_SIZE - 0.5, color="#777777", labelcolor=INK)
    axes.ticklabel_format(axis="y", useOffset=False)


def _finish(figure: Figure, axes: Axes, runs: Sequence[RunData], label: str) -> Figure:
    """Labels, the start populations' ends and, for several runs, a legend."""
    axes.set_xlabel("trials finished", size=TEXT_SIZE)
    axes.set_ylabel(label, size=TEXT_SIZE, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    longest = max((len(run.history) for run in runs), default=0)
    margin = max(0.5, 0.01 * longest)
    axes.set_xlim(1 - margin, max(1, longest) + margin)
    group_thousands(axes)
    _mark_starts(axes, runs, is_rising=label != objective_label(runs) or runs[0].objective.is_minimized)
    return with_legend(figure, runs)


def with_legend(figure: Figure, runs: Sequence[RunData]) -> Figure:
    """The figure, with the names of the runs above it where there are several."""
    if len(runs) < 2:
        return figure
    inks = [ink(number) for number in range(len(runs))]
    handles = [Line2D([], [], color=color, linestyle=style, linewidth=2) for color, style in inks]
    labels = [shortened(run.label, SIZE[0] - 1, TEXT_SIZE) for run in runs]
    widest = max(text_width(label, TEXT_SIZE) for label in labels) + 0.6
    columns = max(1, min(len(runs), int((SIZE[0] - 0.3) / widest)))
    # a label that starts with an underscore would be left out
    labels = [f"\u200b{label}" if label.startswith("_") else label for label in labels]
    legend = figure.legend(handles, labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=TEXT_SIZE)
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def _cloud(axes: Axes, values: np.ndarray, window: int, number: int, is_judged: np.ndarray | None = None) -> int:
    """A dot for each value, thinned out in long runs; the moving average is over judged values alone.

    Returns the number of dots.
    """
    if np.isnan(values).all():
        return 0
    if is_judged is None:
        is_judged = np.ones(len(values), bool)
    others = np.flatnonzero(~is_judged)
    if len(others):
        others = others[curves.thin(values[others], POINTS)]
        others = others[~np.isnan(values[others])]
        dot_cloud(axes, others + 1, values[others], GRAY, count=len(others))
    judged = np.flatnonzero(is_judged)
    values = values[judged]
    color, style = ink(number)
    places = curves.thin(values, POINTS)
    places = places[~np.isnan(values[places])]
    dots = judged[places] + 1
    dot_cloud(axes, dots, values[places], color, count=len(values))
    average = curves.moving_average(values, window)
    places = curves.thin(average, POINTS)
    places = places[(places >= window // 5 - 1) | (len(values) < window)]  # the mean of the first few jumps about
    along = judged[places] + 1
    axes.plot(along, average[places], color=color, linestyle=style, linewidth=1.4)
    return len(dots) + len(others)


def dot_cloud(axes: Axes, x: np.ndarray, y: np.ndarray, color: str, *, count: int) -> None:
    """A dot for each of some values of `count`: large ones of few, and only many so small that lines lie over them."""
    size, alpha = (30, 0.9) if count < FEW else (12, 0.6) if count < MANY else (4, 0.3)
    over = 1 if count >= MANY else 2.9 if color == GRAY else 3
    axes.scatter(x, y, s=size, color=color, alpha=alpha, linewidths=0, rasterized=len(x) > RASTER, zorder=over)


def _cut_outliers(axes: Axes, runs: Sequence[RunData], scores: Sequence[np.ndarray]) -> None:
    """End the axis above the worst hundredth of the trials where it takes most of the height; mark what is beyond."""
    everything = np.concatenate(scores)
    worst, low, high = np.nanpercentile(everything, [0, 1, 100])
    if not (0 < OUTLIERS * (high - low) < high - worst):
        return
    floor = low - 0.1 * (high - low)
    sign = -1 if runs[0].objective.is_minimized else 1
    edges = (sign * floor, sign * (high + 0.05 * (high - low)))
    axes.set_ylim(min(edges), max(edges))
    for number, values in enumerate(scores):
        beyond = np.flatnonzero(values < floor)
        beyond = beyond[curves.thin(beyond.astype(float), 500)]
        height = np.full(len(beyond), 0.045 if sign > 0 else 0.985)
        place = axes.get_xaxis_transform()
        marker = "v" if sign > 0 else "^"
        axes.plot(beyond + 1, height, marker, color=ink(number)[0], markersize=5, transform=place)
    _entitle(axes, f"{axes.get_title(loc='left')}; triangles: beyond the axis")


def _mean(runs: Sequence[RunData], window: int) -> str:
    """What the line of moving averages is."""
    is_short = max((len(run.history) for run in runs), default=0) <= window
    return "mean so far" if is_short else f"mean of the last {window:,} trials"


def _dots(shown: int, values: Sequence[np.ndarray]) -> str:
    """What the dots are: trials, and how many of those with a value where not all are drawn."""
    measured = sum(int(np.count_nonzero(~np.isnan(each))) for each in values)
    return "trials" if shown == measured else f"{shown:,} of {measured:,} trials"


def _entitle(axes: Axes, text: str) -> None:
    """Write a legend above the axes, in as many lines as it needs."""
    axes.set_title(fill(" ".join(text.split()), LETTERS), loc="left", size=TEXT_SIZE, color="#555555")


def _failed_ticks(axes: Axes, scores: np.ndarray, number: int) -> None:
    failed = np.flatnonzero(np.isnan(scores))
    failed = failed[curves.thin(failed.astype(float), 500)]
    bottom = np.full(len(failed), 0.012)
    axes.plot(failed + 1, bottom, "|", color=ink(number)[0], markersize=5, transform=axes.get_xaxis_transform())


def _mark_starts(axes: Axes, runs: Sequence[RunData], is_rising: bool) -> None:
    """Vertical lines where start populations end; one gray, named line when they agree."""
    ends = [curves.start_population(run.history) for run in runs]
    if len(set(ends)) > 1:
        for number, end in enumerate(ends):
            if end:
                axes.axvline(end + 0.5, color=ink(number)[0], linestyle=(0, (2, 2)), linewidth=1)
        return
    if not ends[0]:
        return
    axes.axvline(ends[0] + 0.5, color="#777777", linestyle=(0, (2, 2)), linewidth=1)
    is_late = ends[0] > 0.6 * max(len(run.history) for run in runs)
    low, high = axes.get_ylim()
    # a strip that has no dots in it: above the others, or above the ticks and triangles at the bottom
    span = (high - low) / (1 - NOTED)
    axes.set_ylim(*((low, low + span) if is_rising else (high - span, high)))
    height = low + 0.95 * span if is_rising else high - 0.9 * span
    text = f"start population: {ends[0]:,}"
    note(axes, text, (ends[0] + 0.5, height), (-5 if is_late else 5, 0), "right" if is_late else "left", "center")


def note(
    axes: Axes, text: str, point: tuple[float, float], shift: tuple[float, float], align: str, vertical: str
) -> None:
    """Words beside a point, on a ground that keeps them readable; `shift` is in printer's points."""
    ground = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}
    axes.annotate(
        text,
        point,
        xytext=shift,
        textcoords="offset points",
        ha=align,
        va=vertical,
        color=INK,
        size=TEXT_SIZE,
        bbox=ground,
    )


def _name_point(axes: Axes, x: int, values: np.ndarray, number: int, text: str) -> None:
    """Write upright above or below a point of a line, wherever the line to its neighbors is farther away."""
    around = np.array([values[max(number - 1, 0)], values[min(number + 1, len(values) - 1)]]) - values[number]
    is_above = np.nanmax(np.append(around, 0.0)) <= -np.nanmin(np.append(around, 0.0))
    is_dense = len(values) > 12
    axes.annotate(
        text,
        (x, values[number]),
        xytext=(0, 6 if is_above else -6),
        textcoords="offset points",
        ha="center",
        va="bottom" if is_above else "top",
        rotation=90 if is_dense else 0,
        size=8.5,
        color=INK,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )


def group_thousands(axes: Axes) -> None:
    """Numbers of the vertical axis with thousands set apart, where there are any."""
    if max(map(abs, axes.get_ylim())) >= 1000:
        axes.yaxis.set_major_formatter("{x:,.0f}")


def ink(number: int) -> tuple[str, str]:
    """Color and line style of the run of this number; up to 28 differ, and of equal lines all show."""
    return PALETTE[number % len(PALETTE)], STYLES[number % len(STYLES)]
