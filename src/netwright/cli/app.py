"""The commands of `netwright`. They import what they need when they run, so that help and status answer at once."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

import typer

from netwright import __version__
from netwright.cli import (
    bench,
    completion,
    export,
    import_table,
    latency,
    options,
    predict,
    profile,
    pull,
    push,
    report,
    search,
    serve,
    show,
    status,
    train,
    worker,
)
from netwright.cli import list as list_command
from netwright.core.errors import BadRunFile
from netwright.core.reading import shown

PROGRAM = "netwright"

app = typer.Typer(
    help="Neural architecture search that survives any crash and ends with a drawn, tested network.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("search", cls=completion.DottedCommand)(search.search)
app.command("train", cls=completion.DottedCommand)(train.train)
app.command("export", cls=completion.DottedCommand)(export.export)
app.command("predict")(predict.predict)
app.command("push")(push.push)
app.command("pull")(pull.pull)
app.command("status")(status.status)
app.command("report")(report.report)
app.command("show", cls=completion.DottedCommand)(show.show)
app.command("profile", cls=completion.DottedCommand)(profile.profile)
app.command("latency", cls=completion.DottedCommand)(latency.latency)
app.command("bench", cls=completion.DottedCommand)(bench.bench)
app.command("import")(import_table.import_table)
app.command("list")(list_command.list_plugins)
app.command("serve", cls=completion.DottedCommand)(serve.serve)
app.command("worker", cls=completion.DottedCommand)(worker.worker)


@app.command("help")
def help_command(command: str = typer.Argument(None, help="A command, as search.")) -> None:
    """Show what a command does and takes; the same as --help behind it."""
    root = typer.main.get_command(app)
    known = getattr(root, "commands", {})
    if command is not None and command not in known:
        close = get_close_matches(command, known, n=1)
        meant = f"; did you mean `netwright help {close[0]}`?" if close else ""
        raise BadRunFile(f"there is no command {shown(command)}{meant}; there are {', '.join(known)}")
    root(["--help"] if command is None else [command, "--help"], prog_name=PROGRAM)


@app.callback(invoke_without_command=True)
def version(
    context: typer.Context,
    show_version: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    """Neural architecture search that survives any crash and ends with a drawn, tested network."""
    if context.obj and context.invoked_subcommand not in options.SECTIONS_OF:
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
    if asked := options.helped(pairs):
        _show_options(words, asked)
    return app(words, prog_name=PROGRAM, obj=options.Typed(tuple(pairs), shlex.join(["netwright", *typed]), begun))


def _show_options(words: Sequence[str], sections: Sequence[str]) -> NoReturn:
    """Print what --space.help asks for, by what else the command line says, and leave, as --help does."""
    from netwright.cli import section_help

    name, rest = (words[0], list(words[1:])) if words else ("", [])
    command = getattr(typer.main.get_command(app), "commands", {}).get(name)
    if command is None:
        listed = ", ".join(options.SECTIONS_OF)
        raise BadRunFile(f"--{sections[0]}.{options.HELP} goes behind one of the commands {listed}")
    section_help.show(name, command.make_context(name, rest, resilient_parsing=True).params, sections)
    sys.exit(0)
