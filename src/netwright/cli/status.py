"""`netwright status`: how far a run has come, without disturbing it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

import typer

from netwright.cli import damage
from netwright.core import objectives, remembered, trained_rounds
from netwright.core.protocols import Store
from netwright.core.records import Tally
from netwright.core.run_file import RunFile
from netwright.report import facts, progress, promotions
from netwright.report.progress import RunProgress
from netwright.runs import run_folder
from netwright.runs.display import best_line, clock


def status(
    folder: Path = typer.Argument(..., help="Folder of a run."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Count the trials of a run, name its best and say what its workers do.

    Damaged or missing trials are named and left out, and the command then exits with 2.
    """
    with closing(run_folder.open_table(folder, "inspect")) as store:
        run = run_folder.recorded_run(store, folder)
        tally = store.tally()
        found, faults = progress.of_table(store, run.objectives, tally), store.faults()
        if as_json:
            _print_json(store, run, tally, found, faults, folder)
        else:
            _print(store, run, tally, found, folder)
    damage.leave({folder: faults})


def _print_json(
    store: Store, run: RunFile, tally: Tally, found: RunProgress, faults: Sequence[str], folder: Path
) -> None:
    total = found.finished + tally.unfinished
    damaged = {"damaged": list(faults)} if faults else {}
    counts = {"trials": total, "pending": tally.pending, "running": tally.running}
    known = remembered.baselines(store)
    about = facts.of_progress(found, objectives.first(run.objectives), known, objectives.beside(run.metrics))
    shared = [asdict(each) for each in trained_rounds.noted(folder / trained_rounds.SHARED)]
    typer.echo(json.dumps({**counts, **about, **({"shared_training": shared} if shared else {}), **damaged}))


def _print(store: Store, run: RunFile, tally: Tally, found: RunProgress, folder: Path) -> None:
    typer.echo(f"{folder}: {run.strategy.name} on {run.space.name}, {run.task.name}")
    limit = f" of {run.limits.trials}" if run.limits.trials else ""
    typer.echo(
        f"{found.finished}{limit} trials finished, {found.failed} of them failed; "
        f"{tally.running} running, {tally.pending} pending"
    )
    if found.work:
        typer.echo(found.work)
    if found.best is not None:
        known = remembered.baselines(store)
        typer.echo(
            f"best: {best_line(found.best, objectives.first(run.objectives), known, objectives.beside(run.metrics))}"
        )
    for sentence in found.front.sentences() if found.front else ():
        typer.echo(sentence)
    for sentence in promotions.sentences(found.budgets) if found.budgets else ():
        typer.echo(sentence)
    if found.model:
        typer.echo(str(found.model))
    if shared := trained_rounds.sentence(trained_rounds.noted(folder / trained_rounds.SHARED)):
        typer.echo(shared)
    limit_seconds = run.limits.table_seconds
    if limit_seconds is not None:
        typer.echo(f"evaluations took {found.seconds:,.0f} of {limit_seconds:,.0f} seconds of the table")
    if simulated := remembered.number(store, "simulated_hours"):
        workers = run.workers or 1
        share = found.seconds / (workers * simulated * 3600)
        typer.echo(f"simulated: {clock(simulated * 3600)} on {workers} workers, busy {share:.1%} of it")
    for worker in store.workers():
        doing = f"trial {worker.trial_id} {worker.activity}" if worker.trial_id else worker.activity or "idle"
        typer.echo(f"  {worker.name}: {doing}")
