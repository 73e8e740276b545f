"""The default space for images: its starts, its genes, its networks."""

from itertools import islice

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from netwright.cells import stages
from netwright.cells.stages import Stage
from netwright.core import genes, seeds
from netwright.core.constraints import constrain
from netwright.core.errors import InvalidGenotype
from netwright.core.protocols import graph_of, smaller_of, starts_of
from netwright.core.records import IO
from netwright.core.settings import Setting, Tuned
from netwright.plans import counting, source
from netwright.spaces import macro
from netwright.spaces.macro import BLOCKS, GENES, REFERENCE, STARTS, MacroSpace, settled, staged
from netwright.testing.spaces import check_graph
from netwright.training.memory import PROCESS_MB

SPACE = MacroSpace()
MEASURED = 1.7 / 1.5  # times what `counting.training_bytes` says, at most
CIFAR = IO(3, 32, 32, 10)
PLACES = {gene.name: place for place, gene in enumerate(GENES)}

genotypes = st.tuples(
    *(st.integers(getattr(gene, "low", 0), getattr(gene, "low", 0) + genes.size(gene) - 1) for gene in GENES)
)
numbers = st.integers(0, 2**32)


def changed(genotype=REFERENCE, **values):
    """A genotype with other values of some genes; `_` stands for what a name of Python cannot have."""
    found = list(genotype)
    for name, value in values.items():
        spelled = "squeeze-and-excitation" if name.startswith("squeeze") else name.replace("_", " ")
        found[PLACES[spelled.replace("width", "width / 4")]] = value
    return tuple(found)


def narrow(genotype):
    """The same at 4 or 8 channels, which trains fast."""
    return settled(changed(genotype, width=1 + genotype[PLACES["width / 4"]] % 2))


def made_of(genotype, block):
    """The genotype with one kind of block."""
    return changed(genotype, **{f"block_{n}": BLOCKS.index(block) for n in range(1, 5)})


