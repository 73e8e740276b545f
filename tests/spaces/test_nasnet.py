import json
from collections import Counter
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from netwright.cells.nasnet_ops import OPERATIONS, SP1, SP2
from netwright.core import refs, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.export import rows
from netwright.plans import counting, network, source
from netwright.plans.plan import AUXILIARY, HasPlan, deployed
from netwright.spaces.nasnet import SETS, NasnetSpace
from netwright.testing.spaces import check_space
from tests.verified import IS_VERIFIED

SPACE = NasnetSpace()
TINY = NasnetSpace(channels=4, repeats=1)
CIFAR = IO(3, 32, 32, 10)
SMALL = IO(2, 9, 8, 3)
SEP, AVG, MAX, NONE = "sep 3x3", "avg pool 3x3", "max pool 3x3", "identity"
CHAIN = ((SEP, 0, SEP, 1), (SEP, 2, SEP, 2), (SEP, 3, SEP, 3), (SEP, 4, SEP, 4), (SEP, 5, SEP, 5))


def _rng(n=0):
    return seeds.rng_for(0, seeds.ASK, n)


def _key(normal, reduction=CHAIN, space=SPACE):
    return space.key(space.encode(normal, reduction))


def test_genes():
    assert len(SPACE.genes) == 40
    first, operation = SPACE.genes[:2]
    assert (first.name, first.options) == ("normal 2a reads", ("direct", "skip"))
    assert (operation.name, operation.options) == ("normal 2a is", SP1)
    last = SPACE.genes[-2]
    assert (last.name, last.options) == ("reduction 6b reads", ("direct", "skip", "2", "3", "4", "5"))
    assert {gene.kind for gene in SPACE.genes} == {"state", "operation"}
    assert isinstance(SPACE, HasPlan)


@pytest.mark.parametrize(
    ("space", "io"),
    [
        (NasnetSpace(operations="sp2", combinations=15, channels=4, repeats=1), IO(3, 8, 9, 4)),  # SP-III
        (NasnetSpace(operations="nasnet", channels=5, repeats=1, skeleton="imagenet"), IO(3, 24, 21, 5)),
        (NasnetSpace(combinations=2, concatenated=((0, 3), (2,)), channels=4, repeats=2), IO(1, 7, 7, 3)),
        (NasnetSpace(operations=(NONE, "conv 1x3 3x1"), combinations=1, channels=3, repeats=1, stem=2), IO(3, 6, 6, 3)),
    ],
)
def test_settings_keep_the_contract(space, io):
    check_space(space, io, samples=3)


@given(st.integers(0, 2**32), st.sampled_from(list(SETS)), st.integers(1, 6), st.sampled_from(["cifar", "imagenet"]))
@settings(max_examples=25 if IS_VERIFIED else 10, deadline=None)
def test_source_and_module_are_one_network(seed, operations, combinations, skeleton):
    """Also with all that acts in training only."""
    io = SMALL if skeleton == "cifar" else IO(2, 23, 20, 3)
    space = NasnetSpace(operations=operations, combinations=combinations, channels=4, repeats=1, skeleton=skeleton)
    plan = space.plan(space.sample(_rng(seed)), io)
    ours = network.build(plan, seeds.rng_for(0, seeds.BUILD)).eval()
    names = {"torch": torch, "F": torch.nn.functional, "nn": torch.nn, "Tensor": torch.Tensor}
    exec(compile(source.classes(plan), "model", "exec"), names)
    theirs = names["Model"]().eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, io.channels, io.height, io.width, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))


@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_samples_and_mutants_come_back_from_their_cells(seed, other):
    mutant = SPACE.mutate(SPACE.sample(_rng(seed)), _rng(other))
    rows = [[(*first, *second) for first, second in cell.combinations] for cell in SPACE.cells(mutant)]
    assert SPACE.encode(*rows) == mutant


def test_mutation_can_do_no_more_than_the_settings_allow():
    """The one state that the first combination could read instead; one operation instead of itself."""
    lone = NasnetSpace(combinations=1, operations=(SEP,))
    genotype = lone.sample(_rng())
    children = {lone.mutate(genotype, _rng(n)) for n in range(200)}
    assert len(children) == 5, "itself, and each of four states flipped"


def test_unused_states_are_concatenated():
    normal, reduction = SPACE.cells(SPACE.encode(((SEP, 0, SEP, 0),) * 5, CHAIN))
    assert normal.outputs == (1, 2, 3, 4, 5, 6)
    assert reduction.outputs == (6,)


def test_states_of_the_settings_are_concatenated_instead():
    space = replace(TINY, concatenated=((1, 4), (2, 6)))
    genotype = space.encode(((SEP, 0, SEP, 0),) * 5, CHAIN)
    assert [cell.outputs for cell in space.cells(genotype)] == [(1, 4), (2, 6)]
    plan = space.plan(genotype, SMALL)
    states = {layer.inner_scopes[0] for layer in plan if layer.scope == "cell1"}
    assert states == {"direct", "state4", "output"}, "the raw skip input needs nothing, the other states are dead"


