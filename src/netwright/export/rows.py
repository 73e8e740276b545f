"""A layer as a row of architecture.json, and back: all of a row is checked, and none has code imported or run.

The package's own operations are known by their names. Another one is written as "module:Class", and read back only
where this process has imported that module already: a file from a stranger cannot have one imported.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import MappingProxyType, ModuleType, NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from netwright.core.errors import ExportError
from netwright.core.shapes import Shape
from netwright.plans import ops
from netwright.plans.operation import Operation
from netwright.plans.ops.inputs import Input
from netwright.plans.plan import Layer

COLUMNS: Final = ("name", "op", "inputs", "shape", "options")  # the last only where one differs from its default
MAX_NUMBER: Final = 2**20  # channels, pixels, strides
MAX_TEXT: Final = 200  # letters
KINDS: Final = MappingProxyType({kind.__name__.lower(): kind for kind in get_args(Shape)})


def of_layer(layer: Layer) -> list[Any]:
    """The row of a layer. Raises ExportError for an operation that no file can hold, or from which none is read."""
    operation: Any = type(layer.op)  # the cache takes no type of a class that may be a dataclass
    row = [layer.name, _reference(operation), list(layer.inputs), of_shape(layer.shape)]
    if max(layer.shape) > MAX_NUMBER:
        raise ExportError(
            f"the layer {layer.name} has the shape {tuple(layer.shape)}, and a file holds sizes up to {MAX_NUMBER:,}; "
            "make it smaller"
        )
    try:
        known = _options(operation)
    except ValueError as error:
        raise ExportError(f"the layer {layer.name} cannot be exported: {error}") from None
    options = {}
    for name, (kind, field) in known.items():
        value = getattr(layer.op, name)
        if field.default is MISSING or value != field.default:
            options[name] = _written(value)
            if not _is_read(name, kind, options[name], value):
                raise ExportError(
                    f"the operation {layer.op.name} cannot be exported with {name} = {str(value)[:MAX_TEXT]!r}, which "
                    f"no file gives back; make {name} a number, a text, a shape, or a tuple of these, annotated so"
                )
    return [*row, options] if options else row


def of_shape(shape: tuple[int, ...]) -> list[Any]:
    """A shape by the name of its kind, and its numbers."""
    return [type(shape).__name__.lower(), *shape]


def to_layer(row: Any, before: list[Layer]) -> Layer:
    """The layer of a row, after the layers `before`. Raises ValueError, with a sentence, for one that cannot be."""
    if not isinstance(row, list) or not len(COLUMNS) - 1 <= len(row) <= len(COLUMNS):
        raise ValueError(f"a layer is a list of {len(COLUMNS) - 1} or {len(COLUMNS)}")
    name, reference, inputs, shape, options = (*row, {})[: len(COLUMNS)]
    if not isinstance(name, str):
        raise ValueError("its name is no text")
    if not isinstance(inputs, list) or any(type(i) is not int or not 0 <= i < len(before) for i in inputs):
        raise ValueError("its inputs are no earlier layers")
    if inputs and not before:
        raise ValueError("the first layer, and no other, is what goes in")
    try:
        op = _operation(reference, options)
        if isinstance(op, Input) == bool(before):
            raise ValueError("the first layer, and no other, is what goes in")
        found = op.checked_shape([before[source].shape for source in inputs])
    except (ArithmeticError, AttributeError, LookupError, TypeError) as error:  # of a foreign operation
        raise ValueError(f"{str(reference)[:MAX_TEXT]} cannot stand here: {error}") from None
    if op.is_passage:
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
    kind: Any = _kind(reference)
    if not isinstance(options, dict):
        raise ValueError("its options are no object")
    known = _options(kind)
    if unknown := options.keys() - known.keys():
        raise ValueError(f"{kind.name} has no option {min(unknown)[:MAX_TEXT]!r}")
    missing = [name for name, (_, field) in known.items() if field.default is MISSING and name not in options]
    if missing:
        raise ValueError(f"{kind.name} needs the option {missing[0]!r}")
    return kind(**{name: _value(name, known[name][0], value) for name, value in options.items()})


@cache
def _options(kind: Any) -> Mapping[str, tuple[Any, Field[Any]]]:
    """The type and the field of each option of an operation. Raises ValueError where a type cannot be known."""
    try:
        hints = get_type_hints(kind)
    except (AttributeError, NameError, SyntaxError, TypeError) as error:
        raise ValueError(
            f"an annotation of {kind.__name__} cannot be read: {error}; import what it names outside TYPE_CHECKING"
        ) from None
    return {field.name: (hints[field.name], field) for field in fields(kind) if field.init}


def _kind(reference: Any) -> type[Operation]:
    """The operation that a file names. Raises ValueError for no operation, ExportError for a module not imported."""
    if not isinstance(reference, str) or len(reference) > MAX_TEXT:
        raise ValueError("unknown operation")
    module, colon, name = reference.partition(":")
    found = _defined(sys.modules.get(module), name) if colon else own().get(reference)
    if isinstance(found, type) and issubclass(found, Operation) and is_dataclass(found):
        return found
    if colon and module not in sys.modules and all(part.isidentifier() for part in (*module.split("."), name)):
        raise ExportError(
            f"the network has the operation {reference}, which is no operation of netwright's; import {module} first, "
            "if you trust it"
        )
    raise ValueError(f"unknown operation {reference!r}")


def _defined(module: ModuleType | None, name: str) -> Any:
    """What a module has by this name; code of the module's that would look for others is not run."""
    return vars(module).get(name) if isinstance(module, ModuleType) else None


def _written(value: Any) -> Any:
    """The value of an option as a file has it."""
    if type(value) in KINDS.values():
        return of_shape(value)
    return [_written(each) for each in value] if isinstance(value, tuple) else value


def _is_read(name: str, kind: Any, written: Any, value: Any) -> bool:
    """Whether reading gives this value of an option back."""
    try:
        return bool(_value(name, kind, written) == value)
    except ValueError:
        return False


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
    elif kind is NoneType:
        is_right = value is None
    elif kind in KINDS.values():
        is_right = isinstance(value, list) and len(value) == 1 + len(kind._fields)
        is_right = is_right and value[0] == kind.__name__.lower() and all(map(_is_number, value[1:]))
        value = kind(*value[1:]) if is_right else value
    elif get_origin(kind) is Literal:
        is_right = any(type(value) is type(each) and value == each for each in get_args(kind))
    elif get_origin(kind) in (Union, UnionType):
        return _of_one(name, get_args(kind), value)
    elif get_origin(kind) is tuple and get_args(kind) and isinstance(value, list) and len(value) <= MAX_TEXT:
        parts = get_args(kind)
        parts = parts[:1] * len(value) if parts[1:] == (...,) else parts
        is_right = len(parts) == len(value)
        value = tuple(_value(name, *pair) for pair in zip(parts, value, strict=True)) if is_right else value
    else:
        is_right = False
    if not is_right:
        raise ValueError(f"its {name} is {str(value)[:20]}")
    return value


def _of_one(name: str, kinds: Sequence[Any], value: Any) -> Any:
    """The value of an option that may be of several kinds, as the first that has it. Raises ValueError."""
    for kind in kinds:
        with suppress(ValueError):
            return _value(name, kind, value)
    raise ValueError(f"its {name} is {str(value)[:20]}")


def _is_number(value: Any) -> bool:
    return type(value) is int and abs(value) <= MAX_NUMBER
