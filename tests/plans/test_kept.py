from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from netwright.core import seeds
from netwright.core.errors import InvalidGenotype
from netwright.core.protocols import of_seed
from netwright.core.records import IO
from netwright.core.shapes import Tokens
from netwright.plans import counting
from netwright.plans.kept import kept_bytes
from netwright.spaces.flat import plugin as flat
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.hnag import HnagSpace
from netwright.spaces.macro import MacroSpace
from netwright.spaces.nao import NaoSpace
from netwright.spaces.nasnet import NasnetSpace
from netwright.spaces.nats import NatsTopology
from netwright.spaces.nats_size import NatsSize
from netwright.spaces.own import OwnSpace
from netwright.spaces.residual import ResidualSpace
from netwright.spaces.rnag import RnagSpace
from netwright.spaces.rnn import RnnSpace

SMALL = HnagSpace(limit=30_000, n_top=(3, 4), n_mid=(1, 3), n_bottom=(3, 4))
NASNET = NasnetSpace(channels=4, repeats=1)
NAO = NaoSpace(channels=4, repeats=1)
SPACES = (
    *(
        flat(channels=4),
        HierarchicalSpace(channels=4),
        MacroSpace(),
        ResidualSpace(),
        NatsTopology(4, 1),
        NatsSize(),
    ),
    *(NASNET, replace(NASNET, auxiliary=True), NAO, replace(NAO, flavor="tensorflow-ws", operations="small")),
    *(SMALL, replace(SMALL, searched="operations"), replace(SMALL, searched="stages"), RnagSpace(limit=30_000)),
)
IMAGES = (IO(3, 16, 16, 10), IO(1, 13, 17, 5))


def sampled(space, n):
    """A network of the space, as a trial with this seed has it."""
    while True:
        n += 1000
        found, genotype = of_seed(space, n), space.sample(seeds.rng_for(n, seeds.ASK))
        try:
            found.check(genotype)
        except InvalidGenotype:
            continue
        return found, genotype


@pytest.mark.parametrize("space", SPACES, ids=lambda space: type(space).__name__)
def test_what_is_counted_is_what_is_kept_in_every_space(space):
    """Exactly; where 2 x 2 windows without a stride are cut out of larger tensors, within 2 %."""
    for n, io in enumerate(IMAGES):
        found, genotype = sampled(space, n)
        network = found.build(genotype, io, np.random.default_rng(0)).train()
        measured = kept_bytes(network, torch.randn(2, *io.input, generator=torch.Generator().manual_seed(n)))
        counted = found.count(genotype, io).memory_per_sample
        has_cut = any(getattr(layer.op, "kernel", 0) == 2 for layer in found.plan(genotype, io))
        assert counted == measured or (has_cut and abs(counted - measured) < 0.02 * measured)


@pytest.mark.parametrize(("width", "nodes", "average"), [(16, 11, "searched"), (24, 1, "all"), (10, 7, "searched")])
def test_what_is_counted_is_what_is_kept_of_a_recurrent_network(width, nodes, average):
    space, io = RnnSpace(width=width, nodes=nodes, average=average), IO(Tokens(50, 7), Tokens(50, 7))
    genotype = space.sample(seeds.rng_for(0, seeds.ASK))
    network = space.build(genotype, io, np.random.default_rng(0)).train()
    tokens = torch.randint(50, (2, 7), generator=torch.Generator().manual_seed(0))
    assert space.count(genotype, io).memory_per_sample == kept_bytes(network, tokens)


@pytest.mark.parametrize(
    "space",
    [
        *(NASNET, replace(NASNET, stem=4), replace(NASNET, auxiliary=True, operations="sp2")),
        *(replace(NASNET, skeleton="imagenet"), replace(NAO, skeleton="imagenet"), NAO, replace(NAO, auxiliary=True)),
        *(replace(NAO, flavor="tensorflow"), replace(NAO, flavor="tensorflow-ws"), replace(NAO, operations="small")),
    ],
)
def test_cells_counted_one_by_one_are_those_of_the_plan(space):
    """Some of these samples have cells of a single output, which the next cells read as it is."""
    io = IO(3, 128, 128, 10) if space.skeleton == "imagenet" else IO(3, 32, 32, 10)
    for n in range(16):
        genotype = space.sample(seeds.rng_for(n, seeds.ASK))
        assert space.count(genotype, io) == counting.count(space.plan(genotype, io))


@pytest.mark.parametrize(
    ("genotype", "printed"),
    [
        ((3, 2, 0.5, 1, 0.5, 3, 2, 0.5), 7.3),
        ((3, 2, 0.5, 3, 1.0, 3, 2, 0.5), 10.3),
        ((5, 4, 0.5, 1, 0.5, 5, 4, 0.5), 13.0),
        ((10, 4, 0, 1, 0.5, 10, 4, 0), 20.1),
    ],
)
def test_the_hierarchical_generators_that_draw_nothing_at_random(genotype, printed):
    """MiB for each image that a batch of 32 was measured to keep."""
    counted = HnagSpace().count(genotype, IO(3, 32, 32, 10)).memory_per_sample
    assert counted / 2**20 == pytest.approx(printed, rel=0.01)
    assert counted == HnagSpace(seed=7).count(genotype, IO(3, 32, 32, 10)).memory_per_sample


def net(channels: int, height: int, width: int, classes: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, 4, 1), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(4 * height * width, classes)
    )


def test_a_network_of_ones_own_is_measured():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    counted = OwnSpace(f"{__name__}:net").count((0,), IO(3, 4, 4, 10)).memory_per_sample
    assert torch.equal(before, torch.random.get_rng_state())
    # image, output of ReLU, mask of the dropout and what the linear layer reads
    assert counted == 4 * 16 * (3 + 4 + 4 + 4)
