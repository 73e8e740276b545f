"""How a command says that it left out what is damaged: after what it shows, on standard error, with exit code 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import typer


def leave(found: Mapping[Path, Sequence[str]]) -> None:
    """Name what of the runs in some folders is damaged, and leave; nothing happens where nothing is."""
    for folder, faults in found.items():
        for fault in faults:
            whose = "" if len(found) == 1 else f"{folder}: "
            typer.echo(f"damaged: {whose}{fault}", err=True)
        if faults:
            again = f"`netwright search --out {folder}` keeps it aside and asks it again"
            typer.echo(f"{again}, or restore a copy", err=True)
    if any(found.values()):
        raise typer.Exit(2)
