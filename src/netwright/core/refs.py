"""Plug-ins are import paths: `aging` is `netwright.strategies.aging:plugin`, `mylab.wild:Wild` is anything importable.

A plug-in is any callable with typed keyword parameters, usually a dataclass. Its options are checked against the types
by pydantic; parameters that the caller wires (space, task, ...) are no options.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from netwright.core.errors import BadReference, NetwrightError

# what a kind of plug-in is called in a message, and the folder it stands in
FOLDERS: Mapping[str, str] = {
    "space": "spaces",
    "strategy": "strategies",
    "task": "tasks",
    "table": "tables",
    "evaluator": "evaluators",
    "store": "stores",
    "executor": "executors",
    "zoo": "zoo",
}

# what callers wire by parameter name; never options
WIRED = ("space", "task", "evaluator", "objectives")


@dataclass(frozen=True)
class Reference:
    """A plug-in by name or import path, and the options to construct it with."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.name}({listed})" if listed else self.name


def parse(text: str) -> Reference:
    """Read `aging` or the short form `aging(population=10, sample=3)`."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body if "(" in text else None
    except (SyntaxError, RecursionError, MemoryError):
        tree = ast.Constant(None)
    if tree is None:
        return Reference(text.strip())
    call, path = tree, ""
    if not isinstance(call, ast.Call) or call.args or any(k.arg is None for k in call.keywords):
        name, _, rest = text.partition("(")  # an import path (a.b:C) is no Python expression by itself
        if ":" not in name:
            raise BadReference(f"cannot read {text!r}; write a name and its options, as in aging(population=10)")
        try:
            inner = parse(f"x({rest}")
        except BadReference as error:
            raise BadReference(str(error).replace(repr(f"x({rest}"), repr(text), 1)) from None
        return Reference(name.strip(), inner.options)
    path = ast.unparse(call.func)
    names = [k.arg for k in call.keywords]
    if twice := [n for n in names if names.count(n) > 1]:
        raise BadReference(f"{text!r} gives the option {twice[0]!r} twice; give it once")
    return Reference(path, {str(k.arg): _literal(k.value) for k in call.keywords})


def load(kind: str, reference: Reference, /, **given: Any) -> Any:
    """Construct the plug-in that `reference` names.

    Args:
        kind: A key of FOLDERS; says where short names are looked up and how messages call it.
        reference: Name and options.
        given: Objects to wire by parameter name where the plug-in takes them.

    Raises:
        BadReference: No such plug-in, an option that it does not take, or a value of the wrong type.
    """
    plugin = locate(kind, reference.name)
    if not callable(plugin):
        raise BadReference(f"{kind} {reference.name!r} is a {type(plugin).__name__}, which cannot be constructed")
    checked = _checked(kind, reference, plugin, tuple(given))
    wired = {name: value for name, value in given.items() if name in inspect.signature(plugin).parameters}
    return _constructed(kind, reference, lambda: plugin(**checked, **wired))


def revise(kind: str, instance: Any, options: Mapping[str, Any]) -> Any:
    """A copy of a dataclass plug-in with options changed, checked as `load` checks them."""
    plugin = type(instance)
    given = tuple(name for name in options_of(plugin) if name not in options)
    reference = Reference(plugin.__name__, options)
    checked = _checked(kind, reference, plugin, given)
    return _constructed(kind, reference, lambda: replace(instance, **checked))


def reference_of(kind: str, instance: Any) -> Reference:
    """The reference that makes a dataclass plug-in anew: its path, and the options that differ from their defaults.

    Options are as a run file gives them back: lists for tuples.
    """
    plugin = type(instance)
    folder = f"netwright.{FOLDERS[kind]}."
    is_own = plugin.__module__.startswith(folder)
    name = plugin.__module__.removeprefix(folder) if is_own else f"{plugin.__module__}:{plugin.__qualname__}"
    listed = {option: getattr(instance, option) for option in options_of(plugin, without=WIRED)}
    defaults = {option: parameter.default for option, parameter in options_of(plugin).items()}
    return Reference(name, {option: _as_lists(value) for option, value in listed.items() if value != defaults[option]})


def locate(kind: str, name: str) -> Any:
    """The object that a name stands for; in a short name, hyphens count as underscores.

    Raises:
        BadReference: There is none; the message lists what there is.
    """
    module_name, _, attribute = name.partition(":")
    is_short = not attribute
    if is_short:
        known, file_name = available(kind), name.replace("-", "_")
        if file_name not in known:
            raise BadReference(
                f"there is no {kind} {name!r}{_hint(name, known)}; there are {', '.join(known)}, "
                f"and anything importable as package.module:Name"
            )
        module_name, attribute = f"netwright.{FOLDERS[kind]}.{file_name}", "plugin"
    if not module_name or module_name.startswith("."):
        raise BadReference(f"{kind} {name!r} names no module; write it as package.module:Name")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise BadReference(f"{kind} {name!r}: there is no module {error.name!r} on the path") from None
        raise BadReference(f"{kind} {name!r} needs the package {error.name!r}; install it") from None
    if not hasattr(module, attribute):
        raise BadReference(f"{kind} {name!r}: module {module_name!r} has nothing called {attribute!r}")
    return getattr(module, attribute)


def available(kind: str) -> dict[str, str]:
    """Name and first docstring line of every plug-in file of a kind, read without importing them."""
    found = {}
    for path in sorted((Path(__file__).parent.parent / FOLDERS[kind]).glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.Assign) and _names(node) == ["plugin"] for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def options_of(plugin: Callable[..., Any], without: tuple[str, ...] = ()) -> dict[str, inspect.Parameter]:
    """The parameters of a plug-in that are options, in order."""
    parameters = inspect.signature(plugin).parameters.items()
    return {name: p for name, p in parameters if name not in without and p.kind is not p.VAR_KEYWORD}


def _constructed(kind: str, reference: Reference, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except NetwrightError:
        raise
    except (ValueError, TypeError, OSError) as error:  # how a constructor refuses its arguments
        raise BadReference(f"{kind} {str(reference)!r} cannot be made: {error}") from error


def _checked(kind: str, reference: Reference, plugin: Any, given: tuple[str, ...]) -> dict[str, Any]:
    """The options converted to the plug-in's types; those of `given` are not for the user to set."""
    accepted = options_of(plugin, without=given)
    for name in reference.options:
        if name not in accepted:
            known = options_of(plugin, without=WIRED)
            raise BadReference(
                f"{kind} {reference.name!r} has no option {name!r}{_hint(name, known)}; "
                f"its options: {', '.join(known) or 'none'}"
            )
    hints = get_type_hints(plugin.__init__ if inspect.isclass(plugin) else plugin)
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if p.default is p.empty else p.default)
        for name, p in accepted.items()
        if name in reference.options or p.default is p.empty
    }
    config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")
    try:
        model = create_model("Options", __config__=config, **fields)(**reference.options)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "missing":
            raise BadReference(f"{kind} {reference.name!r} needs the option {where!r}") from None
        raise BadReference(f"{kind}.{where} is {fault['input']!r}: {as_sentence(fault['msg'])}") from None
    return {name: getattr(model, name) for name in fields}


def _literal(node: ast.expr) -> Any:
    try:
        return _as_lists(ast.literal_eval(node))
    except ValueError:
        return ast.unparse(node)  # a bare word is a string


def _as_lists(value: Any) -> Any:
    """The value with lists in place of tuples, as a run file gives it back, so that equal words name the same run."""
    if isinstance(value, list | tuple):
        return [_as_lists(item) for item in value]
    return {key: _as_lists(item) for key, item in value.items()} if isinstance(value, dict) else value


def _names(node: ast.Assign) -> list[str]:
    return [target.id for target in node.targets if isinstance(target, ast.Name)]


def _hint(word: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def as_sentence(message: str) -> str:
    """Strip pydantic's preamble from a message."""
    return message.removeprefix("Input ").removeprefix("Value error, ")
