"""The commands of `netwright`. They import what they need when they run, so that help and status answer at once."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Any

import typer

from netwright import __version__
from netwright.cli import (
    bench,
    export,
    import_table,
    options,
    predict,
    profile,
    pull,
    push,
    report,
    search,
    show,
    status,
    train,
    worker,
)
from netwright.cli import list as list_command

app = typer.Typer(
    help="Neural architecture search that survives any crash and ends with a drawn, tested network.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("search")(search.search)
app.command("train")(train.train)
app.command("export")(export.export)
app.command("predict")(predict.predict)
app.command("push")(push.push)
app.command("pull")(pull.pull)
app.command("status")(status.status)
app.command("report")(report.report)
app.command("show")(show.show)
app.command("profile")(profile.profile)
app.command("bench")(bench.bench)
app.command("import")(import_table.import_table)
app.command("list")(list_command.list_plugins)
app.command("worker")(worker.worker)


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show_version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    """Neural architecture search that survives any crash and ends with a drawn, tested network."""
    if context.obj and context.invoked_subcommand not in ("search", "train", "export", "show", "profile", "bench"):
        options.tables(context.obj.pairs, ())  # refuses what would be ignored
    if show_version:
        typer.echo(__version__)
        raise typer.Exit


def run(arguments: list[str] | None, begun: float) -> Any:
    """Run a command, with errors as they are raised.

    Args:
        arguments: The words behind the program's name; None: those of this process.
        begun: `time.monotonic()` when the program began.
    """
    sys.path.append(os.getcwd())  # finds the user's own plug-ins, such as `mylab.wild:WildSearch`; last: it may be a
    # stranger's folder, whose files must not stand in for installed modules
    typed = sys.argv[1:] if arguments is None else arguments
    words, pairs = options.split(typed)
    return app(words, prog_name="netwright", obj=options.Typed(tuple(pairs), shlex.join(["netwright", *typed]), begun))