def test_keys_leave_out_names_and_order():
    row = ((SEP, 0, AVG, 1), (SEP, 1, MAX, 0), (NONE, 2, NONE, 3), (SEP, 0, SEP, 0), (AVG, 5, AVG, 4))
    swapped = ((AVG, 1, SEP, 0), *row[1:])
    renamed = ((SEP, 1, MAX, 0), (SEP, 0, AVG, 1), (NONE, 3, NONE, 2), *row[3:])
    assert len({_key(row), _key(swapped), _key(renamed)}) == 1
    assert _key(row) != _key(CHAIN, row)
    assert _key(row) != _key(((SEP, 0, AVG, 0), *row[1:]))


def test_keys_tell_one_state_read_twice_from_two():
    once = ((SEP, 0, SEP, 1), (SEP, 0, SEP, 1), (NONE, 2, NONE, 2), (AVG, 3, AVG, 4), (NONE, 5, NONE, 5))
    both = (*once[:2], (NONE, 2, NONE, 3), (AVG, 3, AVG, 4), (NONE, 5, NONE, 5))
    assert _key(once) != _key(both)


def test_keys_leave_out_dead_states():
    space = replace(SPACE, concatenated=((2,), (6,)))
    one, other = ((SEP, 0, SEP, 1), *[(SEP, 1, SEP, 0)] * 4), ((SEP, 0, SEP, 1), *[(MAX, 1, NONE, 2)] * 4)
    assert _key(one, space=space) == _key(other, space=space)
    assert space.count(space.encode(one, CHAIN), CIFAR) == space.count(space.encode(other, CHAIN), CIFAR)


