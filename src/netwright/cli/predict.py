"""`netwright predict`: classify images with an exported network."""

from __future__ import annotations

import json
from pathlib import Path

import typer


def predict(
    folder: Path = typer.Argument(..., metavar="EXPORT", help="Folder that `netwright export` wrote."),
    images: list[Path] = typer.Argument(..., help="Image files, or folders of them."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object per image."),
) -> None:
    """Print each image's class and its probability. Exit code 1 when an image could not be read."""
    from netwright.export.media.predict import predict as classify

    faults = 0
    names: list[str] = []
    for found in classify(folder, images):
        if found.fault:
            faults += 1
            typer.echo(f"netwright: {_shown(found.path)} is left out: {found.fault}", err=True)
            continue
        names.append(found.name)
        if as_json:
            facts = {"path": _shown(found.path), "class": found.name, "probability": found.probability}
            typer.echo(json.dumps(facts, ensure_ascii=False))
        else:
            typer.echo(f"{_shown(found.path)}  {_on_one_line(found.name)}  {found.probability:.1%}")
    if len(names) > 1 and len(set(names)) == 1:
        typer.echo(f"all {len(names):,} images were named {_on_one_line(names[0])}", err=True)
    raise typer.Exit(1 if faults else 0)


def _shown(path: Path) -> str:
    """A path that can be written: bytes that are no UTF-8 as in b"\\xff"."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _on_one_line(name: str) -> str:
    """The name of a class, as a stranger's export may have it, without line breaks and codes for terminals."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)
