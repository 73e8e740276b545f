"""The part of a report on the training of weights that networks share: what it took before each round."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from netwright.core import trained_rounds
from netwright.core.trained_rounds import TrainedRound
from netwright.report import figures, markup
from netwright.report.markup import Html
from netwright.report.reported import Part, ReportedRun

PANEL = (4.6, 2.6)  # inches


def figure(rounds: Sequence[TrainedRound]) -> Figure:
    """Loss over the minutes of shared training, a dot for each of at least one round."""
    made = Figure(figsize=PANEL, layout="constrained", facecolor="white")
    axes = made.add_subplot()
    minutes, losses = [each.seconds / 60 for each in rounds], [each.loss for each in rounds]
    axes.plot(minutes, losses, "-o", color=figures.PALETTE[0], markersize=4.5, linewidth=1.2)
    axes.set_xlim(0, 1.06 * minutes[-1])
    axes.set_xlabel("minutes of shared training", size=figures.TEXT_SIZE)
    axes.set_ylabel("training loss", size=figures.TEXT_SIZE)
    axes.tick_params(labelsize=figures.TEXT_SIZE - 0.5, color="#777777", labelcolor=figures.INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(True, color="#e6e6e6", linewidth=0.7)
    return made


def section(whose: str, rounds: Sequence[TrainedRound], drawn: Html) -> Html:
    """The part of a page: figure, and a table with a row for each round.

    Args:
        whose: Words put after the title, as in " of a run".
        rounds: At least one round.
        drawn: The figure with its caption.
    """
    columns = ("round", "networks trained", "steps so far", "minutes so far", "training loss")
    rows = [
        (str(each.round), f"{each.networks:,}", f"{each.steps:,}", f"{each.seconds / 60:,.1f}", f"{each.loss:.4g}")
        for each in rounds
    ]
    note = (
        f"{trained_rounds.sentence(rounds).capitalize()}. Scores are those of paths through these weights: they rank "
        "networks, and are no estimate of what a network gives that is trained alone."
    )
    return markup.section(f"Shared weights{whose}", drawn, markup.table(columns, rows, columns), note)


def _rounds(run: ReportedRun) -> list[TrainedRound]:
    return trained_rounds.noted(run.place / trained_rounds.SHARED) if run.place else []


def _figure(run: ReportedRun) -> Figure | None:
    found = _rounds(run)
    return figure(found) if found else None


def _section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    return section(whose, _rounds(run), drawn)


part = Part("shared", "The training of shared weights, before each round of scores", _figure, _section)
