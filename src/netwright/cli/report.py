"""`netwright report`: a page, plots and drawings of one run, or of several overlaid."""

from __future__ import annotations

from pathlib import Path

import typer

from netwright.cli import damage


def report(
    folders: list[Path] = typer.Argument(..., help="Folders of runs; several are overlaid."),
    out: Path = typer.Option(None, help="Folder to write to; by default `report` in the first run's folder."),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
) -> None:
    """Write report.html, PNG and SVG files; a search may be writing the tables meanwhile.

    The page of a timed run lies in its folder itself. Damaged or missing trials are named and left out, and the command
    then exits with 2.
    """
    from netwright.core.trust import Trust
    from netwright.report import examined, page
    from netwright.runs import reporting, run_folder

    runs = [reporting.reported(folder.absolute(), Trust(is_full=trust)) for folder in folders]
    for fault in examined.faults([final for run in runs for final in run.finals]):
        typer.echo(f"netwright: {fault}", err=True)
    own = run_folder.page_in(folders[0]) if out is None and len(folders) == 1 else None
    typer.echo(page.write(out or run_folder.report_in(folders[0]), runs, own))
    damage.leave({folder: run.faults for folder, run in zip(folders, runs, strict=True)})
