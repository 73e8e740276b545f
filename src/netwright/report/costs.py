"""The objective against what it costs: the parameters of a network, and the time that a search has taken."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netwright.report import curves, figures
from netwright.report.figures import RunData

PARAMETERS = "params"
UNITS = ((3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
FEWEST = 2.0  # of a unit that an axis shows at least


def size(runs: Sequence[RunData]) -> Figure | None:
    """The objective of every trial against its parameters, and the best that so many parameters or fewer reached.

    None: no trial has both, or the parameters are the objective.
    """
    known = [~np.isnan(run.history.scores) & ~np.isnan(run.history.params) for run in runs]
    is_told = any(mask.any() for mask in known)
    if not is_told or any(run.objective.name == PARAMETERS for run in runs):
        return None
    figure, axes = figures.start(f"dots: trials{_others(runs)}; line: the best with so many parameters or fewer")
    factor, label = figures.parameter_scale([run.history.params for run in runs])
    for number, (run, mask) in enumerate(zip(runs, known, strict=True)):
        color, style = figures.ink(number)
        x, y, judged = run.history.params / factor, figures.shown_scores(run), run.history.is_judged
        _dots(axes, x, y, mask & ~judged, figures.GRAY)
        _dots(axes, x, y, mask & judged, color)
        rivals = np.flatnonzero(mask & judged)
        rivals = rivals[np.lexsort((-run.history.scores[rivals], x[rivals]))]
        front = rivals[curves.records(run.history.scores[rivals])]
        if len(front) > 1:
            axes.plot(x[front], y[front], color=color, linestyle=style, linewidth=1.4, drawstyle="steps-post")
    axes.set_xlabel(label, size=figures.TEXT_SIZE)
    return _finished(figure, axes, runs)


def hours(runs: Sequence[RunData]) -> Figure | None:
    """The best objective so far and every trial, by the time that evaluations had taken until it finished.

    None: no trial has a score, or none took any time.
    """
    spent = [np.cumsum(run.history.seconds) for run in runs]
    longest = max((float(each[-1]) for each in spent if len(each)), default=0.0)
    if not longest > 0 or all(np.isnan(run.history.scores).all() for run in runs):
        return None
    figure, axes = figures.start(f"dots: trials{_others(runs)}; line: the best so far")
    factor, unit = next(((factor, unit) for factor, unit in UNITS if longest >= FEWEST * factor), UNITS[-1])
    for number, (run, seconds) in enumerate(zip(runs, spent, strict=True)):
        color, style = figures.ink(number)
        scores, y, judged = run.history.scores, figures.shown_scores(run), run.history.is_judged
        x, known = seconds / factor, ~np.isnan(scores)
        _dots(axes, x, y, known & ~judged, figures.GRAY)
        _dots(axes, x, y, known & judged, color)
        steps = curves.spread(curves.records(np.where(judged, scores, np.nan)), figures.POINTS)
        if len(steps):
            along, heights = np.append(x[steps], x[-1]), np.append(y[steps], y[steps[-1]])
            axes.plot(along, heights, color=color, linestyle=style, linewidth=1.4, drawstyle="steps-post")
    axes.set_xlabel(f"time in evaluations ({unit})", size=figures.TEXT_SIZE)
    axes.set_xlim(left=0)
    return _finished(figure, axes, runs)


def _dots(axes: Axes, x: np.ndarray, y: np.ndarray, mask: np.ndarray, color: str) -> None:
    """A dot for each trial of a mask; of very many, a selection with the best of them."""
    places = np.flatnonzero(mask)
    shown = places[curves.thin(y[places], figures.POINTS)]
    figures.dot_cloud(axes, x[shown], y[shown], color, count=len(places))


def _others(runs: Sequence[RunData]) -> str:
    is_alone = all(run.history.is_judged.all() for run in runs)
    return "" if is_alone else f" at the largest budget, {figures.OTHERS}"


def _finished(figure: Figure, axes: Axes, runs: Sequence[RunData]) -> Figure:
    axes.set_ylabel(figures.objective_label(runs), size=figures.TEXT_SIZE, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.xaxis.set_major_formatter("{x:,g}")
    figures.group_thousands(axes)
    return figures.with_legend(figure, runs)
