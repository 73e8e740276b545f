"""`netwright report`: a page, plots and drawings of one run, or of several overlaid."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netwright.cli import damage

if TYPE_CHECKING:
    from netwright.report.reported import ReportedRun


def report(
    folders: list[Path] = typer.Argument(..., help="Folders of runs; several are overlaid."),
    out: Path = typer.Option(None, help="Folder to write to; by default `report` in the first run's folder."),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
    importance: bool = typer.Option(False, "--importance", help="Show how much each gene decides; takes seconds."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON: the page, its figures, and what they show."),
) -> None:
    """Write report.html, PNG and SVG files; a search may be writing the tables meanwhile.

    The page of a timed run lies in its folder itself. Damaged or missing trials are named and left out, and the command
    then exits with 2.
    """
    from netwright.core.trust import Trust
    from netwright.report import examined, page
    from netwright.runs import reporting, run_folder

    trusted = Trust(is_full=trust)
    runs = [reporting.reported(folder.absolute(), trusted, importance=importance) for folder in folders]
    for fault in examined.faults([final for run in runs for final in run.finals]):
        typer.echo(f"netwright: {fault}", err=True)
    own = run_folder.page_in(folders[0]) if out is None and len(folders) == 1 else None
    written_to = out or run_folder.report_in(folders[0])
    written = page.write(written_to, runs, own)
    typer.echo(json.dumps(_facts(written, written_to, folders, runs)) if as_json else written)
    damage.leave({folder: run.faults for folder, run in zip(folders, runs, strict=True)})


def _facts(page: Path, figures: Path, folders: Sequence[Path], runs: Sequence[ReportedRun]) -> dict[str, Any]:
    """What --json prints."""
    import numpy as np

    from netwright.report import facts, progress, spread, versus

    return {
        "page": str(page),
        "figures": sorted(str(path) for path in figures.glob("*.png")),
        **({"versus": versus.facts(runs, np.random.default_rng(0))} if len(runs) > 1 else {}),
        "runs": [
            {
                "folder": str(folder),
                "trials": len(run.history),
                **facts.of_progress(
                    progress.of_history(run.history, run.objectives, run.reference_point),
                    run.objective,
                    run.baselines,
                    run.metrics,
                ),
                **({"spread": found.facts()} if (found := spread.of_history(run.history, run.objectives)) else {}),
                **({"ranking": run.ranking.facts()} if run.ranking else {}),
                **({"importance": run.importance.facts()} if run.importance else {}),
                "finals": [facts.of_final(final) for final in run.finals],
                "verdict": run.verdict,
                "damaged": list(run.faults),
            }
            for folder, run in zip(folders, runs, strict=True)
        ],
    }
