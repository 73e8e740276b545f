"""The topology space against the published counts, and against the plain network of benchmarks/plain."""

import itertools
from collections import Counter, defaultdict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from benchmarks.plain import nats_step
from netwright.core import refs, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.plans import network, source
from netwright.plans.names import module_of
from netwright.plans.plan import HasPlan, PlanWriter
from netwright.spaces.nats import EDGES, OPERATIONS, NatsTopology

SPACE = NatsTopology()
SMALL = NatsTopology(channels=4, repeats=1)
CIFAR = IO(3, 32, 32, 10)
TINY = IO(3, 9, 8, 3)
ALL = list(itertools.product(range(len(OPERATIONS)), repeat=len(EDGES)))
BEST = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
CELLS = st.tuples(*[st.integers(0, len(OPERATIONS) - 1)] * len(EDGES))


def cell(*names):
    """A genotype by the first letters: 0->1, 0->2, 1->2, 0->3, 1->3, 2->3."""
    short = {"none": 0, "skip": 1, "1x1": 2, "3x3": 3, "pool": 4}
    return tuple(short[name] for name in names)


def key(*names):
    return SPACE.key(cell(*names))


@pytest.mark.parametrize(
    ("text", "params", "multiply_adds"),
    [
        (BEST, 1_073_466, 153_272_960),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", 73_306, 7_783_040),
        (
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            1_531_546,
            220_119_680,
        ),
        (
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|",
            129_306,
            15_647_360,
        ),
    ],
)
def test_counts_are_those_of_the_benchmark(text, params, multiply_adds):
    """Published: 1.073466, 0.073306, 1.531546, 0.129306 M parameters; 153.27, 7.78, 220.12, 15.65 M FLOPs."""
    counts = SPACE.count(SPACE.parse(text), CIFAR)
    assert (counts.params, counts.multiply_adds) == (params, multiply_adds)
    assert isinstance(SPACE, HasPlan)


def test_strings_come_back():
    assert all(SPACE.parse(SPACE.text(genotype)) == genotype for genotype in ALL)
    assert SPACE.text(SPACE.parse(f"  {BEST}\n")) == BEST
    assert SPACE.parse(BEST) == cell("3x3", "3x3", "3x3", "skip", "3x3", "1x1")
    assert [gene.name for gene in SPACE.genes] == ["0->1", "0->2", "1->2", "0->3", "1->3", "2->3"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is written as |op~0|+|op~0|op~1|+|op~0|op~1|op~2|"),
        (BEST.replace("|+|", "+", 1), "is no cell of this space"),
        (BEST.replace("~2", "~1"), "is no cell of this space"),
        (BEST.replace("skip_connect", "sep_conv_3x3"), "there is no operation 'sep_conv_3x3'; there are none, skip_"),
    ],
)
def test_a_wrong_string_is_refused(text, says):
    with pytest.raises(InvalidGenotype) as refused:
        SPACE.parse(text)
    assert says in str(refused.value)


def _alike(module):
    """All convolutions of a shape get the same weights, all normalizations of a width the same numbers."""
    for layer in module.modules():
        for name, tensor in layer.named_parameters(recurse=False) if not isinstance(layer, nn.Sequential) else ():
            tensor.data.normal_(0.1, 0.3, generator=torch.Generator().manual_seed(tensor.numel() + len(name)))
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(generator=torch.Generator().manual_seed(layer.num_features))
            layer.running_var.uniform_(0.5, 2.0, generator=torch.Generator().manual_seed(layer.num_features))
    return module.eval()


@given(CELLS)
@settings(max_examples=60)
def test_the_network_is_the_benchmarks(genotype):
    """Dead parts left out or not: the same function; sides of 8 as the plain one does not take odd ones."""
    io = IO(3, 8, 8, 10)
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    plain = _alike(nats_step.Net(SMALL.text(genotype), 4, 1))
    ours = _alike(SMALL.build(genotype, io, seeds.rng_for(0, seeds.BUILD)))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), plain(images), rtol=1e-4, atol=1e-4)


