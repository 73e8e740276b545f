"""What a network drops while it trains, and its auxiliary head."""

import copy

import pytest
import torch

from netwright.core import seeds
from netwright.core.records import IO
from netwright.plans import network
from netwright.plans.plan import AUXILIARY, PlanWriter
from netwright.plans.regularization import Regularization

IMAGES = IO(2, 6, 5, 3)


def _plan(depths=(1.0,), auxiliary=False, dropout=False):
    """Branches of the image that are summed, global mean, linear."""
    writer = PlanWriter(IMAGES)
    x = writer.conv(0, 4)
    branches = [writer.drop_path(x, depth) for depth in depths]
    if auxiliary:
        with writer.scope(AUXILIARY):
            writer.linear(writer.mean(writer.relu(x)), 3)
    mean = writer.mean(writer.add(branches))
    writer.linear(writer.dropout(mean) if dropout else mean, 3)
    return writer.plan()


def _network(plan):
    return network.build(plan, seeds.rng_for(0, seeds.BUILD)).train()


def _images(batch=8):
    return torch.randn(batch, 2, 6, 5, generator=torch.Generator().manual_seed(0))


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("version", "depth", "progress", "keep"),
    [
        ("v1", 0.5, 0.0, 1.0),
        ("v1", 0.5, 0.25, 0.9),
        ("v1", 0.1, 1.0, 0.6),
        ("v2", 0.5, 0.0, 0.8),
        ("v2", 1.0, 0.3, 0.6),
        ("v3", 0.5, 0.0, 1.0),
        ("v3", 0.5, 0.5, 0.9),
        ("v3", 1.0, 1.0, 0.6),
    ],
)
def test_schedules_by_hand(version, depth, progress, keep):
    """To 0.6 with time, with depth, with both; without any to 1."""
    assert Regularization(0.6, version).keep(depth, progress) == pytest.approx(keep)
    assert Regularization(1.0, version).keep(depth, progress) == 1.0


def _drop(net, some, progress, size, generator, *, batch=None, first=0):
    net.regularize(net.draws(some, progress, generator, slice(first, first + size), batch or size))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"drop_path_keep": 0.0}, "drop_path_keep is 0.0; it must be over 0 and at most 1"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be at least 0 and under 1"),
    ],
)
def test_chances_outside_their_range_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        Regularization(**options)


def test_whole_samples_are_dropped_and_the_others_grow():
    net, images = _network(_plan()), _images(4000)
    bias = net.get_submodule("linear1").bias
    plain = net(images) - bias
    _drop(net, Regularization(0.6, "v2"), 0.0, len(images), _generator())
    factors = (net(images) - bias) / plain
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors), rtol=1e-3, atol=1e-3)
    kept = factors[:, 0] > 0.5
    torch.testing.assert_close(factors[kept, 0], torch.full((int(kept.sum()),), 1 / 0.6), rtol=1e-3, atol=1e-3)
    assert kept.float().mean().item() == pytest.approx(0.6, abs=0.03)
    assert factors[~kept].abs().max() < 1e-3


def test_branches_are_dropped_apart_and_by_their_depth():
    net, images = _network(_plan((0.25, 1.0))), _images(4000)
    bias = net.get_submodule([name for name, _ in net.named_children()][-1]).bias
    plain = net(images) - bias  # of two equal branches
    _drop(net, Regularization(0.5, "v2"), 0.0, len(images), _generator())
    factors = (2 * (net(images) - bias) / plain)[:, 0]
    expected = {0.0: 0.125 * 0.5, 1 / 0.875: 0.875 * 0.5, 2.0: 0.125 * 0.5, 1 / 0.875 + 2: 0.875 * 0.5}
    for value, chance in expected.items():
        assert ((factors - value).abs() < 1e-2).float().mean().item() == pytest.approx(chance, abs=0.03)


def test_dropout_drops_single_numbers_before_the_classifier():
    net, images = _network(_plan(dropout=True)), _images(2000)
    seen = []
    net.get_submodule("linear1").register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    net(images)
    _drop(net, Regularization(dropout=0.25), 0.5, len(images), _generator())
    net(images)
    factors = seen[1] / seen[0]
    kept = factors != 0
    assert kept.float().mean(0).tolist() == pytest.approx([0.75] * 4, abs=0.04)
    torch.testing.assert_close(factors[kept], torch.full((int(kept.sum()),), 1 / 0.75))


