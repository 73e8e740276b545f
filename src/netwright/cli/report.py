"""`netwright report`: a page, plots and drawings of one run, or of several overlaid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from netwright.report.page import ReportedRun


def report(
    folders: list[Path] = typer.Argument(..., help="Folders of runs; several are overlaid."),
    out: Path = typer.Option(None, help="Folder to write to; by default `report` in the first run's folder."),
) -> None:
    """Write report.html, PNG and SVG files."""
    typer.echo(write(folders, out or folders[0] / "report"))


def write(folders: list[Path], out: Path) -> Path:
    """Read the tables, which a search may be writing; write the report; returns the path of the page."""
    from netwright.report import page

    runs = [_read(folder) for folder in folders]
    out.mkdir(parents=True, exist_ok=True)
    return page.write(out, runs)


def _read(folder: Path) -> ReportedRun:
    from netwright import run_folder, trainings
    from netwright.core import objectives, refs
    from netwright.report.page import ReportedRun

    store = run_folder.open_table(folder, "read")
    run = run_folder.stored_run(store, folder)
    trials = objectives.with_scores(store.finished(), run.objectives)
    hours = store.recall("hours")
    store.close()
    space = refs.load("space", run.space)
    tested = []
    final = folder / trainings.folder_name(run, len(trials))
    if run.final is not None and run_folder.holds_run(final):
        table = run_folder.open_table(final, "read")
        tested = trainings.results(
            run_folder.stored_run(table, final), trainings.candidates(space, trials), table.finished()
        )
        table.close()
    workers = run.executor.options.get("workers")
    return ReportedRun(folder.name, run, trials, space, float(hours) if hours else None, tuple(tested), workers)
