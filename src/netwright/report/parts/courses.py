"""The part of a report on how networks got better while they were trained, where that was measured on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from netwright.core.finals import Final
from netwright.core.objectives import Objective, short
from netwright.report import curves, figures, markup
from netwright.report.figures import RunData
from netwright.report.history import History
from netwright.report.markup import Html
from netwright.report.reported import Part, ReportedRun

LEAST = 3  # points that make a curve
MOST = 6  # curves
LOGARITHMIC = 4.0  # times the least that the highest must be for an axis of equal ratios


@dataclass(frozen=True)
class TrainingCurve:
    """What was measured of a network during its training.

    Args:
        label: What the network is, for people.
        points: Steps, and the value after them.
        objective: What was measured.
    """

    label: str
    points: tuple[tuple[int, float], ...]
    objective: Objective


def courses(run: ReportedRun) -> list[TrainingCurve]:
    """Those of networks trained in full; where none was measured on the way, those of the best of the search."""
    full = [
        TrainingCurve(final.name, final.curve, _shown(final.objective, final.curve, _first(final)))
        for final in run.finals
    ]
    best = curves.finalists(run.history, MOST)
    searched = [
        TrainingCurve(f"trial {trial.id}", result.curve, _shown(run.objective, result.curve, result.metrics[measured]))
        for trial in best
        if (result := trial.result) and (measured := next(iter(result.metrics), "")) == run.objective.name
    ]
    listed = ([each for each in found if len(each.points) >= LEAST] for found in (full, searched))
    return next((found[:MOST] for found in listed if found), [])


def _first(final: Final) -> float:
    """What the training whose curve there is came to: the first."""
    return final.repetitions[0].value if final.repetitions else final.mean


def _shown(objective: Objective, points: tuple[tuple[int, float], ...], value: float) -> Objective:
    """What a curve shows: what was measured at the end of the training, where it ends in that value.

    Else validation data was measured on the way, for a training that goes by it.
    """
    ends_in_it = bool(points) and math.isclose(points[-1][1], value, rel_tol=1e-12)
    return objective if ends_in_it else objective.moved_to("valid")


def figure(found: list[TrainingCurve]) -> Figure:
    """A line for each of at least one."""
    data = [RunData(each.label, History.of([]), each.objective) for each in found]
    made, axes = figures.start("dot: the best of each")
    for number, each in enumerate(found):
        steps, values = np.array(each.points).T
        color, style = figures.ink(number)
        axes.plot(steps, values, color=color, linestyle=style, linewidth=1.6)
        if not np.isnan(values).all():
            best = int(np.nanargmin(values) if each.objective.is_minimized else np.nanargmax(values))
            axes.plot(steps[best], values[best], "o", color=color, markersize=6)
    values = np.array([value for each in found for _, value in each.points])
    values = values[np.isfinite(values)]
    if len(values) and 0 < LOGARITHMIC * values.min() < values.max():
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:,g}")
        axes.yaxis.set_minor_formatter("{x:,g}")
        axes.tick_params(which="minor", labelsize=figures.TEXT_SIZE - 0.5, labelcolor=figures.INK)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", nbins=5)
    axes.set_xlabel("steps of training", size=figures.TEXT_SIZE)
    axes.set_ylabel(figures.objective_label(data), size=figures.TEXT_SIZE, parse_math=False)
    return figures.with_legend(made, data)


def _figure(run: ReportedRun) -> Figure | None:
    found = courses(run)
    return figure(found) if found else None


def _section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    rows = []
    for each in courses(run):
        values = [value for _, value in each.points]
        best = min(values) if each.objective.is_minimized else max(values)
        at = next(step for step, value in each.points if value == best)
        rows.append((f"{each.label}: {each.objective.label}", short(best), f"{at:,}", short(values[-1])))
    columns = ("network", "best", "at step", "at the end")
    return markup.section(f"While they were trained{whose}", drawn, markup.table(columns, rows, columns[1:]))


part = Part("courses", "What was measured while networks were trained", _figure, _section)
