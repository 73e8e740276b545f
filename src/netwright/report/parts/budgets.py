"""The part of a report on the budgets of a search: what finished on each rung, and whether the rungs agree."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from netwright.core.objectives import UNNAMED, Objective, short
from netwright.report import curves, figures, markup, promotions
from netwright.report.history import History
from netwright.report.markup import MISSING, Html
from netwright.report.promotions import Budgets, Rung
from netwright.report.reported import Part, ReportedRun

MOST_BRACKETS = 100  # in their table
LINES = 500  # at most, of networks in the figure, and as many dots
NAMED = 20  # budgets along the axis that are named


def figure(history: History, objective: Objective = UNNAMED) -> Figure:
    """The objective over the budget: a line for each network that was promoted, a dot for each trial that was not.

    The best line is drawn over the others; of very many lines some are left out.
    """
    shown = figures.RunData("", history, objective)
    found, values = promotions.lines(history), figures.shown_scores(shown)
    ladder = np.unique(history.budgets[history.budgets > 0])
    followed = np.flatnonzero(np.where(found.bests >= 0, history.budgets[found.bests], 0) > 0)
    alone = np.flatnonzero(~found.members(followed))
    drawn, dots = curves.spread(followed, LINES), curves.spread(alone, LINES)
    parts = [_left_out(len(drawn), len(followed), "line: a promoted network, the best of them in color")]
    parts.append(_left_out(len(dots), len(alone), "dot: a trial that was not promoted"))
    made, axes = figures.start("; ".join(parts))

    def path(places: list[int]) -> tuple[list[int], list[float]]:
        kept = [k for k in places if history.budgets[k] > 0 and not np.isnan(history.scores[k])]
        return np.searchsorted(ladder, history.budgets[kept]).tolist(), values[kept].tolist()

    few = len(alone) + len(followed) < figures.FEW
    axes.plot(*path(dots.tolist()), "o", color=figures.GRAY, alpha=0.8, markersize=6 if few else 4, mew=0, zorder=2.5)
    for number in drawn.tolist():
        marker = 6 if few else 3.5
        axes.plot(*path(found.line(number)), "-o", color="#6b8fa8", alpha=0.7, markersize=marker, linewidth=1.1)
    if len(followed):
        ends = found.bests[followed]
        best = np.lexsort((-history.scores[ends], -history.budgets[ends]))[0]
        x, y = path(found.line(int(followed[best])))
        axes.plot(x, y, "-o", color=figures.PALETTE[1], markersize=7, linewidth=1.6)
        axes.margins(x=0.12, y=0.16)
        text = f"trial {history.ids[ends[best]]}: {short(y[-1])}"
        figures.note(axes, text, (x[-1], y[-1]), (4, 9), "right", "bottom")
    ticks = curves.spread(np.arange(len(ladder)), NAMED).tolist()
    axes.set_xticks(ticks, [f"{ladder[tick]:,}" for tick in ticks])
    axes.set_xlim(-0.3, len(ladder) - 0.7)
    axes.set_xlabel("budget", size=figures.TEXT_SIZE)
    axes.set_ylabel(figures.objective_label([shown]), size=figures.TEXT_SIZE, parse_math=False)
    figures.group_thousands(axes)
    return made


def section(whose: str, found: Budgets, drawn: Html, objective: Objective) -> Html:
    """The part of a page: figure, rungs and brackets, and rank agreement.

    Args:
        whose: Words put after the title, as in " of a run".
        found: The summary of the search.
        drawn: The figure with its caption.
        objective: The first one, whose best at each budget is shown as measured.
    """
    ladder = [rung.budget for rung in found.rungs]
    columns = ("", "best", *(f"budget {budget:,}" for budget in ladder))
    named = [("all", found.rungs), *((f"bracket {number}", rungs) for number, rungs in found.brackets.items())]
    rows = []
    for name, rungs in named:
        cells = {rung.budget: _rung(rung) for rung in rungs}
        best = next((rung.best for rung in reversed(rungs) if rung.best is not None), None)  # of the judged budget
        shown = MISSING if best is None else short(objective.measured(best))
        rows.append((name, shown, *(cells.get(budget, MISSING) for budget in ladder)))
    if found.more_brackets:
        rows.append((f"and {found.more_brackets:,} more", "", *([""] * len(ladder))))
    agreed = markup.table(
        ("budgets", "networks", "which", "Spearman", "Kendall"),
        [
            (
                f"{a.low:,} and {a.high:,}",
                f"{a.networks:,}",
                "promoted ones" if a.selected else "all, none selected",
                _correlation(a.spearman),
                _correlation(a.kendall),
            )
            for a in found.agreements
        ],
        ("networks", "Spearman", "Kendall"),
    )
    note = (
        "Rank agreement: whether scores at a small budget order networks as those at a larger one do; 1: alike, 0: "
        f"not at all. {_of_whom(found)}"
    )
    more = f"{found.more_budgets:,} other budgets are left out here." if found.more_budgets else ""
    return markup.section(f"Budgets{whose}", drawn, markup.table(columns, rows, columns[1:]), more, note, agreed)


def _figure(run: ReportedRun) -> Figure | None:
    return figure(run.history, run.objective) if promotions.summarize(run.history, 0) else None


def _section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    found = promotions.summarize(run.history, MOST_BRACKETS)
    assert found is not None  # else there is no figure
    return section(whose, found, drawn, run.objective)


def _of_whom(found: Budgets) -> str:
    """Which networks the rank agreement is of, and what that means for it."""
    if any(each.selected for each in found.agreements):
        return (
            "It is over the networks that were promoted, which alone have both, and not over all: that the best were "
            "selected lowers it (of the better two of every four, 0.52 becomes 0.41), and that they went on from where "
            "they stopped raises it."
        )
    return (
        "It is over all networks, each measured at every budget, so that no selection lowers it. Trainings of one "
        "network have the same first weights; where evaluator.horizon is given they went on from each other, which "
        "raises it, else each began anew."
    )


def _left_out(shown: int, count: int, text: str) -> str:
    """The text of a legend, with how many are shown where that is not all."""
    return text if shown == count else f"{text} ({shown:,} of {count:,})"


def _rung(rung: Rung) -> str:
    """Counts of the trials of a budget, in a few words."""
    more = [f"{count:,} {what}" for count, what in ((rung.promoted, "promoted"), (rung.failed, "failed")) if count]
    return ", ".join([f"{rung.trials:,}", *more])


def _correlation(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.2f}"


part = Part("budgets", "The same networks at one budget after another", _figure, _section)
