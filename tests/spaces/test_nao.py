from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from netwright.cells.nao_ops import SETS
from netwright.core import genes, refs, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.protocols import Symmetric
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.plans import counting, network, source
from netwright.plans.plan import AUXILIARY, HasPlan
from netwright.spaces.nao import FAMILIES, SIZES, NaoSpace
from netwright.testing.spaces import check_space
from tests.verified import IS_VERIFIED

SPACE = NaoSpace()
TRIPLES = NaoSpace(genes_per_branch=3)
SMALL = NaoSpace(operations="small")
CIFAR = IO(3, 32, 32, 10)
IN_TRIPLES = ("large", "small")
FORMS = [
    replace(SPACE, operations=kind, genes_per_branch=count)
    for kind in SETS
    for count in ((2, 3) if kind in IN_TRIPLES else (2,))
]
CONV, NONE, MAX, AVG = "conv 3x3", "identity", "max pool 3x3", "avg pool 3x3"
CHAIN = ((CONV, 0, CONV, 1), (CONV, 2, CONV, 2), (CONV, 3, CONV, 3), (CONV, 4, CONV, 4), (CONV, 5, CONV, 5))


def _rng(n=0):
    return seeds.rng_for(0, seeds.ASK, n)


def _rows(space, genotype):
    return [[(*first, *second) for first, second in cell.combinations] for cell in space.cells(genotype)]


@pytest.mark.parametrize(("space", "count"), [(SPACE, 40), (SMALL, 40), (TRIPLES, 60)])
def test_genes(space, count):
    assert len(space.genes) == count
    first = space.genes[0]
    assert (first.name, first.options) == ("normal 2a reads", ("skip", "direct"))
    last = [gene for gene in space.genes if gene.kind == "state"][-1]
    assert (last.name, last.options) == ("reduction 6b reads", ("skip", "direct", "2", "3", "4", "5"))
    assert isinstance(space, HasPlan)
    assert isinstance(space, Symmetric)


def test_an_operation_is_one_gene_or_two():
    assert (SPACE.genes[1].name, SPACE.genes[1].options) == ("normal 2a is", SETS["large"])
    assert [(gene.name, gene.options) for gene in TRIPLES.genes[1:3]] == [
        ("normal 2a is", FAMILIES),
        ("normal 2a has size", SIZES),
    ]


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("flavor", ["pytorch", "tensorflow", "tensorflow-ws"])
@pytest.mark.parametrize("skeleton", ["cifar", "imagenet"])
def test_settings_keep_the_contract(kind, flavor, skeleton):
    space = NaoSpace(2, kind, 3 if kind in IN_TRIPLES else 2, channels=5, repeats=1, skeleton=skeleton, flavor=flavor)
    check_space(space, IO(3, 21, 18, 5) if skeleton == "imagenet" else IO(3, 7, 9, 4), samples=2)


