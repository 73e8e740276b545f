"""Lines of Python as ruff formats them: assignments of calls and sums, and docstrings."""

from __future__ import annotations

import re

WIDTH = 120  # of a line
INDENT = " " * 8  # within a method
STEP = " " * 4


def assigned(target: str, value: str, comment: str = "") -> list[str]:
    """The assignment of an expression, in as many lines as it needs.

    Args:
        target: What is assigned to.
        value: A call, a sum of names, or such a one in brackets, with what may follow the closing bracket.
        comment: What is said behind it; "": nothing.
    """
    remark = f"  # {comment}" if comment else ""
    return _lines(INDENT, f"{target} = ", value, remark)


def docstring(text: str) -> list[str]:
    """A docstring of a class, wrapped."""
    if len(text) <= WIDTH - 10:
        return [f'    """{text}"""']
    rows = [""]
    for word in text.split():
        if len(rows[-1]) + len(word) > WIDTH - 10:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return [f'    """{rows[0]}', *(f"    {row}" for row in rows[1:]), '    """']


def _lines(indent: str, before: str, value: str, after: str) -> list[str]:
    """`before`, an expression and `after` on one line, or the expression broken at its outermost brackets or sum."""
    line = f"{indent}{before}{value}{after}"
    if len(line) <= WIDTH:
        return [line]
    terms = _split(value, " + ")
    if len(terms) > 1:
        rows = [f"{indent}{STEP}{'+ ' * bool(n)}{term}" for n, term in enumerate(terms)]
        return [f"{indent}{before}(", *rows, f"{indent}){after}"]
    opened = re.match(r"[^(]*\(", value)
    if opened is None:
        return [line]
    start = opened.end()
    end = _closing(value, start)
    function, inner, rest = value[:start], value[start:end], value[end:]
    terms = _split(inner, " + ")
    if len(terms) > 1:
        rows = [f"{indent}{STEP}{'+ ' * bool(n)}{term}" for n, term in enumerate(terms)]
    elif "(" not in inner and len(indent) + len(STEP) + len(inner) <= WIDTH:
        rows = [f"{indent}{STEP}{inner}"]
    else:
        arguments = [each.removesuffix(",") for each in _split(inner, ", ")]
        rows = [row for each in arguments for row in _lines(indent + STEP, "", each, ",")]
    return [f"{indent}{before}{function}", *rows, f"{indent}{rest}{after}"]


def _closing(text: str, start: int) -> int:
    """The place of the bracket that closes the one before `start`."""
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place
    raise ValueError(f"{text!r} has a bracket that is not closed")


def _split(text: str, separator: str) -> list[str]:
    """The text at the separators that stand in no bracket."""
    found, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(letter, 0)
        if not depth and text.startswith(separator, place):
            found.append(text[start:place])
            start = place + len(separator)
    return [*found, text[start:]]
