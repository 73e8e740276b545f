"""One search as a notebook shows it: verdict, numbers, the curve of the best so far, the best architecture.

Pictures are images within the text, so that several outputs of one notebook share no ids, and nothing is fetched.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape

from matplotlib.figure import Figure

from netwright.core.baselines import beside
from netwright.core.protocols import of_seed
from netwright.report import drawing, figures, files, markup, progress
from netwright.report.markup import Html
from netwright.report.reported import ReportedRun

_STYLE = "font-family:sans-serif;max-width:46em;padding:.8em;border:1px solid #8886;border-radius:6px"
_PICTURE = "background:#fff;max-width:100%;height:auto;display:block;margin-top:.6em"


def card(run: ReportedRun) -> Html:
    """A piece of HTML that stands for itself."""
    history, best = run.history, run.history.best_trial
    told = [f"<b>{escape(run.name)}</b>"]
    if run.verdict:
        told.append(f"<b>{escape(run.verdict[:1].upper() + run.verdict[1:])}.</b>")
    told += [
        escape(f"{final.label}: {final.objective.label} {final.objective.text(final.mean)}") for final in run.finals
    ]
    failed = f", {history.failed:,} of them failed" if history.failed else ""
    told.append(
        f"{len(history):,} trials finished{failed}; {escape(f'{run.run.strategy.name} on {run.run.space.name}')}"
    )
    if worked := progress.work(len(history), int(history.is_reused.sum())):
        told.append(worked)
    pictures = []
    if best is not None and best.scores is not None:
        value = run.objective.measured(best.scores[0])
        known = f"{run.objective.text(value)} {beside(run.objective, value, run.baselines)}"
        told.append(escape(f"best: trial {best.id}, {run.objective.label} {known}"))
        curve = figures.best([run.data])
        graph = of_seed(run.space, best.seed).graph(best.proposal.genotype)
        pictures = [
            *([_picture(curve, f"Best {run.objective.label} so far after each trial")] if curve else []),
            _picture(drawing.draw(graph), "Best architecture", drawing.draw_narrow(graph)),
        ]
    elif len(history):
        told.append("no trial has succeeded yet")
    told += [escape(f"note: {caveat}") for caveat in (*run.caveats, *run.faults)]
    body = "".join(f"<div>{line}</div>" for line in told)
    return Html(f'<div style="{_STYLE}">{body}{"".join(pictures)}</div>')


def _picture(figure: Figure, caption: str, narrow: Figure | None = None) -> str:
    """An image, or on narrow screens another one where it is given; it scrolls rather than shrink beyond reading."""
    address, least = _image(figure, caption), narrow or figure
    source = "" if narrow is None else f'<source media="(max-width: 560px)" srcset="{_image(narrow, caption)}">'
    width = 72 * least.get_figwidth() * markup.SMALLEST / files.smallest_text(least)
    image = f'<img alt="{escape(caption)}" style="{_PICTURE};min-width:{width:.0f}px" src="{address}">'
    return f'<div style="overflow-x:auto"><picture>{source}{image}</picture></div>'


def _image(figure: Figure, salt: str) -> str:
    return f"data:image/svg+xml;base64,{b64encode(files.svg(figure, salt).encode()).decode()}"