@given(st.integers(0, 2**32), st.sampled_from(FORMS), st.sampled_from(["pytorch", "tensorflow", "tensorflow-ws"]))
@settings(max_examples=25 if IS_VERIFIED else 10, deadline=None)
def test_source_and_module_are_one_network(seed, form, flavor):
    space = replace(form, flavor=flavor, channels=4, repeats=1, auxiliary=True)
    io = IO(2, 17, 20, 3)
    plan = space.plan(space.sample(_rng(seed)), io)
    ours = network.build(plan, seeds.rng_for(0, seeds.BUILD)).eval()
    names = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "Tensor": torch.Tensor}
    exec(compile(source.classes(plan), "model", "exec"), names)
    theirs = names["Model"]().eval()
    weights = ours.state_dict()
    weights = {name: weights[name] for name in weights if not name.startswith(AUXILIARY)}
    theirs.load_state_dict(weights)
    images = torch.randn(2, io.channels, io.height, io.width, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


@given(st.integers(0, 2**32), st.integers(0, 2**32), st.sampled_from(FORMS))
def test_samples_and_mutants_are_valid_and_come_back_from_their_cells(seed, other, space):
    mutant = space.mutate(space.sample(_rng(seed)), _rng(other))
    space.check(mutant)
    assert space.encode(*_rows(space, mutant)) == mutant
    assert genes.from_tokens(space.genes, genes.to_tokens(space.genes, mutant)) == mutant


@given(st.integers(0, 2**32), st.sampled_from(IN_TRIPLES))
def test_both_forms_of_a_genotype_are_one_network(seed, kind):
    pairs, triples = (replace(SPACE, operations=kind, genes_per_branch=count) for count in (2, 3))
    genotype = pairs.sample(_rng(seed))
    other = triples.encode(*_rows(pairs, genotype))
    assert triples.cells(other) == pairs.cells(genotype)
    assert triples.key(other) == pairs.key(genotype)


def test_the_size_of_an_identity_means_nothing():
    genotype = TRIPLES.encode(((NONE, 0, CONV, 1), *CHAIN[1:]), CHAIN)
    other = (*genotype[:2], SIZES.index("7x7"), *genotype[3:])
    TRIPLES.check(other)
    assert genotype[2] == 0
    assert TRIPLES.key(other) == TRIPLES.key(genotype)


@pytest.mark.parametrize("space", FORMS)
def test_samples_are_uniform(space):
    """Chi-squared over 4,000 samples, states and operations apart."""
    drawn = [_rows(space, space.sample(_rng(n))) for n in range(4000)]
    for cell in (0, 1):
        for node in range(5):
            for branch in (0, 2):
                names = Counter(rows[cell][node][branch] for rows in drawn)
                states = Counter(rows[cell][node][branch + 1] for rows in drawn)
                assert set(names) == set(space.names)
                assert set(states) == set(range(node + 2))
                assert stats.chisquare(list(names.values())).pvalue > 1e-5
                assert stats.chisquare(list(states.values())).pvalue > 1e-5


def test_mutation_changes_one_state_or_operation_as_often_each():
    parent, changed = SPACE.sample(_rng()), Counter()
    for n in range(8000):
        child = SPACE.mutate(parent, _rng(n))
        differing = [position for position in range(40) if child[position] != parent[position]]
        assert len(differing) <= 1
        changed.update(differing)
    for position, gene in enumerate(SPACE.genes):
        share = (1 - 1 / len(gene.options)) / 40  # the old value is one of those drawn
        assert changed[position] / 8000 == pytest.approx(share, abs=0.006)


def test_what_nobody_reads_is_concatenated():
    normal, reduction = SPACE.cells(SPACE.encode(((CONV, 1, CONV, 1),) * 5, CHAIN))
    assert normal.outputs == (0, 2, 3, 4, 5, 6)
    assert reduction.outputs == (6,)


def test_keys_leave_out_names_and_order():
    row = ((CONV, 0, AVG, 1), (CONV, 1, MAX, 0), (NONE, 2, NONE, 3), (CONV, 0, CONV, 0), (AVG, 5, AVG, 4))
    swapped = ((AVG, 1, CONV, 0), *row[1:])
    renamed = (row[1], row[0], (NONE, 3, NONE, 2), *row[3:])
    assert len({SPACE.key(SPACE.encode(each, CHAIN)) for each in (row, swapped, renamed)}) == 1
    assert SPACE.key(SPACE.encode(row, CHAIN)) != SPACE.key(SPACE.encode(CHAIN, row))


@given(st.integers(0, 2**32), st.integers(0, 2**32), st.sampled_from(FORMS))
@settings(max_examples=50, deadline=None)
def test_equivalents_are_one_network(seed, other, form):
    """One node of each cell has its branches exchanged; to do it again undoes it."""
    space = replace(form, channels=4, repeats=1)
    genotype = space.sample(_rng(seed))
    twin = space.equivalents(genotype, _rng(other))
    space.check(twin)
    assert space.equivalents(twin, _rng(other)) == genotype
    assert (space.key(twin), space.count(twin, CIFAR)) == (space.key(genotype), space.count(genotype, CIFAR))
    for ours, theirs in zip(space.cells(genotype), space.cells(twin), strict=True):
        assert ours.outputs == theirs.outputs
        pairs = list(zip(ours.combinations, theirs.combinations, strict=True))
        differing = [(one, two) for one, two in pairs if one != two]
        assert all(two == one[::-1] for one, two in differing)
        assert len(differing) == 1 or (not differing and any(one[0] == one[1] for one in ours.combinations))


def test_equivalents_are_drawn_uniformly():
    genotype = SPACE.encode(((CONV, 0, MAX, 1),) * 5, ((CONV, 0, MAX, 1),) * 5)
    found = Counter(SPACE.equivalents(genotype, _rng(n)) for n in range(5000))
    assert len(found) == 25
    assert stats.chisquare(list(found.values())).pvalue > 1e-5


def test_the_auxiliary_head_is_a_setting_that_counts_nothing():
    genotype = SPACE.sample(_rng())
    tiny = replace(SPACE, channels=4, repeats=1)
    with_head = replace(tiny, auxiliary=True)
    assert with_head.count(genotype, CIFAR) == tiny.count(genotype, CIFAR)
    built = with_head.build(genotype, CIFAR, seeds.rng_for(0, seeds.BUILD))
    plan = with_head.plan(genotype, CIFAR)
    assert sum(each.numel() for each in built.parameters()) == counting.count(plan, auxiliary=True).params
    assert not any(layer.scope == AUXILIARY for layer in tiny.plan(genotype, CIFAR))


def test_the_drawing():
    genotype = SPACE.encode(((CONV, 0, AVG, 1), (NONE, 0, MAX, 2), *[(CONV, 1, CONV, 1)] * 3), CHAIN)
    graph = SPACE.graph(genotype)
    assert graph.nodes[:4] == ("image", "stem", "3 x width 32", "width 64")
    normal, reduction = graph.parts
    assert (normal.name, reduction.name) == ("normal cell", "reduction cell")
    assert normal.nodes == ("0 skip: two cells before", "1 direct: one cell before", "2", "3", "4", "5", "6", "output")
    assert normal.edges[:4] == ((0, 2, CONV), (1, 2, AVG), (0, 3, NONE), (2, 3, MAX))
    assert normal.edges[-4:] == ((3, 7, "concat"), (4, 7, "concat"), (5, 7, "concat"), (6, 7, "concat"))
    deep = replace(SPACE, skeleton="imagenet").graph(genotype)
    assert (deep.edges[0][2], deep.nodes[2]) == ("3 convs 3x3, stride 2", "4 x width 42")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"nodes": 0}, "space.nodes is 0; it must be at least 1"),
        ({"channels": 0}, "space.channels is 0; it must be at least 1"),
        ({"repeats": -1}, "space.repeats is -1; it must be at least 1"),
        ({"operations": "huge"}, "operations"),
        ({"genes_per_branch": 4}, "genes_per_branch"),
        (
            {"operations": "middle", "genes_per_branch": 3},
            "space.genes_per_branch is 3, but the middle set of operations",
        ),
        ({"flavor": "jax"}, "flavor"),
    ],
)
def test_wrong_settings_are_refused(options, says):
    with pytest.raises(BadReference) as refused:
        refs.load("space", Reference("nao", options))
    assert says in str(refused.value)


