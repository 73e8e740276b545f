"""The part of a report on a sample of the search that was trained alone: whether scores order as trainings do."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netwright.core import ranking
from netwright.report import figures, markup
from netwright.report.markup import Html
from netwright.report.ranking import SampleRanking
from netwright.report.reported import Part, ReportedRun
from netwright.report.text import shortened, text_width

ROW = 0.46  # inches of height for each order in the lower panel
LABEL = figures.SIZE[0] - 1.1  # inches for its name and tau
EXPLAINED = (
    "The sample was drawn from all scores alike, from the worst to the best, and each network was trained from other "
    "seeds than the search's, on the training data, and measured on the validation data. Kendall's tau is the share of "
    "pairs that both order alike less that of pairs in opposite order. In brackets: 95 % of what other samples of this "
    "size would give (bootstrap over networks). The best are those in truth; of so few networks, intervals are wide."
)


def figure(found: SampleRanking) -> Figure:
    """Above, each network by its score and by what came of it alone; below, Kendall's tau of each order."""
    width, height = figures.SIZE
    lower = ROW * len(found.orders) + 0.55
    made = Figure(figsize=(width, height + lower), layout="constrained", facecolor="white")
    upper, under = made.subplots(2, 1, height_ratios=(height, lower))
    _scatter(upper, found)
    _taus(under, found)
    return made


def section(found: SampleRanking, whose: str, drawn: Html) -> Html:
    """The part of a page: figure, sentences and the table of all orders."""
    columns, rows = found.table()
    told = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in found.sentences()]
    return markup.section(
        f"Whether scores order networks as training does{whose}",
        drawn,
        *told,
        markup.table(columns, rows, columns[1:]),
        EXPLAINED,
    )


def _scatter(axes: Axes, found: SampleRanking) -> None:
    order, top = found.searched, found.searched.agreement.top
    figures.dress(axes, f"dot: a network; orange: the best {top} when trained alone")
    is_top = np.zeros(len(found.truth), bool)
    is_top[ranking.best(found.truth, top)] = True
    x, y = found.goal.measured(order.values), found.goal.measured(found.truth)
    (x_factor, x_unit), (y_factor, y_unit) = (figures.thousands(float(np.abs(values).max())) for values in (x, y))
    for mask, color in ((~is_top, figures.PALETTE[0]), (is_top, figures.PALETTE[1])):
        figures.dot_cloud(axes, x[mask] / x_factor, y[mask] / y_factor, color, count=len(x))
    axes.margins(x=0.06, y=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
    name = shortened(found.goal.label, 1.8, figures.TEXT_SIZE)
    axes.set_xlabel(f"{_named(name, x_unit)} in the search", size=figures.TEXT_SIZE, parse_math=False)
    label = f"{_named(name, y_unit)},\ntrained alone ({found.goal.direction})"
    axes.set_ylabel(label, size=figures.TEXT_SIZE, parse_math=False)


def _named(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _taus(axes: Axes, found: SampleRanking) -> None:
    """A dot with its interval for each order, from the top down, its name above it."""
    figures.dress(axes)
    taus = [order.agreement.kendall for order in found.orders]
    left = min((-0.05, *(end - 0.05 for tau in taus for end in (tau.value, tau.low) if not math.isnan(end))))
    for place, (order, tau) in enumerate(zip(found.orders, taus, strict=True)):
        color = figures.PALETTE[0] if order is found.searched else figures.GRAY
        if not math.isnan(tau.low):
            axes.plot([tau.low, tau.high], [place, place], color=color, linewidth=2)
        if not math.isnan(tau.value):
            axes.plot(tau.value, place, "o", color=color, markersize=7)
        name = shortened(order.name, LABEL - text_width(f": {tau}", figures.TEXT_SIZE), figures.TEXT_SIZE)
        text = f"{name}: {tau}"
        figures.note(axes, text, (left, place), (0, 5), "left", "bottom")
    axes.set_xlim(left, 1.04)
    axes.set_ylim(len(found.orders) - 0.5, -0.9)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(False, axis="y")
    axes.axvline(0, color="#777777", linewidth=0.8, zorder=1)
    axes.set_xlabel("Kendall's tau with the order when trained alone", size=figures.TEXT_SIZE)


def _figure(run: ReportedRun) -> Figure | None:
    return figure(run.ranking) if run.ranking else None


def _section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    assert run.ranking is not None  # else there is no figure
    return section(run.ranking, whose, drawn)


part = Part("ranking", "Networks by their score in the search and trained alone", _figure, _section)