@given(CELLS)
@settings(max_examples=40)
def test_weights_go_by_their_edges(genotype):
    """With those of the plain network's edges under their names, ours computes the same."""
    plain = nats_step.Net(SMALL.text(genotype), 4, 1).eval()
    for n, tensor in enumerate(plain.parameters()):
        tensor.data.normal_(0.1, 0.3, generator=torch.Generator().manual_seed(n))
    modules = {"stem.conv1": plain.body[0], "stem.norm1": plain.body[1], "norm1": plain.body[7], "linear1": plain.head}
    for group in (1, 2, 3):
        for n, (source_, target) in enumerate(EDGES):
            place = f"group{group}_cell1.{source_}to{target}.{OPERATIONS[genotype[n]]}"
            edge = plain.body[2 * group].ops[target - 1][source_]
            modules |= {f"{place}.conv1": edge[1], f"{place}.norm1": edge[2]} if genotype[n] in (2, 3) else {}
        if group < 3:
            residual = plain.body[2 * group + 1]
            for n in (1, 2):
                part = residual.convs[n - 1]
                modules |= {f"reduction{group}.conv{n}": part[1], f"reduction{group}.norm{n}": part[2]}
            modules[f"reduction{group}.shortcut.conv1"] = residual.short[1]
    io = IO(3, 8, 8, 10)
    ours = SMALL.build(genotype, io, seeds.rng_for(0, seeds.BUILD)).eval()
    named = {".".join(filter(None, module_of(name))): module for name, module in modules.items()}
    given = {f"{name}.{part}": value for name, module in named.items() for part, value in module.state_dict().items()}
    ours.load_state_dict({name: given[name] for name in ours.state_dict()})
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), plain(images), rtol=1e-4, atol=1e-4)


@given(CELLS)
@settings(max_examples=30)
def test_source_and_module_are_one_network(genotype):
    """With operations that no other space has, `zero` and `halve`, and odd sides."""
    plan = SMALL.plan(genotype, TINY)
    ours = network.build(plan, seeds.rng_for(0, seeds.BUILD)).eval()
    names = {"torch": torch, "F": torch.nn.functional, "nn": nn, "Tensor": torch.Tensor}
    exec(compile(source.classes(plan), "model", "exec"), names)
    theirs = names["Model"]().eval()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert torch.equal(ours(images), theirs(images))
    shapes = {layer.op.name: layer.shape for layer in plan}
    assert shapes["halve"][1:] == (3, 2)  # 9 x 8 halved twice


def test_half_of_an_odd_side():
    writer = PlanWriter(IO(1, 3, 2, 1))
    writer.zero(writer.halve(writer.image))
    *halving, zero = writer.plan()
    images = torch.arange(6.0).reshape(1, 1, 3, 2)
    assert network.Network(tuple(halving))(images).tolist() == [[[[1.5], [4.5]]]]
    assert network.Network((*halving, zero))(images).tolist() == [[[[0.0], [0.0]]]]


def test_a_cell_without_a_path_is_valid_and_constant():
    """The benchmark has rows for such cells; what is behind them still trains."""
    dead = cell(*["none"] * 6)
    SPACE.check(dead)
    built = SMALL.build(dead, TINY, seeds.rng_for(0, seeds.BUILD))
    images = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(1))
    logits = built(images)
    assert torch.equal(logits[0], logits[1])
    logits.sum().backward()
    assert all(parameter.grad is not None for parameter in built.parameters())


def test_keys_leave_out_what_does_nothing():
    only_skip = key("none", "none", "none", "skip", "none", "none")
    assert only_skip == key("3x3", "none", "none", "skip", "none", "none"), "node 1 is read by nobody"
    assert only_skip == key("skip", "none", "skip", "none", "none", "skip"), "three skips are one"
    assert only_skip == key("none", "pool", "pool", "skip", "skip", "none"), "skip and pooling of zero are zero"
    assert key("none", "none", "none", "1x1", "none", "none") == key("1x1", "none", "none", "none", "skip", "none")
    assert key("3x3", "none", "none", "none", "1x1", "none") == key("none", "3x3", "none", "none", "none", "1x1")
    assert key("3x3", "1x1", "none", "none", "skip", "skip") == key("1x1", "3x3", "none", "none", "skip", "skip")


def test_keys_tell_different_networks_apart():
    twice = key("3x3", "none", "skip", "none", "skip", "skip")  # 2 f(x)
    two = key("3x3", "3x3", "none", "none", "skip", "skip")  # f(x) + g(x)
    assert twice != two
    shift = key("none", "none", "3x3", "none", "none", "skip")  # a convolution of zero: the shift of its norm
    assert shift != key(*["none"] * 6)
    later = key("3x3", "1x1", "3x3", "none", "skip", "skip")  # f(x) + h(x) + g(f(x))
    assert later != key("3x3", "1x1", "1x1", "none", "skip", "skip")
    assert later != key("3x3", "1x1", "3x3", "none", "none", "skip")