def test_wrong_values_and_rows_are_refused():
    with pytest.raises(InvalidGenotype, match=r"gene 0 \(normal 2a reads\) is 2"):
        SPACE.check((2, *SPACE.sample(_rng())[1:]))
    with pytest.raises(InvalidGenotype, match="state 2 of the reduction cell has the operation 'sep 3x3'; there are"):
        SPACE.encode(CHAIN, (("sep 3x3", 0, CONV, 1), *CHAIN[1:]))
    with pytest.raises(InvalidGenotype, match="the genotype has 36 values, the space has 40 genes"):
        SPACE.encode(CHAIN[:4], CHAIN)
    genotype = TRIPLES.encode(CHAIN, CHAIN)
    pooled = (*genotype[:4], FAMILIES.index("avg pool"), SIZES.index("1x3 3x1"), *genotype[6:])
    with pytest.raises(InvalidGenotype) as refused:
        TRIPLES.check(pooled)
    assert str(refused.value).startswith(
        "genes 4 and 5 (normal 2b is) are 'avg pool 1x3 3x1', which the large set does not have; it has identity, "
    )


def test_a_reference_brings_the_settings_back():
    space = NaoSpace(nodes=3, operations="small", genes_per_branch=3, skeleton="imagenet", flavor="tensorflow-ws")
    assert refs.load("space", refs.reference_of("space", space)) == space
