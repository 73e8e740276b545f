"""`netwright worker`: lend this terminal to a search that runs in another one on the same machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import typer

from netwright.cli.signals import INTERRUPTED, TERMINATED
from netwright.core import remembered
from netwright.core.errors import WorkerError
from netwright.core.protocols import STOP_SECONDS, Store
from netwright.core.run_file import RunFile
from netwright.core.trust import Trust
from netwright.executors import stop_signals, supervisor
from netwright.runs import ownership, run_folder


def worker(
    folder: Path = typer.Argument(..., help="Folder of a run that is being searched."),
    index: int = typer.Option(0, min=0, help="Picks the GPU where there are several."),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
) -> None:
    """Evaluate trials of a running search until it ends, or until Ctrl-C or SIGTERM, which put the trial back.

    It then goes on from where it stood, wherever it is taken up; Ctrl-C again leaves at once and loses that.
    """
    controller = ownership.controller(folder)
    store = run_folder.open_table(folder, "join")
    run = run_folder.stored_run(store, folder, Trust(trust))
    _refuse_crowd(store, run)
    options = run.executor.options
    post = supervisor.Post(
        address=store.address,
        folder=str(folder.absolute()),
        name=f"joined-{os.getpid()}",
        index=index,
        threads=run.threads_per_trial or 1,
        keep=run.keep == "all",
        trial_seconds=60 * options.get("trial_minutes", 0.0),
        silent_seconds=60 * options.get("silent_minutes", 30.0),
        stop_seconds=options.get("stop_seconds", STOP_SECONDS),
        controller=controller.to_json(),
    )
    typer.echo(f"{post.name} works for the search of {controller}; Ctrl-C leaves it")
    try:
        with stop_signals.noting(signal.SIGINT, signal.SIGTERM) as signals:
            code = supervisor.supervise(store, post, signals)
        if signals.number:
            typer.echo("left; the trial it was at is put back, with where it stands")
            raise typer.Exit(INTERRUPTED if signals.number == signal.SIGINT else TERMINATED)
    except KeyboardInterrupt:
        store.put_back(post.name)
        typer.echo("left; the trial it was at is put back")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        store.close()
    if code == 0:
        typer.echo("its controller has ended or was stopped")
    if code == supervisor.CANNOT_START:
        typer.echo("netwright: the worker cannot start; its error stands above", err=True)
    raise typer.Exit(code)


def _refuse_crowd(store: Store, run: RunFile) -> None:
    """Raise WorkerError where the search has, or is about to start, all the workers that its evaluator allows."""
    most, there = remembered.number(store, remembered.MAX_WORKERS), max(run.workers or 1, len(store.workers()))
    if most is not None and there >= most:
        raise WorkerError(
            f"the search has {there} worker{'s' if there > 1 else ''}, and its evaluator, whose trials share what they "
            f"are measured with, allows no more than {most:.0f}; let it work alone"
        )
