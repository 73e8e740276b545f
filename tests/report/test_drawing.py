import numpy as np
import pytest

from netwright.core.records import LabeledGraph
from netwright.report import drawing
from netwright.spaces.flat import flat_space
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.hnag import HnagSpace
from netwright.spaces.nasnet import NasnetSpace
from netwright.zoo.hierarchical import plugin as published

LEAF = LabeledGraph("leaf", ("in", "out"), ((0, 1, "conv"),))
MIDDLE = LabeledGraph("middle", ("in", "out"), ((0, 1, "leaf"),), (LEAF,))
TOP = LabeledGraph("top", ("in", "x", "out"), ((0, 1, "middle"), (1, 2, "leaf"), (0, 2, "conv")), (MIDDLE, LEAF))


def texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def zoo_graph():
    return published.space.graph(published.genotype)


def test_the_published_cell_is_drawn_with_every_motif_and_every_label():
    found = texts(drawing.draw(zoo_graph()))
    assert [text for text in found if text == "cell"] == ["cell"]
    assert found.count("motif 5") == 1 + 4  # its title and four edges
    assert found.count("separable 3x3") == 9
    assert "motif 2" not in found  # not used


def test_flat_cell_with_all_55_edges_has_55_labels():
    space = flat_space()
    genotype = tuple(int(value) for value in np.random.default_rng(0).integers(1, 7, 55))
    graph = space.graph(genotype)
    found = texts(drawing.draw(graph))
    assert len(graph.edges) == 55
    assert len(found) == 55 + 11 + 1


def test_drawn_texts_do_not_overlap():
    space = HierarchicalSpace()
    for graph in (zoo_graph(), space.graph(space.sample(np.random.default_rng(3)))):
        figure = drawing.draw(graph)
        figure.draw_without_rendering()
        boxes = [text.get_window_extent() for text in figure.axes[0].texts]
        page = figure.bbox
        assert all(page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 for box in boxes)
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_parts_of_parts_are_drawn_once_level_by_level():
    panels = drawing.arrange(TOP)
    assert [panel.graph.name for panel in panels] == ["top", "middle", "leaf"]
    assert panels[0].top + panels[0].height < panels[1].top
    for i, a in enumerate(panels):
        for b in panels[:i]:
            is_beside = a.left >= b.left + b.width or b.left >= a.left + a.width
            assert is_beside or a.top >= b.top + b.height or b.top >= a.top + a.height


def test_equal_labels_have_equal_colors_and_colors_run_out_into_styles():
    labels = [f"op {number:02}" for number in range(20)]
    graph = LabeledGraph("g", tuple("abcdefg"), tuple((0, 1 + n % 6, label) for n, label in enumerate(labels)))
    inks = drawing.assign_inks([graph, LEAF])
    assert len(set(inks.values())) == 21
    assert drawing.assign_inks([TOP, MIDDLE, LEAF])["leaf"] == drawing.assign_inks([TOP])["leaf"]


def test_what_is_drawn_below_shares_no_color_with_an_operation():
    """As the reduction cell once did with the concatenation, a line style apart."""
    space = NasnetSpace(operations="sp2")
    graph = space.graph(space.sample(np.random.default_rng(0)))
    many = LabeledGraph("g", ("a", "b"), tuple((0, 1, f"op {n}") for n in range(30)), (LEAF, MIDDLE))
    top = LabeledGraph("t", ("a", "b"), ((0, 1, "leaf"), (0, 1, "middle")))
    for listed, parts in (([graph, *graph.parts], graph.parts), ([many, top], many.parts)):
        inks = drawing.assign_inks(listed)
        own = {inks[part.name].color for part in parts}
        assert len(own) == len(parts)
        assert own.isdisjoint(ink.color for label, ink in inks.items() if label not in {p.name for p in parts})


def test_text_from_data_is_not_read_as_mathematics():
    graph = LabeledGraph("$\\frac$", ("$a", "b$"), ((0, 1, "$\\bad{$"),))
    figure = drawing.draw(graph)
    figure.draw_without_rendering()
    assert set(texts(figure)) == {"$\\frac$", "$a", "b$", "$\\bad{$"}


@pytest.mark.parametrize("graph", [LEAF, LabeledGraph("one", ("only",), ()), LabeledGraph("none", (), ())])
def test_smallest_graphs_are_drawn(graph):
    figure = drawing.draw(graph)
    figure.draw_without_rendering()
    assert graph.name in texts(figure)


def test_networks_of_one_generator_stand_side_by_side_and_do_not_overlap():
    space, genotype = HnagSpace(), (4, 2, 0.5, 2, 0.5, 3, 2, 0.5)
    graphs = [space.seeded(seed).graph(genotype) for seed in range(3)]
    figure = drawing.draw_beside(graphs, ["a", "b", "c"])
    figure.draw_without_rendering()
    found = texts(figure)
    assert {"a", "b", "c"} <= set(found)
    assert found.count("cell 1") == 2 * 3  # as a node and as a title
    assert "conv 3x3" not in found  # two levels only
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_networks_one_below_the_other_can_be_read_at_400_pixels():
    space, genotype = HnagSpace(), (4, 2, 0.5, 2, 0.5, 3, 2, 0.5)
    graphs = [space.seeded(seed).graph(genotype) for seed in range(3)]
    figure = drawing.draw_below(graphs, ["a", "b", "c"])
    figure.draw_without_rendering()
    found = texts(figure)
    assert {"a", "b", "c"} <= set(found)
    assert found.count("cell 1") == 3  # as a node alone
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert drawing.FONT_SIZE / 72 * 400 / figure.get_size_inches()[0] > 8, "pixels of the letters"


def test_all_three_levels_are_drawn_and_edges_without_labels_have_no_text():
    found = texts(drawing.draw(HnagSpace().graph((3, 2, 0.5, 3, 0.5, 3, 2, 0.5))))
    assert found.count("conv 3x3") == 3  # all wirings of 3 nodes are equal
    assert found.count("wiring 1") == 1 + 9
    assert found.count("cell 2") == 2
    assert "" not in found


def test_of_very_many_graphs_the_first_are_drawn():
    graph = HnagSpace().graph((10, 4, 0.5, 10, 0.5, 10, 4, 0.5))
    panels = drawing.arrange(graph)
    assert len(panels) == drawing.MOST
    assert panels[0].graph.name == f"network (the first 60 of {1 + 10 + 100} graphs)"


def test_saving_twice_gives_the_same_files(drawn, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        drawing.save(drawing.draw(zoo_graph()), tmp_path / folder / "cell")
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["cell.png", "cell.svg"]
    assert (tmp_path / "a" / "cell.svg").read_bytes() == (tmp_path / "b" / "cell.svg").read_bytes()
    assert (tmp_path / "a" / "cell.png").read_bytes().startswith(b"\x89PNG")
