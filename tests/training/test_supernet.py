"""Shared weights: paths compute what networks by themselves do, and touch nothing but what they use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from netwright.core.errors import BadReference, NetwrightError
from netwright.core.records import IO
from netwright.core.settings import Setting, Tuned
from netwright.core.shapes import Tokens
from netwright.plans import counting, network, sharing
from netwright.plans.plan import Plan, PlanWriter
from netwright.plans.sharing import Share, Shares
from netwright.spaces.flat import flat_space
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.macro import MacroSpace
from netwright.spaces.nao import NaoSpace
from netwright.spaces.nasnet import NasnetSpace
from netwright.spaces.nats import NatsTopology
from netwright.spaces.rnn import RnnSpace
from netwright.testing.toys import ToySpace
from netwright.training import supernet
from netwright.training.supernet import SharedWeights

CIFAR = IO(3, 32, 32, 10)
TINY = IO(3, 8, 8, 3)
LARGE = IO(3, 20, 20, 3)  # for an auxiliary head
WORDS = IO(Tokens(50, 7), Tokens(50, 7))
PUBLISHED = IO(Tokens(10_000, 35), Tokens(10_000, 35))

SMALL = {
    "nats": (NatsTopology(4, 1), TINY),
    "nasnet": (NasnetSpace(2, ("sep 3x3", "identity", "conv 1x7 7x1"), channels=4, repeats=1, auxiliary=True), LARGE),
    "nasnet, given states": (
        NasnetSpace(2, ("sep 3x3", "max pool 3x3"), concatenated=((1, 3), (2, 3)), channels=4, repeats=1),
        TINY,
    ),
    "nao": (NaoSpace(nodes=2, operations="small", channels=4, repeats=1), TINY),
    "nao, tensorflow": (NaoSpace(nodes=2, channels=4, repeats=1, flavor="tensorflow"), TINY),
    "hierarchical": (HierarchicalSpace(motifs=(2, 1), nodes=(3, 4), channels=4, diversification=50), TINY),
    "hierarchical, built": (HierarchicalSpace((2, 1), (3, 3), channels=3, unread="build", diversification=50), TINY),
    "flat": (flat_space(nodes=5, channels=4, diversification=50), TINY),
    "rnn": (RnnSpace(width=6, nodes=4), WORDS),
}
EACH = pytest.mark.parametrize("name", SMALL)


@lru_cache
def _weights(name):
    return SharedWeights(*SMALL[name], seed=1)


def _inputs(io, rows=4):
    generator = torch.Generator().manual_seed(5)
    if isinstance(io.input, Tokens):
        return torch.randint(io.input.vocabulary, (rows, io.input.steps), generator=generator)
    return torch.randn(rows, io.channels, io.height, io.width, generator=generator)


def _genotypes(space, count, seed=0):
    rng = np.random.default_rng(seed)
    return [space.sample(rng) for _ in range(count)]


@pytest.mark.parametrize(
    ("space", "io", "params"),
    [
        (NaoSpace(operations="small", channels=20, repeats=3), CIFAR, 7_387_350),
        (NaoSpace(operations="small", channels=36, repeats=3), CIFAR, 21_557_062),
        (NaoSpace(operations="small", channels=20, repeats=3, auxiliary=True), CIFAR, 7_800_288),
        (NaoSpace(operations="middle", channels=20, repeats=3), CIFAR, 18_152_950),
        (RnnSpace(width=300), PUBLISHED, 50_890_000),
    ],
)
def test_supernets_have_the_published_sizes(space, io, params):
    """Specification of NAO, sections 6.2 and 9.4: the authors' classes made and counted."""
    assert sum(map(prod, supernet.shapes(space, io).values())) == params


def test_cells_of_one_edge_per_operation_are_what_nats_shares():
    """By hand: six edges with a 1x1 and a 3x3 convolution and their normalizations, in one cell of each group."""
    edges = sum(6 * (width**2 * (1 + 9) + 2 * 2 * width) for width in (16, 32, 64))
    alone = counting.count(NatsTopology(16, 1).plan((0,) * 6, CIFAR)).params
    assert sum(map(prod, supernet.shapes(NatsTopology(16, 1), CIFAR).values())) == alone + edges