@given(st.integers(0, 2**32), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_equal_keys_are_networks_of_equal_size(seed, random):
    """Branches swapped and states renamed at random."""
    genotype = TINY.sample(_rng(seed))
    rows = []
    for cell in TINY.cells(genotype):
        order = _some_order(cell, random)
        names = {0: 0, 1: 1} | {state: place for place, state in enumerate(order, start=2)}
        pairs = [random.sample(cell.combinations[state - 2], 2) for state in order]
        rows.append([tuple(part for op, read in pair for part in (op, names[read])) for pair in pairs])
    other = TINY.encode(*rows)
    if len({TINY.key(genotype), TINY.key(other)}) > 1:  # equal states with weights of their own have no canonical order
        labels = [tuple(sorted(pair)) for cell in TINY.cells(genotype) for pair in cell.combinations]
        assert len(set(labels)) < len(labels)
    assert TINY.count(genotype, CIFAR) == TINY.count(other, CIFAR)


def _some_order(cell, random):
    """The states from 2 on in an order in which each follows what it reads."""
    left, order = list(range(2, len(cell.combinations) + 2)), []
    while left:
        ready = [s for s in left if all(read < 2 or read in order for _, read in cell.combinations[s - 2])]
        order.append(random.choice(ready))
        left.remove(order[-1])
    return order


@given(st.integers(0, 2**32), st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_equivalents_are_one_network(seed, other):
    """One combination of each cell has its branches exchanged; to do it again undoes it."""
    genotype = TINY.sample(_rng(seed))
    twin = TINY.equivalents(genotype, _rng(other))
    assert TINY.equivalents(twin, _rng(other)) == genotype
    assert (TINY.key(twin), TINY.count(twin, CIFAR)) == (TINY.key(genotype), TINY.count(genotype, CIFAR))
    for ours, theirs in zip(TINY.cells(genotype), TINY.cells(twin), strict=True):
        pairs = list(zip(ours.combinations, theirs.combinations, strict=True))
        differing = [(one, two) for one, two in pairs if one != two]
        assert all(two == one[::-1] for one, two in differing)
        assert len(differing) == 1 or (not differing and any(one[0] == one[1] for one in ours.combinations))


def test_equivalents_are_drawn_uniformly():
    row = ((SEP, 0, AVG, 1),) * 5
    genotype = SPACE.encode(row, row)
    found = Counter(SPACE.equivalents(genotype, _rng(n)) for n in range(5000))
    assert len(found) == 25
    assert stats.chisquare(list(found.values())).pvalue > 1e-5


def test_the_auxiliary_head_is_a_setting_that_counts_nothing():
    genotype = SPACE.sample(_rng())
    with_head = replace(TINY, auxiliary=True, auxiliary_scale=0.5)
    assert with_head.count(genotype, CIFAR) == TINY.count(genotype, CIFAR)
    plan = with_head.plan(genotype, CIFAR)
    assert [layer.shape.channels for layer in plan if layer.scope == AUXILIARY and layer.op.name == "conv"] == [64, 384]
    built = with_head.build(genotype, CIFAR, seeds.rng_for(0, seeds.BUILD))
    assert sum(each.numel() for each in built.parameters()) == counting.count(plan, auxiliary=True).params
    assert not any(layer.scope == AUXILIARY for layer in TINY.plan(genotype, CIFAR))


def test_normalization_has_the_settings_numbers_in_the_network_its_source_and_its_file():
    space = replace(TINY, auxiliary=True, norm_epsilon=1e-3, norm_momentum=3e-4)
    genotype = space.sample(_rng())
    plan = space.plan(genotype, CIFAR)
    built = network.build(plan, seeds.rng_for(0, seeds.BUILD))
    norms = [module for module in built.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert len(norms) == sum(layer.op.name == "norm" for layer in plan)
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 3e-4)}
    text = source.classes(plan)
    assert text.count("BatchNorm2d(") == text.count("eps=0.001, momentum=0.0003)") > 0
    layers = []
    for layer in deployed(plan):
        layers.append(rows.to_layer(json.loads(json.dumps(rows.of_layer(layer))), layers))
    assert tuple(layers) == deployed(plan)
    assert space.count(genotype, CIFAR) == TINY.count(genotype, CIFAR)
    assert "eps" not in source.classes(TINY.plan(genotype, CIFAR))


def test_the_drawing():
    genotype = SPACE.encode(((SEP, 0, AVG, 1), (NONE, 0, MAX, 2), *[(SEP, 1, SEP, 1)] * 3), CHAIN)
    graph = SPACE.graph(genotype)
    assert graph.nodes[0] == "image"
    assert graph.nodes[2:7] == ("3 x width 24", "width 48", "3 x width 48", "width 96", "3 x width 96")
    assert [label for _, _, label in graph.edges][1:4] == ["normal cell", "reduction cell", "normal cell"]
    normal, reduction = graph.parts
    assert (normal.name, reduction.name) == ("normal cell", "reduction cell")
    assert normal.nodes == ("0 direct: one cell before", "1 skip: two cells before", "2", "3", "4", "5", "6", "output")
    assert normal.edges[:4] == ((0, 2, SEP), (1, 2, AVG), (0, 3, NONE), (2, 3, MAX))
    assert normal.edges[-4:] == ((3, 7, "concat"), (4, 7, "concat"), (5, 7, "concat"), (6, 7, "concat"))
    deep = replace(SPACE, skeleton="imagenet", channels=10).graph(genotype)
    assert deep.nodes[1:4] == ("stem", "width 2", "width 5")


def test_every_operation_is_drawn_from_and_every_state():
    """Uniform, each gene apart: chi-squared over 4,000 samples."""
    space = NasnetSpace(operations="sp2")
    drawn = [space.sample(_rng(n)) for n in range(4000)]
    for position, gene in enumerate(space.genes):
        counts = Counter(genotype[position] for genotype in drawn)
        assert stats.chisquare([counts[value] for value in range(len(gene.options))]).pvalue > 1e-5
    assert space.names == SP2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"combinations": 0}, "space.combinations is 0; it must be at least 1"),
        ({"channels": 0}, "space.channels is 0; it must be at least 1"),
        ({"stem": 0}, "space.stem is 0; it must be at least 1"),
        ({"operations": "sp4"}, "space.operations is 'sp4'; it is sp1, sp2, nasnet, or a list of operations"),
        ({"operations": ["sep 4x4"]}, "space.operations has 'sep 4x4'; there are identity, sep 3x3,"),
        ({"operations": []}, "it needs at least one, and each once"),
        ({"operations": [SEP, SEP]}, "it needs at least one, and each once"),
        ({"concatenated": [[1], []]}, "space.concatenated has []; it takes states from 0 to 6 in order"),
        ({"concatenated": [[1, 7], [2]]}, "space.concatenated has [1, 7]; it takes states from 0 to 6 in order"),
        ({"concatenated": [[1], [3, 2]]}, "space.concatenated has [3, 2]; it takes states from 0 to 6 in order"),
        ({"norm_epsilon": 0.0}, "space.norm_epsilon is 0.0; it must be over 0 and at most 1"),
        ({"norm_momentum": 1.5}, "space.norm_momentum is 1.5; it must be over 0 and at most 1"),
        ({"auxiliary_scale": 0.0}, "space.auxiliary_scale is 0.0; it must be over 0"),
    ],
)
def test_wrong_settings_are_refused(options, says):
    with pytest.raises(BadReference) as refused:
        refs.load("space", Reference("nasnet", options))
    assert says in str(refused.value)


def test_wrong_values_and_rows_are_refused():
    with pytest.raises(InvalidGenotype, match=r"gene 0 \(normal 2a reads\) is 2"):
        SPACE.check((2, *SPACE.sample(_rng())[1:]))
    with pytest.raises(InvalidGenotype, match=r"gene 6 \(normal 3b reads\) is 3"):
        SPACE.encode((CHAIN[0], (SEP, 0, SEP, 3), *CHAIN[2:]), CHAIN)
    with pytest.raises(InvalidGenotype, match="state 2 of the reduction cell has the operation 'conv 1x1'; there"):
        SPACE.encode(CHAIN, (("conv 1x1", 0, SEP, 1), *CHAIN[1:]))
    with pytest.raises(InvalidGenotype, match="the genotype has 36 values, the space has 40 genes"):
        SPACE.encode(CHAIN[:4], CHAIN)


def test_a_reference_brings_the_settings_back():
    space = NasnetSpace(operations=tuple(OPERATIONS)[:3], concatenated=((1,), (2, 3)), skeleton="imagenet")
    assert refs.load("space", refs.reference_of("space", space)) == space
