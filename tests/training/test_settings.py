"""What the settings of a step make: optimizers, rates, refusals."""

import math

import pytest
import torch
from torch import nn

from netwright.core.errors import BadReference
from netwright.training import settings as step_settings
from netwright.training.epochs import EvenEpochs
from netwright.training.muon import Muon
from netwright.training.rmsprop import RMSProp
from netwright.training.settings import StepSettings


def _rates(steps, per_epoch, **settings):
    used, epochs = StepSettings(**settings), EvenEpochs(per_epoch)
    return [step_settings.rate_factor(used, step, steps, epochs) for step in range(steps)]


def test_optimizers_have_the_stated_numbers():
    network = nn.Linear(1, 1)
    sgd = step_settings.optimizer(StepSettings(lr=0.024, weight_decay=5e-4), network)
    assert isinstance(sgd, torch.optim.SGD)
    assert [sgd.defaults[name] for name in ("lr", "momentum", "weight_decay", "nesterov")] == [0.024, 0.9, 5e-4, False]
    made = step_settings.optimizer(
        StepSettings(optimizer="rmsprop", lr=0.001, epsilon=1.0, decay=0.8, momentum=0.7), network
    )
    assert isinstance(made, RMSProp)
    assert [made.defaults[name] for name in ("lr", "epsilon", "decay", "momentum")] == [0.001, 1.0, 0.8, 0.7]
    turning = step_settings.optimizer(StepSettings(optimizer="muon", lr=0.2, momentum=0.8, weight_decay=5e-4), network)
    assert isinstance(turning, Muon)
    assert [turning.defaults[name] for name in ("lr", "momentum", "weight_decay")] == [0.2, 0.8, 5e-4]


def test_exponential_falls_after_every_so_many_epochs():
    """0.97 every 2 epochs of 5 steps: 10 steps each."""
    rates = _rates(25, 5, schedule="exponential", factor=0.97, every=2.0)
    assert rates == pytest.approx([1.0] * 10 + [0.97] * 10 + [0.97**2] * 5)


def test_a_constant_rate_falls_over_its_cooldown_alone():
    rates = _rates(10, 1, schedule="constant", cooldown=0.4, warmup=2.0)
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25])
    assert _rates(4, 1, schedule="constant") == [1.0] * 4


def test_muon_turns_the_kernels_of_convolutions_that_join_all_their_channels():
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.Conv2d(8, 8, 1, groups=2),
        nn.Conv2d(8, 4, 1),
        nn.Linear(4, 2),
    )
    made = step_settings.optimizer(StepSettings(optimizer="muon"), network)
    turned = [weight for group in made.param_groups if group["turned"] for weight in group["params"]]
    assert list(map(id, turned)) == [id(network[0].weight), id(network[3].weight)]
    everything = [id(weight) for group in made.param_groups for weight in group["params"]]
    assert sorted(everything) == sorted(map(id, network.parameters()))
    penalized = list(map(id, step_settings.penalized(StepSettings(optimizer="muon", decay_on="weights"), network)))
    assert penalized == [id(network[at].weight) for at in (1, 2, 4)], "also where whoever clips adds the penalty"


def test_kernels_that_are_computed_before_each_pass_are_not_turned_but_trained():
    """Their parts are parameters: what is computed from them is none, and no optimizer takes it."""
    network = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 8, 3)), nn.Conv2d(8, 4, 1))
    made = step_settings.optimizer(StepSettings(optimizer="muon"), network)
    turned = [weight for group in made.param_groups if group["turned"] for weight in group["params"]]
    assert list(map(id, turned)) == [id(network[1].weight)]
    before = [weight.detach().clone() for weight in network.parameters()]
    network(torch.ones(2, 1, 5, 5)).square().sum().backward()
    made.step()
    assert not any(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_weight_decay_can_spare_normalizations_and_biases(optimizer):
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(2, 1))
    before = [value.detach().clone() for value in network.parameters()]
    settings = StepSettings(optimizer=optimizer, weight_decay=0.1, decay_on="weights", lr=0.5)
    made = step_settings.optimizer(settings, network)
    for value in network.parameters():
        value.grad = torch.zeros_like(value)
    made.step()
    changed = [not torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True)]
    assert changed == [value.dim() > 1 for value in network.parameters()]


def test_averages_are_searched_where_there_is_no_other_average():
    assert step_settings.tunable(StepSettings())["averaging"].default == 0.0
    assert "averaging" not in step_settings.tunable(StepSettings(ema=0.9))


