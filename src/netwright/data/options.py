"""Options that several tasks have: their checks, and how those of one record become options of each task.

Each refusal names the option, its value and what it may be.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from netwright.core.errors import BadReference

T = TypeVar("T")


def spread(parameter: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Make the fields of a record options of a task, in place of one parameter that takes the record.

    The parameter's default is a frozen dataclass that documents its arguments: each of them becomes a parameter of what
    is returned, where the one stood, with the default that the record has, the type and the documentation of its class.
    A record with one more field is one more option of every such task.

    Args:
        parameter: Name of the parameter that takes the record.
    """

    def decorate(make: Callable[..., T]) -> Callable[..., T]:
        signature, hints = inspect.signature(make), get_type_hints(make)
        default = signature.parameters[parameter].default
        record = type(default)
        types = get_type_hints(record)
        options = {field.name: getattr(default, field.name) for field in fields(record)}

        @functools.wraps(make)
        def made(*given: Any, **named: Any) -> T:
            bound = accepted.bind(*given, **named)
            chosen = {name: bound.arguments.pop(name) for name in options if name in bound.arguments}
            return make(**bound.arguments, **{parameter: record(**{**options, **chosen})})

        listed: list[Parameter] = []
        for each in signature.parameters.values():
            if each.name != parameter:
                listed.append(each.replace(annotation=hints[each.name]))
                continue
            listed += [
                Parameter(name, each.kind, default=value, annotation=types[name]) for name, value in options.items()
            ]
        accepted = Signature(listed, return_annotation=hints["return"])
        made.__signature__ = accepted  # type: ignore[attr-defined]
        made.__annotations__ = {each.name: each.annotation for each in listed} | {"return": hints["return"]}
        made.__doc__ = _documented(make.__doc__ or "", parameter, _arguments(record.__doc__ or ""))
        return made

    return decorate


def located(*options: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """State which options of a task say where its data lies or how it is kept; see `protocols.StatesWhereabouts`."""

    def decorate(make: Callable[..., T]) -> Callable[..., T]:
        make.whereabouts = options  # type: ignore[attr-defined]
        return make

    return decorate


def recognizing(
    recognizes: Callable[[Path], Mapping[str, Any] | None],
) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """State how to tell whether a task reads what lies at a path; see `protocols.Recognizes`."""

    def decorate(make: Callable[..., T]) -> Callable[..., T]:
        make.recognizes = recognizes  # type: ignore[attr-defined]
        return make

    return decorate


def _arguments(text: str) -> list[str]:
    """The lines on arguments in a docstring, without those around and without its indentation."""
    lines = inspect.cleandoc(text).splitlines()
    if "Args:" not in lines:
        return []
    rest = lines[lines.index("Args:") + 1 :]
    return rest[: rest.index("")] if "" in rest else rest


def _documented(text: str, parameter: str, arguments: list[str]) -> str:
    """A docstring with the line on a parameter replaced by those on others."""
    lines = inspect.cleandoc(text).splitlines()
    place = next((n for n, line in enumerate(lines) if line.startswith(f"    {parameter}:")), None)
    return "\n".join(lines if place is None else [*lines[:place], *arguments, *lines[place + 1 :]])


def check_least(**least: tuple[float, float]) -> None:
    """Raise BadReference for an option, given as (value, least value), that is too small."""
    for name, (value, smallest) in least.items():
        if value < smallest:
            raise BadReference(f"task.{name} is {value}; it must be at least {smallest}")


def checked_shares(valid: float, test: float) -> dict[str, float]:
    """Both shares by split. Raises BadReference unless they are shares and leave something to train on."""
    for name, share in (("valid", valid), ("test", test)):
        if not 0 < share < 1:
            raise BadReference(f"task.{name} is {share}; it must be a share of the examples, between 0 and 1")
    if valid + test >= 1:
        raise BadReference(f"task.valid and task.test are {valid} and {test}; their sum must be below 1")
    return {"valid": valid, "test": test}


def check_limit(limit: int | None, classes: int) -> None:
    """Raise BadReference for a `train_limit` that leaves a class without an image to validate or to test."""
    if limit is not None and limit < 5 * classes:
        raise BadReference(f"task.train_limit is {limit}; it must be at least {5 * classes}, five images per class")
