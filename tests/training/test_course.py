"""The course of a training that is shortened."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.training import schedules
from netwright.training.course import Cut, Deadline, FlexibleSchedule, Stall
from netwright.training.lengths import Length
from netwright.training.loop import At

COOLDOWNS = st.floats(0.0, 0.9)


def _course(steps, cooldown, cut=None, span=None):
    rates = lambda step, span: schedules.constant(step, span, cooldown)  # noqa: E731
    return FlexibleSchedule(Length(steps, span or steps), rates, cooldown, cut)


@given(steps=st.integers(2, 2000), share=st.floats(0.001, 1.0), cooldown=COOLDOWNS)
def test_a_shortened_training_is_the_one_that_was_planned_so_short(steps, share, cooldown):
    at = max(1, math.floor(share * (1 - cooldown) * steps))
    course = _course(steps, cooldown)
    rates = [course.factor(step) for step in range(at)]
    course.shorten(at, "deadline")
    rates += [course.factor(step) for step in range(at, course.steps)]
    assert at <= course.steps <= steps
    assert rates == [_course(course.steps, cooldown).factor(step) for step in range(course.steps)]
    again = _course(steps, cooldown, cut=course.cut)
    assert (again.steps, again.span, again.cut) == (course.steps, course.span, course.cut)


@given(steps=st.integers(2, 2000), share=st.floats(0.001, 1.0), cooldown=COOLDOWNS)
def test_averages_begin_anew_where_the_rate_begins_to_fall(steps, share, cooldown):
    course = _course(steps, cooldown)
    at = max(1, math.floor(share * (1 - cooldown) * steps))
    found = [course.updates(step) for step in range(at)]
    course.shorten(at, "deadline")
    found += [course.updates(step) for step in range(at, course.steps)]
    fall = [step for step in range(course.steps) if course.factor(step) < 1]
    if cooldown:  # rounding may show or hide a fall by one step
        before = found.index(0, 1) if 0 in found[1:] else course.steps
        assert abs(before - (fall[0] if fall else course.steps)) <= 1
        assert found == [*range(before), *range(course.steps - before)]
    else:
        assert found == [*range(course.steps)]
    assert found == [_course(course.steps, cooldown).updates(step) for step in range(course.steps)]
    assert _course(steps, cooldown, span=2 * steps).updates(steps - 1) == steps - 1, "below the horizon nothing falls"


@given(steps=st.integers(50, 3000), cooldown=COOLDOWNS, share=st.floats(0.1, 3.0), each=st.floats(0.01, 10.0))
def test_a_training_fills_its_time_and_no_more(steps, cooldown, share, each):
    course, elapsed = _course(steps, cooldown), [0.0]
    seconds = share * steps * each
    deadline = Deadline(seconds, lambda: elapsed[0], measuring=2.0, start=0)
    step = 0
    while step < course.steps:
        step += 1
        elapsed[0] += each
        if step == course.steps:
            break
        if course.is_cooling(step):
            if deadline.is_over(step):
                course.stop(step)
        elif course.must_cool(step, deadline.possible(step)):
            course.shorten(step, "deadline")
    assert elapsed[0] + 2 * each <= max(seconds, 4 * each) + each + 1e-6 or step == steps, "to a step"
    assert step >= min(steps, 0.98 * share * steps - 3 - 1 / (1 - cooldown))
    assert course.cut is not None or step == steps


@given(start=st.integers(0, 5000), left=st.integers(100, 3000), first=st.floats(1.0, 40.0))
def test_a_first_step_that_is_slow_does_not_end_a_training_that_goes_on(start, left, first):
    course, elapsed = _course(start + 2 * left, 0.2), [0.0]
    deadline = Deadline(float(left), lambda: elapsed[0], measuring=0.0, start=start)
    step = start
    while step < course.steps:
        step += 1
        elapsed[0] += first if step == start + 1 else 1.0
        if course.is_cooling(step):
            if deadline.is_over(step):
                course.stop(step)
        elif course.must_cool(step, deadline.possible(step)):
            course.shorten(step, "deadline")
    assert step - start >= 0.98 * left - first - 3, "all of the time is used"
    assert elapsed[0] <= left + 1


def test_a_machine_that_is_busy_at_first_does_not_end_a_training_that_goes_on():
    course, elapsed, start = _course(5000, 0.2), [0.0], 500
    deadline = Deadline(80.0, lambda: elapsed[0], measuring=0.0, start=start)
    step = start
    while step < course.steps:
        step += 1
        elapsed[0] += 1.4 if step - start in (2, 3, 4) else 0.02
        if course.is_cooling(step):
            if deadline.is_over(step):
                course.stop(step)
        elif course.must_cool(step, deadline.possible(step)):
            course.shorten(step, "deadline")
    assert 75.0 <= elapsed[0] <= 81.0


def test_a_machine_that_becomes_slower_breaks_the_cooldown_off():
    course = _course(100, 0.5)
    course.shorten(20, "deadline")
    assert (course.steps, course.is_cooling(20), course.is_cooling(21)) == (40, False, True)
    course.stop(30)
    assert course.cut == Cut(30, 40, "late")


def test_a_training_that_stops_before_its_schedule_has_no_cooldown():
    course = _course(50, 0.4, span=100)
    course.shorten(20, "plateau")
    assert course.cut == Cut(20, 100, "plateau")
    assert course.factor(19) == 1.0


def test_a_pass_counts_once_and_only_a_gain_of_a_hundredth_is_one():
    stall = Stall()
    for step, loss in ((4, 1.0), (4, 1.0), (8, 0.995), (12, 0.98), (16, 0.98), (20, 0.9799), (20, 0.9799)):
        stall = stall.after(At(step, 0, 1, torch.tensor(loss), 4, 1.0, is_look=True, ends_pass=True))
    assert (stall.least, stall.passes, stall.step) == (pytest.approx(0.98), 2, 20)
