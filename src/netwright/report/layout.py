"""Where the nodes, edges and labels of a drawn graph lie: pure geometry, in inches, y upwards, first node at x = 0.

Nodes stand on one axis, left to right. An edge to the next node runs straight through the gap. Every other edge leaves
its source upwards or downwards, follows a horizontal lane of its own and enters its destination. Three rules keep it
readable when all n (n - 1) / 2 edges are there:

* Labels stand in gaps, where no line is vertical, so a label hides nothing but a piece of its own lane.
* Edges on one side whose spans overlap have different lanes, shorter spans nearer to the axis (interval coloring,
  shortest first, so a nested edge always lies below the one around it).
* Each node has a port per edge, ordered so that edges cross only where their spans interleave; sides are chosen to
  make such pairs few, as in a two-page book drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from netwright.core.records import LabeledGraph
from netwright.report.text import text_width

NODE_HEIGHT = 0.36
LABEL_HEIGHT = 0.15
LANE = 0.18  # from one lane to the next
FIRST_LANE = 0.25  # from a node's edge to its nearest lane: room for an arrow head and a bend
PORT = 0.11  # from one port to the next, and, doubled, from arriving to leaving ones
PADDING = 0.07  # of text in its box
ARROW = 0.10  # length of an arrow head
MIN_GAP = 0.40  # between neighbors without a label
STUB = 0.09  # visible line at either end of a label in its gap
PASSES = 20  # at most, of the search for better sides

Point = tuple[float, float]
Edge = tuple[int, int, str]


@dataclass(frozen=True)
class Box:
    """A rectangle: `left` < `right`, `bottom` < `top`."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def center(self) -> Point:
        """The middle of the rectangle."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def overlaps(self, other: Box) -> bool:
        """Whether the two share more than a border."""
        is_beside = self.right <= other.left or other.right <= self.left
        return not (is_beside or self.top <= other.bottom or other.top <= self.bottom)


@dataclass(frozen=True)
class Wire:
    """An edge as drawn.

    Args:
        edge: The edge as (source, destination, label).
        points: Corners from source to destination: 2 for a straight edge, else 4.
        label: Where the label's text stands.
        side: 1 above the axis, -1 below, 0 on it.
        lane: Number of the lane: 0, 1, ... away from the axis; -1 on it.
    """

    edge: Edge
    points: tuple[Point, ...]
    label: Box
    side: int
    lane: int


@dataclass(frozen=True)
class Layout:
    """A graph as drawn: `nodes` and `wires` in the order of the graph's; `bounds` holds everything."""

    nodes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    bounds: Box


def layout(graph: LabeledGraph) -> Layout:
    """Place a graph; its `parts` are not looked at.

    Raises:
        ValueError: An edge names a missing node, or does not lead from an earlier to a later one.
    """
    check(graph)
    sides = _sides(graph.edges)
    lanes = lanes_of(graph.edges, sides)
    above, below = (ports_of(graph.edges, sides, lanes, len(graph.nodes), side) for side in (1, -1))
    ports = list(zip(above, below, strict=True))
    gaps, gap_of = _gaps(graph)
    nodes, left = [], 0.0
    for number, text in enumerate(graph.nodes):
        rows = [(len(arriving) + len(leaving) + 2) * PORT for arriving, leaving in ports[number]]
        width = max(text_width(text) + 2 * PADDING, NODE_HEIGHT, *rows)
        nodes.append(Box(left, -NODE_HEIGHT / 2, left + width, NODE_HEIGHT / 2))
        left += width + (gaps[number] if number < len(gaps) else 0.0)
    wires = tuple(
        _wire(edge, side, lane, nodes, _port_xs(index, edge, side, ports, nodes), gap_of[index])
        for index, (edge, side, lane) in enumerate(zip(graph.edges, sides, lanes, strict=True))
    )
    reach = [max((wire.lane + 1 for wire in wires if wire.side == side), default=0) for side in (1, -1)]
    top, bottom = (NODE_HEIGHT / 2 + (FIRST_LANE + (count - 0.5) * LANE if count else 0.0) for count in reach)
    return Layout(tuple(nodes), wires, Box(0.0, -bottom, nodes[-1].right if nodes else 0.0, top))


def check(graph: LabeledGraph) -> None:
    """Refuse a graph that cannot be placed.

    Raises:
        ValueError: An edge names a missing node, or does not lead from an earlier to a later one.
    """
    for source, target, label in graph.edges:
        if not 0 <= source < target < len(graph.nodes):
            raise ValueError(
                f"edge {label!r} of {graph.name!r} leads from node {source} to {target}; "
                f"edges lead from earlier to later ones of the {len(graph.nodes)} nodes"
            )


def straight_edges(edges: Sequence[Edge]) -> set[int]:
    """Indices of edges on the axis: the first one from each node to the next."""
    first: dict[int, int] = {}
    for index, (source, target, _) in enumerate(edges):
        if target == source + 1:
            first.setdefault(source, index)
    return set(first.values())


