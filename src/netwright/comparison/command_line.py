"""What both kinds of comparison read from a command line: strategies and seeds."""

from __future__ import annotations

from netwright.core import refs
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.refs import Reference

MOST_SEEDS = 1_000_000  # of one comparison
OPENING, CLOSING, QUOTES = "([{", ")]}", "'\""


def read_strategies(text: str) -> tuple[Reference, ...]:
    """Reads references with commas between them. Raises BadReference."""
    parts = split(text)
    if not all(parts):
        raise BadReference(
            f"--strategies {text!r} names no strategy between two commas or at an end; take the comma out"
        )
    return tuple(map(refs.parse, parts))


def read_seeds(text: str) -> tuple[int, ...]:
    """Reads seeds: `200` are 0 to 199, `100:300` are 100 to 299. Raises BadRunFile."""
    first, colon, last = text.partition(":")
    try:
        begin, end = (int(first), int(last)) if colon else (0, int(first))
    except ValueError:
        raise BadRunFile(f"--seeds is {text!r}; write how many, as in 200, or from and to, as in 100:300") from None
    if begin < 0 or end <= begin:
        raise BadRunFile(f"--seeds {text} leaves no seed; write how many, as in 200, or from and to, as in 100:300")
    if end > 2**63:
        raise BadRunFile(f"--seeds is {text}; seeds go from 0 to 2**63 - 1")
    if end - begin > MOST_SEEDS:
        raise BadRunFile(f"--seeds {text} are {end - begin:,} searches a strategy; give at most {MOST_SEEDS:,}")
    return tuple(range(begin, end))


def split(text: str) -> list[str]:
    """The parts of a text between commas that stand in no brackets and no quotes, without space around them."""
    parts, depth, quote = [""], 0, ""
    for mark in text:
        if mark == "," and not depth and not quote:
            parts.append("")
            continue
        parts[-1] += mark
        if quote:
            quote = "" if mark == quote else quote
        elif mark in QUOTES:
            quote = mark
        else:
            depth += (mark in OPENING) - (mark in CLOSING)
    return [part.strip() for part in parts]
