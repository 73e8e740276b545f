"""`netwright report`: a page, plots and drawings of one run, or of several overlaid."""

from __future__ import annotations

from pathlib import Path

import typer


def report(
    folders: list[Path] = typer.Argument(..., help="Folders of runs; several are overlaid."),
    out: Path = typer.Option(None, help="Folder to write to; by default `report` in the first run's folder."),
) -> None:
    """Write report.html, PNG and SVG files."""
    typer.echo(write(folders, out or folders[0] / "report"))


def write(folders: list[Path], out: Path) -> Path:
    """Read the tables, write the report; returns the path of the page."""
    return out
