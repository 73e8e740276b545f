"""Lines of Python as ruff formats them: assignments of calls and sums, and docstrings."""

from __future__ import annotations

import re

WIDTH = 120  # of a line
INDENT = " " * 8  # within a method
STEP = " " * 4


def assigned(target: str, value: str, comment: str = "") -> list[str]:
    """The assignment of an expression, in as many lines as it needs.

    Args:
        target: The name that is assigned to.
        value: A call, a sum of names, or one of these in brackets, with what may follow the closing bracket.
        comment: Text of the comment at the end; "": no comment.
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
    if len(_split(value, " + ")) > 1:
        return [f"{indent}{before}(", *_inner(indent + STEP, value), f"{indent}){after}"]
    opened = re.match(r"[^(]*\(", value)
    if opened is None:
        return [line]
    start = opened.end()
    end = _closing(value, start)
    rows = _inner(indent + STEP, value[start:end])
    return [f"{indent}{before}{value[:start]}", *rows, f"{indent}{value[end:]}{after}"]


def _inner(indent: str, text: str) -> list[str]:
    """The contents of brackets: on one line, or with each term of a sum, or each argument, on lines of its own."""
    if len(indent) + len(text) <= WIDTH:
        return [f"{indent}{text}"]
    terms = _split(text, " + ")
    if len(terms) > 1:
        return [f"{indent}{'+ ' * bool(n)}{term}" for n, term in enumerate(terms)]
    arguments = [each.removesuffix(",") for each in _split(text, ", ")]
    return [row for each in arguments for row in _lines(indent, "", each, ",")]


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
