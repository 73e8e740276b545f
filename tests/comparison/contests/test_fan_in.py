"""Edges into outputs: counted on drawings, so that no space is named."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.cells import nasnet
from netwright.comparison.contests import fan_in
from netwright.core.records import LabeledGraph
from netwright.spaces.nasnet import NasnetSpace
from netwright.testing.toys import ToySpace
from netwright.zoo import amoebanet_a

SPACE = NasnetSpace()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_of_a_cell_it_is_the_number_of_unread_states(seed):
    genotype = SPACE.sample(np.random.default_rng(seed))
    found = fan_in.of_graph(SPACE.graph(genotype))
    normal, reduction = SPACE.cells(genotype)
    assert found["normal cell"] == len(nasnet.unused(normal.combinations))
    assert found["reduction cell"] == len(nasnet.unused(reduction.combinations))


def test_of_a_published_cell_it_is_what_the_table_says():
    entry = amoebanet_a.plugin
    found = fan_in.of_graph(entry.space.graph(entry.genotype))
    assert (found["normal cell"], found["reduction cell"]) == (4, 5)  # concat 1, 3, 4, 6 and 2 to 6


def test_of_parts_within_parts():
    leaf = LabeledGraph("leaf", ("a", "b"), ((0, 1, ""), (0, 1, "again")))
    part = LabeledGraph("part", ("a", "b", "c"), ((0, 2, ""), (1, 2, "")), (leaf,))
    assert fan_in.of_graph(LabeledGraph("whole", ("a", "b"), ((0, 1, ""),), (part,))) == {
        "whole": 1,
        "part": 2,
        "leaf": 2,
    }


def test_graphs_that_never_vary_are_left_out():
    assert set(fan_in.random(SPACE, np.random.default_rng(0), 50)) == {"normal cell", "reduction cell"}
    assert fan_in.random(ToySpace(), np.random.default_rng(0), 50) == {}


def test_the_mean_is_over_the_graphs_that_a_network_has():
    found = {"a": np.array([1.0, np.nan, 3.0]), "b": np.array([3.0, np.nan, np.nan]), "c": np.array([9.0, 9.0, 9.0])}
    np.testing.assert_array_equal(fan_in.mean(found, ("a", "b", "d"), 3), [2.0, np.nan, 3.0])
    assert np.isnan(fan_in.mean(found, (), 3)).all()
