import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.core import refs, seeds
from netwright.core.errors import InvalidGenotype
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.plans.plan import HasPlan
from netwright.spaces import residual
from netwright.spaces.residual import ResidualSpace, nearest

SPACE = ResidualSpace()
CIFAR = IO(3, 32, 32, 10)
DIGITS = IO(1, 8, 8, 10)


@pytest.mark.parametrize(
    ("blocks", "published", "exact"),
    [(3, 0.27, 272_474), (5, 0.46, 466_906), (7, 0.66, 661_338), (9, 0.85, 855_770)],
)
def test_sizes_of_the_published_networks(blocks, published, exact):
    """He et al. 2016, table 6: ResNet-20 to ResNet-56 with option A; option B adds 1x1 shortcuts and their norms."""
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    counts = SPACE.count((16, blocks), CIFAR)
    assert counts.params == exact
    assert abs(exact - shortcuts - published * 1e6) < 0.005e6


def test_multiply_adds_of_the_smallest_network_by_hand():
    plan = SPACE.plan((4, 1), DIGITS)
    groups = 64 * 2 * 9 * 16 + 16 * (9 * 32 + 9 * 64 + 32) + 4 * (9 * 128 + 9 * 256 + 128)
    assert SPACE.count((4, 1), DIGITS).multiply_adds == 64 * 9 * 4 + groups + 16 * 10
    assert [layer.shape.height for layer in plan if layer.op.name == "add"] == [8, 4, 2]
    assert isinstance(SPACE, HasPlan)


@settings(max_examples=25, deadline=None)
@given(st.integers(4, 24), st.integers(1, 9), st.sampled_from([DIGITS, CIFAR, IO(2, 5, 3, 7)]))
def test_any_network_is_counted_as_it_is_built(width, blocks, io):
    genotype = (width, blocks)
    built = SPACE.build(genotype, io, seeds.rng_for(0, seeds.BUILD))
    size = sum(p.numel() for p in built.parameters())
    assert SPACE.count(genotype, io).params == residual.parameters(width, blocks, io) == size
    assert built(torch.zeros(2, io.channels, io.height, io.width)).shape == (2, io.outputs)


def test_a_block_adds_its_input_to_what_it_computes():
    """With the last normalization of a block at zero, the block is the ReLU of its shortcut."""
    built = SPACE.build((4, 2), DIGITS, seeds.rng_for(0, seeds.BUILD)).eval()
    inputs = {}

    def note(name):
        return lambda _module, given, _output: inputs.update({name: given[0]})

    def first_convolution(block):
        return next(name for name in inputs if name.startswith(block))

    for name, module in built.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(note(name))
    norms = [m for name, m in built.named_modules() if name.startswith("group1_block2") and "norm" in name]
    norms[-1].weight.data.zero_()
    built(torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    entering = inputs[first_convolution("group1_block2")]
    leaving = inputs[first_convolution("group2_block1")]
    assert entering.abs().sum() > 0
    torch.testing.assert_close(leaving, entering)


@pytest.mark.parametrize(
    ("size", "genotype"),
    [
        (272_474, (16, 3)),  # a published one
        (1, (4, 1)),  # nothing is as small
        (5_000, (4, 1)),  # 5,214; the next, 5 wide, has 7,985
        (10**9, (128, 9)),  # nothing is as large
        (30_000_000, (128, 5)),  # more than 3 blocks only beyond their reach
    ],
)
def test_the_nearest_network_by_hand(size, genotype):
    assert nearest(SPACE, CIFAR, size) == genotype


@given(st.integers(20_000, 17_000_000))
def test_the_nearest_network_is_shallow_and_near(size):
    width, blocks = nearest(SPACE, CIFAR, size)
    assert blocks <= 3
    assert abs(residual.parameters(width, blocks, CIFAR) - size) <= 0.12 * size  # a step of the width, at 4
    if size > 400_000:
        assert blocks == 3
        assert abs(residual.parameters(width, blocks, CIFAR) - size) <= 0.05 * size


def test_the_drawing_shows_groups_and_both_blocks():
    graph = SPACE.graph((16, 3))
    assert graph.nodes == ("image", "16 channels", "16 channels", "32 channels", "64 channels", "logits")
    assert [part.name for part in graph.parts] == ["group 1", "group 2", "group 3"]
    assert [label for _, _, label in graph.parts[1].edges] == ["wider block", "block", "block"]
    assert [part.name for part in graph.parts[1].parts] == ["wider block", "block"]
    [only] = SPACE.graph((16, 1)).parts[1].parts
    assert only.edges == ((0, 1, "conv 3x3 / 2"), (1, 2, "conv 3x3"), (0, 2, "conv 1x1 / 2"))


def test_equal_genotypes_only_have_equal_keys():
    assert SPACE.key((16, 3)) == SPACE.key((16, 3))
    assert len({SPACE.key(genotype) for genotype in ((16, 3), (3, 16), (16, 2), (17, 3))}) == 4


def test_values_out_of_range_are_refused():
    with pytest.raises(InvalidGenotype, match=r"gene 0 \(width\) is 129; it takes a whole number from 4 to 128"):
        SPACE.check((129, 3))
    with pytest.raises(InvalidGenotype, match=r"gene 1 \(blocks\) is 0; it takes a whole number from 1 to 9"):
        refs.load("space", Reference("residual")).check((16, 0))
