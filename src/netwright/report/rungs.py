"""The part of a report on the budgets of a search: what finished on each rung, and whether the rungs agree."""

from __future__ import annotations

import math

from netwright.report import figures, markup
from netwright.report.budgets import Budgets, Rung
from netwright.report.markup import Html
from netwright.report.trained import MISSING

MOST_BRACKETS = 100  # in their table


def section(whose: str, found: Budgets, drawn: Html, objective: str) -> Html:
    """Figure and tables.

    Args:
        whose: Put after the title, as in " of a run".
        found: Of the search.
        drawn: The figure.
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
        shown = MISSING if best is None else figures.short(-best if figures.is_minimized(objective) else best)
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


def _rung(rung: Rung) -> str:
    """Trials of a budget in a few words."""
    more = [f"{count:,} {what}" for count, what in ((rung.promoted, "promoted"), (rung.failed, "failed")) if count]
    return ", ".join([f"{rung.trials:,}", *more])


def _correlation(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.2f}"
