"""Images that are smaller while a rate stays: which, of which networks, and what trainings measure by them."""

import shutil
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.protocols import starts_of
from netwright.core.records import IO, Proposal, Trial
from netwright.core.shapes import Classes as Kinds
from netwright.core.shapes import Image, Tokens, Vector, size
from netwright.evaluators import training
from netwright.evaluators.training import Training
from netwright.plans import network
from netwright.plans.operation import Operation
from netwright.plans.plan import PlanWriter, resized
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.macro import MacroSpace
from netwright.spaces.nasnet import NasnetSpace
from netwright.spaces.residual import ResidualSpace
from netwright.stores.memory import MemoryStore
from netwright.tasks.digits import digits
from netwright.training import checkpoint, distillation, loop, pace, promotion, resizing
from netwright.training.compiling import Compiled
from netwright.training.descent import Descent
from netwright.training.distillation import Trained
from netwright.training.resizing import AtMost, Resizing
from netwright.worker import WorkerContext
from tests.training.test_captured import Classes

SPACE, GENOTYPE, TASK = ResidualSpace(), (4, 1), digits(train_limit=100)
SHARE = 0.5  # of digits, which have 8 pixels a side
CONSTANT = {"batch": 25, "schedule": "constant", "cooldown": 0.25, "averaging": 0.3, "lr": 0.02, "save": True}
COST = {"examples_per_second", "peak_memory_mb", "seconds"}


@pytest.fixture
def sides(monkeypatch):
    """The heights of what networks see in training and in measurements, in their order."""
    trained, measured = [], []

    class Watched(Descent):
        def _received(self, inputs, *given):
            trained.append(inputs.shape[2])
            return super()._received(inputs, *given)

    def watched(net, *given, **more):
        net.register_forward_pre_hook(lambda _, inputs: measured.append(type(net)))
        return measure(net, *given, **more)

    measure = loop.measure
    monkeypatch.setattr("netwright.training.made.Descent", Watched)
    monkeypatch.setattr(loop, "measure", watched)
    return trained, measured


def _run(folder, trial_id=1, budget=None, continues=None, space=SPACE, genotype=GENOTYPE, task=TASK, **settings):
    context = WorkerContext(MemoryStore(), folder / "trials", trial_id)
    evaluator = Training(space, task, **{**CONSTANT, "early_size": SHARE, **settings})
    asked = Proposal(genotype, budget=budget, continues=continues)
    return evaluator.evaluate(Trial(trial_id, asked, "key", 7, "running"), context)


def _weights(folder, trial_id=1):
    return (folder / "trials" / f"{trial_id:06d}" / checkpoint.WEIGHTS).read_bytes()


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.01, 1.0))
def test_sides_are_about_their_share_and_can_be_halved(height, width, share):
    found = resizing.early(IO(3, height, width, 5), share)
    assert found.output == IO(3, height, width, 5).output
    for side, small in zip((height, width), found.input[1:], strict=True):
        assert small == side or (small % 4 == 0 and small < side)
        assert small in (4, side) or abs(small - share * side) <= 2
    assert [resizing.early(IO(1, side, side, 5), 0.75).input.height for side in (24, 28, 32, 40)] == [20, 20, 24, 32]
    assert resizing.early(IO(3, height, width, 5), 1.0) == IO(3, height, width, 5)


def test_images_are_resized_smoothly_and_those_that_are_small_stay():
    images = torch.rand(2, 3, 32, 20)
    found = resizing.at_most(images, Image(3, 24, 16))
    assert found.shape == (2, 3, 24, 16)
    assert float(found.mean()) == pytest.approx(float(images.mean()), abs=0.01)
    checkered = (torch.arange(32)[:, None] + torch.arange(32)).remainder(2).float().expand(1, 1, 32, 32)
    assert float((resizing.at_most(checkered, Image(1, 16, 16)) - 0.5).abs().max()) < 0.3, "nothing is left out"
    small = torch.rand(2, 3, 24, 16)
    assert resizing.at_most(small, Image(3, 24, 16)) is small
    assert resizing.at_most(small, Image(3, 24, 12)).shape == (2, 3, 24, 12)
    assert resizing.at_most(images.to(memory_format=torch.channels_last), Image(3, 24, 16)).is_contiguous(
        memory_format=torch.channels_last
    )


