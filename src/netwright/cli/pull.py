"""`netwright pull`: an exported network from the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import typer


def pull(
    repo: str = typer.Argument(..., help="Repository, as user/name."),
    out: Path = typer.Option(..., help="Folder to write."),
    revision: str = typer.Option(None, help="Branch, tag or commit; by default the main branch."),
) -> None:
    """Fetch an exported network from the Hugging Face hub; none of its code is run.

    Needs the extra "hub" of netwright. HF_ENDPOINT names another hub.
    """
    from netwright.hub.pull import pull as fetch
    from netwright.runs.session import short

    typer.echo(f"export: {short(fetch(repo, out, revision=revision, say=typer.echo))}")
