from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from netwright.core import seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.records import IO
from netwright.spaces.hierarchical import HierarchicalSpace

TINY = IO(2, 5, 4, 3)
CONV, DEPTHWISE, SEPARABLE, MAX, AVG, IDENTITY = range(1, 7)
NAMES = ("conv 1x1", "depthwise 3x3", "separable 3x3", "max pool 3x3", "avg pool 3x3", "identity")
# two motifs of three nodes, a cell of three: edges 1->2, 1->3, 2->3
SMALL = HierarchicalSpace(motifs=(2, 1), nodes=(3, 3), channels=4)


@st.composite
def spaces(draw):
    """Up to four levels of motifs, small enough to be built."""
    levels = draw(st.integers(1, 4))
    nodes = st.integers(2, 4 if levels < 3 else 3)
    motifs = [draw(st.integers(1, 3)) for _ in range(levels - 1)] + [1]
    return HierarchicalSpace(
        tuple(motifs),
        tuple(draw(nodes) for _ in range(levels)),
        channels=draw(st.integers(1, 4)),
        diversification=draw(st.sampled_from([1, 5, 60])),
        unread=draw(st.sampled_from(["skip", "build"])),
    )


@st.composite
def drawn(draw):
    """A space and a sample of it."""
    space = draw(spaces())
    return space, space.sample(seeds.rng_for(draw(st.integers(0, 2**32)), seeds.ASK))


@st.composite
def relatives(draw):
    """A space and two genotypes that differ in some genes; the first is valid."""
    space, genotype = draw(drawn())
    other = list(genotype)
    for _ in range(draw(st.integers(0, 4))):
        position = draw(st.integers(0, len(other) - 1))
        other[position] = draw(st.integers(0, len(space.genes[position].options) - 1))
    return space, genotype, tuple(other)


def live(space, genotype):
    """The cell as nested lists of edges, by a slow and literal reading; None when its output is cut off."""
    values, below = iter(genotype), list(NAMES)
    for motifs, nodes in zip(space.motifs, space.nodes, strict=True):
        row = []
        for _ in range(motifs):
            pairs = [(source, target) for target in range(1, nodes) for source in range(target)]
            chosen = [(source, target, next(values)) for source, target in pairs]
            edges = [(s, t, below[v - 1]) for s, t, v in chosen if v and below[v - 1] is not None]
            row.append(_without_dead_parts(edges, nodes - 1, space.unread))
        below = row
    return below[0]


def _without_dead_parts(edges, end, unread):
    def is_linked(start, goal):
        return start == goal or any(is_linked(t, goal) for s, t, _ in edges if s == start)

    if not is_linked(0, end):
        return None
    alive = [node for node in range(end + 1) if is_linked(0, node) and (unread == "build" or is_linked(node, end))]
    return tuple((alive.index(s), alive.index(t), op) for s, t, op in edges if s in alive and t in alive)


@given(drawn())
@settings(max_examples=60)
def test_any_sample_is_valid_and_counted_as_it_is_built(pair):
    space, genotype = pair
    space.check(genotype)
    built = space.build(genotype, TINY, seeds.rng_for(0, seeds.BUILD))
    assert space.count(genotype, TINY).params == sum(p.numel() for p in built.parameters())
    assert built(torch.zeros(2, 2, 5, 4)).shape == (2, 3)


@given(drawn(), st.integers(0, 2**32))
def test_any_mutant_is_valid_and_differs_in_one_gene_at_most(pair, seed):
    space, genotype = pair
    mutant = space.mutate(genotype, seeds.rng_for(seed, seeds.ASK))
    space.check(mutant)
    assert sum(a != b for a, b in zip(genotype, mutant, strict=True)) <= 1
    assert all(type(value) is int for value in (*genotype, *mutant))


@given(relatives())
@settings(max_examples=300)
def test_keys_are_equal_exactly_when_the_live_parts_are(triple):
    space, one, other = triple
    first, second = live(space, one), live(space, other)
    assert first is not None
    assert (space.cell(other) is None) == (second is None)
    assert (space.key(one) == space.key(other)) == (first == second)
    if first == second:
        assert layers(space, one) == layers(space, other)


