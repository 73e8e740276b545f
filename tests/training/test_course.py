"""The course of a training that is shortened."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.training import schedules
from netwright.training.course import Cut, Deadline, FlexibleSchedule, Stall, end_of
from netwright.training.ending import Ending
from netwright.training.lengths import Length
from netwright.training.loop import At
from netwright.training.parallel import ALONE
from netwright.training.standing import Standing

COOLDOWNS = st.floats(0.0, 0.9)


def _course(steps, cooldown, cut=None, span=None):
    rates = lambda step, span: schedules.constant(step, span, cooldown)  # noqa: E731
    return FlexibleSchedule(Length(steps, span or steps), rates, cooldown, cut)


def _played(course, seconds, each, measuring=0.0, start=0, dearer=1.0):
    """Train until the course ends, `each` telling what a step takes; returns step, seconds, and the last factor."""
    elapsed = [0.0]
    deadline = Deadline(seconds, lambda: elapsed[0], measuring, start, dearer)
    ending, step, factor = Ending(course, Standing(None, 0), ALONE, deadline), start, 1.0
    while step < course.steps:
        factor = course.factor(step)
        step += 1
        elapsed[0] += each(step)
        ending.look(At(step, 0, 1, torch.tensor(1.0), step, elapsed[0], is_look=False))
    return step, elapsed[0], factor


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
    part, whole = _course(steps, cooldown, span=2 * steps), _course(2 * steps, cooldown)
    assert [part.updates(step) for step in range(steps)] == [whole.updates(step) for step in range(steps)]
    assert [part.factor(step) for step in range(steps)] == [whole.factor(step) for step in range(steps)]


@given(steps=st.integers(50, 3000), cooldown=COOLDOWNS, share=st.floats(0.1, 3.0), each=st.floats(0.01, 10.0))
def test_a_training_fills_its_time_and_no_more(steps, cooldown, share, each):
    course, seconds = _course(steps, cooldown), share * steps * each
    step, elapsed, _ = _played(course, seconds, lambda _step: each, measuring=2.0)
    assert elapsed + 2 * each <= max(seconds, 4 * each) + each + 1e-6 or step == steps, "to a step"
    assert step >= min(steps, 0.98 * share * steps - 3 - 1 / (1 - cooldown))
    assert course.cut is not None or step == steps


@given(start=st.integers(0, 5000), left=st.integers(100, 3000), first=st.floats(1.0, 40.0))
def test_a_first_step_that_is_slow_does_not_end_a_training_that_goes_on(start, left, first):
    course = _course(start + 2 * left, 0.2)
    step, elapsed, _ = _played(course, float(left), lambda step: first if step == start + 1 else 1.0, start=start)
    assert step - start >= 0.98 * left - first - 3, "all of the time is used"
    assert elapsed <= left + 1


def test_a_machine_that_is_busy_at_first_does_not_end_a_training_that_goes_on():
    _, elapsed, _ = _played(_course(5000, 0.2), 80.0, lambda s: 1.4 if s in (502, 503, 504) else 0.02, start=500)
    assert 75.0 <= elapsed <= 81.0


def test_the_noise_of_a_quiet_machine_bends_no_cooldown():
    """Where the speed told from all steps alone decides, two cooldowns of three break off."""
    for seed in range(10):
        rng, course = np.random.default_rng(seed), _course(4000, 0.2)
        _, elapsed, factor = _played(course, 20.0, lambda _step, rng=rng: 0.01 * max(0.3, rng.normal(1, 0.3)))
        assert (course.cut.why, course.cut.bends) == ("deadline", ())
        assert factor < 0.01 and 19.0 < elapsed < 20.0


def test_a_cooldown_begins_by_the_speed_of_late_and_earlier_the_more_steps_differ():
    begun = {}
    for name, each in {
        "even": lambda _step: 1.0,
        "uneven": lambda step: 1.5 if step // 60 % 2 else 0.5,
        "slower": lambda step: 1.0 if step < 300 else 1.25,
    }.items():
        course = _course(4000, 0.2)
        _, elapsed, factor = _played(course, 1000.0, each)
        assert (course.cut.why, course.cut.bends) == ("deadline", ()), name
        assert factor < 0.01 and 900 < elapsed < 1000
        begun[name] = 0.8 * course.cut.span
    assert begun["uneven"] < begun["even"] - 10
    assert begun["slower"] == pytest.approx(0.8 * (300 + 680 / 1.25), abs=5)


@given(dearer=st.floats(1.0, 4.0), cooldown=st.floats(0.05, 0.5), start=st.integers(0, 300), told=st.floats(0.9, 1.1))
def test_a_cooldown_whose_steps_take_longer_begins_so_much_earlier(dearer, cooldown, start, told):
    """On whole images, of which it is known about how much longer they take."""
    course = _course(5000, cooldown)
    each = lambda step: dearer if course.is_cooling(step - 1) else 1.0  # noqa: E731
    step, elapsed, factor = _played(course, 800.0, each, start=start, dearer=max(1.0, told * dearer))
    assert (course.cut.why, factor < 0.1) == ("deadline", True)
    assert 0.88 * 800 < elapsed < 800
    early = [course.is_early(each) for each in range(step + 1)]
    assert early == sorted(early, reverse=True) and sum(early) == pytest.approx((1 - cooldown) * course.span, abs=2)
    if 0.95 < told < 1.05:
        assert not course.cut.bends and elapsed > 0.93 * 800


def test_a_step_is_early_by_the_schedule_wherever_the_training_stops():
    assert [_course(10, 0.2).is_early(step) for step in (0, 8, 9, 10)] == [True, True, False, False]
    assert all(_course(20, 0.0).is_early(step) for step in range(21)), "a rate that never falls"
    for steps in (10, 18, 20):
        found = [_course(steps, 0.2, span=20).is_early(step) for step in range(steps)]
        assert found == [_course(20, 0.2).is_early(step) for step in range(steps)]


@pytest.mark.parametrize("slower", [1.3, 2.0, 4.0])
def test_a_cooldown_that_is_late_comes_to_its_end_all_the_same(slower):
    course = _course(4000, 0.2)
    step, elapsed, factor = _played(course, 1000.0, lambda step: slower if step > 800 else 1.0)
    cut = course.cut
    assert cut.why == "deadline" and cut.bends, "it was shortened, not broken off"
    assert factor < 0.15 and 950 < elapsed < 1000
    assert (step, cut.steps) == (end_of(cut.span, cut.bends),) * 2
    again = _course(4000, 0.2, cut=Cut(cut.steps, cut.span, "repeated", cut.bends))
    rates = [again.factor(step) for step in range(again.steps)]
    assert again.steps == step and rates == sorted(rates, reverse=True) and rates[-1] == factor
    falls = [before - after for before, after in pairwise(rates)]
    assert falls[cut.bends[0] + 1] == pytest.approx(2 * falls[cut.bends[0] - 1]), "twice as steeply"


@given(span=st.integers(2, 300), seed=st.integers(0, 99))
def test_bends_drop_every_second_step_up_to_the_end(span, seed):
    course, rng, whole = _course(span, 0.5), np.random.default_rng(seed), _course(span, 0.5)
    known, step = [], 0
    while step < course.steps:
        known.append(course.factor(step))
        step += 1
        if course.is_cooling(step) and course.steps - step > 1 and rng.random() < 0.1:
            course.bend(step)
    rates = [whole.factor(step) for step in range(span)]
    assert set(known) <= set(rates) and len(known) == step
    assert known == [_course(span, 0.5, cut=course.cut).factor(step) for step in range(step)]


def test_a_machine_that_stands_still_breaks_the_cooldown_off():
    course = _course(4000, 0.2)
    step, _, _ = _played(course, 1000.0, lambda step: 500.0 if step == 850 else 1.0)
    assert (course.cut.why, step) == ("late", 850) and course.cut.span > 950


def test_a_course_can_be_stopped_within_its_cooldown():
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


@pytest.mark.parametrize("cut", [Cut(47, 50, "repeated", (43,)), Cut(45, 50, "late"), Cut(50, 50, "repeated")])
def test_a_course_that_stalled_as_its_cooldown_began_is_repeated_to_its_end(cut):
    course, state = _course(1000, 0.2, cut=cut), Standing(None, 0)
    ending = Ending(course, state, ALONE, plateau=2)
    for step in (20, 30, 40):
        ending.look(At(step, step // 10, 10, torch.tensor(10.0), step, 1.0, is_look=True, ends_pass=True))
    assert state.stall.passes == 2
    assert course.cut._replace(why=cut.why) == cut and (course.steps, course.span) == cut[:2]
    assert course.cut.why == ("plateau" if cut.why == "repeated" else "late")
