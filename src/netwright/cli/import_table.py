"""`netwright import`: convert an official release of a tabular benchmark to Parquet, once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from netwright.core.errors import BadReference, NetwrightError

KINDS = ("nats", "nasbench201")


def import_table(
    kind: str = typer.Argument(..., help="nats: NATS-Bench, .pickle.pbz2; nasbench201: NAS-Bench-201, .pth."),
    file: Path = typer.Argument(..., help="The release: its file, or its folder with a file for each architecture."),
    out: Path = typer.Option(..., help="Parquet file to write."),
    trust: bool = typer.Option(False, "--trust", help="Unpickle the release, which runs whatever code it holds."),
) -> None:
    """Convert an official release to Parquet, with all budgets, seeds and times.

    The releases are pickles, and to open one is to run whatever code it holds: that is done in a process of its own,
    and only with --trust. Reading the Parquet file runs nothing.
    """
    if kind not in KINDS:
        raise BadReference(f"there is no release {kind!r} to import; there are {', '.join(KINDS)}")
    if not file.exists():
        raise BadReference(f"there is no file or folder {file}; give the release of {kind}")
    if out.exists():
        raise BadReference(f"{out} is there already; give another file with --out")
    if not out.parent.is_dir():
        raise BadReference(f"there is no folder {out.parent} to write to; make it, or give another file with --out")
    if not trust:
        raise NetwrightError(
            f"{file} would be unpickled, which runs whatever code it holds; if it is the official release, give --trust"
        )
    typer.echo(f"import: unpickling {file} in a process of its own")
    words = [sys.executable, "-m", "netwright.tables.official", kind, str(file), str(out)]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}, as when memory runs out"]
        raise NetwrightError(f"nothing was imported: {lines[-1]}")
    typer.echo(f"import: {out}")