@given(drawn(), st.data())
def test_numbers_of_identical_motifs_do_not_matter(pair, data):
    space, genotype = pair
    assume(len(space.motifs) > 1 and space.motifs[-2] > 1)
    start, end = space._spans[-2][0]
    twin_start, twin_end = space._spans[-2][1]
    copied = list(genotype)
    copied[twin_start:twin_end] = copied[start:end]  # motif 2 is motif 1
    cell = space._spans[-1][0][0]
    swapped = [v if v not in (1, 2) or i < cell else data.draw(st.sampled_from([1, 2])) for i, v in enumerate(copied)]
    assert space.key(tuple(copied)) == space.key(tuple(swapped))


@given(drawn())
def test_building_unread_nodes_builds_no_less(pair):
    space, genotype = pair
    skip, build = (replace(space, unread=unread).count(genotype, TINY) for unread in ("skip", "build"))
    assert build.params >= skip.params
    assert build.multiply_adds >= skip.multiply_adds


def layers(space, genotype):
    """What the network computes, whatever its places are called."""
    return [(layer.op, layer.inputs) for layer in space.plan(genotype, TINY)]


def test_unread_nodes_are_built_when_asked_for():
    """Motif 1: node 2 is reached and read by nobody; it holds a convolution."""
    dangling, clean = (CONV, IDENTITY, 0), (0, IDENTITY, 0)
    rest = (0, IDENTITY, 0, 0, 1, 0)
    literal = replace(SMALL, unread="build")
    assert SMALL.key(dangling + rest) == SMALL.key(clean + rest)
    assert layers(SMALL, dangling + rest) == layers(SMALL, clean + rest)
    assert literal.key(dangling + rest) != literal.key(clean + rest)
    assert literal.count(dangling + rest, TINY).params > literal.count(clean + rest, TINY).params
    assert literal.key(clean + rest) == SMALL.key(clean + rest)


USED = (CONV, 0, MAX)  # 1 -> 2 -> 3


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ((*USED, 0, CONV, 0, 0, 1, 0), (*USED, MAX, AVG, MAX, 0, 1, 0), True),  # motif 2 is unused
        ((*USED, 0, CONV, 0, 0, 1, 0), (*USED, 0, 0, 0, 0, 1, 2), True),  # node 2 has no input: its edge is dead
        ((*USED, 0, CONV, 0, 0, 1, 0), (*USED, 0, CONV, 0, 2, 1, 0), True),  # node 2 is read by nobody
        ((*USED, 0, 0, 0, 0, 1, 0), (*USED, 0, 0, 0, 2, 1, 2), True),  # motif 2 is cut off: no edge
        ((*USED, *USED, 1, 1, 1), (*USED, *USED, 2, 1, 2), True),  # the motifs are the same
        ((*USED, 0, CONV, 0, 0, 1, 0), (0, CONV, 0, *USED, 0, 2, 0), True),  # the motifs changed places
        ((*USED, 0, CONV, 0, 0, 1, 0), (*USED, 0, CONV, 0, 0, 2, 0), False),
        ((*USED, 0, CONV, 0, 0, 1, 0), (CONV, 0, AVG, 0, CONV, 0, 0, 1, 0), False),
        ((*USED, 0, CONV, 0, 0, 1, 0), (*USED, 0, CONV, 0, 1, 0, 1), False),
        ((*USED, 0, CONV, 0, 1, 2, 1), (*USED, 0, CONV, 0, 1, 1, 2), False),
    ],
)
def test_keys_by_hand(one, other, is_same):
    assert (SMALL.key(one) == SMALL.key(other)) == is_same
    assert (layers(SMALL, one) == layers(SMALL, other)) == is_same


def test_genes_by_hand():
    names = [f"motif {m} {edge}" for m in (1, 2) for edge in ("1->2", "1->3", "2->3")]
    assert [gene.name for gene in SMALL.genes] == [*names, "cell 1->2", "cell 1->3", "cell 2->3"]
    assert SMALL.genes[0].options == ("none", *NAMES)
    assert SMALL.genes[-1].options == ("none", "motif 1", "motif 2")
    assert [gene.kind for gene in SMALL.genes] == ["level 2"] * 6 + ["level 3"] * 3
    deep = HierarchicalSpace((2, 3, 1), (2, 2, 2))
    assert deep.genes[2].name == "level 3 motif 1 1->2"
    assert deep.genes[2].options == ("none", "motif 1", "motif 2")
    assert deep.genes[-1].options == ("none", "level 3 motif 1", "level 3 motif 2", "level 3 motif 3")


