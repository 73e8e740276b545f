"""The model card of an exported network: README.md of the folder. What it is for is said by its medium."""

from __future__ import annotations

import platform
from collections import Counter
from importlib import metadata

from netwright import __version__
from netwright.export.medium import Facts, Medium

REPEATED = (
    "A fresh Python process without netwright repeated that test with the files of this folder before they were put "
    "here."
)


def text(facts: Facts, medium: Medium) -> str:
    """The card as Markdown."""
    title = [f"# {' '.join(facts.name.split())}", "", *_verdict(facts), *medium.about(facts), *_notes(facts)]
    use, limits = ["## Use", "", *medium.use(facts)], ["## Limits", "", *medium.limits(facts), "", _versions()]
    parts = (title, use, _data(facts, medium), _architecture(facts), _training(facts), limits)
    return "\n\n".join("\n".join(lines) for lines in parts) + "\n"


def table(head: tuple[str, str], rows: list[tuple[str, str]]) -> list[str]:
    """Lines of a table of two columns."""
    return [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def code(value: object) -> str:
    """A value as inline code that ends neither the code, nor the line, nor the table's cell."""
    return f"`{' '.join(str(value).split()).replace('`', chr(39)).replace('|', '/')}`"


def _verdict(facts: Facts) -> list[str]:
    words = " ".join(facts.verdict.split())
    return [f"**{words[:1].upper()}{words[1:]}.**", ""] if words else []


def _notes(facts: Facts) -> list[str]:
    return [f"\nNote: {caveat}." for caveat in facts.caveats]


def _data(facts: Facts, medium: Medium) -> list[str]:
    return [
        "## Data",
        "",
        *_quote(facts.about_data or "The task says nothing about its data."),
        "",
        medium.data(facts),
        "",
        *_options("task", facts),
    ]


def _architecture(facts: Facts) -> list[str]:
    counts = Counter(layer.op.label for layer in facts.plan[1:])
    layers = ", ".join(f"{count} {label}" for label, count in counts.most_common())
    return [
        "## Architecture",
        "",
        "![The searched part](cell.png)",
        "",
        f"{len(facts.plan) - 1} layers: {layers}. Key {code(facts.key)} in the space:",
        "",
        *_options("space", facts),
    ]


def _training(facts: Facts) -> list[str]:
    measured = [(name, f"{value:.6g}") for name, value in facts.metrics.items()]
    return [
        "## Training",
        "",
        f"Seed {facts.seed}. The same again: `{' '.join(facts.command.split())}`; all settings are in run.toml.",
        "",
        *_options("evaluator", facts),
        "",
        *table(("measured", "value"), measured),
    ]


def _versions() -> str:
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "numpy", "safetensors"))
    return f"Written by netwright {__version__} with Python {platform.python_version()}, {versions}."


def _options(part: str, facts: Facts) -> list[str]:
    return table((part, "value"), [(name, code(value)) for name, value in facts.options[part].items()])


def _quote(words: str) -> list[str]:
    return [f"> {line}".rstrip() for line in words.splitlines()]
