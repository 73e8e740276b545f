"""Figures of what a trained network gets wrong: its confusion matrix, and the images of the largest loss.

Sizes are set in inches, so that text has one size everywhere; a figure grows with its content up to a page's width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from netwright.data.outcome import Outcome
from netwright.report.examples import confusion
from netwright.report.text import FONT, class_labels, shortened, text_width

NUMBERED = 20  # classes up to which cells hold their counts
INK, FAINT = "#333333", "#777777"
COLORS = colormaps["Blues"]
SCALE = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)  # shares named beside the colors, which follow the share's root
DARK = 0.3  # shares above it are too dark for dark text
SIDE = 9.0  # inches, of a matrix of many classes
WIDEST = 13.1  # inches, of one that grows so that its classes can be named
SMALLEST = 7.5  # points, 10 pixels of a page; smaller labels are left out
LABEL = 1.7  # inches, of the longest class name
GAP = 0.08  # inches, between things that belong together
BESIDE = 0.85  # inches, of the scale of colors with its shares, right of a matrix

COLUMNS = 6
TILE = 1.5  # inches, the longer side of a picture
BETWEEN = 0.16  # inches, between pictures
LINE = 0.14  # inches, of the text below a picture
TEXT_SIZE = 8.0
CRISP = 64  # images up to this side are shown pixel by pixel, larger ones smoothed


def matrix(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """The confusion matrix: color says the share of the true class, numbers in the cells say images.

    Args:
        counts: Images by true (rows) and predicted class, shape (classes, classes).
        classes: Names of the classes; long ones are shortened, and left out when there are too many to be read.

    Returns:
        A figure on a white ground. Above 20 classes cells have no numbers, above 100 classes no names.
    """
    number = len(classes)
    legible = SMALLEST / (0.8 * 72)  # inches of a cell
    least = legible if number * legible <= WIDEST else 0.0
    digits = max(len(f"{counts.max():,}"), 2)
    few = max(3.1 / number, 0.09 * digits)  # so that ten classes, and the numbers, can be read on a narrow screen
    cell = min(0.54, few) if number <= 10 else min(0.5, max(SIDE / number, least))
    size = min(9.0, 0.8 * 72 * cell)
    labels = class_labels(classes, LABEL, size) if size >= SMALLEST else []
    longest = max((text_width(label, size) for label in labels), default=0.4)
    angle = 0 if labels and longest < cell - GAP else 45 if number <= NUMBERED else 90 if labels else 0
    below = {0: 0.15, 45: 0.72 * longest + GAP, 90: longest}[angle]
    left, bottom, side = longest + 0.4, below + 0.42, cell * number
    figure = Figure(figsize=(left + side + BESIDE, max(bottom + side + 0.1, 1.5)), facecolor="white")
    axes = _axes(figure, left, bottom, side, side)
    axes.imshow(
        np.sqrt(confusion.shares(counts)),
        cmap=COLORS,
        vmin=0,
        vmax=1,
        interpolation="none",
        extent=(0, number, number, 0),
    )
    if labels:
        _name_classes(axes, labels, size, angle)
    axes.tick_params(length=0, labelsize=size if labels else 9, labelcolor=INK, pad=3)
    axes.spines[:].set_color(FAINT)
    axes.set_xlabel("predicted class", size=9, color=INK)
    axes.set_ylabel("true class", size=9, color=INK)
    if number <= NUMBERED:
        axes.vlines(range(1, number), 0, number, color="#e6e6e6", linewidth=0.6)
        axes.hlines(range(1, number), 0, number, color="#e6e6e6", linewidth=0.6)
        _number_cells(axes, counts, cell)
    height = min(side, 2.6)
    _color_scale(_axes(figure, left + side + 0.2, bottom + side - height, 0.13, height))
    return figure


def worst(outcome: Outcome) -> Figure:
    """The worst images, of the largest loss first, with true class, predicted class, loss and name."""
    images = [picture(image) for image in outcome.worst]
    columns = max(1, min(COLUMNS, len(images)))
    rows = max(1, -(-len(images) // columns))
    height, width = (TILE * side / max(images[0].shape[:2]) for side in images[0].shape[:2]) if images else (0.5, TILE)
    room = max(width, TILE)  # of a column
    step = height + 4 * LINE + BETWEEN
    size = (columns * (room + BETWEEN) + BETWEEN, rows * step + BETWEEN)
    figure = Figure(figsize=size, facecolor="white")
    names = class_labels(outcome.classes, room - text_width("taken for ", TEXT_SIZE), TEXT_SIZE)
    for place, (image, texts) in enumerate(zip(images, captions(outcome, names), strict=True)):
        x = BETWEEN + place % columns * (room + BETWEEN)
        top = size[1] - BETWEEN - place // columns * step
        axes = _axes(figure, x + (room - width) / 2, top - height, width, height)
        is_small = max(image.shape[:2]) <= CRISP
        axes.imshow(
            image, cmap="gray", vmin=0, vmax=255, interpolation="none" if is_small else "antialiased", aspect="auto"
        )
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(color="#bbbbbb", linewidth=0.5)
        for row, text in enumerate(texts):
            line = shortened(text, room, TEXT_SIZE, keeps_end=row == len(texts) - 1)
            y = (top - height - (row + 0.8) * LINE) / size[1]
            figure.text(
                x / size[0], y, line, size=TEXT_SIZE, family=FONT, color=FAINT if row > 1 else INK, parse_math=False
            )
    return figure


def only_mistakes(outcome: Outcome) -> Outcome:
    """The outcome without those of the worst images that were recognized all the same."""
    at = outcome.worst_positions
    wrong = np.flatnonzero(outcome.targets[at] != outcome.predictions[at])
    names = tuple(outcome.worst_names[place] for place in wrong)
    return replace(outcome, worst=outcome.worst[wrong], worst_positions=at[wrong], worst_names=names)


def captions(outcome: Outcome, classes: Sequence[str]) -> list[tuple[str, str, str, str]]:
    """True class, what it was taken for, loss and name of each of the worst images; `classes` are names of classes."""
    found = []
    for position, name in zip(outcome.worst_positions.tolist(), outcome.worst_names, strict=True):
        true, predicted = (classes[int(numbers[position])] for numbers in (outcome.targets, outcome.predictions))
        taken = f"taken for {predicted}" if outcome.targets[position] != outcome.predictions[position] else "recognized"
        found.append((true, taken, f"loss {outcome.losses[position]:.2f}", name))
    return found


def picture(image: np.ndarray) -> np.ndarray:
    """An image (H, W, C), uint8, as one that can be shown: (H, W, 3) when it has colors, else gray, (H, W)."""
    return image if image.shape[2] == 3 else image.mean(2).round().astype(np.uint8)


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def _name_classes(axes: Axes, labels: Sequence[str], size: float, angle: int) -> None:
    centers = np.arange(len(labels)) + 0.5
    style: dict[str, Any] = {"family": FONT, "size": size, "parse_math": False}
    slanted: dict[str, Any] = {"rotation": angle, "rotation_mode": "anchor", "ha": "right", "va": "center"}
    axes.set_xticks(centers, labels, **style, **(slanted if angle else {}))
    axes.set_yticks(centers, labels, **style)


def _number_cells(axes: Axes, counts: np.ndarray, cell: float) -> None:
    """The count in every cell that has one, in a size at which the largest fits."""
    size = min(9.0, 0.8 * 72 * cell / text_width("0", 72.0) / max(len(f"{counts.max():,}"), 2))
    shares = confusion.shares(counts)
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if shares[row, column] > DARK else INK
        text = f"{counts[row, column]:,}"
        axes.text(column + 0.5, row + 0.5, text, size=size, color=color, ha="center", va="center_baseline", family=FONT)


def _color_scale(axes: Axes) -> None:
    axes.imshow(
        np.linspace(1, 0, 256)[:, None],
        cmap=COLORS,
        vmin=0,
        vmax=1,
        interpolation="none",
        extent=(0, 1, 0, 1),
        aspect="auto",
    )
    axes.yaxis.tick_right()
    axes.set(xticks=[], yticks=np.sqrt(SCALE), yticklabels=[f"{share:.0%}" for share in SCALE])
    axes.tick_params(length=2, labelsize=9, labelcolor=INK, color=FAINT)
    axes.spines[:].set(color=FAINT, linewidth=0.5)