def test_trivial_genotypes_are_chains():
    assert SMALL.trivial() == (IDENTITY, 0, IDENTITY, IDENTITY, 0, IDENTITY, 1, 0, 1)
    assert HierarchicalSpace((2, 1, 1), (2, 3, 2)).trivial() == (IDENTITY, IDENTITY, 1, 0, 1, 1)


def test_one_mutation_makes_a_neighbor_of_the_trivial_genotype():
    space = replace(SMALL, diversification=1)
    for n in range(100):
        sample = space.sample(seeds.rng_for(0, seeds.ASK, n))
        assert sum(a != b for a, b in zip(sample, space.trivial(), strict=True)) <= 1


def test_parameters_of_a_small_network_by_hand():
    """The cell is one motif of one 1x1 convolution; behind the motif stands another 1x1 convolution."""
    genotype = (0, CONV, 0, 0, 0, 0, 0, 1, 0)
    stem = 9 * 2 * 4 + 2 * 4
    cells = sum(2 * (width**2 + 2 * width) for width in (4, 8, 16))
    after = sum(9 * wide + wide * out + 2 * out for wide, out in ((4, 8), (8, 16), (16, 16)))
    assert SMALL.count(genotype, TINY).params == stem + cells + after + 16 * 3 + 3


def test_the_drawing_shows_the_live_cell_and_the_motifs_it_uses():
    graph = SMALL.graph((CONV, IDENTITY, MAX, *USED, 2, 0, 2))
    assert (graph.name, graph.nodes) == ("cell", ("input", "2", "output"))
    assert graph.edges == ((0, 1, "motif 2"), (1, 2, "motif 2"))
    [part] = graph.parts
    assert (part.name, part.edges) == ("motif 2", ((0, 1, "conv 1x1"), (1, 2, "max pool 3x3")))


def test_identical_motifs_are_drawn_under_the_lowest_number():
    graph = SMALL.graph((*USED, *USED, 2, 1, 2))
    assert {label for _, _, label in graph.edges} == {"motif 1"}
    assert [part.name for part in graph.parts] == ["motif 1"]


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        ((0,) * 9, "the cell has no path from its input to its output: too many of its edges are none"),
        ((0, 0, 0, 0, 0, 0, 1, 1, 1), "no path"),  # every motif is cut off
        ((7, *(0,) * 8), r"gene 0 \(motif 1 1->2\) is 7; it takes a whole number: 0 = none, 1 = conv 1x1"),
        ((0,) * 8, "the genotype has 8 values, the space has 9 genes"),
    ],
)
def test_check_says_what_is_wrong(genotype, message):
    with pytest.raises(InvalidGenotype, match=message):
        SMALL.check(genotype)


@pytest.mark.parametrize("method", ["plan", "build", "count", "graph"])
def test_a_cell_without_a_path_describes_no_network(method):
    arguments = {"graph": (), "build": (TINY, seeds.rng_for(0, seeds.BUILD))}.get(method, (TINY,))
    with pytest.raises(InvalidGenotype, match="no path"):
        getattr(SMALL, method)((0,) * 9, *arguments)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"motifs": (6, 1), "nodes": (4,)}, "must have one entry per level"),
        ({"motifs": (), "nodes": ()}, "must have one entry per level"),
        ({"motifs": (6, 2)}, r"space.motifs is \[6, 2\]; every level needs a motif, and the last exactly one"),
        ({"motifs": (0, 1)}, "every level needs a motif"),
        ({"nodes": (4, 1)}, r"space.nodes is \[4, 1\]; a graph has at least 2 nodes"),
        ({"channels": 0}, "space.channels is 0; it must be at least 1"),
        ({"repeats": -1}, "space.repeats is -1"),
        ({"diversification": 0}, "space.diversification is 0"),
    ],
)
def test_settings_that_describe_no_space_are_refused(settings, message):
    with pytest.raises(BadReference, match=message):
        HierarchicalSpace(**settings)
