"""Examples that are mixed in training. That parts and processes mix alike is tested in test_descent and test_ranks."""

import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.core.shapes import Classes, Image, Numbers, Tokens, Vector
from netwright.evaluators.training import Training
from netwright.tasks.digits import digits
from netwright.training import mixing
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.distillation import Averaged, Teacher
from netwright.training.mixing import Mix
from netwright.training.settings import StepSettings
from tests.regularized import Space

SEEDS = st.integers(0, 2**32)


def _drawn(seed, shape, probability=1.0, alpha=1.0):
    return mixing.drawn(np.random.default_rng(seed), probability, alpha, torch.Size(shape))


@given(SEEDS, st.integers(1, 7), st.integers(1, 9), st.integers(1, 9), st.sampled_from([0.2, 1.0, 5.0]))
def test_images_take_a_rectangle_of_their_neighbor_and_keep_their_share(seed, batch, height, width, alpha):
    mix = _drawn(seed, (batch, 2, height, width), alpha=alpha)
    images = torch.arange(batch).float().reshape(-1, 1, 1, 1).expand(-1, 2, height, width)
    found = mix.inputs(images)
    for place in range(batch):
        neighbor = min(place ^ 1, batch - 1)
        own = found[place] == place
        assert torch.all(own | (found[place] == neighbor))
        assert torch.equal(own[0], own[1])
        assert neighbor == place or float(own.float().mean()) == pytest.approx(mix.share)
    assert torch.equal(images[:, 0, 0, 0], torch.arange(batch).float())


def test_vectors_are_averaged():
    found = Mix(0.75).inputs(torch.tensor([[0.0, 4.0], [4.0, 0.0], [8.0, 8.0]]))
    assert found.tolist() == [[1.0, 3.0], [3.0, 1.0], [8.0, 8.0]]
    assert _drawn(0, (3, 2)).rectangle is None


def test_as_many_batches_are_mixed_as_asked_by_shares_as_asked():
    found = [_drawn(seed, (8, 5), 0.3, 0.4) for seed in range(2000)]
    shares = np.array([mix.share for mix in found if mix])
    assert len(shares) == pytest.approx(600, abs=80)
    assert shares.mean() == pytest.approx(0.5, abs=0.06)
    assert shares.var() == pytest.approx(0.25 / 1.8, abs=0.02)  # of Beta(0.4, 0.4)
    assert not any(_drawn(seed, (8, 5), 0.0) for seed in range(50))


class Weighted:
    """Cross entropy in which the last class counts more."""

    def weights(self, targets):
        return torch.tensor([0.5, 0.5, 2.0])[targets]

    def loss(self, outputs, targets):
        return (F.cross_entropy(outputs, targets, reduction="none") * self.weights(targets)).mean()


def _flat():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 3))


def test_each_target_counts_by_the_share_that_is_left_of_its_example():
    """Smoothed, weighted by class, and where teachers are asked as well, who see the mixed images."""
    used = StepSettings(mixing=1.0, label_smoothing=0.2)
    images, targets = torch.randn(8, 1, 4, 4), torch.tensor([0, 2, 1, 1, 2, 0, 0, 1])
    others = targets.reshape(-1, 2).flip(1).flatten()
    losses = set()
    for step in range(3):
        network, teacher = _flat(), Averaged([_flat()])
        optimizer = step_settings.optimizer(used, network)
        mixes = []
        hook = network.register_forward_pre_hook(lambda _, given, mixes=mixes: mixes.append(given[0]))
        descent = Descent(network, Weighted(), optimizer, used, steps=9, seed=5, teacher=Teacher(teacher, 0.3))
        found = float(descent(images, targets, step, 8))
        hook.remove()
        network, (mixed,) = _flat(), mixes
        share = float((mixed == images).float().mean())
        logits = network(mixed)
        expected, weights = 0.0, 0.0
        for part, wanted in ((share, targets), (1 - share, others)):
            each = F.cross_entropy(logits, wanted, reduction="none", label_smoothing=0.2)
            expected = expected + part * (each * Weighted().weights(wanted)).mean()
            weights = weights + part * Weighted().weights(wanted)
        taught = (F.cross_entropy(logits, logits.softmax(-1), reduction="none") * weights).mean()
        assert found == pytest.approx((0.7 * expected + 0.3 * taught).item(), rel=1e-5)
        losses.add(found)
    assert len(losses) == 3, "each step has its own draw"


@pytest.mark.parametrize(
    ("io", "batch", "parts", "message"),
    [
        (IO(Vector(3), Numbers(1)), 64, 1, "evaluator.mixing is 0.5, but the task has no classes; leave it out"),
        (
            IO(Tokens(9, 4), Classes(3)),
            64,
            1,
            "evaluator.mixing is 0.5, but tokens cannot be mixed, only images and numbers; leave it out",
        ),
        (
            IO(Image(1, 8, 8), Classes(3)),
            20,
            4,
            "evaluator.mixing is 0.5, which takes pairs of examples, but a batch of 20 in 4 parts has 5 in each; give "
            "a multiple of 8",
        ),
    ],
)
def test_what_cannot_be_mixed_is_one_sentence(io, batch, parts, message):
    mixing.check(0.0, batch, parts, io)
    with pytest.raises(BadReference, match=f"^{re.escape(message)}$"):
        mixing.check(0.5, batch, parts, io)


def test_an_evaluator_refuses_what_cannot_be_mixed_and_offers_the_rest():
    task = digits(train_limit=100)
    with pytest.raises(BadReference, match="a batch of 6 in 2 parts has 3 in each"):
        Training(Space(), task, batch=6, accumulate=2, mixing=1.0)
    with pytest.raises(BadReference, match="a batch of 100 in 4 parts has 25 in each"):
        Training(Space(), task, batch=128, accumulate=4, mixing=1.0).check_settings((0,), data_is_ready=True)
    setting = Training(Space(), task).tunable["mixing"]
    assert (setting.default, setting.low, setting.high) == (0.0, 0.0, 1.0)
    assert Training(Space(), task).tuned({"mixing": 0.25}).mixing == 0.25
