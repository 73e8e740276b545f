"""Plug-ins are import paths: `aging` is `netwright.strategies.aging:plugin`, `mylab.wild:Wild` is anything importable.

A plug-in is any callable with typed keyword parameters, usually a dataclass. Its options are checked against the types
by pydantic; parameters that the caller wires (space, task, ...) are no options.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Final, get_type_hints

from pydantic import ConfigDict, ValidationError, create_model

from netwright.core import kinds, misfits, reading
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.kinds import FOLDERS
from netwright.core.reading import BadText, shown

# what callers wire by parameter name; never options
WIRED = ("space", "task", "evaluator", "objectives", "foretell")
IMPORT_PATH: Final = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*"
TRIES: Final = 20
_LOCK: Final = threading.Lock()  # Python 3.11 counts the depth of all threads' syntax trees together


@dataclass(frozen=True)
class Reference:
    """A plug-in by name or import path, and the options to construct it with."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.name}({listed})" if listed else self.name


def parse(text: str) -> Reference:
    """Read `aging` or the short form `aging(population=10, sample=3)`. Raises BadReference for anything else."""
    if len(text) > reading.MAX_STORED:
        raise BadReference(f"a reference has {len(text):,} characters; at most {reading.MAX_STORED:,} are read")
    if "(" not in text:
        return Reference(text.strip())
    try:
        return _parsed(text)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise BadReference(
            f"cannot read {shown(text)}; write a name and its options, as in aging(population=10)"
        ) from None


def _parsed(text: str) -> Reference:
    """Raises BadReference, or whatever Python does, for text that is no name with options."""
    name, _, rest = text.partition("(")
    if ":" in name:  # an import path (a.b:C) is no Python expression by itself
        return Reference(name.strip(), _parsed(f"x({rest}").options)
    call = _expression(text.strip())
    if not isinstance(call, ast.Call) or call.args or any(k.arg is None for k in call.keywords):
        raise ValueError("no name with options")
    path = ast.unparse(call.func)
    names = [k.arg for k in call.keywords]
    if twice := [n for n in names if names.count(n) > 1]:
        raise BadReference(f"{shown(text)} gives the option {twice[0]!r} twice; give it once")
    options = {str(k.arg): _literal(k.value) for k in call.keywords}
    try:
        reading.check(options)
    except BadText as error:
        raise BadReference(f"{shown(text)} {error}") from None
    return Reference(path, options)


def _expression(text: str) -> ast.expr:
    with _LOCK:
        for _ in range(TRIES):
            try:
                return ast.parse(text, mode="eval").body
            except SystemError:  # another thread, not one of ours, was at a syntax tree too
                continue
    raise BadReference(f"{shown(text)} could not be read while other threads read programs; try again")


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
    checked = _checked(kind, reference, plugin, tuple(given))
    wired = {name: value for name, value in given.items() if name in options_of(plugin)}
    made = _constructed(kind, reference, lambda: plugin(**checked, **wired))
    if fault := kinds.lacks(kind, made):
        raise BadReference(f"{kind} {shown(reference.name)} makes no {kind}: {fault}")
    return made


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
    """The object that a name stands for; in a short name, hyphens and underscores are the same.

    Raises:
        BadReference: There is none; the message lists what there is.
    """
    module_name, _, attribute = name.partition(":")
    is_short = not attribute
    if is_short:
        known, file_name = available(kind), name.replace("-", "_")
        if spelled(kind, name) not in known:
            raise BadReference(
                f"there is no {kind} {shown(name)}{_hint(name, known)}; there are {', '.join(known)}, "
                f"and anything importable as package.module:Name"
            )
        module_name, attribute = f"netwright.{FOLDERS[kind]}.{file_name}", "plugin"
    if not re.fullmatch(IMPORT_PATH, f"{module_name}:{attribute}"):
        raise BadReference(f"{kind} {shown(name)} names no module; write it as package.module:Name")
    module = _imported(kind, name, module_name)
    try:
        found = getattr(module, attribute)
    except AttributeError:
        raise BadReference(f"{kind} {name!r}: module {module_name!r} has nothing called {attribute!r}") from None
    if fault := kinds.misfit(kind, found):
        raise BadReference(f"{kind} {name!r} is {fault}")
    return found


