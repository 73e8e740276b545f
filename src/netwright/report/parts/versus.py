"""The part of a report on several runs: what searches gained over random networks, and whose front dominates whose."""

from __future__ import annotations

import numpy as np

from netwright.report import markup, versus
from netwright.report.markup import Html
from netwright.report.reported import Part, ReportedRun

EXPLAINED = (
    "Searched over random is the mean of what a search found by that of random networks of its space, measured alike; "
    "the interval is of both resampled. A front dominates another one if every point of that one is beaten. Points of "
    "fronts were measured once each, and are the lucky ones among many."
)


def told(run: ReportedRun, _whose: str = "") -> str:
    """The part of a page about all runs that it overlays; "" where there is nothing to compare."""
    runs = run.overlaid
    said = [advantage.sentence() for advantage in versus.advantages(runs, np.random.default_rng(0))]
    said += [each.sentence() for each in versus.dominations(runs)]
    return markup.section("Beside each other", *said, EXPLAINED) if said else ""


def _section(_run: ReportedRun, _whose: str, drawn: Html) -> Html:
    return drawn


part = Part("versus", "", lambda _run: None, _section, told)
