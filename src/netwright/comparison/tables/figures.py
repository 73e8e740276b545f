"""Curves of a comparison on tables, with bands: regret and final measure as the searches go on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from netwright.comparison.axes import SETTLED, half_width, legend, look, mark, name_values, start
from netwright.comparison.tables.summary import Curve
from netwright.report.figures import TEXT_SIZE
from netwright.report.text import printable

LONG = 1000  # trials from which on their axis is logarithmic


def regret(curves: Sequence[Curve]) -> Figure | None:
    """Mean regret of each strategy as the search goes on, on a logarithmic axis, with its 95 % band; None: no value."""
    shown = np.concatenate([curve.regret for curve in curves])
    if np.isnan(shown).all():
        return None
    figure, axes = _start(curves)
    positive = shown[shown > 0]
    floor = positive.min() / 1.6 if len(positive) else 0.0  # a band around small regrets would reach below 0
    for number, curve in enumerate(curves):
        _line(axes, curve, curve.regret, curve.regret_error, number, floor)
    if len(positive):
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(floor, positive.max() * 1.4)
        _plain_ticks(axes)
    signal = printable(curves[0].problem.signal) if curves else "signal"
    name_values(axes, f"regret in {signal}")
    return _finish(figure, axes, curves)


def final(curves: Sequence[Curve]) -> Figure | None:
    """Mean final measure of each strategy's incumbent as the search goes on, with its 95 % band; None: no values.

    The axis shows what happens after the first tenth: the first few networks are far from all others.
    """
    if all(np.isnan(curve.final).all() for curve in curves):
        return None
    figure, axes = _start(curves)
    for number, curve in enumerate(curves):
        _line(axes, curve, curve.final, curve.final_error, number)
    settled = np.concatenate([curve.final[int(SETTLED * len(curve.x)) :] for curve in curves] or [np.zeros(0)])
    if not np.isnan(settled).all():
        halves = [half_width(curve.final_error[int(SETTLED * len(curve.x)) :], curve.seeds) for curve in curves]
        around = np.nan_to_num(np.concatenate(halves))
        low, high = np.nanmin(settled - around), np.nanmax(settled + around)
        space = 0.06 * (high - low) or 0.5
        axes.set_ylim(low - space, high + space)
    name = printable(curves[0].problem.final) if curves else "final measure"
    hint = " (lower is better)" if curves and curves[0].problem.final_sign < 0 else ""
    name_values(axes, f"{name} of the incumbent{hint}")
    axes.ticklabel_format(axis="y", useOffset=False)
    return _finish(figure, axes, curves)


def hypervolume(curves: Sequence[Curve]) -> Figure | None:
    """Mean share of the exact front's hypervolume as the search goes on, with its 95 % band; None: one objective."""
    shown = [curve.hypervolume for curve in curves]
    if all(np.isnan(each).all() for each in shown):
        return None
    figure, axes = _start(curves)
    for number, curve in enumerate(curves):
        _line(axes, curve, curve.hypervolume, curve.hypervolume_error, number)
    settled = np.concatenate([each[int(SETTLED * len(each)) :] for each in shown])
    low, high = np.nanmin(settled), np.nanmax(settled)
    space = 0.06 * (high - low) or 0.05
    axes.set_ylim(low - space, min(high + space, 1.005))
    name_values(axes, "share of the exact front's hypervolume")
    axes.ticklabel_format(axis="y", useOffset=False)
    return _finish(figure, axes, curves)


def _start(curves: Sequence[Curve]) -> tuple[Figure, Axes]:
    name = curves[0].problem.name if curves else ""
    return start(f"{name}: mean over seeds, band: 95 %")


def _line(
    axes: Axes, curve: Curve, means: np.ndarray, errors: np.ndarray, number: int, floor: float = -math.inf
) -> None:
    color, style = look(number)
    axes.plot(curve.x, means, color=color, linestyle=style, linewidth=1.6, marker=mark(means), markersize=6)
    band = half_width(errors, curve.seeds)
    low, high = np.maximum(means - band, floor), np.maximum(means + band, floor)
    axes.fill_between(curve.x, low, high, color=color, alpha=0.15, linewidth=0)


def _finish(figure: Figure, axes: Axes, curves: Sequence[Curve]) -> Figure:
    """The figure with its horizontal axis and a legend."""
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
    return legend(figure, [curve.strategy for curve in curves])


def _plain_ticks(axes: Axes) -> None:
    """Numbers on the logarithmic axis as 0.2 and 5, also between its powers of ten where it spans few of them."""
    axes.yaxis.set_major_formatter("{x:g}")
    low, high = axes.get_ylim()
    if high / low < 1000:
        axes.yaxis.set_minor_formatter(lambda value, _place: f"{value:g}" if f"{value:.1e}"[0] in "25" else "")
    else:
        axes.yaxis.set_minor_formatter(NullFormatter())