def test_only_the_next_pass_in_training_drops_anything():
    net, images = _network(_plan(dropout=True)), _images()
    plain, strong = net(images), Regularization(0.1, "v1", 0.9)
    _drop(net, strong, 1.0, len(images), _generator())
    assert not torch.equal(net(images), plain)
    assert torch.equal(net(images), plain), "the pass after it"
    _drop(net, strong, 1.0, len(images), _generator())
    assert torch.equal(net.eval()(images), plain), "none in evaluation"
    assert torch.equal(net.train()(images), plain), "nor kept for later"
    _drop(net, Regularization(), 1.0, len(images), _generator())
    assert torch.equal(net(images), plain), "and nothing by default"


def test_drawn_from_the_generator_alone():
    net, images, some = _network(_plan(dropout=True)), _images(), Regularization(0.5, "v1", 0.5)
    state = torch.random.get_rng_state()
    results = []
    for seed in (1, 1, 2):
        _drop(net, some, 1.0, len(images), _generator(seed))
        results.append(net(images))
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_parts_of_a_batch_drop_what_the_whole_drops():
    net, images, some = _network(_plan((0.5, 1.0), dropout=True)), _images(24), Regularization(0.3, "v3", 0.5)
    _drop(net, some, 0.9, len(images), _generator())
    whole = net(images)
    parts = []
    for first in (0, 8, 16):
        _drop(net, some, 0.9, 8, _generator(), batch=24, first=first)
        parts.append(net(images[first : first + 8]))
    torch.testing.assert_close(torch.cat(parts), whole)
    with pytest.raises(ValueError, match="examples 23 to 25 are no part of a batch of 24"):
        _drop(net, some, 0.9, 2, _generator(), batch=24, first=23)


def test_a_relu_of_a_branch_that_is_not_dropped_leaves_its_source_alone():
    """Where nothing is dropped, the branch is the very memory of what it comes from."""
    writer = PlanWriter(IMAGES)
    x = writer.conv(0, 4)
    writer.linear(writer.mean(writer.concat((writer.relu(writer.drop_path(x, 1.0)), x))), 3)
    net, images = _network(writer.plan()), _images()
    x = net.get_submodule("conv1")(images)
    expected = net.get_submodule("linear1")(torch.cat((x.relu(), x), 1).mean((2, 3)))
    torch.testing.assert_close(net(images), expected)


def test_the_auxiliary_head_runs_only_when_asked():
    net, images = _network(_plan(auxiliary=True)), _images()
    logits, [other] = net.with_auxiliary(images)
    assert torch.equal(logits, net(images))
    conv, linear = net.get_submodule("conv1"), net.get_submodule(f"{AUXILIARY}.linear1")
    torch.testing.assert_close(other, linear(conv(images).relu().mean((2, 3))))
    net(images).sum().backward()
    assert linear.weight.grad is None
    net.with_auxiliary(images)[1][0].sum().backward()
    assert linear.weight.grad is not None


def test_a_network_without_auxiliary_head_gives_none():
    net, images = _network(_plan()), _images()
    logits, others = net.with_auxiliary(images)
    assert others == ()
    assert torch.equal(logits, net(images))


def test_a_copy_draws_what_the_network_draws():
    """As averages of weights are kept in copies."""
    net, images, some = _network(_plan((1.0, 1.0))), _images(), Regularization(0.5, "v1")
    twin = copy.deepcopy(net)
    results = []
    for each in (net, twin):
        _drop(each, some, 1.0, len(images), _generator())
        results.append(each(images))
    assert torch.equal(*results)


def test_half_precision_stays():
    net, images = _network(_plan((1.0, 1.0), dropout=True)).bfloat16(), _images().bfloat16()
    _drop(net, Regularization(0.5, "v1", 0.5), 1.0, len(images), _generator())
    assert net(images).dtype == torch.bfloat16
