"""Options such as `--space.channels 64`, which no command declares because every plug-in has its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from netwright.core import reading
from netwright.core.errors import BadRunFile
from netwright.core.reading import BadText, NoToml
from netwright.core.run_file import PARTS

SECTIONS = (*PARTS, "limits", "latency", "final")
TABLE = "table"  # of `netwright bench`
DOTTED = r"--\w+\."
HELP = "help"  # as in --space.help, which lists the options of the space
# which sections' options each command takes; commands that are not here take none
SECTIONS_OF: Final[Mapping[str, Sequence[str]]] = {
    "search": SECTIONS,
    "serve": SECTIONS,
    "worker": ("task",),
    "train": ("space", "task", "evaluator", "executor", "final"),
    "export": ("task",),
    "show": ("space",),
    "profile": ("space", "task", "evaluator"),
    "latency": ("space",),
    "bench": (TABLE, "space", "task", "evaluator", "executor", "final"),
}


@dataclass(frozen=True)
class Typed:
    """What the user typed: dotted options, the whole command as a line to repeat, and when, by `time.monotonic()`."""

    pairs: tuple[tuple[str, str], ...]
    command: str
    begun: float


def split(arguments: Sequence[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Take `--section.option value` and `--section.option=value` out of a command line.

    Returns:
        The words that are left, for typer, and the (section.option, value) pairs; `--section.help` has the value "".

    Raises:
        BadRunFile: A value is missing.
    """
    left: list[str] = []
    found: list[tuple[str, str]] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not re.match(DOTTED, word):
            left.append(word)
            continue
        name, has_value, value = word.removeprefix("--").partition("=")
        if not has_value and name.partition(".")[2] != HELP:
            if not rest or rest[0].startswith("--"):
                raise BadRunFile(f"option --{name} needs a value, as in --{name} 4")
            value = rest.pop(0)
        found.append((name, value))
    return left, found


def split_unfinished(arguments: Sequence[str]) -> list[str]:
    """The words that `split` leaves, of a command line that is still being typed: values may be missing."""
    try:
        return split(arguments)[0]
    except BadRunFile:
        return [word for word in arguments if not re.match(DOTTED, word)]


def helped(pairs: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """The sections whose options are asked for, as by --space.help, in order."""
    found = (name.partition(".") for name, _ in pairs)
    return tuple(dict.fromkeys(section for section, _, option in found if option == HELP))


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
