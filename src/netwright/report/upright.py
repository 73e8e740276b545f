"""Where the nodes, edges and labels of a graph lie that is drawn for a narrow place: from top to bottom.

Nodes stand one below the other, all as wide as the widest. The first edge to the next node runs straight down, its
label in the gap. Every other edge leaves its source to the right, follows an upright lane of its own behind all labels
and comes back to its destination; its label stands on the way back, in a row that no other line takes. So a graph gets
taller with its edges, and wider only where many of them run side by side.
"""

from __future__ import annotations

from netwright.core.records import LabeledGraph
from netwright.report.layout import (
    ARROW,
    LABEL_HEIGHT,
    NODE_HEIGHT,
    PADDING,
    STUB,
    Box,
    Edge,
    Layout,
    Wire,
    check,
    lanes_of,
    ports_of,
    straight_edges,
)
from netwright.report.text import text_width

ROW = 0.18  # from one line that ends at a node to the next
LANE = 0.08  # from one lane to the next
GAP = 0.16  # between neighbors that no edge joins straight
LABELED_GAP = 0.46  # and where one does


def upright(graph: LabeledGraph) -> Layout:
    """Place a graph, downwards from y = 0, the nodes' left edges at x = 0; its `parts` are not looked at.

    Raises:
        ValueError: An edge names a missing node, or does not lead from an earlier to a later one.
    """
    check(graph)
    edges = graph.edges
    straight = straight_edges(edges)
    sides = [0 if index in straight else 1 for index in range(len(edges))]
    lanes = lanes_of(edges, sides)
    ports = [[*arriving, *leaving] for arriving, leaving in ports_of(edges, sides, lanes, len(graph.nodes))]
    width = max((text_width(text) + 2 * PADDING for text in graph.nodes), default=0.0)
    joined = {edges[index][0] for index in straight}
    nodes: list[Box] = []
    top = 0.0
    for number in range(len(graph.nodes)):
        height = max(NODE_HEIGHT, (len(ports[number]) + 0.5) * ROW)
        nodes.append(Box(0.0, top - height, max(width, NODE_HEIGHT), top))
        top -= height + (LABELED_GAP if number in joined else GAP)
    labels = [text_width(label) for index, (_, _, label) in enumerate(edges) if index not in straight]
    first_lane = nodes[-1].right + ARROW + 2 * STUB + 2 * PADDING + max(labels, default=0.0) if nodes else 0.0
    wires = tuple(
        _down(edge, nodes) if index in straight else _around(index, edge, nodes, ports, lanes[index], first_lane)
        for index, edge in enumerate(edges)
    )
    reach = [x for wire in wires for x in (wire.label.right, *(x for x, _ in wire.points))]
    right = max([box.right for box in nodes] + reach, default=0.0)
    left = min((wire.label.left for wire in wires), default=0.0)
    if left < 0:  # a label wider than the nodes that it stands between
        nodes, wires, right = (
            [_moved(box, -left) for box in nodes],
            tuple(_shifted(w, -left) for w in wires),
            right - left,
        )
    return Layout(tuple(nodes), wires, Box(0.0, nodes[-1].bottom if nodes else 0.0, right, 0.0))


def _down(edge: Edge, nodes: list[Box]) -> Wire:
    """A straight edge; the head of its arrow takes room below its label."""
    above, below = nodes[edge[0]], nodes[edge[1]]
    x, y = above.center[0], (above.bottom + below.top) / 2 + ARROW / 2
    return Wire(edge, ((x, above.bottom), (x, below.top)), _label(edge, x, y), 0, -1)


def _around(index: int, edge: Edge, nodes: list[Box], ports: list[list[int]], lane: int, first_lane: float) -> Wire:
    source, target, _ = edge
    leaves, enters = (_port(nodes[node], ports[node], index) for node in (source, target))
    x = first_lane + lane * LANE
    corners = ((nodes[source].right, leaves), (x, leaves), (x, enters), (nodes[target].right, enters))
    middle = (nodes[target].right + ARROW + first_lane) / 2
    return Wire(edge, corners, _label(edge, middle, enters), 1, lane)


def _port(node: Box, listed: list[int], index: int) -> float:
    """The height at which an edge of a lane meets a node: rows in the middle of its side."""
    return node.center[1] + ROW * ((len(listed) - 1) / 2 - listed.index(index))


def _label(edge: Edge, x: float, y: float) -> Box:
    half = text_width(edge[2]) / 2 + PADDING
    return Box(x - half, y - LABEL_HEIGHT / 2, x + half, y + LABEL_HEIGHT / 2)


def _moved(box: Box, right: float) -> Box:
    return Box(box.left + right, box.bottom, box.right + right, box.top)


def _shifted(wire: Wire, right: float) -> Wire:
    points = tuple((x + right, y) for x, y in wire.points)
    return Wire(wire.edge, points, _moved(wire.label, right), wire.side, wire.lane)