def _sides(edges: Sequence[Edge]) -> list[int]:
    """Side of each edge: 1, -1 or, for straight ones, 0.

    The shortest edges choose first, the side of fewer crossings and then of fewer overlaps; then they choose again.
    """
    spans = np.array([edge[:2] for edge in edges]).reshape(-1, 2)
    starts, ends = spans[:, 0], spans[:, 1]
    is_inside = (starts[:, None] < starts) & (starts < ends[:, None]) & (ends[:, None] < ends)
    crosses = is_inside | is_inside.T
    overlaps = np.maximum(starts[:, None], starts) < np.minimum(ends[:, None], ends)
    cost = crosses * 1000 + overlaps
    np.fill_diagonal(cost, 0)
    straight = straight_edges(edges)
    order = sorted(set(range(len(edges))) - straight, key=lambda index: (ends[index] - starts[index], index))
    sides = np.zeros(len(edges), np.int64)
    for _ in range(PASSES):
        before = sides.copy()
        for index in order:
            above, below = (int(cost[index] @ (sides == side)) for side in (1, -1))
            if above != below or not sides[index]:
                sides[index] = 1 if above <= below else -1
        if (sides == before).all():
            break
    return [int(side) for side in sides]


def lanes_of(edges: Sequence[Edge], sides: Sequence[int]) -> list[int]:
    """Lane of each edge: shortest first, the nearest one that is free over its whole span."""
    lanes = [-1] * len(edges)
    taken: dict[tuple[int, int], list[Edge]] = {}
    for index in sorted(range(len(edges)), key=lambda i: (edges[i][1] - edges[i][0], i)):
        side = sides[index]
        if not side:
            continue
        source, target, _ = edges[index]
        lane = 0
        while any(max(source, s) < min(target, t) for s, t, _ in taken.get((side, lane), ())):
            lane += 1
        lanes[index] = lane
        taken.setdefault((side, lane), []).append(edges[index])
    return lanes


def ports_of(
    edges: Sequence[Edge], sides: Sequence[int], lanes: Sequence[int], nodes: int, side: int = 1
) -> list[tuple[list[int], list[int]]]:
    """Edges arriving at and leaving one side of each node, each in the order along the axis that avoids crossings."""
    here = sorted((index for index in range(len(edges)) if sides[index] == side), key=lambda index: lanes[index])
    arriving = [[index for index in here if edges[index][1] == node] for node in range(nodes)]
    leaving = [[index for index in reversed(here) if edges[index][0] == node] for node in range(nodes)]
    return list(zip(arriving, leaving, strict=True))


def _port_xs(
    index: int, edge: Edge, side: int, ports: Sequence[Sequence[tuple[list[int], list[int]]]], nodes: Sequence[Box]
) -> Point:
    """Where an edge of a lane leaves its source and enters its destination: ports flush with the node's corners."""
    source, target, _ = edge
    if not side:
        return nodes[source].right, nodes[target].left
    row = 0 if side > 0 else 1
    leaving, arriving = ports[source][row][1], ports[target][row][0]
    leaves = nodes[source].right - PORT * (len(leaving) - leaving.index(index))
    return leaves, nodes[target].left + PORT * (arriving.index(index) + 1)


def _gaps(graph: LabeledGraph) -> tuple[list[float], dict[int, int]]:
    """Width of each gap, and the gap in which each edge's label stands.

    Widest labels first, each where it widens the drawing least, then nearest to the middle of its edge.
    """
    gaps = [MIN_GAP] * max(len(graph.nodes) - 1, 0)
    gap_of: dict[int, int] = {}
    widths = [text_width(label) + 2 * (PADDING + STUB) for _, _, label in graph.edges]
    straight = straight_edges(graph.edges)
    for index in sorted(range(len(graph.edges)), key=lambda i: (i not in straight, -widths[i], i)):
        source, target, _ = graph.edges[index]
        width = widths[index] + (ARROW if index in straight else 0.0)
        middle = (source + target - 1) / 2
        gap = min(range(source, target), key=lambda g: (max(width - gaps[g], 0.0), abs(g - middle), g))
        gaps[gap] = max(gaps[gap], width)
        gap_of[index] = gap
    return gaps, gap_of


def _wire(edge: Edge, side: int, lane: int, nodes: Sequence[Box], xs: Point, gap: int) -> Wire:
    border = side * NODE_HEIGHT / 2
    y = border + side * (FIRST_LANE + lane * LANE)
    corners = ((xs[0], 0.0), (xs[1], 0.0)) if not side else ((xs[0], border), (xs[0], y), (xs[1], y), (xs[1], border))
    shift = 0.0 if side else -ARROW / 2  # a straight edge's arrow head takes room on the right
    x = (nodes[gap].right + nodes[gap + 1].left) / 2 + shift
    half = text_width(edge[2]) / 2 + PADDING
    return Wire(edge, corners, Box(x - half, y - LABEL_HEIGHT / 2, x + half, y + LABEL_HEIGHT / 2), side, lane)
