"""The part of a report on which genes matter, where that was asked for: shares of the variance as bars."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netwright.report import figures, markup
from netwright.report.importance import MOST_BARS, Importance, Share
from netwright.report.markup import Html
from netwright.report.reported import Part, ReportedRun
from netwright.report.text import shortened

ROW = 0.36  # inches, for a bar and the words above it
LEAST = 0.005  # a pair's share that is worth a bar
EXPLAINED = (
    "A share is what knowing that gene alone tells of the objective, as part of its variance over the whole space, "
    "every genotype equally likely; that of a pair is what the two tell together beyond it. Bars are means over "
    "resamples of the trials, lines span nine of ten of them. The numbers are those of a forest that has learned from "
    "the trials (functional analysis of variance): a small share may be nothing, and a gene whose effect is too weak "
    "to be learned has none."
)


def figure(found: Importance) -> Figure:
    """Bars: genes and pairs, and below them groups of genes where there are many."""
    shown = [(share, figures.PALETTE[0]) for share in found.genes[:MOST_BARS]]
    shown += [(share, figures.GRAY) for share in (found.rest,) if share]
    shown += [(share, figures.PALETTE[1]) for share in found.pairs if share.share >= LEAST]
    shown += [(share, figures.GRAY) for share in (found.further,) if share]
    panels = [("blue: one gene; orange: two together; gray: sums; line: nine of ten resamples", shown)]
    if found.groups:
        groups = [(share, figures.PALETTE[2]) for share in found.groups[:MOST_BARS]]
        panels.append(("all that genes of one meaning do among themselves", groups))
    heights = [len(bars) * ROW + 0.9 for _, bars in panels]
    made = Figure(figsize=(figures.SIZE[0], sum(heights)), layout="constrained", facecolor="white")
    for axes, (title, bars) in zip(
        made.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0], panels, strict=True
    ):
        figures.dress(axes, title)
        _bars(axes, bars)
    return made


def section(found: Importance, whose: str, drawn: Html) -> Html:
    """The part of a page: figure, what was learned from, and a table with all genes."""
    if found.note:
        return markup.section(f"Which genes matter{whose}", *found.sentences())
    columns = ("gene", "share", "nine of ten")
    every = markup.folded("all genes", markup.table(columns, [_row(share) for share in found.genes], columns[1:]))
    what = f"Shares of the variance of {found.metric}."
    return markup.section(f"Which genes matter{whose}", drawn, what, *found.sentences(), EXPLAINED, every)


def _bars(axes: Axes, bars: Sequence[tuple[Share, str]]) -> None:
    """A bar for each share from the top down, its name above it and its number behind it."""
    longest = max(share.high for share, _ in bars)
    for place, (share, color) in enumerate(bars):
        axes.barh(place, 100 * share.share, height=0.36, color=color)
        axes.plot([100 * share.low, 100 * share.high], [place, place], color=figures.INK, linewidth=1.2)
        name = shortened(share.name, figures.SIZE[0] - 0.5, figures.TEXT_SIZE)
        axes.text(0, place - 0.24, name, size=figures.TEXT_SIZE, va="bottom", color=figures.INK, parse_math=False)
        end = 100 * max(share.high, share.share) + 1.5 * longest
        axes.text(end, place, _percent(share.share), size=figures.TEXT_SIZE, va="center", color=figures.INK)
    axes.set_xlim(0, 118 * longest)
    axes.set_ylim(len(bars) - 0.5, -0.9)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(False, axis="y")
    axes.set_xlabel("share of the variance (%)", size=figures.TEXT_SIZE)


def _row(share: Share) -> tuple[str, str, str]:
    return share.name, _percent(share.share), f"{_percent(share.low)} to {_percent(share.high)}"


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.1 else f"{share:.1%}"


def _figure(run: ReportedRun) -> Figure | None:
    return None if run.importance is None or run.importance.note else figure(run.importance)


def _section(run: ReportedRun, whose: str, drawn: Html) -> Html:
    assert run.importance is not None  # else there is no figure
    return section(run.importance, whose, drawn)


def _instead(run: ReportedRun, whose: str) -> str:
    return "" if run.importance is None else section(run.importance, whose, Html(""))


part = Part("importance", "How much each gene decides", _figure, _section, _instead)
