"""One optimizer step, part by part."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netwright.core.errors import BadReference, MissingCapability
from netwright.core.records import IO
from netwright.plans import network as networks
from netwright.plans.plan import AUXILIARY, PlanWriter
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.settings import StepSettings
from tests.regularized import Space

INPUTS = IO(1, 4, 4, 3)
SPACE = Space(channels=2)


class Classes:
    """Cross entropy."""

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs, targets)


def _batch(size=8, seed=0):
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.standard_normal((size, 1, 4, 4), dtype=np.float32))
    return images, torch.from_numpy(rng.integers(3, size=size))


def _network(space=SPACE, seed=0):
    return space.build((0,), INPUTS, np.random.default_rng(seed)).train()


def _without_norms(seed=0):
    """Gradients of parts add up exactly only where samples do not meet."""
    plan = PlanWriter(INPUTS)
    x = plan.relu(plan.conv(plan.image, 4, 3))
    with plan.scope("cell"):
        x = plan.add((x, plan.drop_path(plan.conv(x, 4, 3), 1.0)))
    with plan.scope(AUXILIARY):
        plan.linear(plan.mean(x), 3)
    plan.linear(plan.dropout(plan.mean(x)), 3)
    return networks.build(plan.plan(), np.random.default_rng(seed)).train()


def _descent(network, steps=10, **settings):
    used = StepSettings(**{"lr": 0.1, "weight_decay": 0.0, **settings})
    return Descent(network, Classes(), step_settings.optimizer(used, network), used, steps=steps)


def _weights(network):
    return torch.cat([value.detach().flatten() for value in network.state_dict().values()])


def test_the_loss_is_that_of_the_batch_before_the_step():
    network, (images, targets) = _network(), _batch()
    expected = F.cross_entropy(_network()(images), targets)
    assert _descent(network)(images, targets, 0, len(targets)) == pytest.approx(expected.item())


def test_label_smoothing_is_torch_s():
    network, (images, targets) = _network(), _batch()
    expected = F.cross_entropy(_network()(images), targets, label_smoothing=0.1)
    assert _descent(network, label_smoothing=0.1)(images, targets, 0, len(targets)) == pytest.approx(expected.item())


def test_the_auxiliary_loss_has_its_weight():
    network, (images, targets) = _network(), _batch()
    logits, (other,) = _network().with_auxiliary(images)
    expected = F.cross_entropy(logits, targets) + 0.4 * F.cross_entropy(other, targets)
    assert _descent(network, auxiliary=0.4)(images, targets, 0, len(targets)) == pytest.approx(expected.item())
    name = f"{AUXILIARY}.conv1.weight"
    assert network.get_parameter(name).grad.abs().sum() > 0
    network = _network()
    _descent(network)(images, targets, 0, len(targets))
    assert network.get_parameter(name).grad is None


def test_large_gradients_are_scaled_down_to_the_clip():
    network, (images, targets) = _network(), _batch()
    _descent(network)(images, targets, 0, len(targets))
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    norm = torch.stack([g.norm() for g in gradients]).norm()
    clipped = _network()
    _descent(clipped, clip=norm.item() / 2)(images, targets, 0, len(targets))
    for whole, half in zip(gradients, (p.grad for p in clipped.parameters() if p.grad is not None), strict=True):
        torch.testing.assert_close(half, whole / 2, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
@pytest.mark.parametrize("decay_on", ["all", "weights"])
def test_a_penalty_that_is_clipped_is_part_of_the_loss(optimizer, decay_on):
    """As autograd finds it in half its factor times the sum of squares; torch's own weight decay is not clipped."""
    (images, targets), factor, reference = _batch(), 0.5, _network()
    acted = [w for w in reference.parameters() if decay_on == "all" or w.dim() > 1]
    loss = F.cross_entropy(reference(images), targets) + factor / 2 * sum(w.square().sum() for w in acted)
    loss.backward()
    gradients = {name: w.grad for name, w in reference.named_parameters() if AUXILIARY not in name}
    norm = torch.stack([each.norm() for each in gradients.values()]).norm()
    found = {}
    for is_clipped in (False, True):
        network = _network()
        used = {"clip": norm.item() / 2, "clip_penalty": is_clipped, "weight_decay": factor, "decay_on": decay_on}
        descent = _descent(network, optimizer=optimizer, **used)
        descent(images, targets, 0, len(targets))
        found[is_clipped] = network
    for name, weight in found[True].named_parameters():
        if name in gradients:
            torch.testing.assert_close(weight.grad, gradients[name] / 2, rtol=1e-4, atol=1e-7)
            square = 0.9 + 0.1 * weight.grad**2  # RMSProp's, which begins at 1
            step = weight.grad if optimizer == "sgd" else weight.grad / torch.sqrt(square + 0.1)
            start = _network().get_parameter(name)
            torch.testing.assert_close(weight, start - 0.1 * step, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(_weights(found[False]), _weights(found[True]), atol=1e-4)


@pytest.mark.parametrize("parts", [2, 4])
def test_accumulated_parts_are_the_whole_batch(parts):
    """Drop path, dropout and mixing too: their draws belong to places in the batch."""
    settings = {
        "mixing": 0.8,
        "auxiliary": 0.4,
        "drop_path_keep": 0.6,
        "drop_path_version": "v2",
        "dropout": 0.5,
        "lr": 0.05,
    }
    found, (images, targets) = [], _batch()
    for accumulate in (1, parts):
        network = _without_norms()
        descent = _descent(network, accumulate=accumulate, **settings)
        losses = [descent(images, targets, step, len(targets)).item() for step in range(5)]
        found.append((losses, _weights(network)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


def test_what_is_dropped_depends_on_seed_and_step_alone():
    images, targets = _batch()
    used = StepSettings(drop_path_keep=0.5, drop_path_version="v2", lr=1e-9)

    def loss(seed, step):
        network = _network()
        return Descent(network, Classes(), step_settings.optimizer(used, network), used, steps=9, seed=seed)(
            images, targets, step, len(targets)
        )

    assert loss(1, 3) == loss(1, 3)
    assert len({loss(seed, step).item() for seed in (1, 2) for step in (3, 4)}) == 4


def test_so_does_what_a_network_of_the_users_own_drops():
    """Which draws from torch's own generator: a training that goes on elsewhere must not drop other features."""
    images, targets = _batch()

    def trained(seed, steps=(0, 1, 2), disturbed=False):
        torch.manual_seed(7)
        network = nn.Sequential(nn.Flatten(), nn.Linear(16, 64), nn.Dropout(), nn.Linear(64, 3)).train()
        used = StepSettings(lr=0.1, weight_decay=0.0)
        descent = Descent(network, Classes(), step_settings.optimizer(used, network), used, steps=9, seed=seed)
        for step in steps:
            if disturbed:
                torch.rand(step + 1)
            before = torch.get_rng_state()
            descent(images, targets, step, len(targets))
            assert torch.equal(torch.get_rng_state(), before), "nobody else's draws change"
        return _weights(network)

    assert torch.equal(trained(1), trained(1, disturbed=True))
    assert not torch.equal(trained(1), trained(2))
    assert not torch.equal(trained(1, (0, 0)), trained(1, (0, 1)))


def test_drop_path_begins_with_all_branches_where_it_is_scheduled():
    images, targets = _batch()
    plain = _descent(_network())(images, targets, 0, len(targets))
    for version, is_plain in (("v1", True), ("v2", False), ("v3", True)):
        descent = _descent(_network(), drop_path_keep=0.3, drop_path_version=version)
        assert (descent(images, targets, 0, len(targets)) == plain) == is_plain


def test_the_average_follows_and_is_lent():
    network, (images, targets) = _network(), _batch()
    descent = _descent(network, ema=0.5)
    first = _weights(network)
    for step in range(3):
        descent(images, targets, step, len(targets))
    own = _weights(network)
    with descent.averaged():
        lent = _weights(network)
    assert not torch.equal(lent, own) and not torch.equal(lent, first)
    assert torch.equal(_weights(network), own)


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "muon"])
@pytest.mark.parametrize("clip", [0.0, 5.0])
@pytest.mark.parametrize("place", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_trains_nearly_the_same(precision, place, clip, optimizer):
    losses, (images, targets) = {}, _batch()
    rate = 0.01 if optimizer == "rmsprop" else 0.1
    for used in ("float32", precision):
        network = _network().to(place)
        descent = _descent(network, precision=used, auxiliary=0.4, clip=clip, optimizer=optimizer, lr=rate)
        losses[used] = [descent(images, targets, step, len(targets)).item() for step in range(10)]
        assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert losses[precision] != losses["float32"]
    assert losses[precision] == pytest.approx(losses["float32"], rel=0.05)


def test_the_scale_of_half_precision_is_remembered():
    one, other = (_descent(_network(), precision="float16") for _ in range(2))
    one(*_batch(), 0, 8)
    facts = one.facts()
    assert facts["scale"] >= 1
    other.restore({**facts, "scale": 512.0})
    assert other.facts()["scale"] == 512.0
    plain = _descent(_network())
    plain.restore(plain.facts())


def test_a_network_without_the_places_is_refused():
    images, targets = _batch()
    with pytest.raises(MissingCapability, match=r"evaluator\.auxiliary is 0\.4, but the network has no auxiliary head"):
        _descent(_network(Space(auxiliary=False)), auxiliary=0.4)(images, targets, 0, len(targets))
    plain = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    with pytest.raises(MissingCapability, match="no auxiliary head"):
        _descent(plain, auxiliary=0.4)
    with pytest.raises(MissingCapability, match="which this network cannot"):
        _descent(plain, dropout=0.5)


def test_a_batch_that_cannot_be_divided_is_refused():
    images, targets = _batch(7)
    message = "a batch of 7 examples cannot be divided among 2 accumulated parts; give a multiple of 2"
    with pytest.raises(BadReference, match=message):
        _descent(_network(), accumulate=2)(images, targets, 0, len(targets))


def test_an_infinite_gradient_skips_the_step_of_half_precision():
    network, (images, targets) = _network(), _batch()
    descent, before = _descent(network, precision="float16"), _weights(network)
    scale = descent.facts()["scale"]
    descent(images * math.inf, targets, 0, 8)
    trained = {name for name, _ in network.named_parameters()}
    assert all(torch.isfinite(network.get_parameter(name)).all() for name in trained)
    assert descent.facts()["scale"] < scale
    assert before.shape == _weights(network).shape


@pytest.mark.parametrize("place", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("clip", [0.0, 5.0])
def test_where_half_precision_skips_the_first_step_the_momentum_begins_at_the_second(clip, place):
    """Torch's own SGD then goes on with whatever lay in memory."""
    weights, (images, targets) = [], _batch()
    for skipped in (True, False):
        network = _without_norms().to(place)
        descent = _descent(network, precision="float16", clip=clip)
        torch.use_deterministic_algorithms(True, warn_only=True)  # which fills new memory with NaN
        try:
            if skipped:
                descent(images * math.inf, targets, 0, 8)
            descent(images, targets, 1, 8)
        finally:
            torch.use_deterministic_algorithms(False)
        weights.append(_weights(network))
    assert torch.isfinite(weights[0]).all()
    torch.testing.assert_close(*weights, rtol=1e-3, atol=1e-4)


class Weighted(Classes):
    """Cross entropy in which the last class counts more."""

    def weights(self, targets):
        return torch.tensor([0.5, 0.5, 2.0])[targets]

    def loss(self, outputs, targets):
        return (F.cross_entropy(outputs, targets, reduction="none") * self.weights(targets)).mean()


@pytest.mark.parametrize("accumulate", [1, 4])
def test_weights_of_classes_hold_for_smoothed_targets_and_parts_of_a_batch(accumulate):
    used = StepSettings(lr=0.1, weight_decay=0.0, label_smoothing=0.2, auxiliary=0.4, accumulate=accumulate)
    network, (images, targets) = _without_norms(), _batch()
    outputs, others = network.with_auxiliary(images)
    expected = 0.0
    for logits, share in ((outputs, 1.0), *((other, 0.4) for other in others)):
        each = F.cross_entropy(logits, targets, reduction="none", label_smoothing=0.2)
        expected += share * float((each * Weighted().weights(targets)).mean().detach())
    descent = Descent(network, Weighted(), step_settings.optimizer(used, network), used, steps=10)
    assert float(descent(images, targets, 0, len(images))) == pytest.approx(expected, rel=1e-5)


class Adjusted(Classes):
    """Cross entropy of logits to which logarithms of the classes' shares are added."""

    shares = torch.tensor([0.98, 0.01, 0.01])

    def adjustment(self, device):
        return self.shares.log().to(device)

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs + self.shares.log(), targets)


def test_smoothed_targets_of_adjusted_logits_are_spread_as_classes_are_distributed():
    used = StepSettings(lr=0.1, weight_decay=0.0, label_smoothing=0.2)
    network, (images, targets) = _without_norms(), _batch()
    smoothed = 0.8 * F.one_hot(targets, 3) + 0.2 * Adjusted.shares
    expected = float(F.cross_entropy(network(images) + Adjusted.shares.log(), smoothed))
    descent = Descent(network, Adjusted(), step_settings.optimizer(used, network), used, steps=10)
    assert float(descent(images, targets, 0, len(images))) == pytest.approx(expected, rel=1e-5)


def test_a_compiled_network_is_one_graph_whatever_is_dropped(monkeypatch):
    """By torch's tracer, without the compiler behind it, which takes a minute."""
    graphs = []

    def compile(module):
        return torch.compile(
            module, dynamic=False, fullgraph=True, backend=lambda graph, _: graphs.append(graph) or graph
        )

    monkeypatch.setattr("netwright.training.compiling._by_torch", compile)
    used = StepSettings(auxiliary=0.4, drop_path_keep=0.6, drop_path_version="v2", dropout=0.3, accumulate=2)
    found = []
    for wanted in (False, True):
        network = _network()
        descent = Descent(network, Classes(), step_settings.optimizer(used, network), used, steps=9, compile=wanted)
        losses = [descent(*_batch(size), step, size).item() for step, size in enumerate((8, 8, 4, 8))]
        found.append((losses, _weights(network)))
        assert descent.notes == ()
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1])
    assert len(graphs) == 1
