"""The part of a report on a search by several objectives: its front, what it covered after each trial, its knee."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netwright.core import front
from netwright.core.objectives import Objective, measured, short, shortened
from netwright.report import curves, figures, fronts, markup
from netwright.report.markup import MISSING, Html
from netwright.report.reported import Part, ReportedRun

MOST_PAIRS = 6  # of objectives that are drawn
MOST_ROWS = 100  # of the table
EXPLAINED = (
    "On the front stands every trial that no other one beats: none is at least as good in all objectives and better in "
    "one. Each was measured once, and those on a front are the lucky ones among many: train them anew before choosing. "
    "The knee is where the front bends most, the compromise for those who have no other reason to choose."
)


def figure(runs: Sequence[ReportedRun]) -> Figure:
    """A panel for each pair of objectives, and one for the hypervolume where there is a reference point.

    Args:
        runs: At least one, all with the same objectives, at least two; the first one that has a reference point gives
            it to all.
    """
    pairs = list(combinations(range(len(runs[0].objectives)), 2))[:MOST_PAIRS]
    reference = next((run.reference_point for run in runs if run.reference_point), None)
    down = len(pairs) + (reference is not None)
    width, height = figures.SIZE
    made = Figure(figsize=(width, down * height), layout="constrained", facecolor="white")
    panels = [made.add_subplot(down, 1, place) for place in range(1, down + 1)]
    for axes, (along, across) in zip(panels, pairs, strict=False):
        _pair(axes, runs, along, across)
    if reference is not None:
        _covered(panels[-1], runs, reference)
    return figures.with_legend(made, [run.data for run in runs])


def section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    """The part of a page: figure, sentences, and the table of the front with its knee.

    Args:
        run: A run with a front.
        whose: Words put after the title, as in " of a run".
        drawn: The figure with its caption.
    """
    found = fronts.of_history(run.history, run.objectives, run.reference_point)
    assert found is not None, "else there is no figure"
    told = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in found.sentences()]
    if any(other.reference_point not in (None, run.reference_point) for other in run.overlaid):
        told.append("Hypervolumes in the figure are all measured from one reference point, that of the first run.")
    goals = run.objectives
    extra = () if "params" in (goal.name for goal in goals) or np.isnan(run.history.params).all() else ("params",)
    columns = ("trial", *(goal.label for goal in goals), *extra, "", "key")
    rows = []
    for trial in found.trials[:MOST_ROWS]:
        values = fronts.values(trial, goals)
        texts = [shortened(name, value) for name, value in values.items()]
        size = trial.result.metrics.get("params") if trial.result else None
        sizes = [MISSING if size is None else short(size) for _ in extra]
        mark = "knee" if trial.id == found.knee.id else ""
        rows.append((str(trial.id), *texts, *sizes, mark, markup.code(trial.key)))
    left_out = len(found.trials) - MOST_ROWS
    more = f"{left_out:,} further trials of the front are left out here." if left_out > 0 else ""
    return markup.section(f"The front{whose}", drawn, *told, markup.table(columns, rows, columns[:-2]), more, EXPLAINED)


def _pair(axes: Axes, runs: Sequence[ReportedRun], up: int, right: int) -> None:
    """The trials by two objectives, and of them those that are on the front of these two as steps."""
    goals = runs[0].objectives
    is_whole = len(goals) == 2
    dots, line = ("", "") if is_whole else (", dark: on the front", " of these two objectives")
    figures.dress(axes, f"dots: trials{dots}; line: the front{line}; ring: the knee")
    known = [run.history.points[:, [right, up]] for run in runs]
    (x_scale, x_label), (y_scale, y_label) = (
        _scale(goals[goal], [points[:, place] for points in known]) for place, goal in enumerate((right, up))
    )
    for number, run in enumerate(runs):
        color, style = figures.ink(number)
        points = fronts.scores(run.history)[:, [right, up]]
        shown = measured(points, (goals[right], goals[up])) / (x_scale, y_scale)
        rest = known[number][~run.history.is_judged]
        others = measured(rest[~np.isnan(rest).any(1)], (goals[right], goals[up])) / (x_scale, y_scale)
        _cloud(axes, others, figures.GRAY)
        _cloud(axes, shown[~np.isnan(shown).any(1)], color)
        places = fronts.places(run.history)
        if not len(places):
            continue
        of_two = places if is_whole else _front_of(points)
        order = of_two[np.argsort(-points[of_two, 0], kind="stable")]  # from the best along the axis to the worst
        axes.plot(*shown[order].T, color=color, linestyle=style, linewidth=1.4, drawstyle="steps-post")
        axes.plot(*shown[places].T, "o", color=color, markersize=5)
        knee = places[front.knee(run.history.points[places])]
        axes.plot(*shown[knee], "o", markersize=11, markerfacecolor="none", markeredgecolor=color, markeredgewidth=1.6)
        if len(runs) == 1:
            _name_knee(axes, f"knee: trial {run.history.ids[knee]}", shown[knee], (goals[right], goals[up]))
    axes.set_xlabel(x_label, size=figures.TEXT_SIZE, parse_math=False)
    axes.set_ylabel(y_label.replace(" (", "\n("), size=figures.TEXT_SIZE, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.xaxis.set_major_formatter("{x:,g}")
    figures.group_thousands(axes)


def _covered(axes: Axes, runs: Sequence[ReportedRun], reference: Sequence[float]) -> None:
    """The hypervolume after each trial."""
    figures.dress(axes, "what the front covers, from the reference point on")
    found = [fronts.covered(run.history, run.objectives, reference) for run in runs]
    factor, unit = figures.thousands(max((float(each[-1]) for each in found if len(each)), default=0.0))
    for number, covered in enumerate(found):
        color, style = figures.ink(number)
        grown = np.flatnonzero(np.diff(covered, prepend=0.0) > 0)
        steps = curves.spread(grown, figures.POINTS)
        if not len(steps):
            continue
        along, heights = np.append(steps, len(covered) - 1) + 1, np.append(covered[steps], covered[-1]) / factor
        axes.plot(along, heights, color=color, linestyle=style, linewidth=1.6, drawstyle="steps-post")
        if len(steps) <= figures.FEW:
            axes.plot(steps + 1, covered[steps] / factor, "o", color=color, markersize=3.5)
    axes.set_xlabel("trials finished", size=figures.TEXT_SIZE)
    axes.set_ylabel(f"hypervolume{unit and f', {unit}'}\n(higher is better)", size=figures.TEXT_SIZE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")


def _front_of(points: np.ndarray) -> np.ndarray:
    """Positions of the points, NaN left out, that no other one dominates."""
    known = np.flatnonzero(~np.isnan(points).any(1))
    return known[front.nondominated(points[known])]


def _cloud(axes: Axes, points: np.ndarray, color: str) -> None:
    """A faint dot for each point, of very many a selection."""
    places = curves.spread(np.arange(len(points)), figures.POINTS)
    size = 16 if len(points) < figures.MANY else 5
    x, y = points[places].T
    axes.scatter(x, y, s=size, color=color, alpha=0.25, linewidths=0, rasterized=len(places) > 1000)


def _name_knee(axes: Axes, text: str, point: np.ndarray, goals: tuple[Objective, Objective]) -> None:
    """Words beside the knee, on the side of what it dominates, where no other point of the front is."""
    along, up = goals
    shift = (-9 * along.sign, -9 * up.sign)
    horizontal, vertical = "right" if along.sign > 0 else "left", "top" if up.sign > 0 else "bottom"
    figures.note(axes, text, (float(point[0]), float(point[1])), shift, horizontal, vertical)


def _scale(goal: Objective, columns: Sequence[np.ndarray]) -> tuple[float, str]:
    """What values of an objective are divided by on an axis, and the label of that axis."""
    largest = max((float(np.nanmax(np.abs(each))) for each in columns if not np.isnan(each).all()), default=0.0)
    return figures.scale(goal, largest)


def _comparable(run: ReportedRun) -> list[ReportedRun]:
    """The run first, then those overlaid that were searched by the same objectives."""
    names = [str(goal) for goal in run.objectives]
    return [each for each in run.overlaid or (run,) if [str(goal) for goal in each.objectives] == names]


def _figure(run: ReportedRun) -> Figure | None:
    if len(run.objectives) < 2 or not len(fronts.places(run.history)):
        return None
    return figure(_comparable(run))


part = Part("front", "The front of the search, and what it had covered after each trial", _figure, section)
