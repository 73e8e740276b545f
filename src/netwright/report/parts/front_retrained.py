"""The part of a report on a front that was trained anew: what each point was in the search, and what it is now."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netwright.report import figures, markup
from netwright.report.markup import Html
from netwright.report.reported import Part, ReportedRun
from netwright.report.retrained import RetrainedFront

MOST_NAMED = 12  # points that carry their trial's number


def figure(found: RetrainedFront) -> Figure:
    """Each point of the front by the first two objectives, from the search's value to the new mean with its spread."""
    made, axes = figures.start("ring: in the search; dot: now, with one deviation; pale: dominated now")
    up, right = found.goals[:2]
    (x_factor, x_label), (y_factor, y_label) = (
        figures.scale(goal, max(abs(point.new[place].value) for point in found.points))
        for place, goal in ((1, right), (0, up))
    )
    color = figures.PALETTE[0]
    for point in found.points:
        before = np.array([point.old[1], point.old[0]]) / (x_factor, y_factor)
        now = np.array([point.new[1].value, point.new[0].value]) / (x_factor, y_factor)
        alpha = 1.0 if point.is_on_front else 0.4
        axes.plot(*np.array([before, now]).T, color=figures.GRAY, linewidth=1.0, zorder=1)
        axes.plot(*before, "o", markersize=6, markerfacecolor="white", markeredgecolor=figures.GRAY, zorder=2)
        axes.errorbar(
            now[0],
            now[1],
            xerr=(point.new[1].sd or 0.0) / x_factor,
            yerr=(point.new[0].sd or 0.0) / y_factor,
            fmt="o",
            color=color,
            alpha=alpha,
            markersize=6,
            elinewidth=1.2,
            zorder=3,
        )
        if len(found.points) <= MOST_NAMED:
            figures.note(axes, str(point.trial), (float(now[0]), float(now[1])), (7, -3), "left", "top")
    axes.margins(x=0.12, y=0.14)
    axes.set_xlabel(x_label, size=figures.TEXT_SIZE, parse_math=False)
    axes.set_ylabel(y_label.replace(" (", "\n("), size=figures.TEXT_SIZE, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    figures.group_thousands(axes)
    return made


def section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    """The part of a page: figure, sentences, and the table of old and new values."""
    assert run.retrained is not None, "else there is no figure"
    columns, rows = run.retrained.table()
    told = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in run.retrained.sentences()]
    table = markup.table(columns, rows, columns[:-1])
    return markup.section(f"The front, trained anew{whose}", drawn, *told, table)


def _figure(run: ReportedRun) -> Figure | None:
    return figure(run.retrained) if run.retrained else None


part = Part("frontRetrained", "The front, as the search measured it and as it was trained anew", _figure, section)
