"""The part of a report on what a strategy learned: its model round by round, from its notes (`records.MODEL`)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netwright.core.objectives import Objective, short
from netwright.report import curves, figures, markup
from netwright.report.curves import LearnedRound, Learning
from netwright.report.markup import MISSING, Html
from netwright.report.reported import Part, ReportedRun
from netwright.report.text import printable

PANEL = (2.2, 1.9)  # inches
ACROSS = 2  # panels


def measures(rounds: Sequence[LearnedRound]) -> list[str]:
    """Every measure that some round has, in order of first appearance."""
    return list(dict.fromkeys(name for each in rounds for name in each.model))


def figure(rounds: Sequence[LearnedRound]) -> Figure:
    """A small panel for each measure, over at least one round."""
    names = measures(rounds)
    across = min(ACROSS, len(names))
    down = -(-len(names) // across)
    made = Figure(figsize=(across * PANEL[0], down * PANEL[1]), layout="constrained", facecolor="white")
    for place, name in enumerate(names, 1):
        axes = made.add_subplot(down, across, place)
        axes.set_title(printable(_named(name)), loc="left", size=figures.TEXT_SIZE, color=figures.INK, parse_math=False)
        shown = [(each.number, each.model[name]) for each in rounds if name in each.model]
        axes.plot(*zip(*shown, strict=True), "-o", color=figures.PALETTE[0], markersize=4.5, linewidth=1.2)
        axes.set_xlim(rounds[0].number - 0.5, rounds[-1].number + 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.tick_params(labelsize=figures.TEXT_SIZE - 0.5, color="#777777", labelcolor=figures.INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(True, color="#e6e6e6", linewidth=0.7)
        if place > len(names) - across:
            axes.set_xlabel("round", size=figures.TEXT_SIZE)
    return made


def section(whose: str, learning: Learning, drawn: Html, objective: Objective) -> Html:
    """The part of a page: figure, and a table with a row for each round.

    Args:
        whose: Words put after the title, as in " of a run".
        learning: At least one round.
        drawn: The figure with its caption.
        objective: The first one, whose best of each round is shown as measured.
    """
    rounds, names = learning.rounds, measures(learning.rounds)
    columns = ("round", "trials", f"best {objective.label}", *map(_named, names))
    rows = [
        (
            str(each.number),
            f"{each.trials:,}",
            MISSING if each.best is None else short(objective.measured(each.best)),
            *(short(each.model[name]) if name in each.model else MISSING for name in names),
        )
        for each in rounds
    ]
    more = f"{learning.left_out:,} rounds in between are left out here." if learning.left_out else ""
    return markup.section(f"What the strategy learned{whose}", drawn, markup.table(columns, rows, columns), more)


def _figure(run: ReportedRun) -> Figure | None:
    found = curves.learning(run.history).rounds
    return figure(found) if found else None


def _section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    return section(whose, curves.learning(run.history), drawn, run.objective)


def _named(measure: str) -> str:
    return measure.replace("_", " ")


part = Part("model", "The model that the strategy learns with, after each of its rounds", _figure, _section)
