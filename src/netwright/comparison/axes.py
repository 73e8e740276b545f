"""What the figures of both kinds of comparison share: an empty pair of axes, and a legend above them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import special

from netwright.report.figures import INK, LETTERS, PALETTE, STYLES, TEXT_SIZE
from netwright.report.text import printable, shortened, text_width

SIZE = (4.4, 3.4)  # inches, to be read on a phone; more where the names of strategies take several lines
ROW = 0.21  # inches of a line of names
UPRIGHT = 26  # letters in a line beside the axes
INTERVAL = 0.95  # of the bands
SETTLED = 0.1  # share of a search that is left out when the limits of an axis are set


def half_width(errors: np.ndarray, seeds: int | np.ndarray) -> np.ndarray:
    """Half the width of a mean's 95 % interval by Student's t, from its standard error over so many seeds."""
    return errors * special.stdtrit(np.maximum(np.asarray(seeds) - 1, 1), (1 + INTERVAL) / 2)


def start(title: str) -> tuple[Figure, Axes]:
    """An empty pair of axes; every style is given here, so that no global setting is touched."""
    figure = Figure(figsize=SIZE, layout="constrained", facecolor="white")
    axes = figure.add_subplot(facecolor="white")
    text = fill(printable(title), LETTERS)
    axes.set_title(text, loc="left", size=TEXT_SIZE, color="#555555", parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#777777")
    axes.grid(True, which="both", color="#ececec", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=TEXT_SIZE - 0.5, color="#777777", labelcolor=INK)
    return figure, axes


def look(number: int) -> tuple[str, str]:
    """Color and line style of the strategy of this number; up to 28 differ, and of equal lines all show."""
    return PALETTE[number % len(PALETTE)], STYLES[number % len(STYLES)]


def name_values(axes: Axes, text: str) -> None:
    """Write what the vertical axis shows beside it, in as many lines as it needs."""
    axes.set_ylabel(fill(text, UPRIGHT), size=TEXT_SIZE, parse_math=False)


def mark(values: np.ndarray) -> str:
    """The marker of a line: a dot where it would be a single point, which no line shows; "" else."""
    return "o" if np.count_nonzero(~np.isnan(values)) == 1 else ""


def legend(figure: Figure, strategies: Sequence[str], handles: Sequence[Line2D] | None = None) -> Figure:
    """The figure with the names of strategies above its axes, in as many columns as fit; it grows by what they take.

    Args:
        figure: A figure with one pair of axes.
        strategies: Names, in the order of `handles`.
        handles: A line for each name; None: the first lines in the axes.
    """
    names = [shortened(strategy, SIZE[0] - 1, TEXT_SIZE) for strategy in strategies]
    widest = max((text_width(name, TEXT_SIZE) for name in names), default=1.0) + 0.55
    columns = max(1, min(len(names), int((SIZE[0] - 0.3) / widest)))
    rows = math.ceil(len(names) / columns)
    figure.set_size_inches(SIZE[0], SIZE[1] + ROW * max(0, rows - 1))
    # a label that starts with an underscore would be left out
    labels = [f"\u200b{name}" if name.startswith("_") else name for name in names]
    lines = figure.axes[0].lines[: len(names)] if handles is None else handles
    shown = figure.legend(lines, labels, loc="outside upper left", ncols=columns, frameon=False, fontsize=TEXT_SIZE)
    for text in shown.get_texts():
        text.set_parse_math(False)
    return figure