class Block(nn.Module):
    """Of the textbook's residual network, written here a second time."""

    def __init__(self, entering, width, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(entering, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        is_same = stride == 1 and entering == width
        self.skip = nn.Identity() if is_same else nn.Conv2d(entering, width, 1, stride, bias=False)

    def forward(self, x):
        inner = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return F.relu(inner + self.skip(x))


def textbook(io, width):
    layers, entering = [nn.Conv2d(io.channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()], width
    for stage in range(2 if io.height < 16 else 3):
        for block in range(2):
            leaving = width * 2**stage
            layers.append(Block(entering, leaving, 2 if stage and not block else 1))
            entering = leaving
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(entering, io.outputs))


@pytest.mark.parametrize("side", [8, 15, 16, 28, 32])
def test_the_first_start_is_the_textbook_residual_network(side):
    io = IO(1, side, side, 10)
    ours, theirs = SPACE.build(STARTS[0], io, np.random.default_rng(0)), textbook(io, 16)
    with torch.no_grad():
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(own)
    images = torch.randn(2, 1, side, side, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(images), theirs(images))


class Halved(nn.Module):
    """Convolution, pooling of some sides, normalization, activation."""

    def __init__(self, entering, width, side=1):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(entering, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        self.side = side

    def forward(self, x):
        return F.relu(self.norm(F.max_pool2d(self.conv(x), self.side)))


class Added(nn.Module):
    """A block of the DAWNBench network, written here a second time."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = Halved(width, width), Halved(width, width)

    def forward(self, x):
        return x + self.second(self.first(x))


def dawn(width, outputs):
    """The nine layers that won the DAWNBench contest, narrower."""
    return [
        Halved(3, width),
        *(Halved(width, 2 * width, 2), Added(2 * width)),
        *(Halved(2 * width, 4 * width, 2), Halved(4 * width, 8 * width, 2), Added(8 * width)),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, outputs)),
    ]


def pairs(width, outputs):
    """Pairs of convolutions, of which the first one is pooled."""
    layers, entering = [Halved(3, width)], width
    for leaving in (2 * width, 4 * width, 4 * width):
        layers += [Halved(entering, leaving, 2), Halved(leaving, leaving)]
        entering = leaving
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(entering, outputs)]


@pytest.mark.parametrize(
    ("start", "layers", "params", "multiply_adds"),
    [
        (1, dawn(16, 4), 412_180, 24_035_840),
        (2, pairs(16, 4), 144_212, 17_547_520),
        (3, dawn(8, 4), 103_564, 6_119_680),
    ],
)
def test_the_next_starts_are_what_was_measured_to_learn_fastest(start, layers, params, multiply_adds):
    io, theirs = IO(3, 32, 32, 4), nn.Sequential(*layers)
    counted = SPACE.count(STARTS[start], io)
    assert (counted.params, counted.multiply_adds) == (params, multiply_adds)
    ours = SPACE.build(STARTS[start], io, np.random.default_rng(0))
    with torch.no_grad():
        for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(own)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours(images), theirs(images))


def test_starts_are_networks_of_several_widths():
    assert STARTS[0] == REFERENCE
    assert len(STARTS) == len({SPACE.key(start) for start in STARTS}) <= 10, "a short run has about fifteen trials"
    assert {staged(start).width for start in STARTS} >= {8, 16, 24}
    assert {staged(start).stages[0].block for start in STARTS} == {"residual", "additive", "convolution", "depthwise"}
    assert all(settled(start) == start for start in STARTS)
    for start in STARTS:
        SPACE.check(start)


def test_a_short_run_tries_a_depthwise_network_that_costs_little():
    [start] = [start for start in STARTS[:6] if staged(start).stages[0].block == "depthwise"]
    assert (staged(start).width, staged(start).stem) == (32, "3x3 / 2")
    assert SPACE.count(start, CIFAR).multiply_adds < SPACE.count(REFERENCE, CIFAR).multiply_adds / 3


def test_widths_grow_up_to_the_widest():
    assert [macro.widths(start) for start in STARTS[:3]] == [(16, 32, 64), (32, 64, 128), (32, 64, 64)]
    assert macro.widths(changed(widest=2, stages=4)) == (16, 32, 32, 32)
    assert SPACE.key(changed(widest=1)) == SPACE.key(REFERENCE), "no stage is wider than four times the stem"
    assert SPACE.key(changed(widest=2)) != SPACE.key(REFERENCE)
    assert SPACE.key(changed(pooling=2, growth=0)) != SPACE.key(changed(growth=0))


def test_a_stage_without_blocks_is_a_convolution():
    for pooling in range(3):
        bare = changed(pooling=pooling, stages=2, depth_1=0, depth_2=0)
        convolutions = [layer for layer in SPACE.plan(bare, CIFAR) if layer.op.name == "conv"]
        assert len(convolutions) == 3
        assert SPACE.key(changed(bare, kernel=1, squeeze_and_excitation=1, block_1=3, block_2=1)) == SPACE.key(bare)
    grown = settled(changed(STARTS[1], depth_2=1))
    assert {stage.block for stage in staged(grown).stages} == {"additive"}


def test_constraints_and_settings_keep_the_starts_that_fit_and_smaller_networks_for_the_others():
    bounded = starts_of(constrain(SPACE, CIFAR, ("params <= 50000",)))
    assert len(bounded) >= 8
    assert len({SPACE.key(start) for start in bounded}) == len(bounded)
    assert {start for start in STARTS if SPACE.count(start, CIFAR).params <= 50_000} < set(bounded)
    for start in bounded:
        SPACE.check(start)
        assert SPACE.count(start, CIFAR).params <= 50_000
    assert bounded[0] == changed(width=2), "the plain one, narrower"
    assert staged(bounded[2]).stages == tuple(Stage("convolution", n, 32) for n in (0, 1, 1))  # see docs/spaces.md
    assert starts_of(constrain(SPACE, CIFAR, ("params <= 10",))) == ()
    tuned = Tuned(SPACE, (Setting("lr", 0.1, low=0.01, high=1.0, log=True),))
    assert starts_of(tuned) == tuple((*start, -1.0) for start in STARTS)
    assert starts_of(constrain(tuned, CIFAR, ("params <= 50000",))) == tuple((*start, -1.0) for start in bounded)
    assert next(smaller_of(tuned, (*REFERENCE, -0.5))) == (*changed(width=3), -0.5), "trained the same way"
    cheap = starts_of(constrain(SPACE, CIFAR, ("multiply_adds <= 5e6",)))
    assert len(cheap) >= 6 and all(SPACE.count(start, CIFAR).multiply_adds <= 5e6 for start in cheap)


@given(genotypes)
@settings(max_examples=40, deadline=None)
def test_smaller_networks_have_the_same_kinds_of_blocks_and_cost_less(genotype):
    given_one = settled(genotype)
    whole = SPACE.count(given_one, CIFAR)
    for smaller in islice(SPACE.smaller(genotype), 60):
        assert smaller == settled(smaller) and smaller != given_one
        found, own = staged(smaller), SPACE.count(smaller, CIFAR)
        assert own.params <= whole.params and own.multiply_adds <= whole.multiply_adds
        kinds = ({stage.block for stage in each.stages if stage.depth} for each in (found, staged(given_one)))
        assert set.issubset(*kinds)


@given(genotypes)
@settings(max_examples=60, deadline=None)
def test_genes_that_do_nothing_change_no_key(genotype):
    same = settled(genotype)
    assert settled(same) == same
    assert SPACE.key(same) == SPACE.key(genotype)
    ours, theirs = (SPACE.plan(each, macro.LARGEST_INPUT) for each in (same, genotype))
    assert sorted((repr(layer.op), *layer.shape) for layer in ours) == sorted(
        (repr(layer.op), *layer.shape) for layer in theirs
    )
    check_graph(SPACE.graph(genotype))


@given(genotypes, numbers)
@settings(max_examples=60, deadline=None)
def test_a_mutant_differs_in_one_gene_that_matters(genotype, seed):
    assume(macro._training_bytes(settled(genotype)) <= macro.MOST_BYTES)
    mutant = SPACE.mutate(genotype, np.random.default_rng(seed))
    SPACE.check(mutant)
    assert settled(mutant) == mutant
    assert SPACE.key(mutant) != SPACE.key(genotype)
    assert describing(mutant) != describing(genotype), "other keys, other networks"
    before, common = settled(genotype), {*macro._mattering(genotype)} & {*macro._mattering(mutant)}
    differing = [place for place in common if before[place] != mutant[place]]
    is_cell = len(differing) == 2 and min(differing) >= PLACES["cell's first"]  # one changed, and both are in order
    assert len(differing) == 1 or is_cell


def describing(genotype):
    return [(layer.name, layer.op, layer.inputs) for layer in SPACE.plan(genotype, macro.LARGEST_INPUT)]


def test_mutants_reach_every_value_of_every_gene():
    rng, genotype = np.random.default_rng(0), REFERENCE
    seen = [set() for _ in GENES]
    for n in range(1000):
        genotype = SPACE.mutate(genotype if n % 100 else REFERENCE, rng)
        for values, value in zip(seen, genotype, strict=True):
            values.add(value)
    missing = {gene.name: genes.size(gene) - len(values) for gene, values in zip(GENES, seen, strict=True)}
    missing.pop("width / 4")  # far widths take many steps
    assert not any(missing.values())


def test_samples_are_near_what_works():
    drawn = [SPACE.sample(seeds.rng_for(0, seeds.ASK, n)) for n in range(200)]
    assert all(settled(each) == each for each in drawn)
    of_one_kind = [len({stage.block for stage in staged(each).stages}) == 1 for each in drawn]
    assert 0.6 < np.mean(of_one_kind) < 0.95
    begun = [each for each in drawn if staged(each).pooling == stages.TRANSITION]
    assert 0.4 < len(begun) / len(drawn) < 0.7
    depths = [[stage.depth for each in of for stage in staged(each).stages] for of in (begun, set(drawn) - set(begun))]
    assert np.mean(depths[0]) < 1 < np.mean(depths[1])
    wide = [width for width in (staged(each).width for each in drawn) if width > 16]
    assert np.mean([width % 16 == 0 for width in wide]) > 0.4
    assert 8 <= np.median([macro.widths(each)[0] for each in drawn]) <= 24
    assert {stage.block for each in drawn for stage in staged(each).stages} == set(BLOCKS)


@given(genotypes, st.integers(1, 64), st.integers(1, 64), st.sampled_from([1, 3]))
@settings(max_examples=60, deadline=None)
def test_no_network_takes_a_gigabyte(genotype, height, width, channels):
    """By the memory that is counted, with the process around it: larger is refused, and smaller images take no more."""
    most = counting.training_bytes(SPACE.plan(genotype, macro.LARGEST_INPUT), macro.BATCH)
    if macro._training_bytes(settled(genotype)) > macro.MOST_BYTES:
        with pytest.raises(InvalidGenotype, match=r"a training step of the network would take .* fewer blocks"):
            SPACE.check(genotype)
        assert most > macro.MOST_BYTES / 2
    else:
        SPACE.check(genotype)
        assert MEASURED * most + PROCESS_MB * 1e6 < 1e9
        assert counting.training_bytes(SPACE.plan(genotype, IO(channels, height, width, 10)), macro.BATCH) <= most


@given(genotypes, st.sampled_from([8, 28, 32, 64]), st.sampled_from([1, 3]), numbers)
@settings(max_examples=15, deadline=None)
def test_any_network_is_built_as_counted_and_every_weight_learns(genotype, side, channels, seed):
    genotype, io = narrow(genotype), IO(channels, side, side, 5)
    network = SPACE.build(genotype, io, np.random.default_rng(seed)).to(memory_format=torch.channels_last)
    assert SPACE.count(genotype, io).params == sum(weights.numel() for weights in network.parameters())
    plan = SPACE.plan(genotype, io)
    assert len({layer.name for layer in plan}) == len(plan)
    images = torch.randn(2, channels, side, side, generator=torch.Generator().manual_seed(seed))
    with torch.autocast("cpu", torch.bfloat16, enabled=seed % 2 == 0):
        logits = network(images.contiguous(memory_format=torch.channels_last))
    assert logits.shape == (2, 5)
    logits.float().square().sum().backward()
    for name, weights in network.named_parameters():
        assert weights.grad is not None and torch.isfinite(weights.grad).all(), name


@pytest.mark.parametrize(
    ("side", "sides"),
    [
        (8, [8, 4]),
        (15, [15, 8]),
        (16, [16, 8, 4, 2]),
        (32, [32, 16, 8, 4]),
        (64, [32, 16, 8, 4]),
        (128, [32, 16, 8, 4]),
        (5, [5, 3]),
    ],
)
def test_networks_fit_themselves_to_the_images(side, sides):
    plan = SPACE.plan(changed(stages=4), IO(3, side, side, 10))
    found = [layer.shape.height for layer in plan if layer.op.name == "add"]
    assert list(dict.fromkeys(found)) == sides


@pytest.mark.parametrize(
    ("side", "stem", "sides"),
    [
        (1, 0, [1, 1]),
        (2, 0, [2, 2]),
        (5, 0, [3, 2]),
        (8, 0, [4, 2]),
        (8, 1, [4, 2]),
        (12, 0, [6, 3]),
        (16, 0, [8, 4, 2, 2]),
        (28, 0, [14, 7, 4, 2]),
        (32, 0, [16, 8, 4, 2]),
        (32, 1, [8, 4, 2, 2]),
        (64, 0, [16, 8, 4, 2]),
        (96, 0, [12, 6, 3, 2]),
        (224, 0, [14, 7, 4, 2]),
    ],
)
def test_transitions_halve_the_first_stage_too_and_leave_two_pixels(side, stem, sides):
    plan = SPACE.plan(changed(STARTS[1], stages=4, stem=stem, depth_2=1, depth_4=1), IO(3, side, side, 10))
    assert [layer.shape.height for layer in plan if layer.op.name == "add"] == sides


@pytest.mark.parametrize(("stem", "side", "reduction"), [(1, 32, 2), (2, 32, 2), (2, 64, 4), (1, 8, 1), (2, 9, 1)])
def test_stems_reduce_what_is_large_enough(stem, side, reduction):
    plan = SPACE.plan(changed(stem=stem), IO(3, side, side, 10))
    assert next(layer for layer in plan if layer.name.startswith("stage1")).shape.height == side // reduction
    assert SPACE.plan(changed(stem=2), IO(1, 8, 2000, 2)), "windows larger than the image are none"


@pytest.mark.parametrize("block", BLOCKS)
@given(genotype=genotypes)
@settings(max_examples=2, deadline=None)
def test_source_code_computes_what_the_network_does(block, genotype):
    genotype, io = narrow(made_of(genotype, block)), IO(2, 16, 16, 3)
    network = SPACE.build(genotype, io, np.random.default_rng(0)).eval()
    names = {"torch": torch, "nn": nn, "F": F, "Tensor": torch.Tensor}
    exec(compile(source.classes(SPACE.plan(genotype, io)), "model", "exec"), names)
    exported = names["Model"]().eval()
    exported.load_state_dict(network.state_dict())
    images = torch.randn(2, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(exported(images), network(images))


def test_the_drawing_shows_stages_and_their_blocks():
    graph = SPACE.graph(REFERENCE)
    assert graph.nodes == ("image", "16 channels", "16 channels", "32 channels", "64 channels", "logits")
    assert [label for _, _, label in graph.edges] == ["conv 3x3", "stage 1", "stage 2", "stage 3", "mean, linear"]
    assert [label for _, _, label in graph.parts[1].edges] == ["halving residual", "residual"]
    first, rest = graph.parts[1].parts
    assert first.edges == ((0, 1, "conv 3x3 / 2"), (1, 2, "conv 3x3"), (0, 2, "conv 1x1 / 2"))
    assert rest.edges == ((0, 1, "conv 3x3"), (1, 2, "conv 3x3"), (0, 2, "identity"))
    graph = SPACE.graph(STARTS[1])
    assert graph.nodes == ("image", *(f"{width} channels" for width in (16, 32, 64, 128)), "logits")
    assert [label for _, _, label in graph.parts[0].edges] == ["conv 3x3, max pool 2x2 / 2", "additive"]
    assert [label for _, _, label in graph.parts[1].edges] == ["conv 3x3, max pool 2x2 / 2"]
    assert graph.parts[0].parts[0].edges == ((0, 1, "conv 3x3"), (1, 2, "conv 3x3"), (0, 2, "identity"))
    bare = [SPACE.graph(changed(pooling=pooling, depth_1=0, depth_2=0)) for pooling in range(2)]
    assert [label for part in bare[0].parts[:2] for _, _, label in part.edges] == ["conv 3x3", "conv 3x3 / 2"]
    assert bare[1].parts[1].edges == ((0, 1, "max pool 2x2 / 2, conv 3x3"),)
    for block in BLOCKS:
        drawn = SPACE.graph(made_of(changed(pooling=1, stages=2), block))
        assert "max pool 2x2 / 2" in [label for _, _, label in drawn.parts[1].parts[0].edges]


@given(genotypes, st.integers(1, 140), st.integers(1, 140))
@settings(max_examples=60, deadline=None)
def test_the_drawing_shows_what_images_of_that_size_get(genotype, height, width):
    io = IO(3, height, width, 10)
    graph, plan = SPACE.graph_for(genotype, io), SPACE.plan(genotype, io)
    scopes = {layer.name.split(".")[0] for layer in plan}
    assert len(graph.parts) == len({scope.split("_")[0] for scope in scopes if scope.startswith("stage")})
    stem = sum(layer.op.name == "conv" and layer.name.startswith("stem") for layer in plan)
    drawn = graph.edges[0][2]
    assert (1 if drawn.startswith("windows") else drawn.count("conv 3x3")) == stem
    pooled = [layer for layer in plan if layer.op.name == "max_pool" and "_transition." in layer.name]
    labels = [label for part in graph.parts for _, _, label in part.edges]
    assert sum("max pool 2x2 / 2" in label for label in labels) == len(pooled)
    check_graph(graph)


def test_the_drawing_for_small_images_leaves_out_what_they_do_not_get():
    assert SPACE.graph_for(REFERENCE, IO(3, 32, 32, 10)) == SPACE.graph(REFERENCE)
    small = SPACE.graph_for(REFERENCE, IO(1, 8, 8, 10))
    assert small.nodes == ("image", "16 channels", "16 channels", "32 channels", "logits")
    tuned = Tuned(SPACE, (Setting("lr", 0.1, low=0.01, high=1.0, log=True),))
    assert graph_of(constrain(tuned, CIFAR, ("params <= 1e9",)), (*REFERENCE, -1.0), IO(1, 8, 8, 10)) == small
    assert graph_of(SPACE, REFERENCE, None) == SPACE.graph(REFERENCE)


def test_widths_are_whole_multiples():
    assert [stages.rounded(width) for width in (0.1, 5.9, 6, 10, 15)] == [4, 4, 8, 12, 16]
    assert SPACE.key(changed(stages=2, width=1, growth=1)) == SPACE.key(changed(stages=2, width=1, growth=2))