@pytest.mark.parametrize("space", [MacroSpace(), NasnetSpace(channels=4, repeats=1), HierarchicalSpace(channels=4)])
def test_one_network_takes_both_sizes_as_each_would_its_own(space):
    io = IO(3, 32, 32, 4)
    rng = np.random.default_rng(0)
    genotypes = [*starts_of(space)[5:6], space.sample(rng), space.sample(rng)]
    for genotype in genotypes:
        small = resizing.fitting(space, genotype, io, 0.75)
        assert small[0].shape == Image(3, 24, 24)
        whole = space.build(genotype, io, np.random.default_rng(1)).eval()
        own = network.build(small, np.random.default_rng(2)).eval()
        own.load_state_dict(whole.state_dict())
        images = torch.rand(2, 3, 32, 32)
        with torch.no_grad():
            found = AtMost(whole, small[0].shape)(images)
            assert torch.equal(found, own(resizing.at_most(images, small[0].shape)))


class WithoutPlan:
    """A space that writes no plans."""

    def __init__(self):
        self.inner = SPACE

    def __getattr__(self, name):
        if name in ("plan", "space"):
            raise AttributeError(name)
        return getattr(self.inner, name)


@dataclass(frozen=True)
class Flat(Operation):
    name: ClassVar[str] = "flat"

    def shape(self, x):
        return Vector(size(x))


class Flattening(ResidualSpace):
    """Whose network has one weight for each pixel."""

    def plan(self, genotype, io):
        writer = PlanWriter(io)
        writer.linear(writer.write(Flat(), writer.image), io.outputs)
        return writer.plan()


def test_a_network_that_does_not_take_smaller_images_has_whole_ones_and_says_so(tmp_path, sides):
    assert resizing.fitting(SPACE, GENOTYPE, TASK.io, SHARE)[0].shape == Image(1, 4, 4)
    assert resizing.fitting(SPACE, GENOTYPE, TASK.io, 1.0) is None
    assert resizing.fitting(SPACE, GENOTYPE, TASK.io, 0.99) is None, "no multiple of 4 is smaller"
    for space in (WithoutPlan(), Flattening()):
        assert resizing.fitting(space, GENOTYPE, TASK.io, SHARE) is None
    with pytest.raises(ValueError, match="linear1 has other weights where linear reads other shapes"):
        resized(Flattening().plan(GENOTYPE, TASK.io), Image(1, 4, 4))
    whole = _run(tmp_path / "whole", steps=9, early_size=1.0)
    found = _run(tmp_path / "plain", space=WithoutPlan(), steps=9)
    assert (whole.message, found.message) == ("", training.WHOLE)
    assert {name: value for name, value in found.metrics.items() if name not in COST} == {
        name: value for name, value in whole.metrics.items() if name not in COST
    }
    assert set(sides[0]) == {8}


def test_images_are_small_until_the_rate_falls_and_what_ends_is_measured_by_whole_ones(tmp_path, sides):
    trained, measured = sides
    result = _run(tmp_path, steps=20, curve_every=2)
    assert trained == [4] * 16 + [8] * 4  # the first one of the last five still has the whole rate
    assert measured[0] is AtMost and measured[-1] is not AtMost
    assert result.message == "" and [step for step, _ in result.curve] == [8, 16, 20]
    del measured[:]
    assert _run(tmp_path, 2, steps=20, cooldown=0.0).failure == ""
    assert (set(trained[20:]), set(measured)) == ({4}, {AtMost}), "its rate never falls"


def test_a_training_that_stops_within_the_fall_has_whole_images_there(tmp_path, sides):
    trained, measured = sides
    _run(tmp_path / "parts", 1, 18, steps=20, horizon=20)
    assert trained == [4] * 16 + [8] * 2 and measured[-1] is not AtMost
    _run(tmp_path / "parts", 2, 20, continues=1, steps=20, horizon=20)
    _run(tmp_path / "whole", 1, 20, steps=20, horizon=20)
    assert _weights(tmp_path / "parts", 2) == _weights(tmp_path / "whole")


def test_a_training_that_stops_before_its_schedule_is_measured_by_what_it_saw_and_goes_on(tmp_path, sides):
    trained, measured = sides
    settings = {"horizon": 20, "steps": 20}
    whole = _run(tmp_path / "whole", 1, 20, **settings)
    del trained[:], measured[:]
    first = _run(tmp_path / "parts", 1, 8, **settings)
    assert (set(trained), set(measured)) == ({4}, {AtMost})
    second = _run(tmp_path / "parts", 2, 20, continues=1, **settings)
    assert trained == [4] * 16 + [8] * 4 and AtMost not in measured[-1:]
    assert (first.metrics["valid_loss"] > 0, second.metrics["carried_steps"]) == (True, 8)
    assert _weights(tmp_path / "parts", 2) == _weights(tmp_path / "whole")
    assert second.metrics["valid_loss"] == whole.metrics["valid_loss"]


