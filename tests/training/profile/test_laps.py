"""The phases of a step: marks where they begin, and what they add up to."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from netwright.core.records import IO
from netwright.plans import network
from netwright.spaces.nasnet import NasnetSpace
from netwright.spaces.residual import ResidualSpace
from netwright.training import loop, settings
from netwright.training.descent import Descent
from netwright.training.loop import Passes, Schedule
from netwright.training.pace import Noise
from netwright.training.profile import laps
from netwright.training.profile.laps import PHASES, Lap, Mark
from netwright.training.settings import StepSettings

IMAGES = IO(3, 8, 8, 10)
STEP = ["forward", "loss", "backward", "optimizer", "rest"]


@dataclass(frozen=True)
class Reached:
    """When a GPU got to a place, in milliseconds."""

    at: float

    def elapsed_time(self, later):
        return later.at - self.at


def trained(plan, options, marks=None, steps=2):
    net = network.build(plan, np.random.default_rng(0))
    optimizer = settings.optimizer(options, net)
    descent = Descent(net, Noise(IMAGES), optimizer, options, steps=steps)
    passes = Passes(Noise(IMAGES), "train", options.batch, np.random.default_rng, accumulate=options.accumulate)
    if marks is None:
        list(loop.steps(passes, descent, Schedule(steps)))
    else:
        with laps.marked(net, optimizer, marks.append):
            list(loop.steps(passes, descent, Schedule(steps)))
    return net


RESIDUAL = ResidualSpace().plan((4, 1), IMAGES)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, STEP),
        ({"clip": 1.0, "label_smoothing": 0.1, "ema": 0.9, "precision": "bfloat16"}, STEP),
        ({"optimizer": "rmsprop"}, STEP),
        ({"accumulate": 2}, [*STEP[:3], *STEP]),
    ],
)
def test_a_step_marks_its_phases_in_order(options, expected):
    marks = []
    trained(RESIDUAL, StepSettings(batch=4, **options), marks)
    assert marks == expected * 2


def test_an_auxiliary_head_belongs_to_the_forward_pass():
    space = NasnetSpace(channels=4, repeats=1, auxiliary=True)
    io = IO(3, 32, 32, 10)
    plan = space.plan(space.sample(np.random.default_rng(0)), io)
    net, options = network.build(plan, np.random.default_rng(0)), StepSettings(batch=2, auxiliary=0.4)
    optimizer, marks = settings.optimizer(options, net), []
    with laps.marked(net, optimizer, marks.append):
        inputs, targets = next(Noise(io).batches("train", 2, None))
        Descent(net, Noise(io), optimizer, options, steps=1)(inputs, targets, 0, 2)
    assert list(dict.fromkeys(marks)) == STEP
    assert marks.count("backward") == 2  # a gradient comes from each output


def test_marks_change_nothing_and_leave_nothing():
    plain, watched = trained(RESIDUAL, StepSettings(batch=4)), trained(RESIDUAL, StepSettings(batch=4), [])
    for one, other in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(one, other)
    assert "forward" not in vars(watched) and "with_auxiliary" not in vars(watched)


def test_phases_add_up_by_step():
    names = ["data", "inputs", "forward", "loss", "backward", "forward", "loss", "backward", "optimizer", "rest"]
    seconds = iter(range(100))
    marks = [Mark(name, next(seconds), None) for name in [*names, *names, "data"]]
    found = laps.of_steps(marks)
    assert len(found) == 2
    for step in found:
        assert tuple(step) == tuple(PHASES)
        assert sum(lap.device for lap in step.values()) == len(names)
        assert step["backward"] == Lap(2, 2) and step["optimizer"] == Lap(1, 1)


def test_a_gpu_has_its_own_time():
    marks = [Mark("data", 0.0, Reached(0)), Mark("forward", 1.0, Reached(500)), Mark("data", 1.5, Reached(3500))]
    [step] = laps.of_steps(marks)
    assert step["data"] == Lap(0.5, 1.0)
    assert step["forward"] == Lap(3.0, 0.5)
    assert step["rest"] == Lap(0.0, 0.0)


def test_a_gpu_is_marked_in_the_stream_of_the_device_but_not_while_a_graph_is_recorded(monkeypatch):
    recorded, is_recording = [], [False, True, False]

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self, stream):
            recorded.append(stream)

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: is_recording.pop(0))
    times = laps.Laps(torch.device("cuda:1"), lambda: 7.0)
    for name in ("data", "inputs", "forward"):
        times.mark(name)
    assert [mark.phase for mark in times.marks] == ["data", "forward"]
    assert all(isinstance(mark.moment, Event) for mark in times.marks)
    assert recorded == ["stream of cuda:1"] * 2
