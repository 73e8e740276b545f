"""`netwright predict`: classify images with an exported network, or have it continue a text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from netwright.core.errors import BadRunFile


def predict(
    folder: Path = typer.Argument(..., metavar="EXPORT", help="Folder that `netwright export` wrote."),
    images: list[Path] = typer.Argument(None, help="Image files, or folders of them."),
    prompt: str = typer.Option(None, help='A text for a language model to continue; "" begins anew.'),
    tokens: int = typer.Option(None, help="How many words, or characters, it writes.", show_default="50"),
    temperature: float = typer.Option(
        None, help="Below 1 likely words become likelier; 0: the likeliest always.", show_default="1"
    ),
    seed: int = typer.Option(None, help="Of the words that are drawn.", show_default="0"),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON object per image or text."),
) -> None:
    """Print each image's class and its probability, or a text. Exit code 1 when an image could not be read."""
    from netwright.export.media.continue_text import continue_text, is_of_text

    chosen: dict[str, Any] = {"tokens": tokens, "temperature": temperature, "seed": seed}
    given = {name: value for name, value in chosen.items() if value is not None}
    if is_of_text(folder):
        if images:
            raise BadRunFile(f"{folder} holds a language model, which takes no images; give --prompt TEXT alone")
        if prompt is None:
            raise BadRunFile(f'{folder} holds a language model; give --prompt TEXT, or --prompt "" to begin anew')
        text = continue_text(folder, prompt, **given)
        typer.echo(json.dumps({"prompt": prompt, "text": text}, ensure_ascii=False) if as_json else _written(text))
        return
    if prompt is not None or given:
        option = "prompt" if prompt is not None else next(iter(given))
        raise BadRunFile(f"--{option} is for language models, and {folder} holds no such; leave it out")
    if not images:
        raise BadRunFile(f"nothing is given for the network of {folder}; give image files, or folders of them")
    _classify(folder, images, as_json)


def _classify(folder: Path, images: list[Path], as_json: bool) -> None:
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


def _written(text: str) -> str:
    """A text, as a stranger's vocabulary may make it, without codes for terminals."""
    return "\n".join(map(_on_one_line, text.replace("\t", " ").split("\n")))