def test_which_of_equal_convolutions_is_read_where_does_not_matter():
    one = key("3x3", "3x3", "none", "none", "skip", "1x1")  # f(x) + h(g(x))
    assert one == key("3x3", "3x3", "none", "none", "1x1", "skip")
    assert one == key("none", "3x3", "none", "3x3", "none", "1x1")
    assert one != key("3x3", "none", "skip", "none", "skip", "1x1")  # f(x) + h(f(x))


def _living_convolutions(genotype):
    """How many the output depends on, found from the ends rather than by writing sums."""
    zero = [False]
    for target in (1, 2, 3):
        into = [(genotype[n], begin) for n, (begin, end) in enumerate(EDGES) if end == target]
        zero.append(all(op == 0 or (op in (1, 4) and zero[begin]) for op, begin in into))
    needed, found = {3}, 0
    for n, (begin, end) in reversed(list(enumerate(EDGES))):
        if end in needed and genotype[n] and not (genotype[n] in (1, 4) and zero[begin]):
            needed.add(begin)
            found += genotype[n] in (2, 3)
    return found


def test_every_convolution_that_matters_is_built_once():
    fixed = 1 + 2 * 3  # stem, reductions
    for genotype in ALL[::11]:
        built = sum(layer.op.name == "conv" for layer in SMALL.plan(genotype, TINY))
        assert built == fixed + 3 * _living_convolutions(genotype), SMALL.text(genotype)


def test_equal_keys_are_equal_plans_and_the_other_way_round():
    plans = defaultdict(set)
    for genotype in ALL[::7]:
        layers = SMALL.plan(genotype, TINY)
        plans[SMALL.key(genotype)].add(tuple((layer.op, layer.inputs) for layer in layers))
    assert all(len(found) == 1 for found in plans.values())
    assert len({next(iter(found)) for found in plans.values()}) == len(plans)


def test_the_space_holds_5875_networks():
    """Fewer than the 6,466 of the papers, which do not join sums with a term that is zero."""
    assert len({SPACE.key(genotype) for genotype in ALL}) == 5875


def test_mutation_is_that_of_the_benchmarks_evolution():
    """A node, one of its edges, another operation: edges change with 1/3, 1/6, 1/6, 1/9, 1/9, 1/9."""
    parent, draws = cell("none", "skip", "1x1", "3x3", "pool", "none"), 6000
    children = [SPACE.mutate(parent, seeds.rng_for(0, seeds.ASK, n)) for n in range(draws)]
    changed = Counter()
    for child in children:
        SPACE.check(child)
        [edge] = [n for n in range(6) if child[n] != parent[n]]
        changed[edge, child[edge]] += 1
    assert len(changed) == 24, "every edge gets every other operation"
    for edge, chance in enumerate((1 / 3, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9)):
        counts = [count for (each, _), count in changed.items() if each == edge]
        assert abs(sum(counts) / draws - chance) < 0.025
        assert max(counts) - min(counts) < draws * 0.03


def test_samples_are_uniform():
    drawn = [SPACE.sample(seeds.rng_for(0, seeds.ASK, n)) for n in range(3000)]
    for edge in range(6):
        counts = Counter(genotype[edge] for genotype in drawn)
        assert set(counts) == set(range(5))
        assert max(counts.values()) - min(counts.values()) < 120


def test_the_drawing_leaves_out_what_brings_nothing():
    graph = SPACE.graph(SPACE.parse(BEST))
    assert graph.nodes == ("input", "1", "2", "output")
    assert graph.edges[:2] == ((0, 1, "nor_conv_3x3"), (0, 2, "nor_conv_3x3"))
    assert len(graph.edges) == 6
    dead = SPACE.graph(cell("3x3", "none", "none", "skip", "none", "none"))
    assert (dead.nodes, dead.edges) == (("input", "output"), ((0, 1, "skip_connect"),))
    shift = SPACE.graph(cell("none", "none", "3x3", "none", "skip", "skip"))
    assert shift.nodes == ("input", "1 = 0", "2", "output")
    assert shift.edges == ((1, 2, "nor_conv_3x3"), (2, 3, "skip_connect"))
    assert SPACE.graph(cell(*["none"] * 6)).nodes == ("input", "output = 0")


def test_wrong_values_and_settings_are_refused():
    with pytest.raises(InvalidGenotype, match=r"gene 2 \(1->2\) is 5"):
        SPACE.check((0, 0, 5, 0, 0, 0))
    with pytest.raises(BadReference, match=r"space.repeats is 0; it must be at least 1"):
        refs.load("space", Reference("nats", {"repeats": 0}))
