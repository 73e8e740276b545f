import pytest
import torch

from netwright.core import seeds
from netwright.core.errors import InvalidGenotype
from netwright.core.records import IO
from netwright.spaces.nats import NatsTopology
from netwright.spaces.nats_size import NatsSize

SPACE = NatsSize()
CIFAR = IO(3, 32, 32, 10)


def test_strings_come_back():
    genotype = SPACE.parse("8:24:64:64:32")
    assert genotype == (0, 2, 7, 7, 3)
    assert SPACE.text(genotype) == "8:24:64:64:32"
    assert [len(gene.options) for gene in SPACE.genes] == [8] * 5


@pytest.mark.parametrize("text", ["", "8:8:8:8", "8:8:8:8:8:8", "8:8:8:8:9", "8:8:8:8:72", "8-8-8-8-8"])
def test_a_wrong_string_is_refused(text):
    with pytest.raises(InvalidGenotype, match="is written as 5 widths of 8, 16, 24, 32, 40, 48, 56, 64"):
        SPACE.parse(text)


def test_parameters_by_hand():
    """Where nothing widens: the topology network of one cell a group, but of one width throughout."""

    def conv(entering, width, kernel=3):
        return kernel**2 * entering * width + 2 * width

    def cell(entering, width):
        skip = conv(entering, width, 1) if entering != width else 0
        return 2 * conv(entering, width) + 3 * conv(width, width) + skip

    def reduction(entering, width):
        return conv(entering, width) + conv(width, width) + entering * width

    def size(a, b, c, d, e):
        layers = cell(a, a) + reduction(a, b) + cell(b, c) + reduction(c, d) + cell(d, e)
        return conv(3, a) + layers + 2 * e + 10 * e + 10

    for widths in ((8,) * 5, (64,) * 5, (8, 24, 64, 64, 32)):
        text = ":".join(map(str, widths))
        assert SPACE.count(SPACE.parse(text), CIFAR).params == size(*widths)


def test_it_is_the_topology_network_where_widths_double():
    best = NatsTopology(channels=16, repeats=1)
    cell = best.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|")
    assert SPACE.count(SPACE.parse("16:32:32:64:64"), CIFAR) == best.count(cell, CIFAR)


def test_it_runs_and_is_drawn():
    genotype = SPACE.parse("8:16:8:24:16")
    built = SPACE.build(genotype, IO(1, 7, 5, 4), seeds.rng_for(0, seeds.BUILD))
    assert built(torch.zeros(2, 1, 7, 5)).shape == (2, 4)
    graph = SPACE.graph(genotype)
    assert graph.nodes[1:4] == ("stem, 8 channels", "8 channels", "16 channels")
    assert [label for _, _, label in graph.edges][1:3] == ["cell 1", "reduction 1"]


def test_keys_are_those_of_the_widths():
    assert len({SPACE.key(SPACE.parse(f"{a}:{b}:8:8:8")) for a in (8, 16) for b in (8, 16)}) == 4
