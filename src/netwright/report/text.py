"""Text in figures: in the glyphs of the font that matplotlib brings along, measured, and short enough for its place.

Class names, file names and names of runs are the user's; pages show them as they are, figures as far as they can.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.textpath import text_to_path

FONT = "DejaVu Sans"
FONT_SIZE = 8.0  # points


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = FONT_SIZE, weight: str = "normal") -> float:
    """Width of one line of text in inches, `size` in points."""
    font = FontProperties(family=FONT, size=size, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(printable(text), font, ismath=False)
    return float(width) / 72


def printable(text: str) -> str:
    """The text on one line, a question mark for each character that the font has no glyph for."""
    glyphs = _glyphs()
    return "".join(character if ord(character) in glyphs else "?" for character in _one_line(text))


def shortened(text: str, width: float, size: float = FONT_SIZE, *, keeps_end: bool = False) -> str:
    """As much of the printable text as fits into `width` inches, an ellipsis for the rest.

    Args:
        text: What is to be written on one line.
        width: The room for it, in inches.
        size: Size of the font, in points.
        keeps_end: Leave out the beginning, which tells least in the name of a file, instead of the end.
    """
    whole = printable(text)
    if text_width(whole, size) <= width:
        return whole
    low, high = 0, len(whole)
    while high - low > 1:  # `low` characters fit, `high` do not
        middle = (low + high) // 2
        low, high = (middle, high) if text_width(_cut(whole, middle, keeps_end), size) <= width else (low, middle)
    return _cut(whole, low, keeps_end)


def class_labels(names: Sequence[str], width: float, size: float = FONT_SIZE) -> list[str]:
    """Names of classes that fit into `width` inches and tell the classes apart.

    One that the font cannot write is "class 3", counted from 0 in order of the outputs; those that would be alike when
    shortened begin with their number.
    """
    glyphs = _glyphs()
    whole = [
        name if name.strip() and all(ord(character) in glyphs for character in _one_line(name)) else f"class {number}"
        for number, name in enumerate(names)
    ]
    labels = [shortened(name, width, size) for name in whole]
    return [
        label if labels.count(label) == 1 else shortened(f"{number} {name}", width, size)
        for number, (name, label) in enumerate(zip(whole, labels, strict=True))
    ]


def _cut(text: str, length: int, keeps_end: bool) -> str:
    return f"…{text[len(text) - length :].lstrip()}" if keeps_end else f"{text[:length].rstrip()}…"


def _one_line(text: str) -> str:
    # some file systems give an accent as a character of its own
    return unicodedata.normalize("NFC", " ".join(text.split()))


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=FONT))).get_charmap())
