from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.cells.random_graphs import outputs_of
from netwright.core import genes, refs, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Integer, Real
from netwright.core.protocols import Generates, of_seed, unwrap
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.plans import counting
from netwright.spaces.hnag import HnagSpace
from netwright.spaces.residual import ResidualSpace
from netwright.testing.spaces import check_graph, check_network, check_space

CIFAR, LARGE, ODD = IO(3, 32, 32, 10), IO(3, 224, 224, 102), IO(1, 57, 45, 7)
SPACE = HnagSpace()
SMALL = (4, 2, 0.5, 3, 0.5, 4, 2, 0.5)


def sampled(space, n):
    return space.sample(seeds.rng_for(n, seeds.ASK))


@given(
    st.integers(0, 2**32),
    st.sampled_from(["wiring", "operations", "stages"]),
    st.sampled_from(["weights_only", "strict"]),
    st.booleans(),
    st.sampled_from([CIFAR, LARGE, ODD]),
)
@settings(max_examples=30)
def test_counts_in_closed_form_are_those_of_the_plan(seed, searched, rule, bias, io):
    space = HnagSpace(searched=searched, rule=rule, bias=bias, seed=seed, n_mid=(1, 3), n_top=(3, 6))
    genotype = sampled(space, seed)
    counts = space.count(genotype, io)
    assert counts == counting.count(space.plan(genotype, io))
    if rule == "strict":
        assert counts.params <= space.limit


@pytest.mark.parametrize("searched", ["operations", "stages"])
def test_the_extended_spaces_keep_the_contract(searched):
    check_space(HnagSpace(searched=searched, limit=100_000, n_top=(3, 5), n_mid=(1, 3), n_bottom=(3, 5)), samples=3)


def test_genes_of_one_extension_without_its_extras_are_the_plain_space():
    plain = SPACE.count(SMALL, CIFAR)
    assert HnagSpace(searched="operations").count((*SMALL, 1, 0, 0, 1, 0, 0, 0), CIFAR) == plain
    assert HnagSpace(searched="stages").count((*SMALL, 0.5, 0.5, 0.5, 1, 2, 4), CIFAR) == plain


def test_ranges_are_settings():
    space = HnagSpace(n_top=(4, 6), p_mid=(0.5, 0.75))
    assert space.genes[0] == Integer("n_top", 4, 6)
    assert space.genes[4] == Real("p_mid", 0.5, 0.75)
    assert refs.load("space", Reference("hnag", {"n_top": [4, 6], "limit": 4e5})) == HnagSpace((4, 6), limit=400_000)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_top": (2, 5)}, "space.n_top is 2 to 5; give a range, low end first, within 3 to 100"),
        ({"k_bottom": (1, 5)}, "space.k_bottom is 1 to 5"),
        ({"p_top": (0.9, 0.1)}, "space.p_top is 0.9 to 0.1"),
        ({"p_bottom": (0.1, 1.1)}, "space.p_bottom is 0.1 to 1.1"),
        ({"p_mid": (0.0, 0.5)}, "space.p_mid begins at 0, where no edge joins the groups"),
        ({"limit": 52, "searched": "operations"}, "space.limit is 52, too small for any width: .* has 53 weights"),
        ({"limit": 476}, "space.limit is 476, too small for any width: .* has 477 weights"),
        ({"seed": -1}, "space.seed is -1"),
        ({"ratios": (0, 2, 4)}, r"space.ratios is \[0, 2, 4\]"),
        ({"share": (0.0, 1.0)}, "space.share is 0.0 to 1.0"),
    ],
)
def test_settings_that_fit_no_network_are_refused(options, sentence):
    with pytest.raises(BadReference, match=sentence):
        HnagSpace(**options)


@pytest.mark.parametrize(
    ("genotype", "sentence"),
    [
        ((2, *SMALL[1:]), r"gene 0 \(n_top\) is 2; it takes a whole number from 3 to 100"),
        ((*SMALL[:4], 0.0, *SMALL[5:]), r"gene 4 \(p_mid\) is 0, and no edge joins the 3 groups"),
        ((50, 2, 0.5, 50, 0.5, 50, 2, 0.5), "the generator has 125,000 operations"),
        (SMALL[:7], "the genotype has 7 values, the space has 8 genes"),
    ],
)
def test_what_the_graph_models_cannot_draw_is_refused(genotype, sentence):
    with pytest.raises(InvalidGenotype, match=sentence):
        SPACE.check(genotype)


def test_a_limit_that_leaves_no_channel_is_said():
    space = HnagSpace(limit=1000)
    space.check((3, 2, 0.5, 1, 0.5, 3, 2, 0.5))
    sentence = r"needs [\d,]+ parameters with one channel and space.limit is 1,000; raise it"
    with pytest.raises(InvalidGenotype, match=sentence):
        space.check((10, 2, 0.5, 1, 0.5, 10, 2, 0.5))
    with pytest.raises(InvalidGenotype, match=sentence):
        replace(space, rule="strict").count((3, 2, 0.5, 1, 0.5, 3, 2, 0.5), CIFAR)


