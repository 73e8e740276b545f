"""`netwright search`: start a search, or go on with it; then train the best in full, test it, draw it."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from netwright.cli import options, signals
from netwright.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from netwright.runs.run import Run, Searched


def search(
    context: typer.Context,
    recipe: Path = typer.Argument(None, help="A run file (TOML); without one, the defaults or what the folder holds."),
    out: Path = typer.Option(None, help="Folder of the run; by default runs/ and the recipe's name."),
    space: str = typer.Option(None, help="Reference, as in 'flat(nodes=7)'."),
    strategy: str = typer.Option(None, help="Reference."),
    task: str = typer.Option(None, help="Reference."),
    evaluator: str = typer.Option(None, help="Reference."),
    executor: str = typer.Option(None, help="Reference."),
    seed: int = typer.Option(None, help="Of everything that is drawn."),
    trials: int = typer.Option(None, help="Budget in finished trials, over all restarts."),
    hours: float = typer.Option(None, help="Budget in hours of searching, over all restarts."),
    workers: int = typer.Option(None, help="How many worker processes."),
    constraints: list[str] = typer.Option(None, "--constraint", help="As in 'params <= 1e6'; may be given again."),
    objectives: list[str] = typer.Option(
        None, "--objectives", help="Metrics to search by, with commas between; a leading minus: lower is better."
    ),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object at the end, progress on standard error."),
) -> None:
    """Search; the same command on the same folder goes on where it was stopped, however it was stopped.

    Every option of a plug-in is --space.OPTION, --strategy.OPTION, --task.OPTION, --evaluator.OPTION or
    --executor.OPTION. Ctrl-C lets running trials finish; a second one, SIGTERM and the end of the hours stop them where
    they stand, from where they go on another time; a third one loses that.
    """
    from netwright.runs.run import Run
    from netwright.runs.session import Drained

    console = Console(stderr=as_json)
    run = Run(
        out or Path("runs") / (recipe.stem if recipe else "search"),
        recipe,
        space=space,
        strategy=strategy,
        task=task,
        evaluator=evaluator,
        executor=executor,
        seed=seed,
        trials=trials,
        hours=hours,
        workers=workers,
        constraints=constraints,
        objectives=[name for text in objectives or () for name in options.names("--objectives", text)],
        changes=options.tables(context.obj.pairs),
        trust=trust,
        command=context.obj.command,
        console=console,
        attended=signals.attended,
    )
    found = None
    try:
        # what plug-ins print must not stand among the JSON
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            found = run.search()
    except Drained as stopped:
        console.print(f"stopped; the same command goes on in {stopped}", highlight=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print("stopped; the same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(_facts(run, found)))
    raise typer.Exit(INTERRUPTED if found is None else 0 if found.best else 1)


def _facts(run: Run, found: Searched | None) -> dict[str, Any]:
    """What --json prints; for a search that was stopped, what has finished."""
    from netwright.core import objectives
    from netwright.report import facts

    named, known = (found.ended.objectives, found.ended.baselines) if found else (run.settings.objectives, ())
    came = run.progress if found is None else found.ended.progress
    return {
        "folder": str(run.folder),
        "trials": came.finished,
        **facts.of_progress(came, objectives.first(named), known),
        "finals": [
            {
                "label": f.label,
                "metric": f.metric,
                "mean": f.mean,
                "sd": f.sd,
                "n": f.n,
                "params": f.params,
                "note": f.note,
            }
            for f in (found.finals if found else ())
        ],
    }
