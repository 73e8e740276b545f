"""Courses survive JSON, and are cut where a shorter search would have ended."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.comparison import courses
from netwright.comparison.courses import Course, SearchCell

CELL = SearchCell("aging(population=10,sample=3)", "nats_tss cifar10", 7)
numbers = st.floats(allow_infinity=False, width=64)


def made(signals, finals=None, costs=(), ending="trials", failed=(), **more):
    signals = np.array(signals, float)
    finals = signals + 1 if finals is None else np.array(finals, float)
    is_failed = np.isin(np.arange(len(signals)), failed) if failed else np.zeros(0, bool)
    elapsed = 10 * np.arange(1, len(signals) + 1)
    is_repeat = np.zeros(len(signals), bool)
    return Course(signals, finals, is_repeat, ending, elapsed, np.array(costs, float), is_failed=is_failed, **more)


def same(one, other):
    return courses.to_line(CELL, one) == courses.to_line(CELL, other)


@given(st.lists(st.tuples(numbers, numbers, st.booleans(), numbers), max_size=8), st.booleans(), st.text(max_size=20))
def test_a_course_is_read_back_as_it_was_written(trials, has_more, message):
    columns = np.array([(s, f, c) for s, f, _, c in trials], float).reshape(-1, 3).T
    costs, values = (columns[2], columns[0] / 2) if has_more else (np.zeros(0), np.zeros(0))
    is_repeat = np.array([repeat for *_, repeat, _ in trials], bool)
    elapsed = np.cumsum(np.arange(len(trials), dtype=np.int64))
    is_failed = ~is_repeat if is_repeat.any() and not is_repeat.all() else np.zeros(0, bool)
    others = columns[1:].T if has_more else np.zeros((0, 0))
    head = (columns[0], columns[1], is_repeat, "exhausted", elapsed, costs, values, is_failed)
    course = Course(*head, message, "ab12", others)
    line = courses.to_line(CELL, course)
    assert "\n" not in line and "NaN" not in line
    cell, again = courses.from_line(line)
    assert cell == CELL
    for name in ("signals", "finals", "is_repeat", "elapsed", "costs", "values", "others"):
        np.testing.assert_array_equal(getattr(again, name), getattr(course, name))
    assert np.flatnonzero(again.is_failed).tolist() == np.flatnonzero(is_failed).tolist()
    for name in ("ending", "message", "source"):
        assert getattr(again, name) == getattr(course, name)


@pytest.mark.parametrize(
    "line",
    [
        *("", "{}", "[]", "7", "{", '{"fault": "x"}'),
        courses.to_line(CELL, made([1, 2])).replace("[2.0, 3.0]", "[2.0]"),
        courses.to_line(CELL, made([1, 2])).replace("[2.0, 3.0]", '[2.0, "x"]'),
        courses.to_line(CELL, made([1, 2])).replace("[10, 10]", "[10]"),
        courses.to_line(CELL, made([1, 2], others=np.array([[1.5], [2.5]]))).replace("[1.5, 2.5]", "[1.5]"),
        courses.to_line(CELL, made([1, 2], failed=[1])).replace('"failed": [1]', '"failed": [2]'),
        courses.to_line(CELL, made([1, 2]))[:-5],
    ],
)
def test_anything_else_is_refused(line):
    with pytest.raises(ValueError, match="it is no cell of a comparison"):
        courses.from_line(line)


@pytest.mark.parametrize("name", [CELL.strategy, 'x:Y(a="b\\"c",d=[1,2])', "ü"])
def test_a_damaged_line_tells_its_cell_while_its_beginning_is_whole(name):
    cell = SearchCell(name, "t", 7)
    line = courses.to_line(cell, made([1, 2]))
    for damaged in (line[:-1], line.replace('"finals"', '"funals"'), line[: line.index("signals")]):
        assert courses.cell_of(damaged) == cell
    for damaged in ("", line[1:], line[: line.index('"seed": 7,') + 9], line.replace('": 7', '": x')):
        assert courses.cell_of(damaged) is None


def test_failures_and_times_are_cut_with_their_trials():
    course = made([1, 2, 3, 4], failed=[1, 3], message="missing", others=np.arange(4.0)[:, None])
    cut = courses.cut(course, 2, None)
    assert cut.is_failed.tolist() == [False, True] and cut.elapsed.tolist() == [10, 20]
    assert not courses.cut(course, 1, None).is_failed.any() and cut.others.tolist() == [[0], [1]]


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
