"""The command `netwright`. Commands import what they need when they run, so that help and status answer at once."""

from __future__ import annotations

import errno
import os
import shlex
import sys
from typing import Any

import typer

from netwright import __version__
from netwright.cli import bench, export, import_table, options, predict, report, search, show, status, train, worker
from netwright.cli import list as list_command
from netwright.core.errors import NetwrightError

UNWRITABLE = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
)

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
app.command("status")(status.status)
app.command("report")(report.report)
app.command("show")(show.show)
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
    if context.obj and context.invoked_subcommand not in ("search", "train", "export", "show", "bench"):
        options.tables(context.obj.pairs, ())  # refuses what would be ignored
    if show_version:
        typer.echo(__version__)
        raise typer.Exit


def main(arguments: list[str] | None = None) -> Any:
    """Run a command; a fault of the user's is one sentence on standard error and exit code 2."""
    sys.path.append(os.getcwd())  # finds the user's own plug-ins, such as `mylab.wild:WildSearch`; last: it may be a
    # stranger's folder, whose files must not stand in for installed modules
    try:
        typed = sys.argv[1:] if arguments is None else arguments
        words, pairs = options.split(typed)
        app(words, obj=options.Typed(tuple(pairs), shlex.join(["netwright", *typed])))
    except NetwrightError as error:
        typer.echo(f"netwright: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("netwright: stopped; the same command goes on", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has left, as in `netwright list spaces | head`
        sys.exit(0)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        typer.echo(
            f"netwright: {error.filename or 'a file'} cannot be written: {error.strerror}; remedy that, or "
            "give another folder with --out",
            err=True,
        )
        sys.exit(2)


if __name__ == "__main__":
    main()
