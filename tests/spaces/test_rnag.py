import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.core import seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.protocols import Generates
from netwright.core.records import IO
from netwright.spaces.rnag import RnagSpace
from netwright.testing.spaces import check_network

CIFAR, LARGE = IO(3, 32, 32, 10), IO(3, 64, 64, 10)
SPACE = RnagSpace()
SMALL = (10, 4, 0.5, 10, 4, 0.5, 12, 2, 0.5)


def sizes(plan):
    """Pixels at the end of each scope."""
    return {layer.scope: layer.shape.height for layer in plan if layer.scope.startswith(("stem", "stage"))}


def test_small_images_keep_their_resolution_up_to_the_first_graph():
    assert sizes(SPACE.plan(SMALL, CIFAR)) == {"stem": 32, "stage1": 32, "stage2": 16, "stage3": 8}
    assert sizes(SPACE.plan(SMALL, LARGE)) == {"stem": 16, "stage1": 8, "stage2": 4, "stage3": 2}


def test_the_regular_regime_has_a_graph_of_half_the_nodes_before():
    space = RnagSpace(regime="regular", channels=6)
    assert [len(graph) for graph in space.draw(SMALL)] == [5, 10, 10, 12]
    plan = space.plan(SMALL, LARGE)
    assert sizes(plan) == {"stem": 32, "stage1": 16, "stage2": 8, "stage3": 4, "stage4": 2}
    widths = {layer.scope: layer.shape.channels for layer in plan if layer.scope.startswith("s")}
    assert widths == {"stem": 3, "stage1": 6, "stage2": 12, "stage3": 24, "stage4": 48}
    check_network(space, SMALL, IO(3, 32, 32, 5), 0)


@given(st.integers(0, 2**32), st.sampled_from(["small", "regular"]))
@settings(max_examples=10)
def test_the_limit_is_for_the_nodes_weights_or_for_all_parameters(seed, regime):
    loose, strict = (RnagSpace(regime=regime, rule=rule, seed=seed) for rule in ("weights_only", "strict"))
    genotype = loose.sample(seeds.rng_for(seed, seeds.ASK))
    plan = loose.plan(genotype, CIFAR)
    weights = sum(
        layer.op.kernel[0] ** 2 * plan[layer.inputs[0]].shape.channels // layer.op.groups * layer.shape.channels
        for layer in plan
        if layer.op.name == "conv" and layer.scope.startswith("stage")
    )
    width = loose.width(genotype, CIFAR)
    assert weights <= 4_000_000 < weights * ((width + 1) / width) ** 2
    own = strict.width(genotype, CIFAR)
    assert strict.count(genotype, CIFAR).params <= 4_000_000
    assert RnagSpace(regime=regime, channels=own + 1, seed=seed).count(genotype, CIFAR).params > 4_000_000


def test_each_seed_draws_a_network():
    assert isinstance(SPACE, Generates)
    drawn = {SPACE.seeded(seed).draw(SMALL) for seed in range(5)}
    assert len(drawn) == 5
    first, second, _ = SPACE.draw((32, 4, 0.75) * 3)
    assert first != second


def test_keys_are_equal_for_equal_generators():
    assert SPACE.key((10, 4, 0.5) * 3) == SPACE.key((10, 5, 0.5) * 3)
    assert SPACE.key((5, 4, 0.5) * 3) == SPACE.key((5, 9, 0.1) * 3)  # complete
    assert SPACE.key((10, 4, 0.5) * 3) != SPACE.key((10, 4, 0.6) * 3)


def test_equal_keys_of_the_regular_regime_draw_equal_networks():
    """The half graph has another clamp than the whole one."""
    space = RnagSpace(regime="regular", n=(3, 40))
    one, other = (5, 4, 0.5) * 3, (5, 4, 0.1) * 3
    assert space.key(one) == space.key(other)
    assert all(space.seeded(seed).draw(one) == space.seeded(seed).draw(other) for seed in range(5))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n": (2, 40)}, "space.n is 2 to 40; give a range, low end first, within 3 to 100"),
        ({"k": (1, 4)}, "space.k is 1 to 4"),
        ({"p": (0.5, 0.1)}, "space.p is 0.5 to 0.1"),
        ({"channels": 0}, "space.channels is 0"),
        ({"limit": 700}, "space.limit is 700, too small for any width: the smallest generator .* has 777 weights"),
        ({"seed": 2**63}, "space.seed is"),
    ],
)
def test_settings_that_fit_no_network_are_refused(options, sentence):
    with pytest.raises(BadReference, match=sentence):
        RnagSpace(**options)


def test_a_limit_that_leaves_no_channel_is_said():
    with pytest.raises(InvalidGenotype, match=r"needs [\d,]+ parameters with one channel and space.limit is 1,000"):
        RnagSpace(limit=1_000).check((40, *SMALL[1:]))
    RnagSpace(limit=100, channels=4).check(SMALL)
    strict = RnagSpace(limit=1_000, rule="strict")
    strict.check(SMALL)
    with pytest.raises(InvalidGenotype, match=r"needs [\d,]+ parameters with one channel"):
        strict.count(SMALL, CIFAR)


def test_a_key_is_refused_to_what_is_no_generator():
    with pytest.raises(InvalidGenotype, match="gene 0"):
        SPACE.key((2, *SMALL[1:]))
