"""`netwright report`: a page, plots and drawings of one run, or of several overlaid."""

from __future__ import annotations

from pathlib import Path

import typer


def report(
    folders: list[Path] = typer.Argument(..., help="Folders of runs; several are overlaid."),
    out: Path = typer.Option(None, help="Folder to write to; by default `report` in the first run's folder."),
) -> None:
    """Write report.html, PNG and SVG files; a search may be writing the tables meanwhile."""
    from netwright.report import page
    from netwright.runs import reporting

    runs = [reporting.reported(folder.absolute()) for folder in folders]
    typer.echo(page.write(out or folders[0] / "report", runs))
