"""Pace: what a step costs, numbers fitted to measured steps, and steps that are taken to measure."""

from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.core.errors import BadReference
from netwright.core.records import IO
from netwright.core.shapes import Classes, Numbers, Sequence, Tokens, Vector
from netwright.plans.plan import PlanWriter
from netwright.spaces.nasnet import NasnetSpace
from netwright.spaces.residual import ResidualSpace
from netwright.tasks.digits import digits
from netwright.training import loop, pace
from netwright.training.loop import At
from netwright.training.pace import Pace, Timing
from netwright.training.settings import StepSettings

IMAGES = IO(3, 8, 8, 10)
PLANS = [ResidualSpace().plan(genotype, IMAGES) for genotype in ((4, 1), (16, 1), (6, 3), (32, 2))]
PLANS += [
    NasnetSpace(channels=4, repeats=1).plan(NasnetSpace().sample(np.random.default_rng(n)), IMAGES) for n in (0, 1)
]
TRUE = Pace(2e-11, 4e-10, 1e-10, 3e-10, 5e-9, 5e-5, 2e-3)


def _ticking():
    seconds = iter(range(100_000))
    return lambda: next(seconds)


@given(st.lists(st.sampled_from(range(len(PLANS))), min_size=1, max_size=4), st.integers(1, 200), st.integers(1, 5))
def test_a_larger_batch_and_more_layers_never_cost_less(places, batch, factor):
    for plan in (PLANS[place] for place in places):
        one, more = (pace.costs(plan, each) for each in (batch, factor * batch))
        assert more._replace(weights=0, layers=0, steps=0) == pytest.approx(
            [factor * c for c in one._replace(weights=0, layers=0, steps=0)]
        )
        assert pace.seconds_per_step(plan, factor * batch, TRUE) >= pace.seconds_per_step(plan, batch, TRUE) > 0


def test_multiply_adds_are_those_of_the_count_and_groups_are_told_apart():
    space = ResidualSpace()
    found, counts = pace.costs(PLANS[0], 1), space.count((4, 1), IMAGES)
    assert (found.dense, found.weights) == (counts.multiply_adds, counts.params)
    assert [pace.costs(plan, 1).grouped > 0 for plan in (PLANS[0], PLANS[-1])] == [False, True]


def test_steps_are_measured_in_the_memory_format_of_trainings(monkeypatch):
    asked = []

    def of(wanted, _network, device, precision):
        asked.append((wanted, device, precision))
        return torch.contiguous_format

    monkeypatch.setattr("netwright.training.layout.of", of)
    settings, device = StepSettings(batch=2, precision="bfloat16"), torch.device("cpu")
    pace.measure(PLANS[0], pace.Noise(IMAGES), settings, steps=1)
    assert asked == [("auto", device, "bfloat16")]


def test_channels_count_in_whole_eights():
    narrow, wide = PlanWriter(IO(6, 8, 8, 2)), PlanWriter(IO(8, 8, 8, 2))
    for writer in (narrow, wide):
        writer.relu(writer.image)
    assert pace.costs(narrow.plan(), 1).bytes == pace.costs(wide.plan(), 1).bytes


@given(scale=st.floats(0.01, 100), noise=st.integers(0, 2**32 - 1))
def test_a_fit_says_again_what_was_measured(scale, noise):
    rng = np.random.default_rng(noise)
    measured = [
        Timing(found, scale * TRUE.seconds(found) * rng.uniform(0.97, 1.03))
        for found in (pace.costs(plan, batch) for plan in PLANS for batch in (16, 64))
    ]
    fitted = pace.fit(measured)
    assert all(number >= 0 for number in fitted.numbers)
    assert all(fitted.seconds(each.costs) == pytest.approx(each.seconds, rel=0.15) for each in measured)
    assert Pace.of(fitted.numbers) == fitted


def test_one_measurement_is_enough_for_the_usual_proportions():
    costs = pace.costs(PLANS[0], 16)
    fitted = pace.fit([Timing(costs, 3 * pace.USUAL.seconds(costs))])
    assert fitted.numbers == pytest.approx([3 * number for number in pace.USUAL.numbers])
    for measured in ([], [Timing(costs, 0.0)], [Timing(costs, float("nan"))]):
        with pytest.raises(ValueError, match="a pace is fitted to measurements of more than 0 seconds"):
            pace.fit(measured)


@pytest.mark.parametrize("numbers", [(1.0,), (0.0,) * 7, (1.0,) * 6 + (-1.0,), (float("inf"),) * 7])
def test_numbers_that_are_no_pace_are_refused(numbers):
    with pytest.raises(BadReference, match=r"evaluator.pace is \[.*\]; it has 7 numbers of at least 0"):
        Pace.of(numbers)


@pytest.mark.parametrize(
    "settings", [{}, {"precision": "bfloat16"}, {"optimizer": "rmsprop", "averaging": 0.2}, {"optimizer": "muon"}]
)
@pytest.mark.parametrize("task", [digits(train_limit=50), pace.Noise(IMAGES)])
def test_a_measurement_is_the_median_of_real_steps(task, settings):
    plan = ResidualSpace().plan((4, 1), task.io)
    found = pace.measure(plan, task, StepSettings(batch=20, **settings), steps=3, clock=_ticking())
    assert found == Timing(pace.costs(plan, 20), 1.0)


@pytest.mark.parametrize(
    "io", [IO(Vector(5), Numbers(2)), IO(Sequence(2, 5), Classes(3)), IO(Tokens(7, 4), Tokens(7, 4))], ids=str
)
def test_noise_is_of_any_kind(io):
    inputs, targets = next(pace.Noise(io).batches("train", 3, None))
    outputs = targets if isinstance(io.output, Numbers) else _logits(io)
    assert len(inputs) == len(targets) == 3
    assert pace.Noise(io).loss(outputs, targets).shape == ()


def _logits(io):
    kind = io.output
    return torch.zeros((3, kind.steps, kind.vocabulary) if isinstance(kind, Tokens) else (3, kind.number))


def test_steps_on_a_card_are_timed_from_look_to_look_without_the_first():
    """As `measure` does it there; the steps are those of every training."""
    plan, seconds, waited = PLANS[0], iter([0.0, 10.0, 14.0, 16.0, 100.0]), []
    with closing(pace.trained(plan, pace.Noise(IMAGES), StepSettings(batch=4), torch.device("cpu"))) as moments:
        found = pace.between_looks(moments, lambda: next(seconds), lambda: waited.append(1))
    assert found == pytest.approx(4 / loop.LOOK_EVERY)
    assert len(waited) == 4


def test_a_span_on_a_card_is_as_many_steps_as_take_a_while():
    """Looks in mid-pass alone count, the first once steps are recorded; 1 ms a step, of which the first take 9 s."""
    looks = [At(step, 0, step, torch.zeros(()), 0, 0.0, step % 20 == 0, step == 110) for step in range(1, 2000)]
    moments = iter(looks)
    now = [9.0]

    def clock():
        now[0] += 0.02  # from look to look
        return now[0]

    found = pace.between_looks(moments, clock, lambda: None, least=0.05)
    assert found == pytest.approx(0.001)
    assert next(moments).step == 20 + 3 * 60 + 1, "three spans of 60 steps, which take 0.06 s"
