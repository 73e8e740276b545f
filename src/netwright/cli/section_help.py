"""`--space.help` and the like: the options of the plug-in that a command line is about."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from netwright.cli import list as list_command
from netwright.cli import options
from netwright.core import described, refs, run_file
from netwright.core.described import Option
from netwright.core.errors import BadRunFile
from netwright.core.kinds import FOLDERS
from netwright.core.latency import LatencySettings
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.core.trust import Trust
from netwright.runs.timed.defaults import STRATEGY


@dataclass(frozen=True)
class Section:
    """The options of a section of a command line.

    Args:
        name: The section: "space", "limits".
        kind: The kind of plug-in that it is about; None: it is about none.
        plugin: Name of that plug-in; "": none.
        options: Its options.
        is_default: Whether nothing on the command line names the plug-in.
    """

    name: str
    kind: str | None
    plugin: str
    options: Sequence[Option]
    is_default: bool = False


def show(command: str, given: Mapping[str, Any], sections: Sequence[str]) -> None:
    """Print the options of some sections.

    Args:
        command: Name of the command.
        given: What else stands on the command line, by the names of the command's parameters.
        sections: The sections that are asked for.

    Raises:
        BadReference, BadRunFile: The command has no such section, or what is named there is not there.
    """
    options.tables([(f"{section}.{options.HELP}", "") for section in sections], options.SECTIONS_OF.get(command, ()))
    for number, name in enumerate(sections):
        section = named(name, given)
        typer.echo("\n" if number else "", nl=False)
        for line in _lines(section):
            typer.echo(line)


def named(name: str, given: Mapping[str, Any]) -> Section:
    """The options of a section, by what the command line names.

    Raises:
        BadReference, BadRunFile: What is named is not there, or nothing is and there is no default.
    """
    if (settings := {"limits": Limits, "latency": LatencySettings}.get(name)) is not None:
        return Section(name, None, "", described.of(settings))
    kind = "evaluator" if name == "final" else name
    found = _reference(kind, given)
    if found is None and kind == options.TABLE:
        raise BadRunFile("--table.help needs a table whose options are listed; give --table, as in --table csv")
    reference = found or getattr(RunFile(), kind)
    short = reference.name if ":" in reference.name else refs.spelled(kind, reference.name)
    return Section(name, kind, short, described.options(kind, reference.name), found is None)


def _lines(section: Section) -> list[str]:
    if section.kind is None:
        return [f"Options of the search's {section.name}:", *list_command.lines(section.options, f"--{section.name}.")]
    lines = list(list_command.lines_of(section.kind, section.plugin, section.options))
    if section.name == "final":
        lines = [
            "When the best is trained in full, --final.OPTION stands over the evaluator's own options, which are:",
            "",
            *lines,
        ]
    if section.is_default:
        kind, folder = section.kind, FOLDERS[section.kind]
        timed = f", of a search with --hours {STRATEGY}" if kind == "strategy" else ""
        lines += [
            "",
            f"{section.plugin} is the default{timed}; --{kind} NAME --{section.name}.help lists those of another one "
            f"of `netwright list {folder}`.",
        ]
    return lines


def _reference(kind: str, given: Mapping[str, Any]) -> Reference | None:
    """The plug-in of a kind that a command line names; None: it names none."""
    if word := given.get(kind):
        first = word[0] if isinstance(word, list | tuple) else word
        if kind == options.TABLE and os.path.splitext(first)[1]:  # a file, which the table of files reads
            return Reference("csv")
        return _task(first) if kind == "task" else refs.parse(first)
    target = str(given.get("target") or "")
    zoo, _, name = target.partition(":")
    if zoo == "zoo" and kind == "space":
        return refs.reference_of("space", refs.locate("zoo", name).space)
    data = str(given.get("data") or "")
    recipes = given.get("recipe") or ()
    files = [str(each) for each in (recipes if isinstance(recipes, list | tuple) else (recipes,))]
    trust = Trust(bool(given.get("trust")))
    for file in (*files, data):
        if file.lower().endswith(".toml"):
            return _trusted(trust, kind, _stated(kind, run_file.read(Path(file))), file)
    for folder in (target, str(given.get("out") or "")):
        if folder and Path(folder).is_dir():
            return _trusted(trust, kind, _of_run(kind, Path(folder)), folder)
    if data and kind == "task":
        return _task(data)
    return refs.parse(target) if target and kind == "space" else None


def _trusted(trust: Trust, kind: str, found: Reference | None, source: str) -> Reference | None:
    """The reference, once its code may be loaded."""
    trust.check({} if found is None else {kind: found.name}, f"the run file in {source}")
    return found


def _task(word: str) -> Reference:
    from netwright.runs.timed import recognized

    return recognized.named(word)


def _stated(kind: str, tables: Mapping[str, Any]) -> Reference | None:
    found: Reference | None = getattr(run_file.from_tables(tables), kind) if kind in tables else None
    return found


def _of_run(kind: str, folder: Path) -> Reference | None:
    from netwright.runs import run_folder

    if kind not in run_file.PARTS or not run_folder.holds_run(folder):
        return None
    with closing(run_folder.open_table(folder, "inspect")) as store:
        found: Reference = getattr(run_folder.recorded_run(store, folder), kind)
    return found
