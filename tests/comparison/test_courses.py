"""Courses survive JSON, and are cut where a shorter search would have ended."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.comparison import courses
from netwright.comparison.courses import Cell, Course

CELL = Cell("aging(population=10,sample=3)", "nats_tss cifar10", 7)
numbers = st.floats(allow_infinity=False, width=64)


def made(signals, finals=None, costs=(), ending="trials", **more):
    signals = np.array(signals, float)
    finals = signals + 1 if finals is None else np.array(finals, float)
    return Course(signals, finals, np.zeros(len(signals), bool), ending, 1e-5, np.array(costs, float), **more)


def same(one, other):
    return courses.to_line(CELL, one) == courses.to_line(CELL, other)


@given(st.lists(st.tuples(numbers, numbers, st.booleans(), numbers), max_size=8), st.booleans(), st.text(max_size=20))
def test_a_course_is_read_back_as_it_was_written(trials, has_more, message):
    columns = np.array([(s, f, c) for s, f, _, c in trials], float).reshape(-1, 3).T
    costs, values = (columns[2], columns[0] / 2) if has_more else (np.zeros(0), np.zeros(0))
    is_repeat = np.array([repeat for *_, repeat, _ in trials], bool)
    course = Course(columns[0], columns[1], is_repeat, "exhausted", 0.25, costs, values, 3, message, "ab12")
    line = courses.to_line(CELL, course)
    assert "\n" not in line and "NaN" not in line
    cell, again = courses.from_line(line)
    assert cell == CELL
    for name in ("signals", "finals", "is_repeat", "costs", "values"):
        np.testing.assert_array_equal(getattr(again, name), getattr(course, name))
    for name in ("ending", "seconds", "failures", "message", "source"):
        assert getattr(again, name) == getattr(course, name)


@pytest.mark.parametrize(
    "line",
    [
        *("", "{}", "[]", "7", "{", '{"fault": "x"}'),
        courses.to_line(CELL, made([1, 2])).replace("[2.0, 3.0]", "[2.0]"),
        courses.to_line(CELL, made([1, 2])).replace("[2.0, 3.0]", '[2.0, "x"]'),
        courses.to_line(CELL, made([1, 2]))[:-5],
    ],
)
def test_anything_else_is_refused(line):
    with pytest.raises(ValueError, match="it is no cell of a comparison"):
        courses.from_line(line)


def test_a_course_is_cut_after_trials():
    course = made([1, 2, 3, 4], costs=[5, 5, 5, 5])
    assert same(courses.cut(course, 3, None), made([1, 2, 3], costs=[5, 5, 5]))
    assert courses.cut(course, 4, None) is course
    assert courses.cut(course, 5, None) is None, "a longer search would have gone on"


def test_a_course_is_cut_with_the_trial_that_reaches_the_seconds():
    course = made([1, 2, 3, 4], costs=[5, 5, 5, 5])
    assert same(courses.cut(course, None, 10), made([1, 2], costs=[5, 5], ending="table_seconds"))
    assert same(courses.cut(course, None, 10.1), made([1, 2, 3], costs=[5, 5, 5], ending="table_seconds"))
    assert same(courses.cut(course, 2, 11), made([1, 2], costs=[5, 5])), "whichever comes first"
    assert courses.cut(course, None, 21) is None
    assert courses.cut(made([1, 2]), None, 1) is None, "without costs nobody can tell"


def test_an_exhausted_search_is_whole_whatever_the_limits():
    course = made([1, 2, 3], costs=[5, 5, 5], ending="exhausted")
    assert courses.cut(course, 100, 1000) is course
    assert courses.cut(course, 2, None).ending == "trials"
    assert courses.cut(made([], ending="exhausted"), 5, None).signals.shape == (0,)
