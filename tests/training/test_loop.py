import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netwright.core import seeds
from netwright.core.shapes import IO, Numbers, Tokens, Vector
from netwright.tasks.digits import digits
from netwright.training import loop
from netwright.training.descent import Descent
from netwright.training.loop import Passes, Progress, Schedule


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


def _moments(network, task, *, steps=4, batch=2, lr=0.01, factor=lambda step: 1.0, epochs=None, start=Progress()):
    """All moments of a training, one by one."""
    optimizer = torch.optim.SGD(network.parameters(), lr)
    seen = [] if epochs is None else epochs
    passes = Passes(task, "train", batch, lambda epoch: seen.append(epoch) or seeds.rng_for(0, seeds.TRAIN, epoch))
    return loop.steps(passes, Descent(network, task, optimizer, steps=steps), Schedule(steps, factor), start)


def _train(network, task, **settings):
    return list(_moments(network, task, **settings))


def test_one_step_by_hand():
    """Loss (2^2 + 4^2 + 6^2 + 8^2) / 4 = 30; its slope is -2 (1*2 + 2*4 + 3*6 + 4*8) / 4 = -30; the step is 0.3."""
    network = _slope()
    trained = _train(network, Line(), steps=1, batch=4)[-1]
    assert network.weight.item() == pytest.approx(0.3)
    assert (trained.loss, trained.examples) == (pytest.approx(30.0), 4)
    assert trained.seconds > 0


def test_a_bare_network_is_trained_by_the_same_steps():
    networks = [_slope(), _slope()]
    moments = _train(networks[0], Line(), steps=7)
    last = loop.train(
        networks[1], Line(), torch.optim.SGD(networks[1].parameters(), 0.01), Schedule(7), batch=2, seed=0
    )
    assert torch.equal(networks[0].weight, networks[1].weight)
    assert last.progress.total == moments[-1].progress.total
    assert (last.step, last.examples) == (7, 14)


def test_the_rate_of_a_step_is_the_initial_one_times_its_factor():
    network, steps = _slope(), []
    _train(network, Line(), steps=3, batch=4, factor=lambda step: steps.append(step) or (0.0 if step else 1.0))
    assert network.weight.item() == pytest.approx(0.3)
    assert set(steps) == {0, 1, 2}


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 6])
def test_exactly_so_many_steps_are_made(monkeypatch, steps):
    calls, step = [], torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self, *args: calls.append(1) or step(self, *args))
    moments = _train(_slope(), Line(), steps=steps)
    assert (len(calls), moments[-1].examples) == (steps, 2 * steps)
    assert [at.step for at in moments if not at.ends_pass] == list(range(1, steps + 1))
    ends = [at.step for at in moments if at.ends_pass]
    assert ends == [*range(2, steps, 2), steps], "after each pass, and at the end"


def test_a_step_is_made_when_it_is_asked_for():
    network = _slope()
    moments = _moments(network, Line(), batch=4)
    assert network.weight.item() == 0.0
    next(moments)
    assert network.weight.item() == pytest.approx(0.3)


def test_every_pass_has_a_generator_of_its_own():
    epochs = []
    _train(_slope(), Line(), steps=5, epochs=epochs)
    assert epochs == [0, 1, 2]


def test_the_loss_is_that_of_the_last_pass():
    moments = _train(_slope(), Line(), steps=20, lr=0.05)
    losses = [at.loss for at in moments if at.ends_pass]
    assert losses == sorted(losses, reverse=True)
    assert moments[-1].loss == losses[-1] < 0.01


@pytest.mark.parametrize("stop", range(1, 8))
def test_what_follows_a_moment_is_what_would_have_followed(stop):
    """Also where the moment is the last step of a pass, whose end is met again."""
    network = _slope()
    whole = _train(network, Line(), steps=7)
    before, first = [at for at in whole if not at.ends_pass][stop - 1], _slope()
    for at in _moments(first, Line(), steps=7):
        if at.step == stop:
            break
    rest = _train(first, Line(), steps=7, start=before.progress)
    facts = [(at.step, at.epoch, at.batches, float(at.total), at.examples, at.is_look, at.ends_pass) for at in whole]
    again = [(at.step, at.epoch, at.batches, float(at.total), at.examples, at.is_look, at.ends_pass) for at in rest]
    assert again == facts[whole.index(before) + 1 :]
    assert torch.equal(network.weight, first.weight)


def test_what_is_done_after_a_pass_is_not_counted_into_its_seconds(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(loop.time, "perf_counter", lambda: float(next(clock)))
    seconds = []
    for at in _moments(_slope(), Line(), steps=4):
        seconds.append(at.seconds)
        if at.ends_pass:
            [next(clock) for _ in range(100)]
    assert seconds == [1, 2, 3, 4, 5, 6]


def test_a_loss_that_is_not_finite_ends_with_step_and_rate():
    with pytest.raises(loop.Diverged, match=r"^the loss is (inf|nan) at step \d+, learning rate 1e\+09$"):
        _train(_slope(), Line(), lr=1e9, steps=100)


def test_the_loss_is_looked_at_often_enough():
    moments = _moments(_slope(math.nan), Line([[1.0, 2.0]] * 200), steps=200)
    seen = [next(moments) for _ in range(loop.LOOK_EVERY - 1)]
    assert not any(at.is_look for at in seen)
    with pytest.raises(loop.Diverged, match=f"at step {loop.LOOK_EVERY},"):
        next(moments)


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


def test_a_long_pass_is_looked_at():
    moments = _train(_slope(), Line([(1.0, 2.0)] * 100), steps=50, batch=2)
    looks = [at for at in moments if at.is_look]
    assert [(at.step, at.ends_pass) for at in looks] == [(20, False), (40, False), (50, False), (50, True)]
    assert looks[0].loss > looks[1].loss > 0, "the mean loss of the pass so far"


class Streams(Line):
    """Metrics of each of two parts of an example."""

    def metrics(self, outputs, targets):
        return {"part": torch.cat([targets, 3 * targets], 1), **super().metrics(outputs, targets)}


class Summed(Streams):
    """A metric that is no mean."""

    def summary(self, sums, counts):
        return {"root": (sums["part"] / counts["part"]) ** 0.5, "examples": float(counts["error"])}


def test_measures_of_any_shape_are_means_over_their_elements():
    assert loop.measure(_slope(1.0), Streams(), "valid") == {"part": 10.0, "error": 2.5, "target": 5.0}


def test_a_task_says_how_sums_become_metrics():
    assert loop.measure(_slope(1.0), Summed(), "valid") == {"root": 10.0**0.5, "examples": 4.0}


def test_large_images_are_measured_few_at_a_time():
    sizes = [loop.evaluation_batch(IO(3, side, side, 10)) for side in (8, 32, 64, 224, 299)]
    assert sizes == [500, 500, 125, 16, 16]


def test_what_is_no_image_is_measured_as_it_has_places():
    assert loop.evaluation_batch(IO(Vector(9000), Numbers(1))) == 500
    assert loop.evaluation_batch(IO(Tokens(10_000, 4096), Tokens(10_000, 4096))) == 125


def test_batches_that_a_device_makes_measure_the_same():
    task = digits(train_limit=60)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    found = {
        batches_by: loop.measure(network, task, "valid", batches_by=batches_by) for batches_by in ("host", "device")
    }
    assert found["device"] == pytest.approx(found["host"], abs=1e-6)
    assert found["host"] == loop.measure(network, task, "valid")