@EACH
def test_a_path_copied_out_computes_what_the_network_by_itself_does(name):
    space, io = SMALL[name]
    weights = _weights(name)
    is_same = not name.startswith("nao")  # whose cells end in a convolution where they share weights
    for genotype in _genotypes(space, 2):
        plan = space.shared_plan(genotype, io)
        assert (plan == space.plan(genotype, io)) == is_same
        alone = network.build(space.plan(genotype, io) if is_same else plan, np.random.default_rng(0))
        alone.load_state_dict(weights.copied(genotype))
        for norm in filter(lambda module: isinstance(module, nn.BatchNorm2d), alone.modules()):
            norm.momentum = None  # averages all batches alike, as a path does
        path, inputs = weights.child(genotype, averages=True), _inputs(io)
        for _ in range(2):  # in training mode, then in evaluation mode on what was averaged there
            with torch.no_grad():
                assert torch.allclose(path(inputs), alone(inputs), atol=1e-5)
            path.eval(), alone.eval()


@EACH
def test_all_networks_find_their_weights_and_all_weights_are_of_some_network(name):
    space, io = SMALL[name]
    weights, used = _weights(name), set()
    for genotype in (*_genotypes(space, 8, seed=3), *space.cover()):
        names = weights.names(genotype)
        used |= names
        plan = space.shared_plan(genotype, io)
        shares = space.shares(genotype, plan)
        assert {part.name: part.shape for share in shares.values() for part in share.parts} == {
            each: tuple(weights.tensors[each].shape) for each in names
        }
        assert {parameter: tuple(value.shape) for parameter, value in network.made(plan).named_parameters()} == {
            parameter: tuple(supernet._cut(share, weights.tensors).shape) for parameter, share in shares.items()
        }
    assert used == weights.tensors.keys()
    assert list(weights.tensors) == sorted(used)


@EACH
def test_unused_weights_change_nothing_and_gradients_reach_the_used_ones_only(name):
    space, io = SMALL[name]
    weights = SharedWeights(space, io, seed=1)
    genotype = _genotypes(space, 1, seed=8)[0]
    inputs = _inputs(io)
    before, helping = weights.child(genotype).with_auxiliary(inputs)
    sum(outputs.square().sum() for outputs in (before, *helping)).backward()
    touched = {each for each, tensor in weights.tensors.items() if tensor.grad is not None}
    assert touched == weights.names(genotype)
    shares = space.shares(genotype, space.shared_plan(genotype, io))
    picked = {each: torch.zeros_like(weights.tensors[each], dtype=torch.bool) for each in touched}
    for share in shares.values():
        for part in share.parts:
            places = supernet._cut(part, {part.name: torch.arange(prod(part.shape)).reshape(part.shape)})
            picked[part.name].view(-1)[places.flatten()] = True
    with torch.no_grad():
        for each, tensor in weights.tensors.items():
            if each in touched:
                assert not tensor.grad[~picked[each]].any()
                tensor[~picked[each]] = 1e6
            else:
                tensor.fill_(torch.nan)
    assert torch.equal(weights.child(genotype)(inputs), before)


def test_a_step_of_a_path_is_the_step_of_the_network_by_itself():
    """Cuts and joins too: descent moves what it would move in the network by itself, by as much, and nothing else."""
    for name in ("nats", "nasnet", "flat", "rnn"):
        space, io = SMALL[name]
        weights, genotype = SharedWeights(space, io, seed=2), _genotypes(space, 1, seed=4)[0]
        alone = network.made(space.plan(genotype, io))
        alone.load_state_dict(weights.copied(genotype))
        unused = {each: value.detach().clone() for each, value in weights.tensors.items()}
        for parameters, path in ((weights.tensors.values(), weights.child(genotype)), (alone.parameters(), alone)):
            path(_inputs(io)).square().mean().backward()
            with torch.no_grad():
                for parameter in parameters:
                    if parameter.grad is not None:
                        parameter -= 0.1 * parameter.grad
        found = weights.copied(genotype)
        for parameter, value in alone.named_parameters():
            assert torch.allclose(found[parameter], value, atol=1e-6), parameter
        for each in unused.keys() - weights.names(genotype):
            assert torch.equal(weights.tensors[each], unused[each])


