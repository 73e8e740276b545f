"""Measurements of this machine, by a clock that counts how often it is asked."""

import itertools
from dataclasses import fields

import numpy as np
import pytest
import torch

from netwright.core import refs
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.shapes import Classes, Image
from netwright.data.sizes import SIZES
from netwright.plans.plan import resized
from netwright.runs.timed import defaults, probe, reference, timetable
from netwright.runs.timed.probe import Patience
from netwright.runs.timed.timetable import Speed
from netwright.training import pace, resizing
from netwright.training.options import Options
from netwright.training.pace import Pace
from netwright.training.settings import StepSettings


def test_every_size_and_precision_has_a_speed_however_short_the_patience():
    task = refs.load("task", Reference("digits", {"train_limit": 20}))
    ticks = itertools.count()
    speeds = probe.speeds(task, (8, 12, 16), 2, 1, Patience(0.0, lambda: float(next(ticks))), "cpu")
    assert next(ticks) < 80, "the patience is over after one network in each precision"
    assert {(speed.side, speed.precision) for speed in speeds} == {
        (side, precision) for side in (8, 12, 16) for precision in probe.PRECISIONS
    }
    for speed in speeds:
        assert speed.pace == Pace.of(speed.pace).numbers and speed.image_seconds > 0
    single = [speed.image_seconds for speed in speeds if speed.precision == "float32"]
    assert single == sorted(single), "larger images take longer"


def test_the_steps_that_are_measured_are_those_of_the_trainings(monkeypatch):
    """With their optimizer, whose steps may cost more than the forward pass; in what the evaluator itself admits."""
    task = refs.load("task", Reference("digits", {"train_limit": 20}))
    measured, seen = probe.pace.measure, []
    monkeypatch.setattr(
        probe.pace, "measure", lambda *given, **more: (seen.append(given[2]), measured(*given, **more))[1]
    )
    probe.speeds(task, (8,), 2, 1, Patience(0.0), "cpu")
    trained = Options(batch=2, precision="float32", **defaults.TRAINING)
    assert [settings.precision for settings in seen] == ["float32", "bfloat16"]
    for each in fields(StepSettings):
        assert getattr(seen[0], each.name) == getattr(trained, each.name), each.name
    assert seen[0].optimizer == "muon" and seen[0].mixing and seen[0].averaging


def test_noise_is_a_pass_of_as_many_steps_as_asked():
    """On a card as many as keep its end out of what is timed; on a CPU those of the noise at hand, in their order."""
    task = refs.load("task", Reference("digits", {"train_limit": 20}))
    for steps in (probe.IMAGES, 20):
        noise = probe.noise_of(task, 12, 2, steps)
        passes = [
            len(list(noise.batches("train", 2, np.random.default_rng(0)))),
            len(list(noise.on_device("train", torch.device("cpu")).parts(2, np.random.default_rng(0)))),
        ]
        assert passes == [steps, steps]
        assert len(noise.data.pixels.take(noise.data.positions["valid"])) == 2 * probe.IMAGES
    whole = probe.noise_of(task, 12, 2, probe.IMAGES).data
    assert np.array_equal(whole.positions["train"], whole.positions["valid"])


@pytest.mark.parametrize("side", [8, 28, *SIZES])
def test_sizes_are_judged_by_the_network_that_a_run_is_to_beat(side):
    """Which costs about as much at 128 pixels as at 32, as its stem makes images smaller."""
    io = IO(Image(3, side, side), Classes(10))
    run = RunFile(space=Reference(defaults.SPACE))
    rival = reference.plain(run, refs.load("space", run.space), io, None)
    assert not rival.space, "it is one of the default space"
    assert probe.reference(io) == refs.load("space", run.space).plan(rival.candidate.genotype, io)
    most = max(
        pace.USUAL.seconds(pace.costs(network(IO(Image(3, 32, 32), Classes(10))), 64)) for network in probe.NETWORKS
    )
    assert all(pace.USUAL.seconds(pace.costs(network(io), 64)) < 1.5 * most for network in probe.NETWORKS)


@pytest.mark.parametrize("side", [24, 32, 40, 72, 128])
def test_what_a_step_costs_is_its_mean_over_a_training_whose_images_are_smaller_at_first(side):
    """By the layers of the network for whole ones, which the space would give others for smaller ones; made whole."""
    task = refs.load("task", Reference("digits", {"train_limit": 20}))
    io, numbers = probe.sized(task, side), pace.USUAL.numbers
    whole = probe.reference(io)
    small = resized(whole, Image(1, *[probe.side_of(resizing.early(io, 0.75))] * 2))
    seconds = [pace.USUAL.seconds(pace.costs(plan, 64, made=io.input)) for plan in (whole, small)]
    mean = timetable.COOLDOWN * seconds[0] + (1 - timetable.COOLDOWN) * seconds[1]
    assert 0.6 < mean / seconds[0] < 0.9
    assert probe.pass_seconds(io, numbers, 64, 128, 0.75) == pytest.approx(2 * mean)
    assert probe.pass_seconds(io, numbers, 64, 128, 1.0) == pytest.approx(2 * seconds[0])
    speed = Speed(side, "float32", numbers, 1.0)
    assert probe.with_share(task, speed, 64, 0.75).image_seconds == pytest.approx(mean / 64)


def test_smaller_sizes_than_images_have_are_measured_too():
    task = refs.load("task", Reference("digits", {"train_limit": 20}))
    assert [timetable.early_size_for(side) for side in (8, 23, 24, 32)] == [1.0, 1.0, 0.75, 0.75]
    seen, ticks = [], itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        measure = probe.pace.measure
        patch.setattr(
            probe.pace,
            "measure",
            lambda plan, noise, *a, **m: (seen.append(noise.io), measure(plan, noise, *a, **m))[1],
        )
        [single, _] = probe.speeds(task, (32,), 2, 1, Patience(1e6, lambda: float(next(ticks))), "cpu")
    assert {io.input.height for io in seen} == {24, 32}
    own = probe.pass_seconds(probe.sized(task, 32), single.pace, 2, 2, 0.75)
    assert single.image_seconds == pytest.approx(own / 2)


def test_a_card_is_measured_in_the_precision_that_is_faster_there():
    assert probe.precisions(None) == ("float32", "bfloat16")
    assert probe.precisions((9, 0)) == probe.precisions((8, 0)) == ("bfloat16",)
    assert probe.precisions((7, 5)) == ("float32",)
