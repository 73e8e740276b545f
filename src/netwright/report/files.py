"""Figures as files: each appears whole or not at all, and the same figure gives the same bytes."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text

from netwright.core import files

DPI = 150


def save(figure: Figure, path: Path) -> None:
    """Write a figure as `path` with .png (150 dots per inch) and with .svg added; older files are replaced."""
    files.write(path.with_name(path.name + ".png"), png(figure))
    files.write(path.with_name(path.name + ".svg"), svg(figure, path.name).encode())


def smallest_text(figure: Figure) -> float:
    """Size in points of the smallest text of a figure that was saved; infinite where there is none."""
    texts = (text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip())
    return min((float(text.get_fontsize()) for text in texts), default=math.inf)


def png(figure: Figure) -> bytes:
    """The figure as a PNG image."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def svg(figure: Figure, salt: str) -> str:
    """The figure as SVG: text drawn as paths, no date; ids depend on content and `salt` alone."""
    buffer = BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", dpi=DPI, metadata={"Date": None})
    return buffer.getvalue().decode()
