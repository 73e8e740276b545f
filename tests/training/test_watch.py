"""What is done between steps; that checkpoints hold what is needed is tested in tests/evaluators/test_training.py."""

from types import SimpleNamespace

import pytest
from torch import nn

from netwright.training.loop import Progress
from netwright.training.standing import Standing
from netwright.training.watch import Watch


class Told:
    """A context that notes what it is told."""

    def __init__(self, folder):
        self.folder, self.steps = folder, []

    def report(self, step, metrics):
        self.steps.append(step)
        return step < 100


@pytest.fixture
def written(monkeypatch):
    """Names and steps of the checkpoints."""
    found = []
    monkeypatch.setattr(Standing, "write", lambda self, path, *made: found.append((path.name, made[3].step)))
    return found


def _watch(context, state, **settings):
    network = nn.Linear(1, 1)
    fixed = {"steps": 20, "span": 20, "per_epoch": 5, "curve_every": 2, "minutes": 1e-9}
    return Watch(state, context, network, None, SimpleNamespace(), **{**fixed, **settings}, measure=lambda: {"a": 0.5})


def test_the_curve_has_a_point_after_every_so_many_epochs_and_none_at_the_end(tmp_path):
    watch = _watch(Told(tmp_path), Standing(None, 0))
    assert [watch.on_epoch(step, 1.0) for step in (5, 10, 15, 20)] == [True] * 4
    assert watch.state.curve == [(10, 0.5)]
    assert watch.context.steps == [5, 10, 15, 20]


def test_later_repeats_have_no_curve_and_go_on_counting(tmp_path):
    watch = _watch(Told(tmp_path), Standing(None, 0, done=[({}, None)] * 5))
    assert watch.on_epoch(10, 1.0) is False, "as the context says"
    assert (watch.state.curve, watch.context.steps) == ([], [110])


def test_who_is_not_first_of_its_team_says_measures_and_writes_nothing(written):
    watch = _watch(None, Standing(None, 0), span=40)
    assert watch.on_epoch(10, 1.0)
    assert not watch.is_due(20)
    watch.save(Progress(20))
    assert (watch.state.curve, written) == ([], [])


def test_a_training_that_ends_before_its_schedule_leaves_where_it_stands(tmp_path, written):
    watch = _watch(Told(tmp_path), Standing(None, 0), span=40)
    assert [watch.is_due(step) for step in (19, 20)] == [False, True]
    watch.save(Progress(20))
    assert written == [("end-0.safetensors", 20)]
    assert not _watch(Told(tmp_path), Standing(None, 0), span=20).is_due(20)


@pytest.mark.parametrize(("minutes", "saved"), [(1e-9, [("c", 3)]), (1e9, [])])
def test_a_checkpoint_is_written_when_its_time_has_come_and_said_to_be(tmp_path, written, minutes, saved):
    watch = _watch(Told(tmp_path), Standing(tmp_path / "c", 0), minutes=minutes)
    assert watch.is_due(3) is bool(saved)
    watch.save(Progress(3))
    assert written == saved
    assert watch.context.steps == [step for _, step in saved]
