"""`netwright list`: the kinds of plug-ins, those of a kind, a line for each, and the options of one."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from netwright.cli import completion, options
from netwright.core import refs
from netwright.core.errors import BadReference
from netwright.core.kinds import FOLDERS

if TYPE_CHECKING:
    from netwright.core.described import Option

KINDS = {folder: kind for kind, folder in FOLDERS.items()}
WIDE = 100  # most letters in a line


def list_plugins(
    kind: str = typer.Argument(None, help=", ".join(KINDS), autocompletion=completion.kinds),
    name: str = typer.Argument(None, help="One of that kind, or its import path.", autocompletion=completion.of_kind),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """List what there is: `list` the kinds, `list spaces` the spaces, `list spaces hierarchical` its options."""
    if kind is None:
        _print(as_json, {folder: [*refs.available(each)] for folder, each in KINDS.items()}, _kinds)
    elif name is None:
        found = refs.available(_kind(kind))
        _print(as_json, [{"name": each, "summary": summary} for each, summary in found.items()], lambda: _names(found))
    elif _kind(kind) == "zoo":
        facts = _published(refs.spelled("zoo", name))
        _print(as_json, facts, lambda: _facts(facts))
    else:
        from netwright.core import described

        short = name if ":" in name else refs.spelled(_kind(kind), name)
        listed = described.options(_kind(kind), short)
        facts = {
            "kind": _kind(kind),
            "name": short,
            "summary": refs.available(_kind(kind)).get(short, ""),
            "options": [asdict(option) for option in listed],
        }
        _print(as_json, facts, lambda: lines_of(_kind(kind), short, listed))


def lines_of(kind: str, name: str, found: Sequence[Option]) -> Iterator[str]:
    """The options of a plug-in for people: what it is, then two or more lines for each option."""
    if summary := refs.available(kind).get(name):
        yield from _wrapped(f"{name}: {summary}", "")
        yield ""
    if not found:
        yield f"The {kind} {name} has no options."
        return
    is_dotted = any(kind in sections for sections in options.SECTIONS_OF.values())
    first = next((option.name for option in found if option.name != "with"), found[0].name)
    given = f"--{kind}.{first} VALUE, or " if is_dotted else ""
    yield f"Options of the {kind} {name}, given as {given}in its reference: '{name}({first}=VALUE)'"
    yield from lines(found, f"--{kind}." if is_dotted else "")


def lines(found: Sequence[Option], prefix: str) -> Iterator[str]:
    """Two or more lines for each option.

    Args:
        found: The options.
        prefix: What stands before their names where they are given: "--space.".
    """
    for option in found:
        default = "must be given" if option.default is None else f"default {option.default}"
        yield ""
        yield from _wrapped(f"{prefix}{option.name}  {option.type}; {default}", "", " " * 8)
        yield from _wrapped(option.sentence, " " * 4)


def _print(as_json: bool, facts: Any, told: Callable[[], Iterator[str]]) -> None:
    typer.echo(json.dumps(facts) if as_json else "\n".join(told()))


def _kinds() -> Iterator[str]:
    wide = max(map(len, KINDS))
    for folder, kind in KINDS.items():
        yield from _wrapped(f"{folder:{wide}}  {', '.join(refs.available(kind))}", "", " " * (wide + 2))
    yield ""
    yield "netwright list KIND says what each is, as `netwright list spaces`;"
    yield "netwright list KIND NAME lists its options, as `netwright list spaces hierarchical`."


def _names(found: Any) -> Iterator[str]:
    wide = max(map(len, found), default=0)
    for name, summary in found.items():
        yield f"{name:{wide}}  {summary}"


def _kind(word: str) -> str:
    """The kind that a word names, as "spaces" or "space". Raises BadReference."""
    if word in KINDS or word in FOLDERS:
        return KINDS.get(word, word)
    known = f"there is nothing called {word!r} to list; there are {', '.join(KINDS)}"
    of = [folder for folder, kind in KINDS.items() if refs.spelled(kind, word) in refs.available(kind)]
    raise BadReference(f"{known}; did you mean `netwright list {of[0]} {word}`?" if of else known)


def _published(name: str) -> dict[str, Any]:
    """What is known of an entry of the zoo."""
    entry = refs.locate("zoo", name)
    return {
        "kind": "zoo",
        "name": name,
        "summary": refs.available("zoo").get(name, ""),
        "source": entry.source,
        "space": refs.reference_of("space", entry.space).name,
        "params": entry.params,
        "note": entry.note,
    }


def _facts(facts: dict[str, Any]) -> Iterator[str]:
    yield from _wrapped(f"{facts['name']}: {facts['summary']}", "")
    yield ""
    yield from _wrapped(f"source: {facts['source']}", "", "    ")
    yield from _wrapped(f"parameters as published: {facts['params']}", "", "    ")
    yield from _wrapped(f"note: {facts['note']}", "", "    ") if facts["note"] else ()
    yield f"options of its space, as --space.OPTION: `netwright list spaces {facts['space']}`"
    yield f"to look at it: `netwright show zoo:{facts['name']}`"


def _wrapped(text: str, indent: str, hanging: str | None = None) -> list[str]:
    wide = min(shutil.get_terminal_size().columns, WIDE)
    after = indent if hanging is None else hanging
    return textwrap.wrap(
        text, wide, initial_indent=indent, subsequent_indent=after, break_long_words=False, break_on_hyphens=False
    )
