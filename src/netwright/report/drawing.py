"""Drawings of architectures: the graph on top, and below it every graph that its labels stand for, level by level.

`layout` says where things lie; here they get ink. Equal labels have equal colors in all graphs of a drawing; beyond
the fourteen colors the line style changes, and what is drawn below keeps colors of its own. The figure grows with its
content, so that text has one size everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from netwright.core.records import LabeledGraph
from netwright.report.files import save as save
from netwright.report.layout import ARROW, PADDING, Layout, Point, Wire, layout
from netwright.report.text import FONT, FONT_SIZE, printable, text_width
from netwright.report.upright import upright

# Paul Tol's "muted" scheme, made for color-blind readers, its two palest darkened for thin lines; then five that differ
PALETTE = (
    *("#332288", "#117733", "#CC6677", "#3A9FC8", "#882255", "#B08D2E", "#44AA99", "#AA4499", "#7F7F2A"),
    *("#E06A00", "#2F5FD0", "#C81E1E", "#7A4A1E", "#6FA800"),
)
STYLES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "solid",
    (0, (4, 1.6)),
    (0, (1.2, 1.4)),
    (0, (6, 1.4, 1.2, 1.4)),
)
INK = "#222222"
FAINT = "#c8c8c8"
TITLE_SIZE = 10.0
TITLE_HEIGHT = 0.30
MARGIN = 0.16  # inside a panel's border and around the figure
SPACE = 0.14  # between panels
SAMPLE = 0.28  # of a part's line beside its title
BEND = 0.05  # radius of a lane's corners
LINE_WIDTH = 1.3
MOST = 60  # graphs in one drawing; nobody reads further
WIDE = 11.6  # parts stand side by side up to this width, or the widest graph's; a page shows it whole


@dataclass(frozen=True)
class Ink:
    """How edges of one label are drawn."""

    color: str
    style: str | tuple[int, tuple[float, ...]]


PLAIN = Ink("#666666", "solid")  # of an edge without a label


@dataclass(frozen=True)
class Panel:
    """One graph of a drawing and its place: corner `left`, `top` and size in inches, y downwards from the top."""

    graph: LabeledGraph
    layout: Layout
    left: float
    top: float
    width: float
    height: float


def draw(graph: LabeledGraph) -> Figure:
    """Draw an architecture at every level.

    Args:
        graph: Edges lead from earlier to later nodes; `parts` may be nested to any depth, equal ones are drawn once.

    Returns:
        A figure on a white ground, as large as its content needs.

    Raises:
        ValueError: An edge that leads nowhere or backwards.
    """
    return _figure(arrange(graph))


def _figure(panels: Sequence[Panel]) -> Figure:
    width = max(panel.left + panel.width for panel in panels) + MARGIN
    height = max(panel.top + panel.height for panel in panels) + MARGIN
    figure = Figure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.axis("off")
    inks = assign_inks(panel.graph for panel in panels)
    for panel in panels:
        _draw_panel(axes, panel, inks)
    return figure


def draw_beside(graphs: Sequence[LabeledGraph], titles: Sequence[str], levels: int = 2) -> Figure:
    """Draw several architectures side by side, to compare how they are wired.

    Args:
        graphs: The architectures, one column for each.
        titles: What stands over each column in place of the graph's name.
        levels: Number of levels drawn of each: the graph, its parts, their parts; equal graphs are drawn once.

    Raises:
        ValueError: An edge that leads nowhere or backwards.
    """
    panels: list[Panel] = []
    left = MARGIN
    for graph, title in zip(graphs, titles, strict=True):
        listed = [replace(graph, name=title), *_levels(graph, levels)[1:]]
        sized = [(each, layout(each)) for each in listed]
        sizes = [_panel_size(each, placed) for each, placed in sized]
        width, top = max(width for width, _ in sizes), MARGIN
        for (each, placed), (_, height) in zip(sized, sizes, strict=True):
            panels.append(Panel(each, placed, left, top, width, height))
            top += height + SPACE
        left += width + SPACE
    return _figure(panels)


def draw_below(graphs: Sequence[LabeledGraph], titles: Sequence[str]) -> Figure:
    """Draw the uppermost graph of several architectures one below the other, to be read at 400 pixels.

    Args:
        graphs: The architectures; what their labels stand for is left out.
        titles: What stands over each in place of the graph's name.

    Raises:
        ValueError: An edge that leads nowhere or backwards.
    """
    named = [replace(graph, name=title) for graph, title in zip(graphs, titles, strict=True)]
    return _figure(_stacked([(each, layout(each)) for each in named]))


def draw_narrow(graph: LabeledGraph) -> Figure:
    """Draw an architecture at every level like `draw`, each graph from top to bottom, to be read at 400 pixels.

    Raises:
        ValueError: An edge that leads nowhere or backwards.
    """
    return _figure(_stacked([(each, upright(each)) for each in _listed(graph)]))


def _stacked(placed: Sequence[tuple[LabeledGraph, Layout]]) -> list[Panel]:
    """Panels one below the other, all as wide as the widest."""
    sizes = [_panel_size(graph, place) for graph, place in placed]
    width, top, panels = max((width for width, _ in sizes), default=0.0), MARGIN, []
    for (graph, place), (_, height) in zip(placed, sizes, strict=True):
        panels.append(Panel(graph, place, MARGIN, top, width, height))
        top += height + SPACE
    return panels


def arrange(graph: LabeledGraph) -> tuple[Panel, ...]:
    """Places for the graph, on top, and for the graphs within it, up to MOST in all, in rows of equal columns below."""
    sized = [(each, layout(each)) for each in _listed(graph)]
    sizes = [_panel_size(each, placed) for each, placed in sized]
    full = max(WIDE if len(sized) > 1 else 0.0, *(width for width, _ in sizes))
    column = max((width for width, _ in sizes[1:]), default=full)
    columns = max(1, min(len(sizes) - 1, int((full + SPACE) / (column + SPACE))))
    across = max(sizes[0][0], columns * (column + SPACE) - SPACE)
    panels = [Panel(*sized[0], MARGIN, MARGIN, *sizes[0])]  # no wider, so that a narrow screen begins with its nodes
    width = (across + SPACE) / columns - SPACE
    top = MARGIN + sizes[0][1] + SPACE
    for first in range(1, len(sized), columns):
        row = range(first, min(first + columns, len(sized)))
        height = max(sizes[index][1] for index in row)
        for place, index in enumerate(row):
            panels.append(Panel(*sized[index], MARGIN + place * (width + SPACE), top, width, height))
        top += height + SPACE
    return tuple(panels)


def assign_inks(graphs: Iterable[LabeledGraph]) -> dict[str, Ink]:
    """Color and line style of each edge label; few enough of them share no color, and none share both.

    Names of parts come last, so that operations get the solid lines. Where there are more labels than colors,
    operations share theirs among themselves and parts among themselves: over its drawing, a part is named by its color.
    """
    listed = list(graphs)
    parts = {part.name for graph in listed for part in graph.parts}
    labels = dict.fromkeys(label for graph in listed for _, _, label in graph.edges if label)
    labels |= {node: None for graph in listed for node in graph.nodes if node in parts}  # where nodes do the work
    operations = sorted(labels.keys() - parts)
    named = sorted(labels.keys() & parts, key=lambda label: (len(label), label))
    if len(labels) <= len(PALETTE):
        return _inks([*operations, *named], PALETTE)
    own = min(len(named), len(PALETTE) // 2)
    return _inks(operations, PALETTE[: len(PALETTE) - own]) | _inks(named, PALETTE[len(PALETTE) - own :])


def _inks(labels: Sequence[str], colors: Sequence[str]) -> dict[str, Ink]:
    """A color for each label in turn, and another line style each time that they run out."""
    return {
        label: Ink(colors[number % len(colors)], STYLES[number // len(colors) % len(STYLES)])
        for number, label in enumerate(labels)
    }


def _listed(graph: LabeledGraph) -> list[LabeledGraph]:
    """The graphs that are drawn: all, up to MOST."""
    listed = _levels(graph)
    if len(listed) <= MOST:
        return listed
    name = f"{graph.name} (the first {MOST} of {len(listed)} graphs)"
    return [replace(graph, name=name), *listed[1:MOST]]


def _levels(graph: LabeledGraph, levels: int = -1) -> list[LabeledGraph]:
    """The graph, its parts, their parts, and so on, to so many levels (-1: all); equal ones once."""
    found: dict[LabeledGraph, None] = {}
    level = [graph]
    while level and levels:
        levels -= 1
        found.update(dict.fromkeys(level))
        level = [part for each in level for part in each.parts if part not in found]
    return list(found)


def _panel_size(graph: LabeledGraph, placed: Layout) -> Point:
    bounds = placed.bounds
    title = SAMPLE + PADDING + text_width(graph.name, TITLE_SIZE, "bold")
    width = max(bounds.right - bounds.left, title) + 2 * MARGIN
    return width, bounds.top - bounds.bottom + TITLE_HEIGHT + 1.5 * MARGIN


def _draw_panel(axes: Axes, panel: Panel, inks: Mapping[str, Ink]) -> None:
    _box(axes, panel.left, panel.top, panel.width, panel.height, color=FAINT, rounding=0.06, line_width=0.8)
    x, y = panel.left + MARGIN, panel.top + MARGIN / 2 + TITLE_HEIGHT / 2
    ink = inks.get(panel.graph.name)
    if ink:  # the line by which the graphs above name this one
        axes.plot([x, x + SAMPLE], [y, y], color=ink.color, linestyle=ink.style, linewidth=1.5 * LINE_WIDTH)
        x += SAMPLE + PADDING
    _text(axes, (x, y), panel.graph.name, INK, size=TITLE_SIZE, weight="bold", ha="left")
    bounds = panel.layout.bounds
    origin = panel.left + (panel.width - bounds.right) / 2, panel.top + TITLE_HEIGHT + MARGIN / 2 + bounds.top
    # far lanes first: where lines cross, the nearer lane runs on top
    for wire in sorted(panel.layout.wires, key=lambda wire: -wire.lane):
        _draw_wire(axes, wire, origin, inks.get(wire.edge[2], PLAIN))
    for box, text in zip(panel.layout.nodes, panel.graph.nodes, strict=True):
        x, y = origin[0] + box.left, origin[1] - box.top
        color = inks[text].color if text in inks else INK
        _box(axes, x, y, box.right - box.left, box.top - box.bottom, color=color, rounding=0.07, fill="#f2f2f2")
        center = origin[0] + box.center[0], origin[1] - box.center[1]
        _text(axes, center, text, INK)


def _draw_wire(axes: Axes, wire: Wire, origin: Point, ink: Ink) -> None:
    corners = [(origin[0] + x, origin[1] - y) for x, y in wire.points]
    last, end = corners[-2:]
    length = abs(end[0] - last[0]) + abs(end[1] - last[1])
    ahead = (end[0] - last[0]) / length, (end[1] - last[1]) / length
    base = end[0] - ahead[0] * ARROW, end[1] - ahead[1] * ARROW
    half = ARROW * 0.38
    wings = [(base[0] + sign * half * ahead[1], base[1] + sign * half * ahead[0]) for sign in (1, -1)]
    line = _rounded([*corners[:-1], base])
    axes.add_patch(PathPatch(line, fill=False, edgecolor=ink.color, linestyle=ink.style, linewidth=LINE_WIDTH))
    axes.add_patch(Polygon([end, *wings], closed=True, facecolor=ink.color, edgecolor="none", zorder=2))
    if not wire.edge[2]:
        return
    box = wire.label
    x, y = origin[0] + box.left, origin[1] - box.top
    _box(axes, x, y, box.right - box.left, box.top - box.bottom, color="white", rounding=0.0, fill="white", zorder=3)
    _text(axes, (origin[0] + box.center[0], origin[1] - box.center[1]), wire.edge[2], _darkened(ink.color))


def _rounded(corners: Sequence[Point]) -> Path:
    """A line of horizontal and vertical pieces whose inner corners are rounded."""
    points, codes = [corners[0]], [Path.MOVETO]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        points += [_toward(corner, before), corner, _toward(corner, after)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    return Path([*points, corners[-1]], [*codes, Path.LINETO])


def _toward(corner: Point, other: Point) -> Point:
    """The point BEND away from `corner` on the way to `other`."""
    x, y = (a + max(-BEND, min(BEND, b - a)) for a, b in zip(corner, other, strict=True))
    return x, y


def _box(
    axes: Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    *,
    color: str,
    rounding: float,
    fill: str = "white",
    line_width: float = 1.0,
    zorder: float = 1,
) -> None:
    shape = f"round,pad=0,rounding_size={rounding}" if rounding else "square,pad=0"
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            width,
            height,
            shape,
            facecolor=fill,
            edgecolor=color,
            linewidth=line_width if rounding else 0.0,
            zorder=zorder,
        )
    )


def _text(
    axes: Axes,
    place: Point,
    text: str,
    color: str | tuple[float, ...],
    *,
    size: float = FONT_SIZE,
    weight: str = "normal",
    ha: str = "center",
) -> None:
    axes.text(
        *place,
        printable(text),
        size=size,
        weight=weight,
        family=FONT,
        color=color,
        ha=ha,
        va="center_baseline",
        parse_math=False,
        zorder=4,
    )


def _darkened(color: str) -> tuple[float, ...]:
    """A color dark enough for small text on white."""
    return tuple(0.72 * part for part in to_rgb(color))
