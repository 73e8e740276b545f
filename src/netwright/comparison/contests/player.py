"""A process that plays cells on real tasks, each a run in its folder: `python -m netwright.comparison.contests.player`.

What is on disk when it is killed is a run that was killed: whoever plays the cell next goes on with it.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from netwright.comparison import courses, player, strategy_refs
from netwright.comparison.contests import cell_runs
from netwright.comparison.courses import Course, SearchCell
from netwright.core import files, objectives, run_file
from netwright.core.protocols import Store
from netwright.core.records import Trial
from netwright.core.run_file import RunFile
from netwright.report import curves
from netwright.runs import retraining, run_folder
from netwright.runs.session import Session

PROGRAM = "netwright.comparison.contests.player"


@dataclass(frozen=True)
class ContestOrder:
    """What is played: run file and folder of each cell, by `named`."""

    cells: Mapping[str, tuple[str, str]]
    is_full: bool


def named(cell: SearchCell) -> str:
    """A cell as one text."""
    return f"{cell.seed} {cell.problem} {cell.strategy}"


class ContestPlayer:
    """Plays the cells of an order, a `ContestOrder` as JSON has it."""

    def __init__(self, order: dict[str, Any]) -> None:
        self._cells, self._is_full = order["cells"], order["is_full"]
        self._session = Session(Console(stderr=True), lambda _controller, _say: nullcontext(), "")

    def lines(self, order: dict[str, Any]) -> Iterator[str]:
        """Plays the `seeds` of one `strategy` on one `problem`."""
        return player.answers(order, self._played)

    def _played(self, cell: SearchCell) -> str:
        text, folder = self._cells[named(cell)]
        settings, place = run_file.from_toml(text), Path(folder)
        trials, ending = search(self._session, settings, place)
        chosen = cell_runs.best_of(trials)
        if self._is_full and chosen:
            with run_folder.controlled(place):
                retraining.train(self._session, place, settings, chosen, {}, "test")
        return courses.to_line(cell, course_of(trials, ending))


def search(session: Session, settings: RunFile, folder: Path) -> tuple[list[Trial], str]:
    """Search in a folder until the limits are met, or go on with it.

    How it ended, and by which program, is remembered in the table.

    Args:
        session: Shows what happens.
        settings: Of the search; its data is ready.
        folder: Of the run.

    Returns:
        The finished trials, with scores; and "trials", or "exhausted" where the strategy had nothing more to ask.

    Raises:
        NetwrightError: Settings or a folder that cannot be used.
    """
    parts = run_file.build(settings)
    settings = run_file.resolved(settings, parts.measures)
    with run_folder.controlled(folder):
        store, settings = run_folder.take(folder, settings)
        try:
            files.write(folder / "run.toml", run_file.to_toml(settings).encode())
            place = shlex.quote(str(folder))
            session.note(store, f"netwright search {place}/run.toml --out {place}", parts)
            store.remember("io", run_file.write_io(parts.task.io))
            _remember_source(store, settings)
            session.control(store, settings, parts, folder, f"{settings.strategy} from seed {settings.seed}")
            trials = objectives.with_scores(store.finished()[: settings.limits.trials], settings.objectives)
            ending = "trials" if len(trials) >= (settings.limits.trials or 0) else "exhausted"
            store.remember("ending", ending)
            return trials, ending
        finally:
            store.close()


def course_of(trials: list[Trial], ending: str) -> Course:
    """What the pool is told: how many trials there were, and how long they took; all else stands in the run."""
    count = len(trials)
    seconds = np.array([trial.result.seconds if trial.result else 0.0 for trial in trials])
    signals = curves.scores(trials)
    elapsed = np.rint(seconds.cumsum() * 1e6).astype(np.int64)
    return Course(signals, np.full(count, np.nan), np.zeros(count, bool), ending, elapsed)


def _remember_source(store: Store, settings: RunFile) -> None:
    """Add the program of the strategy to those that took part, before it does."""
    known, source = cell_runs.sources_in(store), strategy_refs.source_of(settings.strategy)
    if source and source not in known and len(store.finished()) < (settings.limits.trials or 0):
        store.remember("sources", " ".join([*known, source]))


if __name__ == "__main__":
    player.main(ContestPlayer)
