import pytest

from netwright.core import refs, seeds
from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.spaces.flat import flat_space
from netwright.spaces.hierarchical import HierarchicalSpace


def test_it_is_one_graph_of_primitives():
    space = flat_space(nodes=3)
    assert space == HierarchicalSpace(motifs=(1,), nodes=(3,))
    assert [gene.name for gene in space.genes] == ["cell 1->2", "cell 1->3", "cell 2->3"]
    assert {len(gene.options) for gene in space.genes} == {7}


def test_options_reach_the_space():
    options = {"nodes": 4, "channels": 8, "repeats": 2, "skeleton": "imagenet", "diversification": 5}
    loaded = refs.load("space", Reference("flat", options))
    assert loaded == HierarchicalSpace((1,), (4,), 8, 2, "imagenet", 5)


def test_no_convolution_closes_the_cell():
    """Pooling alone: parameters are the skeleton's; the pooled cell is twice as wide as its input."""
    space = flat_space(nodes=3, channels=4)
    genotype = (4, 5, 6)  # max pool, and beside it avg pool: both reach the output
    stem = 9 * 4 + 2 * 4
    after = sum(9 * 2 * width + 2 * width * out + 2 * out for width, out in ((4, 8), (8, 16), (16, 16)))
    assert space.count(genotype, IO(1, 8, 8, 10)).params == stem + after + 16 * 10 + 10


def test_samples_are_valid():
    space = flat_space()
    for n in range(20):
        space.check(space.sample(seeds.rng_for(0, seeds.ASK, n)))


def test_bad_options_are_refused():
    with pytest.raises(BadReference, match=r"space.nodes is \[1\]; a graph has at least 2 nodes"):
        flat_space(nodes=1)
    with pytest.raises(BadReference, match=r"space\.skeleton is 'mnist': should be 'cifar' or 'imagenet'"):
        refs.load("space", Reference("flat", {"skeleton": "mnist"}))
