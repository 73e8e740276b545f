"""The part of a report on the budgets of a search: what finished on each rung, and whether the rungs agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from netwright.core import objectives
from netwright.core.objectives import UNNAMED, Objective, short
from netwright.core.records import Trial
from netwright.report import figures, markup, promotions
from netwright.report.markup import MISSING, Html
from netwright.report.promotions import Budgets, Rung
from netwright.report.reported import Part, ReportedRun

MOST_BRACKETS = 100  # in their table
LINES = 500  # at most, of networks in the figure, and as many dots


def figure(trials: Sequence[Trial], objective: Objective = UNNAMED) -> Figure:
    """The objective over the budget: a line for each network that was promoted, a dot for each trial that was not.

    The best line is drawn over the others; of very many lines some are left out.
    """
    shown = figures.RunData("", trials, objective)
    made, axes = figures.start(
        "line: a promoted network, the best of them in color; dot: a trial that was not promoted"
    )
    ladder = sorted({trial.proposal.budget for trial in trials if trial.proposal.budget is not None})
    place = {budget: number for number, budget in enumerate(ladder)}

    def path(given: Sequence[Trial]) -> tuple[list[int], list[float]]:
        scored = [(t.proposal.budget, objectives.score_of(t)) for t in given]
        points = [(place[b], objective.measured(score)) for b, score in scored if b and score is not None]
        return [x for x, _ in points], [y for _, y in points]

    ends = [(line, objectives.best(line)) for line in promotions.lines(trials)]
    followed = [(line, end) for line, end in ends if end and end.proposal.budget]
    promoted = {trial.id for line, _ in followed for trial in line}
    alone = [trial for trial in trials if trial.id not in promoted]
    axes.plot(*path([alone[n] for n in _every(len(alone))]), "o", color="#999999", alpha=0.6, markersize=4, mew=0)
    for number in _every(len(followed)):
        axes.plot(*path(followed[number][0]), "-o", color="#6b8fa8", alpha=0.7, markersize=3.5, linewidth=1.1)
    if followed:
        line, end = max(followed, key=lambda found: objectives.rank(found[1]))
        x, y = path(line)
        axes.plot(x, y, "-o", color=figures.PALETTE[1], markersize=5, linewidth=2)
        axes.margins(x=0.12, y=0.1)
        figures.note(axes, f"trial {end.id}: {short(y[-1])}", (x[-1], y[-1]), (7, 0), "left", "center")
    axes.set_xticks(range(len(ladder)), [f"{budget:,}" for budget in ladder])
    axes.set_xlim(-0.3, len(ladder) - 0.4)
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
    columns = ("", *(f"budget {budget:,}" for budget in ladder), "best")
    numbered = list(found.brackets.items())
    named = [("all", found.rungs), *((f"bracket {number}", rungs) for number, rungs in numbered[:MOST_BRACKETS])]
    rows = []
    for name, rungs in named:
        cells = {rung.budget: _rung(rung) for rung in rungs}
        best = next((rung.best for rung in reversed(rungs) if rung.best is not None), None)  # of the judged budget
        shown = MISSING if best is None else short(objective.measured(best))
        rows.append((name, *(cells.get(budget, MISSING) for budget in ladder), shown))
    if len(numbered) > MOST_BRACKETS:
        rows.append((f"and {len(numbered) - MOST_BRACKETS:,} more", *([""] * len(ladder)), ""))
    agreed = markup.table(
        ("budgets", "networks", "Spearman", "Kendall"),
        [
            (f"{a.low:,} and {a.high:,}", f"{a.networks:,}", _correlation(a.spearman), _correlation(a.kendall))
            for a in found.agreements
        ],
        ("networks", "Spearman", "Kendall"),
    )
    note = (
        "Rank agreement: whether scores at a small budget order networks as those at a larger one do, over the "
        "networks that were promoted and so have both; 1: alike, 0: not at all."
    )
    return markup.section(f"Budgets{whose}", drawn, markup.table(columns, rows, columns[1:]), note, agreed)


def _figure(run: ReportedRun) -> Figure | None:
    return figure(run.trials, run.objective) if promotions.summarize(run.trials) else None


def _section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    found = promotions.summarize(run.trials)
    assert found is not None  # else there is no figure
    return section(whose, found, drawn, run.objective)


def _rung(rung: Rung) -> str:
    """Counts of the trials of a budget, in a few words."""
    more = [f"{count:,} {what}" for count, what in ((rung.promoted, "promoted"), (rung.failed, "failed")) if count]
    return ", ".join([f"{rung.trials:,}", *more])


def _correlation(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.2f}"


def _every(count: int) -> list[int]:
    """Positions of `count` things: all of them, or LINES that are evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, LINES)).astype(int)).tolist() if count else []


part = Part("budgets", "The same networks at one budget after another", _figure, _section)
