"""A search as a page shows it, and the parts of the page that only some searches have.

Each such part is a file in `report/parts/`, which is asked whether it has something to show of a run; nothing else
knows which parts there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from netwright.core import objectives
from netwright.core.baselines import Baseline
from netwright.core.finals import Final
from netwright.core.members import members
from netwright.core.objectives import Objective
from netwright.core.protocols import SearchSpace
from netwright.core.records import IO
from netwright.core.run_file import RunFile
from netwright.report.figures import RunData
from netwright.report.history import History
from netwright.report.importance import Importance
from netwright.report.markup import Html
from netwright.report.ranking import SampleRanking
from netwright.report.retrained import RetrainedFront


@dataclass(frozen=True)
class ReportedRun:
    """One search to be reported.

    Args:
        name: What figures and tables call the run.
        run: The run file.
        history: The finished trials.
        space: The space that was searched.
        hours: Wall-clock hours of searching; None: not known.
        finals: Networks trained in full, in order of display.
        workers: Number of workers at a time; None: not known.
        command: The command that started the search.
        versions: Versions of Python, packages and system when the search began.
        caveats: Sentences to stand beside any result on its data.
        simulated_hours: Hours on the clock of a simulated cluster; None: the clock was a real one.
        measures: What the evaluator measures, and how that is shown; any other metric is shown as a number.
        baselines: What results are to be compared with.
        faults: What of its tables is damaged or missing and was left out, a sentence each.
        verdict: How what ships does beside a plain network, where they contested; "": they did not.
        shipped: What ships, where there was a contest, one of `finals`; None: there was none, or it is not over.
        io: What goes into the networks and what comes out; None: not known.
        place: The folder of the run, which the next commands name; None: it lies in none.
        export: The folder in it that holds what ships; None: there is none.
        reference_point: What hypervolumes are measured from, as measured; None: there is one objective, or too few
            trials have finished.
        importance: Which genes matter, where that was asked for.
        overlaid: All runs of the page in their order, this one among them; empty: it is alone.
        retrained: The front as it was trained anew from other seeds; None: it was not.
        ranking: What a sample of the networks that was trained alone says of the scores; None: none was.
    """

    name: str
    run: RunFile
    history: History
    space: SearchSpace
    hours: float | None = None
    finals: tuple[Final, ...] = ()
    workers: int | None = None
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    simulated_hours: float | None = None
    measures: tuple[Objective, ...] = ()
    baselines: tuple[Baseline, ...] = ()
    faults: tuple[str, ...] = ()
    verdict: str = ""
    shipped: Final | None = None
    io: IO | None = None
    place: Path | None = None
    export: Path | None = None
    reference_point: tuple[float, ...] | None = None
    importance: Importance | None = None
    overlaid: tuple[ReportedRun, ...] = ()
    retrained: RetrainedFront | None = None
    ranking: SampleRanking | None = None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives of the search; curves and tables are ordered by the first."""
        return objectives.shown(self.run.objectives, self.measures)

    @property
    def objective(self) -> Objective:
        """The first objective."""
        return objectives.first(self.run.objectives, self.measures)

    @property
    def metrics(self) -> tuple[Objective, ...]:
        """What is reported beside the objectives."""
        return objectives.beside(self.run.metrics, self.measures)

    @property
    def data(self) -> RunData:
        """The run as the figures see it."""
        return RunData(self.name, self.history, self.objective)


@dataclass(frozen=True)
class Part:
    """A part of the page, between the curves of the search and the lineage of its best network.

    Args:
        name: Name of its figure and of the figure's files, different for each part: letters and digits.
        caption: What the figure shows.
        figure: Draws the figure of a run; gives None where there is nothing to show, and then there is no such part.
        section: Writes the part, given the run, words put after the title, as in " of a run", and the figure with its
            caption.
        instead: What stands there where there is no figure; "": nothing.
    """

    name: str
    caption: str
    figure: Callable[[ReportedRun], Figure | None]
    section: Callable[[ReportedRun, str, Html], Html]
    instead: Callable[[ReportedRun, str], str] = lambda _run, _whose: ""


def parts() -> list[Part]:
    """All parts, in the order in which they stand on the page: that of the names of their files."""
    return members("netwright.report.parts", "part")
