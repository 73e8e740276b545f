"""Options such as `--space.channels 64`, which no command declares because every plug-in has its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from netwright.core import reading
from netwright.core.errors import BadRunFile
from netwright.core.reading import BadText, NoToml
from netwright.core.run_file import PARTS

SECTIONS = (*PARTS, "limits", "final")


@dataclass(frozen=True)
class Typed:
    """What the user typed: dotted options, the whole command as a line to repeat, and when, by `time.monotonic()`."""

    pairs: tuple[tuple[str, str], ...]
    command: str
    begun: float


def split(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Take `--section.option value` and `--section.option=value` out of a command line.

    Returns:
        The words that are left, for typer, and the (section.option, value) pairs.

    Raises:
        BadRunFile: A value is missing.
    """
    left: list[str] = []
    found: list[tuple[str, str]] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not re.match(r"--\w+\.", word):
            left.append(word)
            continue
        name, has_value, value = word.removeprefix("--").partition("=")
        if not has_value:
            if not rest or rest[0].startswith("--"):
                raise BadRunFile(f"option --{name} needs a value, as in --{name} 4")
            value = rest.pop(0)
        found.append((name, value))
    return left, found


def tables(pairs: Sequence[tuple[str, str]], sections: Sequence[str] = SECTIONS) -> dict[str, dict[str, Any]]:
    """Pairs of `split` by section. Raises BadRunFile for a section that is not in `sections`."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in pairs:
        section, _, option = name.partition(".")
        if section not in sections or not option:
            listed = ", ".join(f"--{s}.OPTION" for s in sections) or "none of this kind"
            raise BadRunFile(f"unknown option --{name}; there are {listed}")
        try:
            found.setdefault(section, {})[option] = literal(value)
        except BadText as error:
            raise BadRunFile(f"--{name} {error}") from None
    return found


def names(option: str, text: str) -> tuple[str, ...]:
    """Names with commas between them. Raises BadRunFile for an empty one."""
    found = tuple(name.strip() for name in text.split(","))
    if not all(found):
        raise BadRunFile(f"{option} is {text!r}, which has an empty name; write names with single commas between")
    return found


def literal(text: str) -> Any:
    """A value as TOML reads it; a bare word is a string. Raises BadText for a value out of bounds."""
    try:
        found = reading.toml(f"value = {text}")
    except NoToml:
        return text
    return found["value"] if len(found) == 1 else text
