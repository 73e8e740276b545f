"""Options such as `--space.channels 64`, which no command declares because every plug-in has its own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netwright.core import refs
from netwright.core.errors import BadRunFile
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.run_file import PARTS, RunFile

SECTIONS = (*PARTS, "limits", "final")


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
        found.setdefault(section, {})[option] = literal(value)
    return found


def literal(text: str) -> Any:
    """A value as TOML would read it; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def merged(tables: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Run-file tables with dotted options put over them; references become tables."""
    new = dict(tables)
    for section, options in changes.items():
        old = new.get(section) or {}
        if section in PARTS:
            old = _as_table(section, new.get(section))
        new[section] = {**old, **options}
    task = _as_table("task", new["task"]) if "task" in new else {}
    if isinstance(task.get("path"), str):
        new["task"] = {**task, "path": str(Path(task["path"]).expanduser().absolute())}  # a run can move, its data not
    return new


def read_io(text: str) -> IO:
    """Read `3x32x32:10`: channels, height, width, outputs."""
    found = re.fullmatch(r"(\d+)x(\d+)x(\d+):(\d+)", text)
    if not found or not all(int(number) > 0 for number in found.groups()):
        raise BadRunFile(f"--io is {text!r}; write channels x height x width : outputs, as in 3x32x32:10")
    return IO(*map(int, found.groups()))


def write_io(io: IO) -> str:
    """Inverse of `read_io`."""
    return f"{io.channels}x{io.height}x{io.width}:{io.outputs}"


def _as_table(section: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    default: Reference = getattr(RunFile, section)
    reference = refs.parse(value) if isinstance(value, str) and value else default
    return {"ref": reference.name, **reference.options}