def _imported(kind: str, name: str, module_name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise BadReference(f"{kind} {name!r}: there is no module {error.name!r} on the path") from None
        if error.name is None:
            raise BadReference(f"{kind} {name!r} cannot be imported: {error}") from None
        raise BadReference(f"{kind} {name!r} needs the package {error.name!r}; install it") from None
    except NetwrightError:
        raise
    except (Exception, SystemExit) as error:  # whatever a module does as it is imported
        raise BadReference(f"{kind} {name!r} cannot be imported: {_reason(error)}") from error


def spelled(kind: str, name: str) -> str:
    """A short name as lists, labels and messages spell it: of published networks with hyphens, as papers do."""
    return name.replace("_", "-") if kind == "zoo" else name.replace("-", "_")


@functools.cache
def available(kind: str) -> Mapping[str, str]:
    """Name and first docstring line of every plug-in file of a kind, read without importing them, once a process."""
    found = {}
    for path in sorted((Path(__file__).parent.parent / FOLDERS[kind]).glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if re.search(r"^plugin(: .*)? = ", text, re.MULTILINE):
            found[spelled(kind, path.stem)] = text.removeprefix('"""').partition("\n")[0].removesuffix('"""')
    return MappingProxyType(found)


def options_of(plugin: Callable[..., Any], without: tuple[str, ...] = ()) -> dict[str, inspect.Parameter]:
    """The parameters of a plug-in that are options, in order."""
    try:
        parameters = inspect.signature(plugin).parameters.items()
    except (TypeError, ValueError):
        raise BadReference(f"{_title(plugin)} does not say which options it takes; give it typed parameters") from None
    return {n: p for n, p in parameters if n not in without and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def _constructed(kind: str, reference: Reference, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except NetwrightError:
        raise
    except (Exception, SystemExit) as error:  # a constructor refuses its arguments, or is at fault itself
        refuses = isinstance(error, ValueError | TypeError | OSError)
        reason = str(error) if refuses and str(error) else _reason(error)
        raise BadReference(f"{kind} {shown(str(reference))} cannot be made: {reading.line(reason)}") from error


def _reason(error: BaseException) -> str:
    """What was raised, and where, on one line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return reading.line(f"{type(error).__name__}: {error}{place}")


def _title(plugin: Any) -> str:
    return getattr(plugin, "__qualname__", None) or type(plugin).__name__


def _checked(kind: str, reference: Reference, plugin: Any, given: tuple[str, ...]) -> dict[str, Any]:
    """The options converted to the plug-in's types; those of `given` are not for the user to set."""
    accepted = options_of(plugin, without=given)
    for name in reference.options:
        if name not in accepted:
            known = options_of(plugin, without=WIRED)
            raise BadReference(
                f"{kind} {reference.name!r} has no option {shown(name)}{_hint(name, known)}; "
                f"its options: {', '.join(known) or 'none'}"
            )
    try:
        hints = hints_of(plugin)
    except Exception as error:  # names that only a type checker knows, or text that is no type
        raise BadReference(
            f"the types of {kind} {reference.name!r} cannot be read: {_reason(error)}; import what they name outside "
            "TYPE_CHECKING"
        ) from None
    fields: dict[str, Any] = {
        name: (hints.get(name, Any), ... if p.default is p.empty else p.default)
        for name, p in accepted.items()
        if name in reference.options or p.default is p.empty
    }
    config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")
    try:
        model = create_model("Options", __config__=config, **fields)(**reference.options)
    except ValidationError as error:
        misfit = misfits.first(error)
        if misfit.kind == "missing":
            raise BadReference(f"{kind} {reference.name!r} needs the option {misfit.where!r}") from None
        raise BadReference(f"{kind}.{misfit}") from None
    except Exception as error:  # types that cannot be checked, or values that cannot be compared
        raise BadReference(f"the options of {kind} {reference.name!r} cannot be read: {_reason(error)}") from None
    return {name: getattr(model, name) for name in fields}


def hints_of(plugin: Any) -> dict[str, Any]:
    """Types of what a plug-in takes; those of options that a class has from another one, by the names known there."""
    if not inspect.isclass(plugin):
        return get_type_hints(plugin)
    known: dict[str, Any] = {}
    for each in reversed(plugin.__mro__):
        known |= vars(sys.modules[each.__module__]) if each.__module__ in sys.modules else {}
    return get_type_hints(plugin.__init__, known | getattr(plugin.__init__, "__globals__", {}))


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


def _hint(word: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(word, list(known), n=1) if len(word) <= reading.SHOWN else []
    return f"; did you mean {close[0]!r}?" if close else ""
