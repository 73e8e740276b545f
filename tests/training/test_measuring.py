"""What is measured at the ends of passes; `tests/evaluators` has whole trainings that measure, stop and go on."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from netwright.core.errors import PutBack
from netwright.core.objectives import Objective
from netwright.training import checkpoint
from netwright.training.best import BestWeights
from netwright.training.descent import Descent
from netwright.training.epochs import EvenEpochs
from netwright.training.loop import At, Diverged, Passes, Progress, Schedule
from netwright.training.measuring import Measuring
from netwright.training.options import Options
from netwright.training.standing import Standing
from netwright.training.stops import Interrupted
from tests.training.test_loop import Line

EPOCHS = EvenEpochs(2)


class Judged(Line):
    measures = (Objective("error", -1),)


def _measuring(place, *, task=None, asked=None, has_curve=True, **options):
    """One of a slope of 1.5, which is off by 0.5 times x; `asked`: called at each batch that is measured."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 1.5)
    task = task or Judged()
    descent = Descent(network, task, torch.optim.SGD(network.parameters(), 0.01), steps=8)
    stops = SimpleNamespace(during_measurement=asked or (lambda: None))
    state = Standing(None, 7, "key")
    given = Options(batch=2, **options)
    return Measuring(given, task, descent, state, stops, place and (lambda: place), has_curve=has_curve), state, network


def _end(step):
    return At(step, step // 2 - 1, 2, torch.tensor(1.0), 2 * step, 1.0, is_look=True, ends_pass=True)


def _refused():
    raise Interrupted


@pytest.mark.parametrize(("has_curve", "is_first", "points"), [(1, 1, [4, 8]), (0, 1, []), (1, 0, [8])])
def test_a_curve_has_a_point_where_it_is_due_and_at_the_end(tmp_path, has_curve, is_first, points):
    place = tmp_path / "checkpoint" if is_first else None
    measuring, state, _ = _measuring(place, has_curve=has_curve, curve_every=2)
    for step in (2, 4, 6, 8):
        measuring.end_of_pass(_end(step), EPOCHS, is_last=step == 8)
    assert measuring.end(_end(8)) == {"valid_error": pytest.approx(1.25), "valid_target": 5.0}
    assert [step for step, _ in state.curve] == points


def test_every_pass_is_validated_once_whoever_went_on(tmp_path):
    measuring, state, network = _measuring(tmp_path / "checkpoint", keep_best=True)
    measuring.end_of_pass(_end(2), EPOCHS, is_last=False)
    nn.init.constant_(network.weight, 0.0)
    measuring.end_of_pass(_end(4), EPOCHS, is_last=False)
    measuring.end_of_pass(_end(4), EPOCHS, is_last=False)  # met again after an interruption
    assert state.curve == [(2, pytest.approx(1.25)), (4, 5.0)]
    assert (state.record.best, state.record.step, state.record.seen) == (pytest.approx(-1.25), 2, 4)


def test_the_best_weights_are_measured_and_the_training_keeps_its_own(tmp_path):
    measuring, _, network = _measuring(tmp_path / "checkpoint", keep_best=True)
    measuring._descent.best = BestWeights(network)
    measuring.end_of_pass(_end(2), EPOCHS, is_last=False)
    nn.init.constant_(network.weight, 0.0)
    assert measuring.end(_end(4))["valid_error"] == pytest.approx(1.25)
    assert network.weight.item() == 0.0


@pytest.mark.parametrize("options", [{"curve_every": 1}, {"keep_best": True}])
def test_an_interrupted_measurement_leaves_what_was_before_it(tmp_path, options):
    place = tmp_path / "checkpoint"
    measuring, state, _ = _measuring(place, asked=_refused, **options)
    with pytest.raises(PutBack, match="stopped at step 2, to go on from there"):
        measuring.end_of_pass(_end(2), EPOCHS, is_last=False)
    assert checkpoint.read_facts(place)["progress"]["step"] == 2
    assert state.curve == [] and state.record.seen == 0
    elsewhere, *_ = _measuring(None, asked=_refused)
    with pytest.raises(PutBack):
        elsewhere.end(_end(2))
    assert list(tmp_path.iterdir()) == [place], "another process of the team writes nothing"


@pytest.mark.parametrize("reloads", [0, 2])
def test_a_training_goes_on_from_its_best_weights_as_often_as_it_may(tmp_path, reloads):
    task = Judged([[1.0, 2.0], [1.0, math.inf]])
    measuring, state, network = _measuring(tmp_path / "checkpoint", task=task, keep_best=True, reloads=reloads)
    measuring._descent.best = BestWeights(network)
    measuring._descent.best.take()
    state.record = state.record._replace(best=0.0, step=1, loss=1.0)
    passes = Passes(task, "train", 2, lambda _epoch: None)
    with pytest.raises(Diverged):
        list(measuring.moments(passes, Schedule(8, lambda _step: 1.0), Progress()))
    assert len(state.record.reloaded) == reloads
