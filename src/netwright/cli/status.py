"""`netwright status`: how far a run has come, without disturbing it."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from netwright.core import baselines, objectives
from netwright.report import curves, facts, promotions
from netwright.runs import run_folder
from netwright.runs.display import best_line, clock


def status(
    folder: Path = typer.Argument(..., help="Folder of a run."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Count the trials of a run, name its best and say what its workers do."""
    store = run_folder.open_table(folder, "read")
    run = run_folder.recorded_run(store, folder)
    finished = run_folder.history(folder, run.objectives)
    unfinished = store.unfinished()
    pending = sum(trial.status == "pending" for trial in unfinished)
    running = sum(trial.status == "running" for trial in unfinished)
    if as_json:
        total = len(finished) + len(unfinished)
        typer.echo(json.dumps({"trials": total, "pending": pending, "running": running, **facts.of_history(finished)}))
        store.close()
        return
    best, rungs = finished.best_trial, promotions.summarize(finished, 0)
    learned = curves.learning(finished).rounds
    typer.echo(f"{folder}: {run.strategy.name} on {run.space.name}, {run.task.name}")
    limit = f" of {run.limits.trials}" if run.limits.trials else ""
    counts = f"{len(finished)}{limit} trials finished, {finished.failed} of them failed"
    typer.echo(f"{counts}; {running} running, {pending} pending")
    if best is not None:
        known = baselines.from_json(store.recall("baselines"))
        typer.echo(f"best: {best_line(best, objectives.first(run.objectives), known)}")
    for sentence in promotions.sentences(rungs) if rungs else ():
        typer.echo(sentence)
    if learned:
        typer.echo(str(learned[-1]))
    spent, limit_seconds = curves.evaluation_seconds(finished), run.limits.table_seconds
    if limit_seconds is not None:
        typer.echo(f"evaluations took {spent:,.0f} of {limit_seconds:,.0f} seconds of the table")
    if simulated := float(store.recall("simulated_hours") or 0.0):
        workers = int(run.executor.options.get("workers", 1))
        share = curves.utilization(finished, workers, simulated * 3600)
        typer.echo(f"simulated: {clock(simulated * 3600)} on {workers} workers, busy {share:.1%} of it")
    for worker in store.workers():
        doing = f"trial {worker.trial_id} {worker.activity}" if worker.trial_id else worker.activity or "idle"
        typer.echo(f"  {worker.name}: {doing}")
    store.close()
