"""The parts of a run with what estimates the latency of its networks, by the table that its folder keeps."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from netwright.core import building
from netwright.core.building import Parts
from netwright.core.latency import EstimatesLatency, LatencySettings
from netwright.core.protocols import SearchSpace
from netwright.core.records import IO
from netwright.core.run_file import RunFile
from netwright.runs import run_folder
from netwright.training.latency.table import FACT, LatencyTable


def build(run: RunFile, folder: Path) -> Parts:
    """Every object of the run of a folder, which need not be there yet; see `building.build`.

    Where the run asks for the latency, a table that the folder keeps is used, so that nothing is measured again.
    """

    def estimating(space: SearchSpace, io: IO) -> EstimatesLatency:
        return LatencyTable(space, io, run.latency or LatencySettings(), _stored(folder))

    return building.build(run, estimating)


def _stored(folder: Path) -> str | None:
    """The table of a folder, as text; None: it keeps none."""
    if not run_folder.holds_run(folder):
        return None
    with closing(run_folder.open_table(folder, "read")) as store:
        return store.recall(FACT)
