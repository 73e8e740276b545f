"""A layer as a row of architecture.json, and back: all of a row is checked, and none has code imported or run.

The package's own operations are known by their names. Another one is written as "module:Class", and read back only
where this process has imported that module already: a file from a stranger cannot have one imported.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import re
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin, get_type_hints

from netwright.core.errors import ExportError
from netwright.core.shapes import Shape
from netwright.plans import ops
from netwright.plans.operation import Operation
from netwright.plans.plan import Layer

COLUMNS: Final = ("name", "op", "inputs", "shape", "options")  # the last only where one differs from its default
MAX_NUMBER: Final = 2**20  # channels, pixels, strides
MAX_TEXT: Final = 200  # letters
NAME: Final = re.compile(r"\w{1,100}(\.\w{1,100}){0,20}", re.ASCII)
KINDS: Final = MappingProxyType({kind.__name__.lower(): kind for kind in get_args(Shape)})


def of_layer(layer: Layer) -> list[Any]:
    """The row of a layer. Raises ExportError for an operation that no file can hold."""
    options = {}
    for field in fields(layer.op):  # type: ignore[arg-type] # operations are dataclasses
        value: Any = getattr(layer.op, field.name)
        if field.default is MISSING or value != field.default:
            options[field.name] = of_shape(value) if type(value) in KINDS.values() else value
    row = [layer.name, _reference(type(layer.op)), list(layer.inputs), of_shape(layer.shape)]
    return [*row, options] if options else row


def of_shape(shape: tuple[int, ...]) -> list[Any]:
    """A shape by the name of its kind, and its numbers."""
    return [type(shape).__name__.lower(), *shape]


def to_layer(row: Any, before: list[Layer]) -> Layer:
    """The layer of a row, after the layers `before`. Raises ValueError, with a sentence, for one that cannot be."""
    if not isinstance(row, list) or not len(COLUMNS) - 1 <= len(row) <= len(COLUMNS):
        raise ValueError(f"a layer is a list of {len(COLUMNS) - 1} or {len(COLUMNS)}")
    name, reference, inputs, shape, options = (*row, {})[: len(COLUMNS)]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError("its name is no words joined by dots")
    if not isinstance(inputs, list) or any(type(i) is not int or not 0 <= i < len(before) for i in inputs):
        raise ValueError("its inputs are no earlier layers")
    if bool(inputs) != bool(before):
        raise ValueError("the first layer, and no other, is what goes in")
    try:
        op = _operation(reference, options)
        found = op.checked_shape([before[source].shape for source in inputs])
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # of a foreign operation
        raise ValueError(f"{str(reference)[:MAX_TEXT]} cannot stand here: {error}") from None
    if op.drops:
        raise ValueError(f"{op.name} has no place in a network that is not trained")
    if any(not 1 <= number <= MAX_NUMBER for number in found):
        raise ValueError(f"its shape would be {tuple(found)}, and sizes are 1 to {MAX_NUMBER:,}")
    if shape != of_shape(found) or not all(type(number) is int for number in shape[1:]):
        raise ValueError(f"its shape would be {tuple(found)}")
    return Layer(name, op, tuple(inputs), found)


@cache
def own() -> Mapping[str, type[Operation]]:
    """The package's own operations, by name."""
    found: dict[str, type[Operation]] = {}
    for info in pkgutil.iter_modules(ops.__path__, f"{ops.__name__}."):
        for value in vars(importlib.import_module(info.name)).values():
            if isinstance(value, type) and issubclass(value, Operation) and value.__module__ == info.name:
                found[value.name] = value
    return MappingProxyType(found)


def _reference(kind: type[Operation]) -> str:
    """What a file calls an operation. Raises ExportError."""
    if own().get(kind.name) is kind:
        return kind.name
    if "." in kind.__qualname__ or not is_dataclass(kind):
        raise ExportError(
            f"the operation {kind.__qualname__} cannot be exported; make it a frozen dataclass, and define it in a "
            "module, outside any function or class"
        )
    return f"{kind.__module__}:{kind.__qualname__}"


def _operation(reference: Any, options: Any) -> Operation:
    """The operation of a name and its options. Raises ValueError."""
    kind = _kind(reference)
    if not isinstance(options, dict):
        raise ValueError("its options are no object")
    hints, known = get_type_hints(kind), {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if unknown := options.keys() - known.keys():
        raise ValueError(f"{kind.name} has no option {min(unknown)[:MAX_TEXT]!r}")
    missing = [name for name, field in known.items() if field.default is MISSING and name not in options]
    if missing:
        raise ValueError(f"{kind.name} needs the option {missing[0]!r}")
    return kind(**{name: _value(name, hints[name], value) for name, value in options.items()})


def _kind(reference: Any) -> type[Operation]:
    """The operation that a file names. Raises ValueError for no operation, ExportError for a module not imported."""
    if not isinstance(reference, str) or len(reference) > MAX_TEXT:
        raise ValueError("unknown operation")
    module, colon, name = reference.partition(":")
    found = getattr(sys.modules.get(module), name, None) if colon else own().get(reference)
    if isinstance(found, type) and issubclass(found, Operation) and is_dataclass(found):
        return found
    if colon and module not in sys.modules and all(part.isidentifier() for part in (*module.split("."), name)):
        raise ExportError(
            f"the network has the operation {reference}, which is no operation of netwright's; import {module} first, "
            "if you trust it"
        )
    raise ValueError(f"unknown operation {reference!r}")


def _value(name: str, kind: Any, value: Any) -> Any:
    """The value of an option. Raises ValueError unless it is of the kind that the operation's field has."""
    if kind is bool:
        is_right = type(value) is bool
    elif kind is str:
        is_right = isinstance(value, str) and len(value) <= MAX_TEXT
    elif kind is int:
        is_right = _is_number(value)
    elif kind is float:
        is_right = type(value) in (int, float) and math.isfinite(value) and abs(value) <= MAX_NUMBER
    elif kind == Shape:
        is_right = isinstance(value, list) and bool(value) and isinstance(value[0], str) and value[0] in KINDS
        numbers = value[1:] if is_right else []
        is_right = is_right and len(numbers) == len(KINDS[value[0]]._fields) and all(map(_is_number, numbers))
        value = KINDS[value[0]](*numbers) if is_right else value
    elif get_origin(kind) is tuple:
        parts = get_args(kind)
        is_right = isinstance(value, list) and (parts[-1] is ... or len(parts) == len(value)) and len(value) <= MAX_TEXT
        is_right = is_right and all(map(_is_number, value))
        value = tuple(value) if is_right else value
    else:
        is_right = False
    if not is_right:
        raise ValueError(f"its {name} is {str(value)[:20]}")
    return value


def _is_number(value: Any) -> bool:
    return type(value) is int and abs(value) <= MAX_NUMBER
