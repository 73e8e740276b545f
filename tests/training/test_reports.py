"""What is said while a training goes on, and how often."""

import pytest
import torch

from netwright.training import reports
from netwright.training.loop import At
from netwright.training.reports import Alarm, Reports


class Told:
    """A context that notes what it is told."""

    def __init__(self):
        self.said = []

    def report(self, step, metrics):
        self.said.append((step, dict(metrics)))
        return step < 100


@pytest.fixture
def clock(monkeypatch):
    """Seconds, set by hand."""
    now = [1000.0]
    monkeypatch.setattr(reports.time, "monotonic", lambda: now[0])
    return now


def _at(step, *, ends_pass=False):
    return At(step, 0, 4, torch.tensor(8.0), 10, 1.0, is_look=True, ends_pass=ends_pass)


def test_an_alarm_rings_once_each_time_that_so_many_seconds_have_passed(clock):
    alarm, rung = Alarm(5.0), []
    for second in range(12):
        clock[0] = 1000.0 + second
        rung.append(alarm.rings())
    assert [second for second, rang in enumerate(rung) if rang] == [5, 10]


def test_every_pass_is_reported_with_its_mean_loss_and_looks_now_and_then(clock):
    context = Told()
    told = Reports(context, 0, lambda: 400)
    assert told.of(_at(20))
    assert told.of(_at(24, ends_pass=True))
    clock[0] += reports.WITHIN_PASS
    assert told.of(_at(40))
    assert told.of(_at(60))
    assert context.said == [(24, {"train_loss": 2.0, "steps": 400}), (40, {"train_loss": 2.0, "steps": 400})]


def test_later_trainings_of_a_trial_go_on_counting_and_may_be_stopped(clock):
    context = Told()
    assert Reports(context, 100, lambda: 400).of(_at(10, ends_pass=True)) is False, "as the context says"
    assert Reports(context, 50, lambda: 400).say(10)
    assert context.said == [(110, {"train_loss": 2.0, "steps": 400}), (60, {"steps": 400})]


def test_what_earlier_trainings_measured_is_said_with_each_loss(clock):
    context = Told()
    assert Reports(context, 50, lambda: 99, {"valid_accuracy_so_far": 0.5}).of(_at(4, ends_pass=True))
    assert context.said == [(54, {"train_loss": 2.0, "valid_accuracy_so_far": 0.5, "steps": 99})]


def test_who_is_not_first_of_its_team_says_nothing_and_never_waits_for_the_device():
    unread = At(20, 0, 4, None, 10, 1.0, is_look=True, ends_pass=True)
    assert Reports(None, 0, lambda: 400).of(unread)
    assert Reports(None, 0, lambda: 400).say(20)
