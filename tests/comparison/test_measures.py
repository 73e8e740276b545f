"""Incumbents, regrets and means, by hand and against a slow loop."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.comparison import measures
from tests.comparison.test_courses import made

NAN = math.nan
signals = st.lists(st.one_of(st.just(NAN), st.integers(0, 5).map(float)), max_size=12)


def test_the_first_of_equals_is_the_incumbent():
    np.testing.assert_array_equal(measures.incumbents(np.array([NAN, 3, 1, 3, NAN, 4, 4])), [-1, 1, 1, 1, 1, 5, 5])


@given(signals)
def test_the_incumbent_is_what_a_loop_finds(scores):
    expected, best = [], -1
    for place, score in enumerate(scores):
        if not math.isnan(score) and (best < 0 or score > scores[best]):
            best = place
        expected.append(best)
    assert measures.incumbents(np.array(scores)).tolist() == expected


def test_regret_and_final_of_the_incumbent():
    course = made([60, 80, 70, 80, 85], [1, 2, 3, 4, NAN])
    np.testing.assert_array_equal(measures.regret_path(course, 1, 90.0, 7), [30, 10, 10, 10, 5, 5, 5])
    np.testing.assert_array_equal(measures.final_path(course, 1, 7), [1, 2, 2, 2, NAN, NAN, NAN])
    np.testing.assert_array_equal(measures.final_path(course, 1, 3), [1, 2, 2])


def test_lower_is_better_with_a_minus():
    course = made([5, 7, 3], [50, 70, 30])
    np.testing.assert_array_equal(measures.regret_path(course, -1, -2.0, 3), [3, 3, 1])
    np.testing.assert_array_equal(measures.final_path(course, -1, 3), [50, 50, 30])


def test_without_a_success_there_is_no_regret():
    assert np.isnan(measures.regret_path(made([NAN, NAN]), 1, 90.0, 4)).all()
    assert np.isnan(measures.regret_path(made([]), 1, 90.0, 2)).all()
    np.testing.assert_array_equal(measures.regret_path(made([NAN, 80]), 1, 90.0, 2), [NAN, 10])


def test_of_noisy_measurements_the_regret_is_that_of_the_mean():
    """A lucky measurement is above the best of the table, and the regret still not below 0."""
    course = made([88, 95, 93], values=np.array([89.0, 86.0, 90.0]))
    np.testing.assert_array_equal(measures.regret_path(course, 1, 90.0, 3), [1, 4, 4])


def test_the_first_trial_within_a_bound():
    paths = np.array([[3.0, 1.0, 1.0], [NAN, 2.0, 0.0], [5.0, 5.0, 5.0], [NAN, NAN, NAN], [1.0, 2.0, 2.0]])
    np.testing.assert_array_equal(measures.first_within(paths, 1.0), [2, 3, NAN, NAN, 1])


def test_over_seconds_a_path_moves_when_a_trial_is_done():
    shown = measures.at_costs(
        np.array([9.0, 4.0, 1.0]), np.array([10.0, 5.0, 5.0]), np.array([1, 9.9, 10, 15, 19, 20, 99])
    )
    np.testing.assert_array_equal(shown, [NAN, NAN, 9, 4, 4, 1, 1])
    assert np.isnan(measures.at_costs(np.zeros(0), np.zeros(0), np.array([1.0]))).all()


def test_mean_and_standard_error():
    found = measures.mean(np.array([1.0, 2.0, NAN, 6.0]))
    assert found.seeds == 3 and found.mean == pytest.approx(3)
    assert found.error == pytest.approx(math.sqrt(7 / 3)), "sd of a sample: sqrt(((1-3)^2 + (2-3)^2 + (6-3)^2) / 2)"
    assert math.isnan(measures.mean(np.array([1.0])).error)
    assert measures.mean(np.array([62.7] * 20)) == (62.7, 0.0, 20), "no rounding"
    assert measures.mean(np.array([NAN])).seeds == 0


def test_mean_paths_are_means_at_every_trial():
    paths = np.array([[NAN, 1.0, 1.0], [NAN, NAN, 2.0], [NAN, 4.0, 6.0]])
    means, errors = measures.mean_path(paths)
    for place in range(3):
        expected = measures.mean(paths[:, place])
        np.testing.assert_allclose([means[place], errors[place]], [expected.mean, expected.error])
