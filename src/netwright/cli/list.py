"""`netwright list`: the plug-ins of a kind, a line for each."""

from __future__ import annotations

import json

import typer

from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.kinds import FOLDERS

KINDS = {folder: kind for kind, folder in FOLDERS.items()}


def list_plugins(
    kind: str = typer.Argument(..., help=", ".join(KINDS)),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List strategies, spaces, tasks, evaluators, stores, executors, or the zoo."""
    if kind not in KINDS:
        raise BadReference(f"there is nothing called {kind!r} to list; there are {', '.join(KINDS)}")
    found = refs.available(KINDS[kind])
    if as_json:
        typer.echo(json.dumps([{"name": name, "summary": summary} for name, summary in found.items()]))
        return
    wide = max(map(len, found), default=0)
    for name, summary in found.items():
        typer.echo(f"{name:{wide}}  {summary}")
