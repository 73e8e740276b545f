"""Values that have another type than what they are given for: what pydantic finds, in the words of run files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from netwright.core import reading
from netwright.core.reading import BadText, shown

LISTS: Final = ("tuple_type", "list_type", "set_type", "frozen_set_type")
TABLES: Final = ("dict_type", "mapping_type", "dataclass_type", "model_type")
TRUTHS: Final = ("bool_type", "bool_parsing")
ITEMS: Final = ("too_long", "too_short")
MOST_SUGGESTED: Final = 60  # characters of a list that is suggested


@dataclass(frozen=True)
class Misfit:
    """One value that does not fit.

    Args:
        place: Names of the option and of what it lies in, and positions in lists; empty: the whole.
        value: The value; where something is missing, what it is missing in.
        kind: What is wrong, as pydantic calls it: "missing", "literal_error".
        why: What would fit, to follow the value: "should be true or false".
    """

    place: tuple[str | int, ...]
    value: Any
    kind: str
    why: str

    @property
    def where(self) -> str:
        """The place with points between: "limits.trials"."""
        return ".".join(map(str, self.place))

    def __str__(self) -> str:
        return f"{self.where} is {shown(self.value)}: {self.why}" if self.place else reading.line(self.why)


def first(error: ValidationError) -> Misfit:
    """The first value that does not fit; where it may be of several types, with what each of them asks for."""
    found, *others = map(_misfit, error.errors())
    # a value that may be of several types has a fault for each, which pydantic places below its name
    is_of_several = len(found.place) > 1 and isinstance(found.place[-1], str)
    likewise = [each for each in others if is_of_several and each.place[:-1] == found.place[:-1]]
    if not likewise:
        return found
    return Misfit(found.place[:-1], found.value, found.kind, " or ".join(each.why for each in (found, *likewise)))


def _misfit(fault: ErrorDetails) -> Misfit:
    place, value, kind, message = fault["loc"], fault["input"], fault["type"], fault["msg"]
    if kind == "missing" and place and isinstance(place[-1], int):  # of a list that is too short
        return Misfit(place[:-1], value, ITEMS[1], f"should have at least {place[-1] + 1} items")
    return Misfit(place, value, kind, _why(kind, value, message))


def _why(kind: str, value: Any, message: str) -> str:
    if kind in LISTS:
        return f"should be a list{_suggested(value)}"
    if kind in TABLES:
        return "should be a table"
    if kind in TRUTHS:
        return "should be true or false"
    if kind in ITEMS:
        message = re.sub(r"^\w+ (should have at \w+ \d+ items?) after validation", r"\1", message)
    if kind == "literal_error":  # its words stand in quotes, Python's own constants do not
        message = re.sub(r"'[^']*'|\bTrue\b|\bFalse\b", lambda found: _constant(found[0]), message)
    return message.removeprefix("Input ").removeprefix("Value error, ")


def _constant(word: str) -> str:
    return word.lower() if word in ("True", "False") else word


def _suggested(value: Any) -> str:
    """How what was meant is written as a list; "" where that is not known, or long."""
    if not isinstance(value, str | bool | int | float):
        return ""
    words = value.strip("[]() ").split(",") if isinstance(value, str) else [reading.spelled(value)]
    items = [_item(word.strip()) for word in words if word.strip()]
    text = f"[{','.join(items)}]"
    return "" if not items or len(text) > MOST_SUGGESTED else f", as in {text} (with quotes around it in a shell)"


def _item(word: str) -> str:
    """A word as TOML has it: 5, true, or "text"."""
    try:
        value = reading.toml(f"value = {word}")["value"]
    except BadText:
        value = word.strip("'\"")
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else word
