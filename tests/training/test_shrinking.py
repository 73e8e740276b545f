"""Images that are smaller while a rate stays: which, of which networks, and what trainings measure by them."""

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
from netwright.training import checkpoint, distillation, loop, pace, shrinking
from netwright.training.descent import Descent
from netwright.training.distillation import Trained
from netwright.training.shrinking import AtSize, Shrinking
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
    evaluator = Training(space, task, **{**CONSTANT, "shrink": SHARE, **settings})
    asked = Proposal(genotype, budget=budget, continues=continues)
    return evaluator.evaluate(Trial(trial_id, asked, "key", 7, "running"), context)


def _weights(folder, trial_id=1):
    return (folder / "trials" / f"{trial_id:06d}" / checkpoint.WEIGHTS).read_bytes()


@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.01, 1.0))
def test_sides_are_about_their_share_and_can_be_halved(height, width, share):
    found = shrinking.smaller(IO(3, height, width, 5), share)
    assert found.output == IO(3, height, width, 5).output
    for side, small in zip((height, width), found.input[1:], strict=True):
        assert small == side or (small % 4 == 0 and small < side)
        assert small in (4, side) or abs(small - share * side) <= 2


def test_images_are_shrunk_smoothly_and_those_that_are_small_stay():
    images = torch.rand(2, 3, 32, 20)
    found = shrinking.shrunk(images, Image(3, 24, 16))
    assert found.shape == (2, 3, 24, 16)
    assert float(found.mean()) == pytest.approx(float(images.mean()), abs=0.01)
    checkered = (torch.arange(32)[:, None] + torch.arange(32)).remainder(2).float().expand(1, 1, 32, 32)
    assert float((shrinking.shrunk(checkered, Image(1, 16, 16)) - 0.5).abs().max()) < 0.3, "nothing is left out"
    small = torch.rand(2, 3, 24, 16)
    assert shrinking.shrunk(small, Image(3, 24, 16)) is small
    assert shrinking.shrunk(small, Image(3, 24, 12)).shape == (2, 3, 24, 12)
    assert shrinking.shrunk(images.to(memory_format=torch.channels_last), Image(3, 24, 16)).is_contiguous(
        memory_format=torch.channels_last
    )


@pytest.mark.parametrize("space", [MacroSpace(), NasnetSpace(channels=4, repeats=1), HierarchicalSpace(channels=4)])
def test_one_network_takes_both_sizes_as_each_would_its_own(space):
    io = IO(3, 32, 32, 4)
    rng = np.random.default_rng(0)
    genotypes = [*starts_of(space)[:3], *(space.sample(rng) for _ in range(3))]
    for genotype in genotypes:
        small = shrinking.fitting(space, genotype, io, 0.75)
        assert small[0].shape == Image(3, 24, 24)
        whole = space.build(genotype, io, np.random.default_rng(1)).eval()
        own = network.build(small, np.random.default_rng(2)).eval()
        own.load_state_dict(whole.state_dict())
        images = torch.rand(2, 3, 32, 32)
        with torch.no_grad():
            found = AtSize(whole, small[0].shape)(images)
            assert torch.equal(found, own(shrinking.shrunk(images, small[0].shape)))


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
    assert shrinking.fitting(SPACE, GENOTYPE, TASK.io, SHARE)[0].shape == Image(1, 4, 4)
    assert shrinking.fitting(SPACE, GENOTYPE, TASK.io, 1.0) is None
    assert shrinking.fitting(SPACE, GENOTYPE, TASK.io, 0.99) is None, "no multiple of 4 is smaller"
    for space in (WithoutPlan(), Flattening()):
        assert shrinking.fitting(space, GENOTYPE, TASK.io, SHARE) is None
    with pytest.raises(ValueError, match="linear1 has other weights where linear reads other shapes"):
        resized(Flattening().plan(GENOTYPE, TASK.io), Image(1, 4, 4))
    whole = _run(tmp_path / "whole", steps=9, shrink=1.0)
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
    assert measured[0] is AtSize and measured[-1] is not AtSize
    assert result.message == "" and [step for step, _ in result.curve] == [8, 16, 20]
    assert _run(tmp_path, 2, steps=20, cooldown=0.0).failure == ""
    assert set(trained[20:]) == {8}, "nothing would bring it back to whole ones"


