"""Curves of a comparison on real tasks: best so far, population, fan-in, and model size against the objective."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from netwright.comparison import measures
from netwright.comparison.axes import SETTLED, half_width, legend, look, mark, name_values, start
from netwright.comparison.contests.populations import SearchPath
from netwright.comparison.contests.standings import RecipeStanding
from netwright.report import curves
from netwright.report.figures import FEW, PALETTE, POINTS, RASTER, TEXT_SIZE
from netwright.report.text import printable

MARKS = ("o", "s", "^", "D", "v", "P", "X")


def best(standing: RecipeStanding) -> Figure:
    """Mean over seeds of the best objective so far, by trials, with its 95 % band by Student's t."""
    return _curves(standing, lambda path: standing.sign * path.best, f"best {standing.objective} so far")


def hypervolume(standing: RecipeStanding) -> Figure:
    """Mean over seeds of the share of the hypervolume of the front of all searches, with its 95 % band."""
    return _curves(standing, lambda path: path.covered, "share of the hypervolume of all", is_rising=True)


def population(standing: RecipeStanding) -> Figure:
    """Mean over seeds of the population's mean objective, with its 95 % band."""
    label = f"mean {standing.objective} of the last P trials"
    return _curves(standing, lambda path: standing.sign * path.population, label)


def fan_in(standing: RecipeStanding) -> Figure:
    """Mean fan-in of the population, with its 95 % band; gray: the mean of random networks, one sd either side."""
    sizes = {row.strategy: row.size for row in standing.rows}
    figure, axes = start(f"{standing.name}: edges into the output, last P trials; gray: random networks, one sd")
    for number, (strategy, listed) in enumerate(standing.paths.items()):
        edges = [curves.moving_average(path.fan_in, sizes[strategy]) for path in listed]
        _mean_line(axes, edges, _trials(standing), number)
    if standing.random_fan_in is not None:
        center, spread = standing.random_fan_in
        axes.axhline(center, color="#777777", linewidth=1.0, zorder=0)
        axes.axhspan(center - spread, center + spread, color="#777777", alpha=0.12, linewidth=0, zorder=0)
    axes.set_ylabel("edges into the output", size=TEXT_SIZE)
    _by_trials(axes, standing)
    return legend(figure, list(standing.paths))


def size(standing: RecipeStanding) -> Figure:
    """Parameters and objective of every trial as dots, and of the best network of each search as a larger mark."""
    figure, axes = start(f"{standing.name}: dots: trials; marks: the best of each search")
    for number, listed in enumerate(standing.paths.values()):
        color = PALETTE[number % len(PALETTE)]
        params = np.concatenate([path.params for path in listed] or [np.zeros(0)])
        scores = standing.sign * np.concatenate([path.scores for path in listed] or [np.zeros(0)])
        shown = np.linspace(0, len(params) - 1, min(POINTS, len(params))).astype(int)
        raster, dot = len(shown) > RASTER, 6 if len(shown) < FEW else 3.5
        axes.plot(
            params[shown], scores[shown], ".", color=color, alpha=0.5, markersize=dot, linewidth=0, rasterized=raster
        )
        chosen = [(path.params[path.incumbent], path.scores[path.incumbent]) for path in listed if path.incumbent >= 0]
        if chosen:
            x, y = np.array(chosen).T
            best_mark = MARKS[number % len(MARKS)]
            axes.plot(
                x,
                standing.sign * y,
                best_mark,
                color=color,
                markersize=7,
                markeredgecolor="white",
                linewidth=0,
                zorder=3,
            )
    axes.set_xlabel("parameters", size=TEXT_SIZE)
    axes.set_ylabel(standing.objective, size=TEXT_SIZE, parse_math=False)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    handles = [
        Line2D([], [], color=PALETTE[n % len(PALETTE)], marker=MARKS[n % len(MARKS)], linewidth=0)
        for n in range(len(standing.paths))
    ]
    return legend(figure, list(standing.paths), handles)


def _curves(
    standing: RecipeStanding, values: Callable[[SearchPath], np.ndarray], label: str, *, is_rising: bool = False
) -> Figure:
    figure, axes = start(f"{standing.name}: mean over seeds, band: 95 %")
    settled = []
    for number, listed in enumerate(standing.paths.values()):
        lines = [values(path) for path in listed]
        _mean_line(axes, lines, _trials(standing), number)
        settled += [line[int(SETTLED * len(line)) :] for line in lines]
    shown = np.concatenate(settled or [np.zeros(0)])
    if not np.isnan(shown).all():
        low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
        space = 0.06 * (high - low) or 0.05
        axes.set_ylim(low - space, high + space)
    hint = " (lower is better)" if standing.sign < 0 and not is_rising else ""
    name_values(axes, f"{printable(label)}{hint}")
    axes.ticklabel_format(axis="y", useOffset=False)
    _by_trials(axes, standing)
    return legend(figure, list(standing.paths))


def _mean_line(axes: Axes, lines: Sequence[np.ndarray], length: int, number: int) -> None:
    """Draws the mean of lines with its band; a search that ended early stays where it was."""
    color, style = look(number)
    means, around = mean_and_band(lines, length)
    x = np.arange(1, length + 1)
    axes.plot(x, means, color=color, linestyle=style, linewidth=1.6, marker=mark(means), markersize=6)
    axes.fill_between(x, means - around, means + around, color=color, alpha=0.15, linewidth=0)


def mean_and_band(lines: Sequence[np.ndarray], length: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean of lines at each position and half the width of its 95 % interval, each of shape (length,).

    Both are NaN until all that ever have a value have one: before that it would be the mean of the quickest alone.

    Args:
        lines: A line for each search; the last value of a shorter one stays. An empty one has no values.
        length: Number of trials.
    """
    carried = np.full((len(lines), length), np.nan)
    for row, line in zip(carried, lines, strict=True):
        row[: len(line)] = line[:length]
        row[len(line) :] = line[-1] if len(line) else np.nan
    known = (~np.isnan(carried)).sum(axis=0)
    has_begun = known == known.max(initial=0)
    means, errors = (np.where(has_begun, each, np.nan) for each in measures.mean_path(carried))
    return means, half_width(errors, known)


def _trials(standing: RecipeStanding) -> int:
    """Number of trials of a search that runs to its end."""
    return max((row.trials for row in standing.rows), default=1)


def _by_trials(axes: Axes, standing: RecipeStanding) -> None:
    axes.set_xlabel("trials, whatever their budget" if standing.has_budgets else "trials", size=TEXT_SIZE)
    axes.set_xlim(0, 1.01 * _trials(standing))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter("{x:,.0f}")