def test_ranges_of_channels_belong_to_edges():
    """A cell of nodes 1 to 4: what reads node 3 has weights for edges 1->3 and 2->3, whichever of them are there."""
    space = flat_space(nodes=4, channels=2)
    conv, identity = 1, 6
    genes = {(1, 2): 0, (1, 3): 1, (2, 3): 2, (1, 4): 3, (2, 4): 4, (3, 4): 5}

    def columns(**edges):
        genotype = [0] * 6
        for edge, value in edges.items():
            genotype[genes[int(edge[1]), int(edge[2])]] = value
        shares = space.shares(tuple(genotype), space.plan(tuple(genotype), TINY))
        share = shares["cell1.at_3to4_conv_1x1_conv1.weight"]
        assert share.shape == (2, 4, 1, 1)
        return [list(each) for each in share.index[1:]] or [[0, 1, 2, 3]]

    assert columns(e13=identity, e34=conv) == [[0, 1]]
    assert columns(e12=identity, e23=conv, e34=conv) == [[2, 3]]
    assert columns(e12=conv, e13=conv, e23=identity, e34=conv) == [[0, 1, 2, 3]]


def test_weights_do_not_depend_on_what_else_is_drawn():
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, other, more = (
        SharedWeights(NatsTopology(4, repeats), TINY, seed) for repeats, seed in ((1, 1), (1, 2), (2, 1))
    )
    assert torch.equal(state, torch.get_rng_state())
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, more.tensors[name])
        is_drawn = "norm" not in name and not name.endswith("bias")
        assert torch.equal(tensor, other.tensors[name]) != is_drawn, name
    weight = one.tensors["group3_cell1.0to3.nor_conv_3x3.conv1.weight"]
    assert weight.std().item() == pytest.approx((2 / (9 * 16)) ** 0.5, rel=0.1)


def test_memory_grows_with_weights_only():
    """Neither paths nor passes leave anything: no gradients without a backward pass, no averages, no joined weights."""
    space, io = SMALL["nasnet"]
    weights = SharedWeights(space, io, seed=0)
    assert weights.params == sum(map(prod, supernet.shapes(space, io).values()))
    path = weights.child(_genotypes(space, 1)[0])
    path(_inputs(io))
    own = {id(tensor) for tensor in weights.tensors.values()}
    held = [
        value
        for module in path.modules()
        for each in vars(module).values()
        for value in (each.values() if isinstance(each, dict) else [each])
        if isinstance(value, torch.Tensor)
    ]
    assert {id(value) for value in held} <= own
    assert all(tensor.grad is None for tensor in weights.tensors.values())


def test_evaluation_mode_normalizes_by_the_batch():
    weights = _weights("nats")
    path, inputs = weights.child((3, 2, 3, 1, 2, 3)), _inputs(TINY)
    with torch.no_grad():
        found = path(inputs)
        assert torch.equal(path.eval()(inputs), found)
        assert not torch.allclose(path(inputs[:2]), found[:2], atol=1e-3)


def test_averages_are_the_mean_of_the_batches_that_were_seen_and_of_nothing_else():
    child = _weights("nats").child((3, 2, 1, 3, 2, 1), averages=True)
    batches = torch.randn(3, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    norm = next(module for module in child.modules() if isinstance(module, nn.BatchNorm2d))
    seen: list[torch.Tensor] = []
    norm.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].detach()))
    child.train()
    for batch in batches:
        child(batch)
    assert norm.running_mean is not None and norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, torch.stack([each.mean((0, 2, 3)) for each in seen]).mean(0))
    torch.testing.assert_close(norm.running_var, torch.stack([each.var((0, 2, 3)) for each in seen]).mean(0))


@dataclass(frozen=True)
class Wide:
    """A space of a test's own: a convolution of 2, 4 or 6 channels, of which all have the first ones in common."""

    widths: tuple[int, ...] = (2, 4, 6)
    genes: tuple = field(default=(), compare=False)

    def plan(self, genotype, io) -> Plan:
        writer = PlanWriter(io)
        x = writer.relu(writer.norm(writer.conv(writer.image, self.widths[int(genotype[0])], 3)))
        writer.linear(writer.mean(x), io.outputs)
        return writer.plan()

    def shared_plan(self, genotype, io) -> Plan:
        return self.plan(genotype, io)

    def shares(self, genotype, plan) -> Mapping[str, Share]:
        width, most = self.widths[int(genotype[0])], max(self.widths)
        found = sharing.by_name(plan)
        for name, dimension in (("conv1", 0), ("norm1", 0), ("linear1", 1)):
            sharing.cut(found, name, range(width), most, dimension)
        return found

    def cover(self) -> Iterator[tuple[float, ...]]:
        yield (len(self.widths) - 1,)


