import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netwright.core import seeds
from netwright.core.records import IO
from netwright.training import loop


class Line:
    """Four points of y = 2 x, fitted by least squares."""

    io = IO(1, 1, 1, 1)

    def __init__(self, points=((1.0, 2.0), (2.0, 4.0), (3.0, 6.0), (4.0, 8.0))):
        self.points = torch.tensor(points)
        self.passes = []

    def examples(self, split):
        return len(self.points)

    def batches(self, split, size, rng) -> Iterator:
        self.passes.append(split)
        order = torch.arange(len(self.points)) if rng is None else torch.from_numpy(rng.permutation(len(self.points)))
        for chosen in order.split(size):
            if rng is None or len(chosen) == size:
                yield self.points[chosen, :1], self.points[chosen, 1:]

    def loss(self, outputs, targets):
        return F.mse_loss(outputs, targets)

    def metrics(self, outputs, targets):
        return {"error": (outputs - targets).abs()[:, 0], "target": targets[:, 0]}


def _slope(value=0.0):
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, value)
    return network


def _train(network, task, *, lr=0.01, factor=lambda step: 1.0, on_epoch=lambda step, loss: True, **changed):
    settings = {"split": "train", "steps": 4, "batch": 2} | changed
    optimizer = torch.optim.SGD(network.parameters(), lr)
    rng_of_epoch = lambda epoch: seeds.rng_for(0, seeds.TRAIN, epoch)  # noqa: E731
    return loop.train(network, task, optimizer, factor=factor, rng_of_epoch=rng_of_epoch, on_epoch=on_epoch, **settings)


def test_one_step_by_hand():
    """Loss (2^2 + 4^2 + 6^2 + 8^2) / 4 = 30; its slope is -2 (1*2 + 2*4 + 3*6 + 4*8) / 4 = -30; the step is 0.3."""
    network = _slope()
    trained = _train(network, Line(), steps=1, batch=4)
    assert network.weight.item() == pytest.approx(0.3)
    assert (trained.train_loss, trained.images) == (pytest.approx(30.0), 4)
    assert trained.seconds > 0


def test_the_rate_of_a_step_is_the_initial_one_times_its_factor():
    network, steps = _slope(), []
    _train(network, Line(), steps=3, batch=4, factor=lambda step: steps.append(step) or (0.0 if step else 1.0))
    assert network.weight.item() == pytest.approx(0.3)
    assert set(steps) == {0, 1, 2}


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6])
def test_exactly_so_many_steps_are_made(steps):
    calls = []

    class Counting(torch.optim.SGD):
        def step(self, closure=None):
            calls.append(1)
            return super().step(closure)

    network, seen = _slope(), []
    optimizer = Counting(network.parameters(), 0.01)
    trained = loop.train(
        network,
        Line(),
        optimizer,
        split="train",
        steps=steps,
        batch=2,
        factor=lambda step: 1.0,
        rng_of_epoch=lambda epoch: seeds.rng_for(0, seeds.TRAIN, epoch),
        on_epoch=lambda step, loss: seen.append(step) or True,
    )
    assert (len(calls), trained.images) == (steps, 2 * steps)
    assert seen == [*range(2, steps, 2), steps], "told after each pass, and at the end"


def test_every_pass_has_a_generator_of_its_own():
    epochs = []
    network = _slope()
    loop.train(
        network,
        Line(),
        torch.optim.SGD(network.parameters(), 0.01),
        split="train",
        steps=5,
        batch=2,
        factor=lambda step: 1.0,
        rng_of_epoch=lambda epoch: epochs.append(epoch) or np.random.default_rng(epoch),
        on_epoch=lambda step, loss: True,
    )
    assert epochs == [0, 1, 2]


def test_the_loss_is_that_of_the_last_pass():
    losses = []
    trained = _train(_slope(), Line(), steps=20, lr=0.05, on_epoch=lambda step, loss: losses.append(loss) or True)
    assert losses == sorted(losses, reverse=True)
    assert trained.train_loss == losses[-1] < 0.01


def test_a_loss_that_is_not_finite_ends_with_step_and_rate():
    with pytest.raises(loop.Diverged, match=r"^the loss is (inf|nan) at step \d+, learning rate 1e\+09$"):
        _train(_slope(), Line(), lr=1e9, steps=100)


def test_the_loss_is_looked_at_often_enough():
    steps = []
    with pytest.raises(loop.Diverged, match=f"at step {loop.LOOK_EVERY},"):
        _train(_slope(math.nan), Line([[1.0, 2.0]] * 200), steps=200, on_epoch=lambda step, loss: steps.append(step))
    assert not steps


def test_whoever_watches_can_stop():
    with pytest.raises(loop.Stopped, match="stopped at step 4"):
        _train(_slope(), Line(), steps=100, on_epoch=lambda step, loss: step < 4)


def test_a_split_without_a_batch_is_an_error():
    with pytest.raises(ValueError, match="the split 'train' gave no batch of 5 examples; give a smaller batch"):
        _train(_slope(), Line(), batch=5)


def test_measures_means_over_examples_not_over_batches(monkeypatch):
    monkeypatch.setattr(loop, "EVALUATION_BATCH", 3)  # of four examples: batches of three and of one
    network, task = _slope(1.0).train(), Line()
    assert loop.measure(network, task, "valid") == pytest.approx({"error": 2.5, "target": 5.0})
    assert task.passes == ["valid"]
    assert not network.training
    assert network.weight.grad is None


def test_a_network_trains_in_training_mode_and_is_measured_in_evaluation_mode():
    modes = []
    network = nn.Sequential(_slope())
    network.register_forward_hook(lambda module, *_: modes.append(module.training))
    network.eval()
    _train(network, Line(), steps=1)
    loop.measure(network, Line(), "valid")
    assert modes == [True, False]


def test_a_long_pass_is_looked_at_and_can_be_stopped():
    points = [(1.0, 2.0)] * 100
    seen = []
    _train(_slope(), Line(points), steps=50, batch=2, on_look=lambda step, loss: seen.append((step, loss)) or True)
    assert [step for step, _ in seen] == [20, 40, 50]
    assert seen[0][1] > seen[1][1] > 0, "the mean loss of the pass so far"
    with pytest.raises(loop.Stopped, match="stopped at step 20"):
        _train(_slope(), Line(points), steps=50, batch=2, on_look=lambda step, loss: False)


def test_large_images_are_measured_few_at_a_time():
    sizes = [loop.evaluation_batch(IO(3, side, side, 10)) for side in (8, 32, 64, 224, 299)]
    assert sizes == [500, 500, 125, 16, 16]