def test_cosines_restart_and_each_ends_at_the_floor():
    """NAO with shared weights in TensorFlow: 10 passes, then 20, 40, 80; 150 is the end of a cosine."""
    rates = _rates(150, 1, schedule="restarts", period=10, floor=0.01)
    assert [step for step, rate in enumerate(rates) if rate == 1.0] == [0, 10, 30, 70]
    assert rates[5] == rates[20] == rates[50] == rates[110] == pytest.approx(0.505)
    assert rates[-1] == pytest.approx(0.01 + 0.99 * (1 - math.cos(math.pi / 80)) / 2)
    alike = _rates(12, 2, schedule="restarts", period=2, growth=1.0)
    assert alike == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466] * 3)
    whole = [0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(8)]
    assert _rates(8, 2, schedule="restarts") == pytest.approx(whole)


def test_a_floor_holds_the_rate():
    rates = _rates(30, 1, schedule="exponential", factor=0.1, every=2.0, floor=1e-4)
    assert min(rates) == rates[-1] == 1e-4
    assert rates[6] == pytest.approx(1e-3)


def test_warm_up_rises_and_the_schedule_has_counted_meanwhile():
    rates = _rates(8, 2, schedule="cosine", warmup=2.0)
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4:] == pytest.approx([0.5 * (1 + math.cos(math.pi * step / 8)) for step in range(4, 8)])


def test_without_warm_up_and_floor_cosine_and_steps_are_plain():
    assert _rates(4, 1)[2] == pytest.approx(0.5)
    assert _rates(10, 1, schedule="step") == pytest.approx([1.0] * 8 + [0.1, 0.01])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epsilon": 0.0}, "evaluator.epsilon is 0.0; it must be greater than 0"),
        ({"accumulate": 0}, "evaluator.accumulate is 0; it must be greater than 0"),
        ({"clip": -1.0}, "evaluator.clip is -1.0; it must be at least 0"),
        ({"dropout": 1.0}, "evaluator.dropout is 1.0; it must be below 1"),
        ({"label_smoothing": 1.5}, "evaluator.label_smoothing is 1.5; it must be below 1"),
        ({"ema": 1.0}, "evaluator.ema is 1.0; it must be below 1"),
        ({"drop_path_keep": 0.0}, "evaluator.drop_path_keep is 0.0; it must be above 0, at most 1"),
        ({"drop_path_keep": 1.1}, "evaluator.drop_path_keep is 1.1; it must be above 0, at most 1"),
        ({"cooldown": 1.0}, "evaluator.cooldown is 1.0; it must be below 1"),
        ({"growth": 0.5}, "evaluator.growth is 0.5; it must be at least 1"),
        ({"cooldown": 0.2}, "evaluator.cooldown is 0.2, but the schedule is 'cosine', which falls by itself; give"),
        ({"mixing": 1.1}, "evaluator.mixing is 1.1; it is a probability, so at most 1"),
        ({"mixing": 0.5, "mixing_alpha": 0.0}, "evaluator.mixing_alpha is 0.0; it must be greater than 0"),
        ({"averaging": 1.1}, "evaluator.averaging is 1.1; it is a share of the steps"),
        ({"averaging": 0.1, "ema": 0.9}, "evaluator.ema and evaluator.averaging both average the weights; set one"),
        ({"nesterov": True, "momentum": 0.0}, "evaluator.nesterov is true, which is for the optimizer sgd with a"),
        ({"nesterov": True, "optimizer": "rmsprop"}, "evaluator.nesterov is true, which is for the optimizer sgd"),
        ({"nesterov": True, "optimizer": "muon"}, "evaluator.nesterov is true, which is for the optimizer sgd"),
        ({"clip_penalty": True}, "evaluator.clip_penalty is true, but evaluator.clip is 0, so that nothing is clipped"),
        ({"momentum": math.nan}, "evaluator.momentum is nan; it must be at least 0"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, message):
    with pytest.raises(BadReference, match=message):
        StepSettings(**settings)


def test_nothing_is_dropped_unless_asked():
    assert StepSettings().regularization is None
    found = StepSettings(drop_path_keep=0.7, drop_path_version="v1").regularization
    assert (found.drop_path_keep, found.drop_path_version, found.dropout) == (0.7, "v1", 0.0)
    assert StepSettings(dropout=0.5).regularization.dropout == 0.5