def test_a_generator_outside_the_ranges_is_a_network_too():
    for genotype in ((10, 4, 0, 1, 0.0, 10, 4, 0), (3, 2, 0, 1, 1.0, 32, 4, 0)):
        SPACE.check(genotype)


def test_keys_are_equal_for_equal_generators():
    key = SPACE.key
    assert key((5, 2, 0.5, 3, 0.5, 6, 4, 0.5)) == key((5, 3, 0.5, 3, 0.5, 6, 5, 0.5))  # an odd degree is one less
    assert key((3, 5, 0.1, 1, 0.1, 5, 4, 0.1)) == key((3, 2, 0.9, 1, 0.9, 5, 5, 0.9))  # complete, single
    assert key(SMALL) != key((*SMALL[:2], 0.6, *SMALL[3:]))
    assert key(SMALL) == key((*SMALL[:1], 4, *SMALL[2:]))  # of 4 nodes each has 2 neighbors
    assert key((8, *SMALL[1:])) != key((8, 4, *SMALL[2:]))


def test_keys_do_not_depend_on_how_numbers_are_written():
    key, several = SPACE.key, HnagSpace(searched="operations")
    assert key((4, 2, 0.5, 3, 1, 4, 2, 0.5)) == key((4, 2, 0.5, 3, 1.0, 4, 2, 0.5))
    weights = [
        ((0.2, 0.4, 0.6), (0.1, 0.2, 0.3, 0.4)),
        ((0.1, 0.2, 0.3), (0.2, 0.4, 0.6, 0.8)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
        ((0.3, 0.3, 0.3), (1, 1, 1, 1)),
        ((0.2, 0.4, 0.5), (0.1, 0.2, 0.3, 0.4)),
    ]
    genotypes = [(*SMALL, *merges, *operations) for merges, operations in weights]
    one, twice, none, alike, other = (several.key(genotype) for genotype in genotypes)
    assert one == twice != other
    assert none == alike
    for first, second in ((0, 1), (2, 3)):
        drawn = [several.seeded(7).draw(genotypes[n]) for n in (first, second)]
        assert drawn[0] == drawn[1]


def test_keys_of_numbers_as_they_are_drawn_have_stayed():
    """Tables of earlier versions hold them."""
    known = {"wiring": "d3618f5ec0948bbb4b68e6e0ae173f9b", "stages": "22de962138eb5f2062239d904746e67e"}
    for searched, key in known.items():
        space = HnagSpace(searched=searched)
        assert space.key(sampled(space, 0)) == key


def test_a_key_is_refused_to_what_is_no_generator():
    with pytest.raises(InvalidGenotype, match="gene 0"):
        SPACE.key((2, *SMALL[1:]))


def test_poolings_alone_leave_convolutions_at_the_outputs():
    space = HnagSpace(searched="operations")
    drawing = space.draw((*SMALL, 1, 0, 0, 0, 0, 0, 1))
    for group in (group for cell in drawing.cells for group in cell.groups):
        pools = {node for node, name in enumerate(group.operations) if name == "avg pool 3x3"}
        assert pools == set(range(len(group.graph))) - set(outputs_of(group.graph))
    check_network(space, (*SMALL, 1, 0, 0, 0, 0, 0, 1), CIFAR, 0)


def test_no_seed_of_a_space_is_refused():
    space = HnagSpace(searched="operations", n_mid=(4, 4), limit=2_000)
    assert [space.seeded(seed).seed for seed in range(20)] == list(range(20))


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_equal_keys_draw_equal_networks(seed):
    rng = np.random.default_rng(seed)
    one = SPACE.sample(rng)
    other = (one[0], one[1] ^ 1, *one[2:6], one[6] ^ 1, one[7])  # 2 and 3, 4 and 5 are one degree
    assert SPACE.key(one) == SPACE.key(other)
    assert SPACE.seeded(seed).draw(one) == SPACE.seeded(seed).draw(other)


def test_a_trial_has_the_network_of_its_seed():
    assert isinstance(SPACE, Generates)
    assert of_seed(SPACE, 7) == replace(SPACE, seed=7)
    plain = ResidualSpace()
    assert of_seed(plain, 7) is plain
    assert unwrap(plain, Generates) is None
    drawn = {SPACE.seeded(seed).graph(SMALL) for seed in range(5)}
    assert len(drawn) == 5
    assert len({SPACE.seeded(seed).key(SMALL) for seed in range(5)}) == 1


def test_the_width_does_not_depend_on_image_or_classes():
    widths = {SPACE.width(SMALL, io) for io in (CIFAR, LARGE, ODD)}
    assert len(widths) == 1
    assert genes.to_json(SMALL)  # plain numbers


def test_the_drawing_says_how_nodes_merge_and_what_they_do():
    space = HnagSpace(searched="operations", seed=1)
    graph = space.graph((4, 2, 0.5, 2, 0.5, 5, 4, 0.5, 0, 1, 0, 0, 1, 1, 0))
    check_graph(graph)
    bottom = [part for cell in graph.parts for part in cell.parts]
    labels = {label for part in bottom for *_, label in part.edges}
    assert labels == {"", "concat"}
    assert {node for part in bottom for node in part.nodes} == {"input", "output", "conv 5x5", "conv 1x1"}
