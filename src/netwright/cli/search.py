"""`netwright search`: from data to a tested network within given hours; or a search alone, as a run file has it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from netwright.cli import completion, options, signals
from netwright.cli.signals import INTERRUPTED
from netwright.core.errors import BadRunFile
from netwright.core.run_file import RunFile
from netwright.runs.timed.defaults import HOURS, STRATEGY

if TYPE_CHECKING:
    from netwright.runs.run import Run, Searched
    from netwright.runs.timed.recognized import Recognized
    from netwright.runs.timed.wish import Wish


def search(
    context: typer.Context,
    data: str = typer.Argument(
        None,
        metavar="[DATA]",
        help="A folder of images, an array file (.npz), a folder of parquet files, a text, a task's name, a run file.",
    ),
    out: Path = typer.Option(None, help="Folder of the run; by default runs/ and the name of the data."),
    space: str = typer.Option(
        None,
        help="What networks there are: `netwright list spaces`; with options as in 'flat(nodes=7)'.",
        show_default=RunFile().space.name,
        autocompletion=completion.plugins("space"),
    ),
    strategy: str = typer.Option(
        None,
        help="What looks for the best: `netwright list strategies`.",
        show_default=f"{STRATEGY}; of a search alone {RunFile().strategy.name}",
        autocompletion=completion.plugins("strategy"),
    ),
    task: str = typer.Option(
        None,
        help="In place of DATA, the path of data or what `netwright list tasks` lists.",
        show_default="none",
        autocompletion=completion.plugins("task"),
    ),
    evaluator: str = typer.Option(
        None,
        help="What measures a network: `netwright list evaluators`.",
        show_default=RunFile().evaluator.name,
        autocompletion=completion.plugins("evaluator"),
    ),
    executor: str = typer.Option(
        None,
        help="What runs the workers: `netwright list executors`.",
        show_default=RunFile().executor.name,
        autocompletion=completion.plugins("executor"),
    ),
    seed: int = typer.Option(None, help="Of everything that is drawn.", show_default=str(RunFile().seed)),
    trials: int = typer.Option(
        None, help="Budget in finished trials, over all restarts: the search alone.", show_default="no limit"
    ),
    hours: float = typer.Option(
        None,
        help="From the start to the report; with a run file, of the search alone.",
        show_default=f"{HOURS} where images are classified; of a search alone no limit",
    ),
    workers: int = typer.Option(
        None, help="How many worker processes.", show_default="one per core or GPU, fewer where memory is short"
    ),
    constraints: list[str] = typer.Option(
        None, "--constraint", help="As in 'params <= 1e6'; may be given again.", show_default="none"
    ),
    objectives: list[str] = typer.Option(
        None,
        "--objectives",
        help="Metrics to search by, with commas between; a leading minus: lower is better.",
        show_default="the first that the task measures; with --hours balanced accuracy where classes are uneven",
    ),
    metrics: list[str] = typer.Option(
        None, "--metrics", help="Metrics to report beside, with commas between.", show_default="none"
    ),
    reuse: str = typer.Option(
        None,
        help="What is answered from the table where it was measured before: genotype, network, or false.",
        show_default=str(RunFile().reuse).lower(),
    ),
    reference: str = typer.Option(None, help="A network of yours to beat, as mylab:net; by default a plain one."),
    timetable: Path = typer.Option(
        None, help="The timetable.toml of another run, to be played again.", show_default="none"
    ),
    observers: list[str] = typer.Option(
        None, "--observer", help="Who is told how the search goes, as csv; may be given again.", show_default="none"
    ),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object at the end, progress on standard error."),
) -> None:
    """From images to a tested and exported network within --hours; the same command goes on where it was stopped.

    With a run file or --trials: the search alone. Every option of a plug-in is --space.OPTION, --strategy.OPTION,
    --task.OPTION, --evaluator.OPTION or --executor.OPTION; --space.help lists those of the space. Ctrl-C lets running
    trials finish; a second one, SIGTERM and the end of the hours stop them where they stand, from where they go on
    another time; a third one loses that.
    """
    from netwright.runs import observing
    from netwright.runs.run import Run
    from netwright.runs.session import Drained, Session
    from netwright.runs.timed import play, recognized
    from netwright.runs.timed.stopwatch import Stopwatch
    from netwright.runs.timed.wish import ALONE, Wish, is_timed

    watch = Stopwatch(begun=context.obj.begun)
    if data is None and task is not None and recognized.is_path(task):
        data, task = task, None
    begun = None if data is None else recognized.recognized(data)
    if begun is not None and begun.task is not None and task is not None:
        raise BadRunFile(f"{data} and --task {task} both say what to search on; give one of them")
    named = begun.task if begun and begun.task is not None else None if task is None else recognized.named(task)
    changes = options.tables(context.obj.pairs)
    given: dict[str, Any] = {
        "space": space,
        "strategy": strategy,
        "evaluator": evaluator,
        "executor": executor,
        "seed": seed,
        "constraints": constraints or None,
        "objectives": _names("--objectives", objectives),
        "metrics": _names("--metrics", metrics),
        "reuse": {"false": False, "true": True}.get(reuse or "", reuse),
    }
    given = {name: value for name, value in given.items() if value is not None}
    wish = Wish(
        folder=out or Path("runs") / (begun.name if begun else "search"),
        task=named,
        taken=begun.sentence if begun else "",
        hours=changes.get("limits", {}).get("hours") if hours is None else hours,
        workers=workers,
        given=given,
        changes=changes,
        reference=reference,
        timetable=timetable,
        trust=trust,
    )
    console = Console(stderr=as_json)
    watching = observing.loaded(observers or ())
    is_played = is_timed(wish, trials, is_recipe=begun is not None and begun.task is None)
    if not is_played:
        _refuse_without(wish, begun, trials)
    run: Run | None = None
    found: Searched | None = None
    facts: dict[str, Any] | None = None
    try:
        # what plug-ins print must not stand among the JSON
        with redirect_stdout(sys.stderr) if as_json else nullcontext():
            if is_played:
                from netwright.runs.timed import contest
                from netwright.runs.timed.reference import check_reference

                session = Session(console, signals.attended, context.obj.command, watch.outlook, watching)
                facts = play.play(wish, session, watch, contest.play, check_reference)
            else:
                run = Run(
                    wish.folder,
                    Path(begun.word) if begun and begun.task is None else None,
                    task=None if named is None else str(named),
                    trials=trials,
                    hours=hours,
                    workers=workers,
                    changes=changes,
                    trust=trust,
                    command=context.obj.command,
                    console=console,
                    attended=signals.attended,
                    observers=watching,
                    **given,
                )
                if wish.task is not None and hours is not None and trials is None:
                    console.print(ALONE, highlight=False, soft_wrap=True)
                found = run.search()
    except Drained as stopped:
        console.print(f"stopped; the same command goes on in {stopped}", highlight=False, soft_wrap=True)
    except KeyboardInterrupt:
        console.print(f"stopped; {watch.then}", highlight=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None
    if run is not None:
        facts = _facts(run, found)
    if as_json and facts is not None:
        typer.echo(json.dumps(facts))
    is_over = found is not None or (is_played and facts is not None)
    raise typer.Exit(INTERRUPTED if not is_over else 1 if found is not None and found.best is None else 0)


def _names(option: str, given: list[str] | None) -> list[str] | None:
    return [name for text in given for name in options.names(option, text)] if given else None


def _refuse_without(wish: Wish, begun: Recognized | None, trials: int | None) -> None:
    """Raise BadRunFile for what goes with timed runs alone, and where nothing says what to search on."""
    from netwright.runs import run_folder
    from netwright.runs.timed.recognized import GIVE

    for option, value in (("--reference", wish.reference), ("--timetable", wish.timetable)):
        if value is not None:
            raise BadRunFile(
                f"{option} goes with a run on images that is given hours, without a run file or --trials: `netwright "
                "search DATA --hours HOURS`"
            )
    is_held = run_folder.holds_run(wish.folder) or run_folder.had_run(wish.folder)
    limits: Mapping[str, Any] = wish.changes.get("limits", {})
    if begun is None and wish.task is None and not (is_held or limits or trials or wish.hours):
        raise BadRunFile(f"nothing says what to search on; {GIVE}")


def _facts(run: Run, found: Searched | None) -> dict[str, Any]:
    """What --json prints of a search alone; where it was stopped, what has finished."""
    from netwright.core import objectives
    from netwright.report import facts

    named, known = (found.ended.objectives, found.ended.baselines) if found else (run.settings.objectives, ())
    came = run.progress if found is None else found.ended.progress
    return {
        "folder": str(run.folder),
        "trials": came.finished,
        **facts.of_progress(came, objectives.first(named), known, objectives.beside(run.settings.metrics)),
        "finals": [facts.of_final(final) for final in (found.finals if found else ())],
    }
