"""The cells as drawn, against the tables of the code that they were published with; state 0 is the cell before."""

import json

import pytest

from netwright.core import refs
from netwright.plans import source
from tests.cli.test_bad_input import run

# combinations of the normal, then of the reduction cell, and what each concatenates
CELLS = {
    "amoebanet_a": (
        "avg3(0)+max3(0) sep3(1)+none(1) none(0)+avg3(1) sep3(0)+sep5(2) avg3(5)+sep3(0) = 1346",
        "sep3(1)+avg3(0) max3(0)+sep7(2) max3(1)+max3(0) sep3(4)+1x7(0) avg3(1)+sep7(0) = 23456",
    ),
    "amoebanet_b": (
        "1x1(1)+max3(1) none(1)+sep3(0) 1x1(1)+sep3(0) 1x1(2)+none(2) avg3(1)+1x1(5) = 0346",
        "max2(0)+max3(0) none(2)+3x3(1) dil5(2)+max3(2) none(3)+sep3(1) avg3(4)+1x1(3) = 56",
    ),
    "amoebanet_c": (
        "avg3(0)+sep3(0) none(0)+sep3(0) avg3(2)+sep3(1) none(0)+sep3(1) avg3(3)+sep3(0) = 12456",
        "max3(0)+max3(0) sep7(2)+sep3(0) sep7(0)+max3(1) sep5(4)+sep5(4) max3(1)+sep3(1) = 023456",
    ),
    "amoebanet_d": (
        "1x1(1)+max3(1) none(1)+1x7(0) 1x1(0)+1x7(0) max3(2)+none(2) avg3(1)+1x1(5) = 0346",
        "max2(0)+max3(0) none(2)+3x3(1) 1x7(2)+max3(2) none(3)+max2(1) avg3(2)+1x1(3) = 456",
    ),
    "nasnet_a": (
        "sep5(0)+sep3(1) sep5(1)+sep3(1) avg3(0)+none(1) avg3(1)+avg3(1) sep3(0)+none(0) = 123456",
        "sep5(0)+sep7(1) max3(0)+sep7(1) avg3(0)+sep5(1) none(3)+avg3(2) sep3(2)+max3(0) = 3456",
    ),
}
SHORT = {
    "none": "identity",
    "1x1": "conv 1x1",
    "3x3": "conv 3x3",
    "1x7": "conv 1x7 7x1",
    "sep3": "sep 3x3",
    "sep5": "sep 5x5",
    "sep7": "sep 7x7",
    "dil5": "dil sep 5x5",
    "avg3": "avg pool 3x3",
    "max3": "max pool 3x3",
    "max2": "max pool 2x2",
}


def _edges(text):
    """The edges of a drawing of the cell, but for their order."""
    sums, _, outputs = text.partition(" = ")
    edges = [
        (int(branch[-2]), state, SHORT[branch[:-3]])
        for state, pair in enumerate(sums.split(), start=2)
        for branch in pair.split("+")
    ]
    return sorted(edges + [(int(state), 7, "concat") for state in outputs])


@pytest.mark.parametrize("name", CELLS)
def test_the_drawings_are_the_published_cells(name):
    entry = refs.locate("zoo", name)
    parts = entry.space.graph(entry.genotype).parts
    assert [part.nodes for part in parts] == [
        ("0 direct: one cell before", "1 skip: two cells before", "2", "3", "4", "5", "6", "output")
    ] * 2
    assert [sorted(part.edges) for part in parts] == [_edges(text) for text in CELLS[name]]


@pytest.mark.parametrize("name", CELLS)
def test_twenty_cells_are_a_handful_of_classes(name):
    entry = refs.locate("zoo", name)
    text = source.classes(entry.space.plan(entry.genotype, entry.io))
    assert len([line for line in text.splitlines() if line.startswith("class ")]) == 10
    assert len(text.splitlines()) < 1000


def test_the_command_that_shows_the_largest_published_model(capsys):
    scale = ["--space.repeats", "6", "--space.channels", "190", "--skeleton", "imagenet", "--io", "3x331x331:1000"]
    code, out, err = run(capsys, "show", "zoo:amoebanet-a", *scale, "--json")
    assert (code, err) == (0, "")
    facts = json.loads(out)
    assert (facts["params"], facts["multiply_adds"]) == (86_718_797, 23_133_663_507)
