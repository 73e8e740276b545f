"""`netwright status`: how far a run has come, without disturbing it."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from netwright import run_folder
from netwright.core import objectives
from netwright.display import clock
from netwright.report import budgets, curves


def status(
    folder: Path = typer.Argument(..., help="Folder of a run."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Count the trials of a run, name its best and say what its workers do."""
    store = run_folder.open_table(folder, "read")
    run = run_folder.stored_run(store, folder)
    finished = objectives.with_scores(store.finished(), run.objectives)
    unfinished = store.unfinished()
    best = objectives.best(finished)
    rungs, learned = budgets.summarize(finished), curves.rounds(finished)
    counts = {
        "trials": len(finished) + len(unfinished),
        "done": sum(trial.status == "done" for trial in finished),
        "failed": sum(trial.status == "failed" for trial in finished),
        "pending": sum(trial.status == "pending" for trial in unfinished),
        "running": sum(trial.status == "running" for trial in unfinished),
    }
    if as_json:
        found = {"trial": best.id, "score": (best.scores or ())[0], "key": best.key} if best else None
        facts = {"best": found, "model": learned[-1].facts() if learned else None}
        typer.echo(json.dumps({**counts, **facts, **(budgets.facts(rungs) if rungs else {})}))
        return
    typer.echo(f"{folder}: {run.strategy.name} on {run.space.name}, {run.task.name}")
    limit = f" of {run.limits.trials}" if run.limits.trials else ""
    typer.echo(
        f"{counts['done'] + counts['failed']}{limit} trials finished, {counts['failed']} of them failed; "
        f"{counts['running']} running, {counts['pending']} pending"
    )
    if best is not None:
        typer.echo(f"best: trial {best.id}, {run.objectives[0]} {(best.scores or ())[0]:.4f}")
    if learned:
        typer.echo(str(learned[-1]))
    for sentence in budgets.sentences(rungs) if rungs else ():
        typer.echo(sentence)
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
