"""What makes a plug-in one of its kind: the methods of its protocol, looked for before anything is called.

A class needs the methods; a function needs the annotation of what it returns, which must have them. So a reference to a
program that is no plug-in, as `os:system`, calls nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import FunctionType, ModuleType
from typing import Any, Final, get_type_hints

from netwright.core.protocols import Evaluator, Executor, Observer, SearchSpace, Store, Strategy, Task
from netwright.core.table import Table

# the folder that the plug-ins of a kind stand in, and the protocol that they keep; None: an object, not called
FOLDERS: Final[Mapping[str, str]] = {
    "space": "spaces",
    "strategy": "strategies",
    "task": "tasks",
    "table": "tables",
    "evaluator": "evaluators",
    "store": "stores",
    "executor": "executors",
    "observer": "observers",
    "zoo": "zoo",
}
_PROTOCOLS: Final[Mapping[str, type]] = {
    "space": SearchSpace,
    "strategy": Strategy,
    "task": Task,
    "table": Table,
    "evaluator": Evaluator,
    "store": Store,
    "executor": Executor,
    "observer": Observer,
}
_PUBLISHED: Final = ("space", "genotype", "io")  # of an entry of the zoo


def misfit(kind: str, found: Any) -> str:
    """Why what a reference names cannot be a plug-in of this kind, as "a module"; "" where it can."""
    if kind == "zoo":
        lacks = [name for name in _PUBLISHED if _static(found, name) is None]
        is_object = not isinstance(found, type | ModuleType | FunctionType)
        return "" if is_object and not lacks else f"{_called(found)}, not a published network"
    if isinstance(found, type):
        return _lacking(kind, found, f"the class {found.__name__}")
    if not isinstance(found, FunctionType):
        return f"{_called(found)}, not a class, nor a function that returns one's object"
    try:
        made = get_type_hints(found).get("return")
    except Exception as error:  # names that are known to a type checker alone, or text that is no type
        return f"a function with an annotation that cannot be read ({error})"
    if not isinstance(made, type):
        return f"a function that does not say that it returns {_an(kind)}; annotate it, as in `-> {_example(kind)}`"
    return _lacking(kind, made, f"a function that returns {made.__name__}")


def lacks(kind: str, made: Any) -> str:
    """What the object that a plug-in made lacks to be of its kind, as "it has no ask, tell"; "" where it is one."""
    if _PROTOCOLS[kind] is Table:
        return "" if isinstance(made, Table) else f"it is a {type(made).__name__}"
    if _delegates(type(made)):
        return ""
    missing = [name for name in _members(kind) if _static(made, name) is None]
    return f"it has no {', '.join(missing)}" if missing else ""


def _lacking(kind: str, found: type, called: str) -> str:
    if _PROTOCOLS[kind] is Table:
        return "" if issubclass(found, Table) else f"{called}, not a table"
    if _delegates(found) or found is _PROTOCOLS[kind]:
        return ""
    missing = [name for name in _methods(kind) if not callable(getattr(found, name, None))]
    return f"{called}, not {_an(kind)}: it has no {', '.join(missing)}" if missing else ""


def _an(kind: str) -> str:
    """The kind with its article."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _members(kind: str) -> list[str]:
    """Methods and properties of a kind."""
    return [name for name in vars(_PROTOCOLS[kind]) if not name.startswith("_")]


def _methods(kind: str) -> list[str]:
    """The methods of a kind: a class has them, while properties may be made with the object."""
    return [name for name in _members(kind) if inspect.isfunction(vars(_PROTOCOLS[kind])[name])]


def _static(found: Any, name: str) -> Any:
    """An attribute, without running a property; None: there is none."""
    return inspect.getattr_static(found, name, None)


def _delegates(found: type) -> bool:
    return any("__getattr__" in vars(each) for each in found.__mro__)


def _called(found: Any) -> str:
    if isinstance(found, ModuleType):
        return "a module"
    if isinstance(found, type):
        return "a class"
    return "a function" if inspect.isroutine(found) else f"an object of the class {type(found).__name__}"


def _example(kind: str) -> str:
    return _PROTOCOLS[kind].__name__