def test_a_space_of_ones_own_shares_without_an_edit():
    space = Wide()
    assert isinstance(space, Shares)
    weights = SharedWeights(space, TINY, seed=0)
    assert weights.params == counting.count(space.plan((2,), TINY)).params
    inputs = _inputs(TINY)
    weights.child((0,))(inputs).sum().backward()
    assert weights.tensors["conv1.weight"].grad[:2].any()
    assert not weights.tensors["conv1.weight"].grad[2:].any()
    alone = network.made(space.plan((1,), TINY))
    alone.load_state_dict(weights.copied((1,)))
    assert torch.equal(alone(inputs), weights.child((1,))(inputs))


def test_a_space_that_also_says_how_to_train_shares_the_weights_of_the_one_within():
    rate = Setting("lr", 0.1, low=0.01, high=1.0)
    space = Tuned(NatsTopology(4, 1), (rate,))
    weights = SharedWeights(space, TINY, seed=1)
    assert weights.tensors.keys() == _weights("nats").tensors.keys()
    genotype = space.with_defaults((3, 2, 3, 1, 2, 3))
    assert weights.names(genotype) == _weights("nats").names(genotype[:6])


def test_spaces_that_share_nothing_or_disagree_are_refused():
    for space in (MacroSpace(), ToySpace()):
        with pytest.raises(BadReference, match=f"space {type(space).__name__} share no weights.*such as nats"):
            SharedWeights(space, TINY, 0)

    class Disagreeing(Wide):
        def shares(self, genotype, plan):
            return sharing.by_name(plan)

        def cover(self):
            yield from ((0,), (1,))

    with pytest.raises(BadReference, match=r"Disagreeing disagree on the shared weights conv1\.weight"):
        SharedWeights(Disagreeing(), TINY, 0)
    with pytest.raises(BadReference, match=r"graphs of 20 nodes.*give space.nodes less"):
        supernet.shapes(flat_space(nodes=20), TINY)


ABOUT = {"space": "nats", "round": 3}


def test_weights_come_back_from_a_file(tmp_path):
    path, weights = tmp_path / "round-0003.safetensors", SharedWeights(NatsTopology(4, 1), TINY, seed=1)
    with torch.no_grad():
        next(iter(weights.tensors.values())).add_(1)
    weights.save(path, ABOUT)
    other = SharedWeights(NatsTopology(4, 1), TINY, seed=2)
    other.load(path, dict(reversed(ABOUT.items())))
    assert all(torch.equal(tensor, other.tensors[name]) for name, tensor in weights.tensors.items())
    assert all(isinstance(tensor, nn.Parameter) for tensor in other.tensors.values())
    assert safetensors.torch.load_file(path).keys() == weights.tensors.keys()


@pytest.mark.parametrize(
    ("change", "about", "space", "said"),
    [
        (lambda data: data[:-7], ABOUT, NatsTopology(4, 1), "are damaged; give the run"),
        (lambda data: data[:5], ABOUT, NatsTopology(4, 1), "are damaged"),
        (lambda data: b"", ABOUT, NatsTopology(4, 1), "are damaged"),
        (lambda data: data[:-9] + bytes([data[-9] ^ 4]) + data[-8:], ABOUT, NatsTopology(4, 1), "are damaged"),
        (lambda data: data, {**ABOUT, "round": 4}, NatsTopology(4, 1), '"round": 3.*not of.*"round": 4'),
        (lambda data: data, {**ABOUT, "space": "nao"}, NatsTopology(4, 1), '"nats".*not of.*"nao"'),
        (
            lambda data: data,
            ABOUT,
            NatsTopology(5, 1),
            "of another space: .* is .* there and .* here",
        ),
        (None, ABOUT, NatsTopology(4, 1), "cannot be read: No such file"),
    ],
)
def test_files_of_other_weights_and_damaged_ones_are_refused(tmp_path, change, about, space, said):
    path = tmp_path / "round-0003.safetensors"
    if change:
        SharedWeights(NatsTopology(4, 1), TINY, seed=1).save(path, ABOUT)
        path.write_bytes(change(path.read_bytes()))
    weights = SharedWeights(space, TINY, seed=2)
    before = {name: tensor.detach().clone() for name, tensor in weights.tensors.items()}
    with pytest.raises(NetwrightError, match=said) as refused:
        weights.load(path, about)
    assert "\n" not in str(refused.value)
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights.tensors.items())