def test_a_training_that_stops_before_its_schedule_is_measured_by_what_it_saw_and_goes_on(tmp_path, sides):
    trained, measured = sides
    settings = {"horizon": 20, "steps": 20}
    whole = _run(tmp_path / "whole", 1, 20, **settings)
    del trained[:], measured[:]
    first = _run(tmp_path / "parts", 1, 8, **settings)
    assert (set(trained), set(measured)) == ({4}, {AtSize})
    second = _run(tmp_path / "parts", 2, 20, continues=1, **settings)
    assert trained == [4] * 16 + [8] * 4 and AtSize not in measured[-1:]
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


def test_steps_of_a_budget_are_told_by_what_its_images_cost():
    numbers = pace.Pace(*(10 * number for number in pace.USUAL.numbers)).numbers
    options = {**CONSTANT, "pace": numbers, "horizon": 60, "cooldown": 0.25}

    def steps(budget, **more):
        evaluator = Training(SPACE, TASK, **{**options, **more})
        trial = Trial(1, Proposal(GENOTYPE, budget=budget), "key", 7, "running")
        return evaluator._length(trial, evaluator._epochs(trial, 0)).steps

    own = pace.Pace.of(numbers)
    whole, small = (pace.seconds_per_step(SPACE.plan(GENOTYPE, io), 25, own) for io in (TASK.io, IO(1, 4, 4, 10)))
    assert steps(30, shrink=SHARE) == round(30 / small) > steps(30) == round(30 / whole)
    assert steps(60, shrink=SHARE) == round(60 / (0.25 * whole + 0.75 * small))
    assert steps(60, shrink=SHARE, cooldown=0.0) == round(60 / whole)
    trial = Trial(1, Proposal(GENOTYPE), "key", 7, "running")
    assert Training(SPACE, TASK, **options, shrink=SHARE)._dearer(trial) == pytest.approx(whole / small)
    usual = Training(SPACE, TASK, **{**options, "pace": ()}, shrink=SHARE)._dearer(trial)
    assert usual == pytest.approx(whole / small), "the pace given is in the usual proportions"
    assert Training(SPACE, TASK, **options)._dearer(trial) == 1


def test_a_recorded_step_is_let_go_where_the_size_changes():
    linear = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))
    small = Shrinking(Image(1, 4, 4), lambda step: step < 2)
    descent = Descent(linear, Classes(), torch.optim.SGD(linear.parameters(), 0.1), steps=4, shrinking=small)
    released = []
    descent.release = lambda: released.append(descent._form)
    for step in range(4):
        descent(torch.rand(2, 1, 8, 8), torch.tensor([0, 1]), step, 2)
    assert released == [None, (1, 4, 4)]


def test_teachers_see_images_of_the_size_that_they_were_trained_on(tmp_path):
    io = IO(1, 8, 8, 3)
    trained = SPACE.build(GENOTYPE, io, seeds.rng_for(7, seeds.BUILD))
    checkpoint.write_weights(tmp_path / "weights.safetensors", trained)
    images = torch.rand(2, 1, 8, 8)
    for shrink in (SHARE, 1.0):
        given = Trained(GENOTYPE, 7, tmp_path / "weights.safetensors", shrink)
        distillation.write(tmp_path / "teachers", [given])
        seen = shrinking.shrunk(images, Image(1, 4, 4)) if shrink < 1 else images
        expected = trained.eval()(seen).log_softmax(1)
        found = distillation.read(tmp_path / "teachers", SPACE, io)
        assert torch.allclose(found(images), expected, atol=1e-5)
        assert torch.allclose(found(seen), expected, atol=1e-5), "nor do smaller ones become smaller again"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"shrink": 0.0}, "evaluator.shrink is 0.0; it is a share of an image's sides, above 0 and at most 1"),
        ({"shrink": 1.5}, "above 0 and at most 1"),
        ({"shrink": 0.8}, "but images of 8x8 pixels are no smaller by it in multiples of 4; give a smaller share"),
        ({"schedule": "cosine", "cooldown": 0.0}, 'give evaluator.schedule "constant", or leave shrink out'),
        ({"keep_best": True}, "keep_best, reloads and non_monotone compare weights on the way"),
    ],
)
def test_what_does_not_go_with_smaller_images_is_refused(given, message):
    with pytest.raises(BadReference, match=message):
        Training(SPACE, TASK, **{**CONSTANT, "shrink": SHARE, **given})


def test_only_images_can_be_smaller():
    text = IO(Tokens(10, 8), Kinds(2))
    with pytest.raises(BadReference, match=r"evaluator.shrink is 0.5, but sequences have no sides; leave it out"):
        shrinking.check(SHARE, "constant", text, validates=False)
