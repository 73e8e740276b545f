"""The running average of weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netwright.training.averages import Averages, exponential, polynomial


def _network(value):
    network = nn.BatchNorm2d(1)
    network.weight.data.fill_(value)
    return network


def test_the_first_updates_forget_the_beginning():
    """Decays min(d, (1 + n) / (10 + n)): 1 / 10, then 2 / 11."""
    network = _network(1.0)
    averages = Averages(network, exponential(0.99))
    network.weight.data.fill_(2.0)
    averages.update(averages.share(0))
    assert averages.tensors["weight"].item() == pytest.approx(0.1 * 1 + 0.9 * 2)
    network.weight.data.fill_(4.0)
    averages.update(averages.share(1))
    assert averages.tensors["weight"].item() == pytest.approx(2 / 11 * 1.9 + 9 / 11 * 4)
    averages.update(averages.share(10**6))
    assert averages.tensors["weight"].item() == pytest.approx(0.99 * (2 / 11 * 1.9 + 9 / 11 * 4) + 0.01 * 4)


@given(share=st.floats(0.02, 1.0), steps=st.integers(200, 2000))
def test_a_polynomial_average_is_as_old_as_a_plain_one_over_that_share_of_the_steps(share, steps):
    kept = polynomial(share)
    age = 0.0
    for update in range(steps):
        age = kept(update) * (age + 1)
    assert age == pytest.approx(share * steps / 2, rel=0.05, abs=1.0)
    assert kept(0) == 0.0


def test_a_polynomial_average_over_all_steps_is_their_mean():
    averages = Averages(network := _network(9.0), polynomial(1.0))
    for update, value in enumerate((1.0, 2.0, 6.0)):
        network.weight.data.fill_(value)
        averages.update(averages.share(update))
    assert averages.tensors["weight"].item() == pytest.approx(3.0)


def test_running_statistics_are_averaged_and_counts_are_not():
    averages = Averages(_network(1.0), exponential(0.5))
    assert set(averages.tensors) == {"weight", "bias", "running_mean", "running_var"}


def test_it_stands_in_for_the_weights_for_a_while():
    network = _network(1.0)
    averages = Averages(network, exponential(0.5))
    network.weight.data.fill_(3.0)
    with averages.in_place():
        assert network.weight.item() == 1.0
    assert network.weight.item() == 3.0
    assert torch.equal(averages.tensors["weight"], torch.ones(1))
