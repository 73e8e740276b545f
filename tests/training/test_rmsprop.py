"""RMSProp of the papers, by hand, and where it differs from torch's."""

import math

import pytest
import torch

from netwright.training.rmsprop import RMSProp


def _weight(value=1.0):
    return torch.nn.Parameter(torch.tensor([value]))


def test_two_steps_by_hand():
    """s = 0.9 + 0.1 * 4 = 1.3, m = 0.5 * 2 / sqrt(1.4); then gradient 1, rate 0.1: the old rate stays in m."""
    weight = _weight()
    optimizer = RMSProp([weight], 0.5, decay=0.9, epsilon=0.1, momentum=0.5)
    weight.grad = torch.tensor([2.0])
    optimizer.step()
    first = 0.5 * 2 / math.sqrt(1.3 + 0.1)
    assert weight.item() == pytest.approx(1 - first)
    optimizer.param_groups[0]["lr"] = 0.1
    weight.grad = torch.tensor([1.0])
    optimizer.step()
    second = 0.5 * first + 0.1 * 1 / math.sqrt(0.9 * 1.3 + 0.1 + 0.1)
    assert weight.item() == pytest.approx(1 - first - second)


def test_weight_decay_is_a_part_of_the_gradient():
    decayed, plain = _weight(3.0), _weight(3.0)
    decayed.grad, plain.grad = torch.tensor([1.0]), torch.tensor([1.0 + 0.5 * 3.0])
    RMSProp([decayed], 0.1, weight_decay=0.5).step()
    RMSProp([plain], 0.1).step()
    assert torch.equal(decayed, plain)
    assert decayed.grad.item() == 1.0


def test_a_parameter_without_a_gradient_stays_and_has_no_state():
    still, moving = _weight(), _weight()
    optimizer = RMSProp([still, moving], 0.1)
    moving.grad = torch.tensor([1.0])
    optimizer.step()
    assert still.item() == 1.0 > moving.item()
    assert list(optimizer.state_dict()["state"]) == [1]


@pytest.mark.parametrize("epsilon", [0.1, 1.0])
def test_a_large_epsilon_makes_small_steps_of_small_gradients(epsilon):
    """With the published ones, a gradient of 0.01 moves a weight nearly as SGD at rate / sqrt(1 + epsilon) would."""
    weight = _weight(0.0)
    weight.grad = torch.tensor([0.01])
    RMSProp([weight], 1.0, epsilon=epsilon, momentum=0.0).step()
    assert -weight.item() == pytest.approx(0.01 / math.sqrt(0.9 + epsilon), rel=1e-4)