def test_a_training_that_a_deadline_ended_is_repeated(tmp_path, sides, monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr("netwright.training.standing.Standing.elapsed", lambda _self: next(clock))
    first = _run(tmp_path / "first", steps=90, deadline=60.0)
    assert {4, 8} == set(sides[0]) and first.metrics["steps"] < 60
    ends = [int(first.metrics[name]) for name in ("steps_1", "span_1")]
    bends = [int(first.metrics[name]) for name in sorted(first.metrics) if name.startswith("bend_1_")]
    saw = list(sides[0])
    del sides[0][:]
    _run(tmp_path / "second", steps=90, cuts=((tuple(ends + bends),),))
    assert sides[0] == saw
    assert _weights(tmp_path / "first") == _weights(tmp_path / "second")


NUMBERS = pace.Pace(*(10 * number for number in pace.USUAL.numbers)).numbers


def _length(budget, **options):
    given = {**CONSTANT, "pace": NUMBERS, "early_size": SHARE, **options}
    evaluator = Training(SPACE, TASK, **given)
    trial = Trial(1, Proposal(GENOTYPE, budget=budget), "key", 7, "running")
    return evaluator._length(trial, evaluator._epochs(trial, 0))


def _seconds():
    """Of steps on whole images and on smaller ones, which are made whole."""
    own, plan = pace.Pace.of(NUMBERS), SPACE.plan(GENOTYPE, TASK.io)
    plans = plan, resized(plan, Image(1, 4, 4))
    return [own.seconds(pace.costs(each, 25, made=TASK.io.input)) for each in plans]


def test_a_training_that_is_to_end_before_the_state_that_it_begins_from_is_refused(tmp_path):
    """As by a timetable that was played with whole images, of which a state had fewer steps."""
    _run(tmp_path, 1, 9, steps=20, horizon=20)
    (tmp_path / "states").mkdir()
    shutil.copy(promotion.end_of(tmp_path / "trials" / "000001", 0), promotion.begun_of(tmp_path / "states", "key", 0))
    with pytest.raises(BadReference, match="ends the training at step 6, but it goes on from step 9; leave it out"):
        _run(tmp_path, 2, begin="states", steps=20, cuts=((), ((6, 6),)))


def test_steps_of_a_budget_are_told_by_what_its_images_cost():
    whole, small = _seconds()
    assert whole > 1.05 * small
    mean = 0.25 * whole + 0.75 * small
    assert _length(60) == (round(60 / mean),) * 2, "a schedule of its own"
    assert _length(60, cooldown=0.0).steps == round(60 / small)
    assert _length(60, early_size=1.0).steps == round(60 / whole)
    span = round(600 / mean)
    for budget in (6, 100, 400, 500, 590, 599, 600):
        steps, spanned = _length(budget, horizon=600)
        assert spanned == span
        early = min(steps, 0.75 * span)
        assert early * small + (steps - early) * whole == pytest.approx(budget, abs=whole)
    steps = [_length(budget, horizon=600).steps for budget in range(1, 601, 11)] + [_length(600, horizon=600).steps]
    assert steps == sorted(steps) and steps[-1] == span, "more seconds are never fewer steps"


@pytest.mark.parametrize("cooldown", [0.0, 0.25])
def test_promotions_go_on_where_budgets_are_seconds(tmp_path, sides, cooldown):
    settings = {"pace": tuple(8 * number for number in NUMBERS), "horizon": 9, "cooldown": cooldown}
    whole = _run(tmp_path / "whole", 1, 9, **settings)
    seen = list(sides[0])
    del sides[0][:]
    for number, budget in enumerate((1, 3, 9), 1):
        found = _run(tmp_path / "parts", number, budget, number - 1 or None, **settings)
    assert sides[0] == seen and found.message == ""
    assert found.metrics["valid_loss"] == whole.metrics["valid_loss"]
    assert _weights(tmp_path / "parts", 3) == _weights(tmp_path / "whole")


def test_a_training_that_goes_on_within_its_cooldown_knows_that_its_steps_are_long_already(tmp_path, monkeypatch):
    told = []

    def noted(seconds, elapsed, measuring, start, dearer):
        told.append((start, dearer))
        return deadline(seconds, elapsed, measuring, start, dearer)

    deadline = training.Deadline
    monkeypatch.setattr(training, "Deadline", noted)
    whole, small = _seconds()
    _run(tmp_path, 1, None, steps=20, deadline=1e6)
    _run(tmp_path, 2, 18, steps=20, horizon=20, deadline=1e6)
    _run(tmp_path, 3, 20, continues=2, steps=20, horizon=20, deadline=1e6)
    _run(tmp_path, 4, None, steps=20, deadline=1e6, early_size=1.0)
    assert told[0] == (0, pytest.approx(whole / small)), "the pace is in the usual proportions"
    assert told[1:] == [(0, 1.0), (18, 1.0), (0, 1.0)], "none that is to come, or none that is dearer"


@pytest.mark.parametrize("share", [SHARE, 1.0])
def test_an_exponential_average_begins_anew_with_whole_images(tmp_path, monkeypatch, share):
    """What it has of smaller ones would take long to be forgotten; without these it goes on as ever."""
    given = []
    make = training.made.descent
    monkeypatch.setattr(training.made, "descent", lambda *args: (given.append(args[6]), make(*args))[1])
    _run(tmp_path, early_size=share, averaging=0.0, ema=0.999, steps=20)
    assert [given[0](step) for step in (15, 16, 19)] == ([15, 0, 3] if share < 1 else [15, 16, 19])


def test_a_recorded_step_is_let_go_where_the_size_changes():
    linear = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))
    small = Resizing(Image(1, 4, 4), lambda step: step < 2)
    descent = Descent(linear, Classes(), torch.optim.SGD(linear.parameters(), 0.1), steps=4, resizing=small)
    released = []
    descent.release = lambda: released.append(descent._form)
    descent._outputs = Compiled(linear, lambda module: module)
    made = []
    for step in range(4):
        descent(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), step, 2)
        made.append(descent._outputs)
    assert released == [None, (1, 4, 4)]
    assert not isinstance(made[-1], Compiled), "what was compiled for one size is made anew for the other"


