"""`netwright push`: an exported network on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import typer


def push(
    folder: Path = typer.Argument(..., help="Folder that `netwright export` wrote."),
    repo: str = typer.Argument(..., help="Repository, as user/name; made when missing."),
    private: bool = typer.Option(False, "--private", help="Make it a private one."),
    license: str = typer.Option(None, help="License of the network, as in apache-2.0."),
) -> None:
    """Publish an exported network on the Hugging Face hub, with metadata in its model card.

    Needs the extra "hub" of netwright, and `hf auth login` or HF_TOKEN. HF_ENDPOINT names another hub.
    """
    from netwright.hub.push import push as publish

    address = publish(folder, repo, private=private, license=license, say=typer.echo)
    typer.echo(f"published: {address}")
