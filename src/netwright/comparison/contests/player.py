"""A process that plays cells on real tasks, each a run in its folder: `python -m netwright.comparison.contests.player`.

A process that is killed leaves a killed run on disk; the next process that plays the cell goes on with it. SIGTERM has
the trials under way write down where they stand first.
"""

from __future__ import annotations

import shlex
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from rich.console import Console

from netwright.comparison import courses, player, strategy_refs
from netwright.comparison.contests import cell_runs
from netwright.comparison.courses import Course, SearchCell
from netwright.controller import Search
from netwright.core import run_file
from netwright.core.errors import Terminated
from netwright.core.records import Trial
from netwright.report.history import History
from netwright.runs import latencies, ownership, retraining
from netwright.runs.ownership import OpenRun
from netwright.runs.session import Session

PROGRAM = "netwright.comparison.contests.player"


@dataclass(frozen=True)
class ContestOrder:
    """What is played: run file and folder of each cell, by the text of `named`."""

    cells: Mapping[str, tuple[str, str]]
    is_full: bool


def named(cell: SearchCell) -> str:
    """A cell as one text, different for each cell."""
    return f"{cell.seed} {cell.problem} {cell.strategy}"


class ContestPlayer:
    """Plays the cells of an order, a `ContestOrder` as JSON has it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._cells, self._is_full = order["cells"], order["is_full"]
        self._session = Session(Console(stderr=True), _stopped_by_sigterm, "")

    def lines(self, order: dict[str, Any]) -> Iterator[str]:
        """Plays the `seeds` of one `strategy` on one `problem`."""
        return player.answers(order, self._played)

    def _played(self, cell: SearchCell) -> str:
        text, folder = self._cells[named(cell)]
        settings, place = run_file.from_toml(text), Path(folder)
        with ownership.opened(place, settings) as run:
            where = shlex.quote(folder)
            ended = self._session.play(
                run,
                latencies.build(run.settings, place),
                title=f"{settings.strategy} from seed {settings.seed}",
                facts={"command": f"netwright search {where}/run.toml --out {where}", **_sources(run)},
            )
            trials = ended.trials[: settings.limits.trials]
            if self._is_full and (chosen := cell_runs.best_of(trials)):
                retraining.train(self._session, place, settings, chosen, {}, "test")
        return courses.to_line(cell, course_of(trials, ended.ending))


@contextmanager
def _stopped_by_sigterm(controller: Search, _say: Callable[[str], None]) -> Iterator[None]:
    """SIGTERM stops the controller, and then the process."""
    is_stopped = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_stopped
        is_stopped = True
        controller.stop()

    old = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, old)
    if is_stopped:
        raise Terminated(128 + signal.SIGTERM)


def course_of(trials: Sequence[Trial], ending: str) -> Course:
    """The course that the pool is told: how many trials there were and how long they took; all else is in the run."""
    count = len(trials)
    seconds = np.array([trial.result.seconds if trial.result else 0.0 for trial in trials])
    signals = History.of(trials).scores
    elapsed = np.rint(seconds.cumsum() * 1e6).astype(np.int64)
    return Course(signals, np.full(count, np.nan), np.zeros(count, bool), ending, elapsed)


def _sources(run: OpenRun) -> dict[str, str]:
    """The programs that took part in a search and the present one, to be noted before that takes part."""
    source = strategy_refs.source_of(run.settings.strategy)
    if run.is_complete or not source:
        return {}
    known = cell_runs.read(run.folder, run.settings).sources
    return {"sources": " ".join(dict.fromkeys([*known, source]))}


if __name__ == "__main__":
    player.main(ContestPlayer)
