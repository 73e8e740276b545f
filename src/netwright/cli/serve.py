"""`netwright serve`: a search whose workers join from other terminals and hosts, by `netwright worker`."""

from __future__ import annotations

from pathlib import Path

import typer

from netwright.cli.search import search
from netwright.core.refs import Reference
from netwright.runs import run_folder

LEFT = (  # options of `search` that are left to run files and to dotted options
    *("space", "strategy", "task", "evaluator", "seed", "constraints", "objectives", "metrics", "reuse"),
    *("reference", "timetable"),
)


def serve(
    context: typer.Context,
    data: str = typer.Argument(
        ...,
        metavar="RUN_OR_RECIPE",
        help="Folder of a run that goes on, a run file, or data as `netwright search` has.",
    ),
    out: Path = typer.Option(None, help="Folder of the run; by default runs/ and the name of the data."),
    host: str = typer.Option("127.0.0.1", help="Address to listen at; beyond the loopback one by TLS."),
    port: int = typer.Option(0, min=0, max=65535, help="Port to listen at.", show_default="the first free one"),
    trials: int = typer.Option(None, help="Budget in finished trials, over all restarts.", show_default="no limit"),
    hours: float = typer.Option(None, help="Limit of the time.", show_default="no limit"),
    workers: int = typer.Option(None, help="How many workers are expected; more may join.", show_default="1"),
    observers: list[str] = typer.Option(
        None, "--observer", help="Who is told how the search goes, as csv; may be given again.", show_default="none"
    ),
    trust: bool = typer.Option(False, "--trust", help="Load plug-ins that a run file names, whoever wrote them."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object at the end, progress on standard error."),
) -> None:
    """`netwright search` with workers that join by `netwright worker`, from this host or others: none is started here.

    Prints the commands that start workers. Whoever has the token in the file served.json of the run's folder may join,
    nobody else. Ctrl-C and SIGTERM reach the workers as they do those of any search, and the same command goes on.
    """
    is_run = Path(data).is_dir() and run_folder.holds_run(Path(data))
    search(
        context,
        data=None if is_run else data,  # type: ignore[arg-type]
        out=out or (Path(data) if is_run else None),  # type: ignore[arg-type]
        executor=str(Reference("served", {"host": host, **({"port": port} if port else {})})),
        trials=trials,
        hours=hours,
        workers=workers,
        observers=observers,
        trust=trust,
        as_json=as_json,
        **dict.fromkeys(LEFT),  # type: ignore[arg-type]
    )
