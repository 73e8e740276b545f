from itertools import pairwise

import numpy as np
import pytest

from netwright.core.records import LabeledGraph
from netwright.report import drawing
from netwright.report.text import FONT_SIZE
from netwright.report.upright import upright
from netwright.spaces.flat import flat_space
from netwright.spaces.nasnet import NasnetSpace
from netwright.zoo.amoebanet_a import plugin as amoebanet
from netwright.zoo.hierarchical import plugin as published


def graphs():
    """Cells of papers, one with all 55 edges, and samples."""
    full = tuple(int(value) for value in np.random.default_rng(0).integers(1, 7, 55))
    nasnet = NasnetSpace(operations="sp2")
    tops = [
        amoebanet.space.graph(amoebanet.genotype),
        published.space.graph(published.genotype),
        flat_space().graph(full),
        *(nasnet.graph(nasnet.sample(np.random.default_rng(seed))) for seed in range(3)),
    ]
    return [graph for top in tops for graph in (top, *top.parts)]


def pieces(wire):
    """Its straight pieces as (left, bottom, right, top)."""
    for (x, y), (to_x, to_y) in pairwise(wire.points):
        yield min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y)


def runs_through(box, piece):
    """Whether an upright or level piece of a line goes on inside of a box."""
    left, bottom, right, top = piece
    return max(left, box.left + 1e-9) <= min(right, box.right - 1e-9) and max(bottom, box.bottom + 1e-9) <= min(
        top, box.top - 1e-9
    )


@pytest.mark.parametrize("graph", graphs(), ids=lambda graph: graph.name)
def test_no_line_runs_through_a_label_or_a_node_and_no_label_covers_another(graph):
    placed = upright(graph)
    assert [wire.edge for wire in placed.wires] == list(graph.edges)
    for index, wire in enumerate(placed.wires):
        assert not any(wire.label.overlaps(other.label) for other in placed.wires[:index])
        assert not any(wire.label.overlaps(node) for node in placed.nodes)
        for other in placed.wires:
            assert other is wire or not any(runs_through(wire.label, piece) for piece in pieces(other))
        assert not any(runs_through(node, piece) for node in placed.nodes for piece in pieces(wire))


@pytest.mark.parametrize("graph", graphs(), ids=lambda graph: graph.name)
def test_every_edge_leaves_its_source_enters_its_destination_and_stays_within_the_bounds(graph):
    placed = upright(graph)
    for wire in placed.wires:
        source, target, _ = wire.edge
        for (x, y), node in ((wire.points[0], placed.nodes[source]), (wire.points[-1], placed.nodes[target])):
            assert node.left <= x <= node.right and node.bottom <= y <= node.top
        for x, y in (*wire.points, (wire.label.left, wire.label.bottom), (wire.label.right, wire.label.top)):
            assert placed.bounds.left <= x <= placed.bounds.right and placed.bounds.bottom <= y <= placed.bounds.top


def test_lines_lie_on_top_of_each_other_nowhere():
    for graph in graphs():
        upright_pieces = sorted(
            (left, bottom, top)
            for wire in upright(graph).wires
            for left, bottom, right, top in pieces(wire)
            if left == right
        )
        for (x, _, top), (other, bottom, _) in pairwise(upright_pieces):
            assert other > x or bottom >= top


def test_labels_of_published_cells_have_ten_pixels_where_the_drawing_has_400():
    for zoo in (amoebanet, published):
        figure = drawing.draw_narrow(zoo.space.graph(zoo.genotype))
        assert FONT_SIZE / (72 * figure.get_figwidth()) * 400 >= 10
        assert len(figure.axes[0].texts) == len(drawing.draw(zoo.space.graph(zoo.genotype)).axes[0].texts)


def test_a_label_wider_than_its_nodes_keeps_to_the_drawing_and_graphs_may_be_empty():
    wide = LabeledGraph("g", ("a", "b"), ((0, 1, "separable 3x3, then batch normalization"),))
    placed = upright(wide)
    assert placed.wires[0].label.left == 0 and placed.wires[0].label.right == placed.bounds.right
    assert placed.nodes[0].center[0] == pytest.approx(placed.wires[0].label.center[0])
    assert upright(LabeledGraph("nothing", (), ())).nodes == ()


def test_an_edge_that_leads_backwards_is_refused():
    with pytest.raises(ValueError, match="edge 'op' of 'g' leads from node 1 to 0"):
        upright(LabeledGraph("g", ("a", "b"), ((1, 0, "op"),)))
