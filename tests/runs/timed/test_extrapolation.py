import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core.objectives import Objective
from netwright.runs.timed.extrapolation import STEEPEST, TwoPoints, drawn, factors

POSITIVE = st.floats(1e-3, 1e3)


def test_a_power_law_goes_on_as_one():
    """A loss of 3 / t ** 0.25 after t steps."""
    points = TwoPoints(100.0, 3 * 100**-0.25, 10.0, 3 * 10**-0.25)
    assert points.slope == pytest.approx(0.25)
    assert factors({"a": points}, {"a": 4.0})["a"] * points.loss == pytest.approx(3 * 400**-0.25)


def test_nothing_is_drawn_further_than_it_was_seen():
    points = TwoPoints(30.0, 1.0, 10.0, 1.2)
    far, farther = (factors({"a": points}, {"a": times})["a"] for times in (3.0, 300.0))
    assert far == farther == pytest.approx(1 / 1.2)


def test_a_course_that_is_not_known_is_that_of_the_others():
    known = {"a": TwoPoints(100.0, 1.0, 10.0, 10**0.2), "b": TwoPoints(100.0, 1.0, 10.0, 10**0.4)}
    found = factors({**known, "c": None, "d": TwoPoints(5.0, 1.0, 10.0, 2.0)}, dict.fromkeys("abcd", 2.0))
    assert found["c"] == found["d"] == pytest.approx(2**-0.3)
    assert factors({"a": None, "b": None}, {"a": 2.0, "b": 4.0}) == {"a": 1.0, "b": 1.0}


def test_a_network_that_had_learned_nothing_is_not_expected_to_go_on_like_that():
    """The loss of 62 classes by chance, and after training: an exponent of 0.77."""
    assert TwoPoints(132.0, 0.554, 10.0, math.log(62)).slope == STEEPEST


@given(st.lists(st.tuples(POSITIVE, POSITIVE, POSITIVE, POSITIVE, st.floats(1, 50)), min_size=1, max_size=5))
def test_factors_are_at_most_one_and_fall_with_time(given_points):
    points = {place: TwoPoints(*each[:4]) for place, each in enumerate(given_points)}
    longer = {place: each[4] for place, each in enumerate(given_points)}
    found, more = factors(points, longer), factors(points, {place: 2 * each for place, each in longer.items()})
    for place in points:
        assert 0 < more[place] <= found[place] <= 1


@pytest.mark.parametrize(
    ("objective", "value", "expected"),
    [
        (Objective("valid_accuracy", shown="share"), 0.8, 0.9),
        (Objective("valid_error", -1, shown="share"), 0.2, 0.1),
        (Objective("valid_loss", -1), 3.0, 1.5),
        (Objective("params", -1), 7.0, 7.0),
    ],
)
def test_errors_shrink_with_the_loss(objective, value, expected):
    assert drawn(value, objective, 0.5) == pytest.approx(expected)
    assert drawn(value, objective, 1.0) == value


@given(st.floats(0, 1))
def test_where_nothing_is_gained_a_value_stays_exactly(value):
    assert drawn(value, Objective("valid_accuracy", shown="share"), 1.0) == value
