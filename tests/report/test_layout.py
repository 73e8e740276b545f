from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.core.records import LabeledGraph
from netwright.report import layout
from netwright.report.text import text_width


def complete(nodes, label="depthwise 3x3"):
    edges = tuple((source, target, label) for target in range(nodes) for source in range(target))
    return LabeledGraph("all edges", tuple(str(node) for node in range(nodes)), edges)


@st.composite
def graphs(draw):
    nodes = draw(st.integers(1, 15))
    pairs = [(source, target) for target in range(nodes) for source in range(target)]
    chosen = draw(st.lists(st.sampled_from(pairs), max_size=110)) if pairs else []  # some pairs twice
    words = st.sampled_from(("id", "conv 1x1", "separable 3x3", "level 3 motif 12", "an operation of a very long name"))
    edges = tuple((source, target, draw(words)) for source, target in chosen)
    return LabeledGraph("graph", tuple(draw(words) for _ in range(nodes)), edges)


def crossings(wires):
    """How often horizontal and vertical pieces of different edges meet."""
    pieces = [(i, a, b) for i, wire in enumerate(wires) for a, b in pairwise(wire.points)]
    flat = [(i, min(a[0], b[0]), max(a[0], b[0]), a[1]) for i, a, b in pieces if a[1] == b[1]]
    tall = [(i, a[0], min(a[1], b[1]), max(a[1], b[1])) for i, a, b in pieces if a[0] == b[0]]
    return sum(i != j and left < x < right and low < y < high for i, left, right, y in flat for j, x, low, high in tall)


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_nothing_overlaps(graph):
    placed = layout.layout(graph)
    labels = [wire.label for wire in placed.wires]
    assert not any(a.overlaps(b) for a, b in combinations((*labels, *placed.nodes), 2))
    for a, b in combinations([wire for wire in placed.wires if wire.side], 2):
        (_, (a_left, a_y), (a_right, _), _), (_, (b_left, b_y), (b_right, _), _) = a.points, b.points
        assert a_y != b_y or a_right < b_left or b_right < a_left


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_edges_end_at_their_nodes_and_labels_hide_no_other_line(graph):
    placed = layout.layout(graph)
    ends = [(wire.points[0], wire.side, "out") for wire in placed.wires]
    ends += [(wire.points[-1], wire.side, "in") for wire in placed.wires]
    assert len(set(ends)) == len(ends)  # a port each
    for wire in placed.wires:
        source, target, _ = wire.edge
        for (x, y), node in ((wire.points[0], placed.nodes[source]), (wire.points[-1], placed.nodes[target])):
            assert node.left <= x <= node.right and node.bottom <= y <= node.top
        assert min(x for x, _ in wire.points) < wire.label.left and wire.label.right < max(x for x, _ in wire.points)
        for other in placed.wires:
            for x, _ in other.points:
                assert not wire.label.left <= x <= wire.label.right
        assert placed.bounds.bottom <= wire.label.bottom and wire.label.top <= placed.bounds.top


def test_edges_to_the_next_node_are_straight_and_a_gap_without_one_is_narrow():
    placed = layout.layout(LabeledGraph("g", ("a", "b", "c"), ((0, 1, "conv"), (0, 2, "id"))))
    straight, lane = placed.wires
    assert straight.side == 0 and len(straight.points) == 2
    assert lane.side == 1 and lane.points[1][1] > layout.NODE_HEIGHT / 2
    first, second, third = placed.nodes
    assert third.left - second.right == pytest.approx(layout.MIN_GAP)
    assert second.left - first.right > text_width("conv")


def test_five_nodes_with_all_edges_cross_once():
    assert crossings(layout.layout(complete(5)).wires) == 1  # the least that five nodes on a line allow


@pytest.mark.parametrize("nodes", [11, 15])
def test_only_edges_whose_spans_interleave_on_one_side_cross(nodes):
    wires = layout.layout(complete(nodes)).wires
    pairs = combinations(wires, 2)
    interleaved = sum(
        a.side == b.side != 0
        and (a.edge[0] < b.edge[0] < a.edge[1] < b.edge[1] or b.edge[0] < a.edge[0] < b.edge[1] < a.edge[1])
        for a, b in pairs
    )
    least = (nodes // 2) * ((nodes - 1) // 2) * ((nodes - 2) // 2) * ((nodes - 3) // 2) // 4  # two-page drawings
    assert crossings(wires) == interleaved <= 1.15 * least


def test_a_longer_edge_lies_outside_the_edges_that_it_spans():
    wires = [wire for wire in layout.layout(complete(9)).wires if wire.side]
    for a, b in combinations(wires, 2):
        inner, outer = sorted((a, b), key=lambda wire: wire.edge[1] - wire.edge[0])
        if a.side == b.side and outer.edge[0] <= inner.edge[0] and inner.edge[1] <= outer.edge[1]:
            assert outer.lane > inner.lane


@pytest.mark.parametrize("edge", [(1, 0, "back"), (1, 1, "loop"), (0, 2, "beyond"), (-1, 1, "before")])
def test_edges_that_lead_nowhere_are_refused(edge):
    with pytest.raises(ValueError, match=f"edge '{edge[2]}' of 'g' leads from node"):
        layout.layout(LabeledGraph("g", ("a", "b"), (edge,)))
