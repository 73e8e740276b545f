"""The part of a report on genotypes that were measured several times: their spread beside that of all genotypes."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netwright.core.objectives import Objective
from netwright.report import figures, markup, spread
from netwright.report.history import History
from netwright.report.markup import Html
from netwright.report.reported import Part, ReportedRun
from netwright.report.spread import Spreads

MOST = 60  # genotypes that are drawn, evenly spread over their ranks where there are more
EXPLAINED = (
    "A measurement is a training of its own: of a generator with another network, of anything else with other first "
    "weights. That between genotypes is what a search gains by; that within is what a single measurement is wrong by."
)


def figure(history: History, found: Spreads) -> Figure:
    """A column of dots for each genotype, ordered by the mean of the first objective; a panel for each objective."""
    places = np.unique(np.linspace(0, len(found.places) - 1, min(MOST, len(found.places))).astype(int))
    width, height = figures.SIZE
    down = len(found.spreads)
    made = Figure(figsize=(width, down * (height - 0.2)), layout="constrained", facecolor="white")
    for number, axes in enumerate(made.subplots(down, 1, squeeze=False, sharex=True)[:, 0]):
        text = f"dot: a measurement; bar: mean of a genotype, best {found.spreads[0].objective.label} first"
        figures.dress(axes, "" if number else text)
        goal = found.spreads[number].objective
        _columns(axes, [goal.measured(history.points[found.places[place], number]) for place in places], goal)
    axes.set_xlabel(
        "genotypes" if len(places) == len(found.places) else f"{len(places)} genotypes", size=figures.TEXT_SIZE
    )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return made


def section(found: Spreads, whose: str, drawn: Html) -> Html:
    """The part of a page: figure, table and sentences."""
    columns = ("objective", "within", "between", "share between", "95 %", "within the better half", "worse half")
    rows = [
        (
            each.objective.label,
            each.objective.amount(each.within),
            each.objective.amount(each.between),
            f"{each.share:.0%}",
            f"{each.low:.0%} to {each.high:.0%}",
            each.objective.amount(each.good),
            each.objective.amount(each.poor),
        )
        for each in found.spreads
    ]
    table = markup.table(columns, rows, columns[1:])
    told = f"{spread.title(found)}. Standard deviations:"
    return markup.section(
        f"Spread of repeated measurements{whose}",
        drawn,
        told,
        table,
        *found.sentences(),
        EXPLAINED,
    )


def _columns(axes: Axes, groups: list[np.ndarray], goal: Objective) -> None:
    factor, label = figures.scale(goal, max(float(np.abs(group).max()) for group in groups))
    for place, group in enumerate(groups, 1):
        axes.plot([place] * len(group), group / factor, "o", color=figures.PALETTE[0], alpha=0.45, markersize=4, mew=0)
        axes.plot([place - 0.4, place + 0.4], [group.mean() / factor] * 2, color=figures.PALETTE[1], linewidth=2)
    axes.set_xlim(0, len(groups) + 1)
    axes.set_ylabel(label.replace(" (", "\n("), size=figures.TEXT_SIZE, parse_math=False)
    figures.group_thousands(axes)


def _figure(run: ReportedRun) -> Figure | None:
    found = spread.of_history(run.history, run.objectives)
    return figure(run.history, found) if found else None


def _section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    found = spread.of_history(run.history, run.objectives)
    assert found is not None  # else there is no figure
    return section(found, whose, drawn)


part = Part("spread", "Genotypes that were measured several times", _figure, _section)
