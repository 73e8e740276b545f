"""Names and numbers of data in sentences for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

DOES = {"train": "train", "valid": "validate", "test": "test"}  # what the images of a split do
NAMED = 5  # of each kind; the rest are counted


def printable(name: str) -> str:
    """A name without line breaks, control characters and lone surrogates: those are spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def shortened(name: str, length: int = 60) -> str:
    """A printable name that fits a line, its middle left out."""
    name = printable(name)
    if len(name) <= length:
        return name
    head = (length - 1) // 2
    return f"{name[:head]}…{name[head + 1 - length :]}"


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many more."""
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def row_name(counts: Mapping[str, int], position: int) -> str:
    """Split of a row and place in it, as "test 17", when splits of so many rows follow one another."""
    for split, count in counts.items():
        if position < count:
            return f"{split} {position}"
        position -= count
    raise IndexError(f"row {position} beyond the last")


def counted(count: int, noun: str) -> str:
    """A count with its noun: 1 image, 12,000 images, 2 classes, 3 entries."""
    if count == 1:
        return f"1 {noun}"
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {plural}"
