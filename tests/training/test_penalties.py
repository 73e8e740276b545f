"""Penalties on activations, as the published program computes them."""

import pytest
import torch
from torch import nn

from netwright.core import seeds
from netwright.core.errors import MissingCapability
from netwright.core.shapes import IO, Tokens
from netwright.data.token_loss import token_loss
from netwright.spaces.rnn import RnnSpace
from netwright.training import penalties
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.settings import StepSettings
from tests.carries import Space, Text

IO_OF_WORDS = IO(Tokens(7, 6), Tokens(7, 6))


def _network(width=8):
    space = RnnSpace(width=width, nodes=2)
    genotype = space.sample(seeds.rng_for(0, seeds.ASK))
    return space.build(genotype, IO_OF_WORDS, seeds.rng_for(0, seeds.BUILD))


def test_by_hand():
    raw, dropped = torch.tensor([[[1.0], [3.0], [2.0]]]), torch.tensor([[[2.0], [0.0], [4.0]]])
    given = {"recurrent": raw, "recurrent dropped": dropped}
    assert float(penalties.of(given, 0.5, 0.0)) == pytest.approx(0.5 * 20 / 3)
    assert float(penalties.of(given, 0.0, 0.1)) == pytest.approx(0.1 * 5 / 2)
    assert float(penalties.of({"recurrent": raw}, 1.0, 0.0)) == pytest.approx(14 / 3), "nothing is dropped"
    assert float(penalties.of({"recurrent": raw[:, :1]}, 0.0, 1.0)) == 0.0, "one step has no differences"


def test_they_are_in_the_loss_and_its_gradient_and_leave_nothing():
    tokens = torch.randint(7, (3, 6), generator=torch.Generator().manual_seed(0))

    def stepped(**settings):
        network, task = _network(), _Words()
        used = StepSettings(lr=1.0, momentum=0.0, weight_decay=0.0, dropout_output=0.5, **settings)
        descent = Descent(network, task, step_settings.optimizer(used, network), used, steps=1)
        loss = float(descent(tokens, tokens, 0, 3))
        assert not network.keeps_activations
        assert not network.activations
        return loss, nn.utils.parameters_to_vector(network.parameters()).detach()

    (plain, _), (more, moved), (most, also) = (
        stepped(),
        stepped(activation_penalty=200.0),
        stepped(activation_penalty=200.0, temporal_penalty=300.0),
    )
    assert plain < more < most
    assert not torch.equal(moved, also)


class _Words:
    """A loss of tokens, and nothing else."""

    io = IO_OF_WORDS

    def loss(self, outputs, targets):
        return nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())


def test_a_network_that_shows_none_is_refused():
    network = Space().build((0,), Text.io, seeds.rng_for(0, seeds.BUILD))
    with pytest.raises(
        MissingCapability, match=r"set evaluator.activation_penalty and evaluator.temporal_penalty to 0"
    ):
        Descent(
            network, Text(), torch.optim.SGD(network.parameters(), 0.1), StepSettings(temporal_penalty=1.0), steps=1
        )


def test_the_rate_is_scaled_by_length():
    network, used = _network(), StepSettings(lr=2.0, rate_by_length=True)
    descent = Descent(network, _Words(), step_settings.optimizer(used, network), used, steps=9)
    descent.set_rate(0.5, torch.zeros(3, 9, dtype=torch.int64))
    assert descent.rate == descent.optimizer.param_groups[0]["lr"] == 2.0 * 0.5 * 9 / 6
    descent.set_rate(0.5, torch.zeros(3, 1, dtype=torch.int64))  # the last batch of a pass, which the text's end cuts
    assert descent.rate == 2.0 * 0.5 * 1 / 6
    plain = Descent(network, _Words(), step_settings.optimizer(used, network), StepSettings(lr=2.0), steps=9)
    plain.set_rate(0.5, torch.zeros(3, 9, dtype=torch.int64))
    assert plain.rate == 1.0


class _Lean(_Words):
    """The loss as texts have it."""

    takes_half = True

    def loss(self, outputs, targets):
        self.seen = outputs.dtype
        return token_loss(outputs, targets)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_loss_of_texts_goes_with_label_smoothing_penalties_and_half_precision(precision):
    tokens = torch.randint(7, (3, 6), generator=torch.Generator().manual_seed(0))
    used = StepSettings(lr=1.0, momentum=0.0, label_smoothing=0.2, temporal_penalty=3.0, precision=precision)
    found = {}
    for task in (_Words(), _Lean()):
        network = _network()
        descent = Descent(network, task, step_settings.optimizer(used, network), used, steps=3)
        losses = [float(descent(tokens, tokens, step, 3)) for step in range(3)]
        found[type(task)] = (losses, nn.utils.parameters_to_vector(network.parameters()).detach())
    assert task.seen == getattr(torch, precision)
    near = 1e-5 if precision == "float32" else 1e-2
    assert found[_Lean][0] == pytest.approx(found[_Words][0], rel=near)
    torch.testing.assert_close(found[_Lean][1], found[_Words][1], rtol=near, atol=near)
