"""Text from outside becomes plain values: bounded in size and depth, from ordinary files alone, numbers of 64 bits.

Whatever is wrong, a `BadText` says it in a few words; who reads puts the name of the thing before them.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from netwright.core.errors import NetwrightError

MAX_BYTES: Final = 1_000_000  # of a file that a person writes
MAX_STORED: Final = 50_000_000  # of a text that netwright wrote; lists of genotypes may be long
MAX_DEPTH: Final = 50  # tables and lists within each other
SHOWN: Final = 80  # characters of a value in a message
_SINGLE: Final = frozenset((int, float, str, bool, type(None)))
# tomllib takes quadratic time for such keys; this takes linear time, as it begins at the beginnings of words alone
_LONG_KEY = re.compile(r"""(?:(?<![\w-])|(?=["']))(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){50}""")


class BadText(NetwrightError):
    """Text that cannot be read: the message goes on where the name of the text has ended."""


class NoToml(BadText):
    """Text that is no TOML at all."""


def file(path: Path, limit: int = MAX_BYTES) -> str:
    """The text of an ordinary file. Raises BadText for any other, one that is too long, or no UTF-8."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # else a pipe without a writer would block
        with open(handle, "rb") as opened:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise BadText("cannot be read: it is no ordinary file; give the path of a file on a disk")
            data = opened.read(limit + 1)
    except OSError as error:
        raise BadText(f"cannot be read: {error.strerror or error}") from None
    except ValueError:  # of a path
        raise BadText("cannot be read: its path has a NUL character") from None
    if len(data) > limit:
        raise BadText(f"is longer than {limit:,} bytes, which is too much to be one; give another file")
    try:
        return data.decode("utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError:
        raise BadText("cannot be read: it is not UTF-8 text") from None


def toml(text: str, limit: int = MAX_BYTES) -> dict[str, Any]:
    """The tables of a TOML text. Raises BadText for any other, or one out of bounds."""
    if len(text) > limit:
        raise BadText(f"is longer than {limit:,} characters")
    if _LONG_KEY.search(text):
        raise BadText(f"has a key of more than {MAX_DEPTH} parts")
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise NoToml(f"is not valid TOML: {error}") from None
    except (RecursionError, MemoryError):
        raise BadText(f"holds more than {MAX_DEPTH} lists or tables within each other") from None
    except ValueError:  # how Python refuses the digits of a number, or a date
        raise BadText("has a number or a date out of range; whole numbers have at most 64 bits") from None
    check(found)
    return found


def json_value(text: str | bytes, limit: int = MAX_BYTES) -> Any:
    """The value of a JSON text; NaN and infinities are none. Raises BadText for any other, or one out of bounds."""
    if len(text) > limit:
        raise BadText(f"is longer than {limit:,} characters")
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (RecursionError, MemoryError):
        raise BadText(f"holds more than {MAX_DEPTH} lists or objects within each other") from None
    except BadText:
        raise
    except json.JSONDecodeError as error:
        raise BadText(f"is not valid JSON: {error}") from None
    except ValueError:  # text that is no UTF-8, or more digits than Python reads
        raise BadText("is not valid JSON: a character or a number is out of range") from None
    check(found)
    return found


def check(value: Any) -> None:
    """Raise BadText for values nested too deep, or with a whole number beyond 64 bits."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise BadText(f"holds more than {MAX_DEPTH} lists or tables within each other")
        for each in level:
            if type(each) is int and not -(2**63) <= each < 2**64:
                raise BadText(f"has a whole number beyond 64 bits, {shown(each)}; give a smaller one")
        # whoever serves a table reads thousands of these a second: the check of abstract classes is slow
        nested = [each for each in level if type(each) not in _SINGLE and isinstance(each, list | tuple | Mapping)]
        level = [each for one in nested for each in (one.values() if isinstance(one, Mapping) else one)]
        depth += 1


def spelled(value: Any) -> str:
    """A value as run files have it: true, [1, 2] also for tuples, {a = 1}; whatever else, by its `repr`."""
    if isinstance(value, bool):
        return str(value).lower()
    if type(value) in (list, tuple):
        return f"[{', '.join(map(spelled, value))}]"
    if type(value) is dict:
        return f"{{{', '.join(f'{name} = {spelled(each)}' for name, each in value.items())}}}"
    return repr(value)


def shown(value: Any, most: int = SHOWN) -> str:
    """A value for a message, as `spelled`, cut where it is long; whatever it is, this does not fail."""
    if type(value) is int and abs(value) >= 10**most:
        return f"a whole number of {int(value.bit_length() * 0.30103) + 1:,} digits"
    if isinstance(value, str | bytes) and len(value) > most:
        return f"{value[:most]!r}... ({len(value):,} characters)"
    try:
        text = spelled(value)
    except Exception:  # of a foreign object, or too deep, or too many digits
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}..."


def line(text: str, most: int = 300) -> str:
    """A text for a message: on one line, without characters that cannot be shown, cut where it is long."""
    words = "".join(each if each.isprintable() else " " for each in text[: 4 * most]).split()
    joined = " ".join(words)
    return joined if len(joined) <= most else f"{joined[:most]}..."


def _refuse_constant(name: str) -> Any:
    raise BadText(f"holds {name}, which is no number")