def test_teachers_see_images_of_the_size_that_they_were_trained_on(tmp_path):
    io = IO(1, 8, 8, 3)
    trained = SPACE.build(GENOTYPE, io, seeds.rng_for(7, seeds.BUILD))
    checkpoint.write_weights(tmp_path / "weights.safetensors", trained)
    images = torch.rand(2, 1, 8, 8)
    for share in (SHARE, 1.0):
        given = Trained(GENOTYPE, 7, tmp_path / "weights.safetensors", share)
        distillation.write(tmp_path / "teachers", [given])
        seen = resizing.at_most(images, Image(1, 4, 4)) if share < 1 else images
        expected = trained.eval()(seen).log_softmax(1)
        found = distillation.read(tmp_path / "teachers", SPACE, io)
        assert torch.allclose(found(images), expected, atol=1e-5)
        assert torch.allclose(found(seen), expected, atol=1e-5), "nor do smaller ones become smaller again"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"early_size": 0.0}, "evaluator.early_size is 0.0; it is a share of an image's sides, above 0 and at most 1"),
        ({"early_size": 1.5}, "above 0 and at most 1"),
        (
            {"early_size": 0.8},
            "but images of 8x8 pixels are no smaller by it in multiples of 4; give a smaller share, or 1",
        ),
        ({"schedule": "cosine", "cooldown": 0.0}, 'give evaluator.schedule "constant" and evaluator.cooldown 0.2'),
        ({"split": "test", "cooldown": 0.0}, "would never have seen whole images; give evaluator.cooldown 0.2, or set"),
        ({"keep_best": True}, "keep_best, reloads and non_monotone compare weights on the way"),
    ],
)
def test_what_does_not_go_with_smaller_images_is_refused(given, message):
    with pytest.raises(BadReference, match=message):
        Training(SPACE, TASK, **{**CONSTANT, "early_size": SHARE, **given})


def test_only_images_can_be_smaller():
    text = IO(Tokens(10, 8), Kinds(2))
    with pytest.raises(BadReference, match=r"evaluator.early_size is 0.5, but sequences have no sides; leave it out"):
        resizing.check(SHARE, "constant", text, validates=False, ends_whole=True)
