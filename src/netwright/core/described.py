"""The options of plug-ins in words: name, type, default and the sentence that their docstrings have on each."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from netwright.core import refs

_PLAIN: Final[Mapping[Any, str]] = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "text",
    Path: "path",
    Any: "any value",
    type(None): "none",
}
_ENTRY: Final = re.compile(r"(\w+): (.*)")


@dataclass(frozen=True)
class Option:
    """One option of a plug-in.

    Args:
        name: Its name, as in a run file or behind `--space.`.
        type: What values it takes, in words: "list of whole numbers"; of a few values, these: "cifar | imagenet".
        default: The default as a run file writes it, "none" where there is nothing to write; None: it must be given.
        sentence: What its documentation says; "": nothing.
    """

    name: str
    type: str
    default: str | None
    sentence: str


# of any space, whose genes it extends; see `building.load_space`
WITH: Final = Option(
    "with",
    "text or list",
    "none",
    "Settings of the training that become genes beside those of the space, with commas between, as "
    "lr,weight_decay,augment; lr:centered is drawn around its default.",
)


def options(kind: str, name: str) -> tuple[Option, ...]:
    """The options of a plug-in, in the order in which it takes them.

    Args:
        kind: A key of `kinds.FOLDERS`.
        name: Its name or import path.

    Raises:
        BadReference: There is no such plug-in.
    """
    found = of(refs.locate(kind, name), refs.WIRED)
    return (*found, WITH) if kind == "space" else found


def of(plugin: Callable[..., Any], without: tuple[str, ...] = ()) -> tuple[Option, ...]:
    """The parameters of a class or function as options, but for those named in `without`."""
    hints, sentences = refs.hints_of(plugin), documented(plugin)
    return tuple(
        Option(
            name,
            type_text(hints.get(name, Any)),
            None if parameter.default is parameter.empty else default_text(parameter.default),
            sentences.get(name, ""),
        )
        for name, parameter in refs.options_of(plugin, without).items()
    )


def documented(plugin: Any) -> dict[str, str]:
    """What a docstring has to say on each argument; of a class, after what those that it derives from have to."""
    found: dict[str, str] = {}
    for each in reversed(plugin.__mro__) if inspect.isclass(plugin) else (plugin,):
        found |= _arguments(each.__doc__ or "")
    return found


def _arguments(text: str) -> dict[str, str]:
    lines = inspect.cleandoc(text).splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in lines[lines.index("Args:") + 1 :] if "Args:" in lines else ():
        depth = len(line) - len(line.lstrip())
        if depth == 0:  # an empty line, or what follows the arguments
            break
        begins = _ENTRY.fullmatch(line.strip())
        if depth <= 4 and begins:
            name, found[begins[1]] = begins[1], begins[2]
        elif name:
            found[name] += " " + line.strip()
    return found


def default_text(value: Any) -> str:
    """A default as it is typed: none, true, 0.1, cifar, [6, 1]."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value or "''"
    if isinstance(value, list | tuple | set | frozenset):
        return f"[{', '.join(map(default_text, value))}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name} = {default_text(each)}' for name, each in value.items())}}}"
    return str(value)


def type_text(hint: Any) -> str:
    """What values a type has, in words; that none is among them is not said, as such an option is just left out."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_text(each) for each in inner if each is not type(None)))
    if origin is Literal:
        return " | ".join(map(default_text, inner))
    made = origin or hint
    if not inspect.isclass(made):
        return "any value"
    if issubclass(made, Mapping):
        return "table"
    if issubclass(made, list | tuple | Sequence | set | frozenset):
        words = list(dict.fromkeys(_plural(type_text(each)) for each in inner if each is not ...))
        return f"list of {words[0]}" if len(words) == 1 else "list"
    return made.__name__


def _plural(words: str) -> str:
    """The words for several values: whole numbers, texts, lists of numbers."""
    first, of_what, rest = words.partition(" of ")
    is_noun = first in ("whole number", "number", "text", "path", "any value", "list", "table")
    return f"{first}s{of_what}{rest}" if is_noun else words
