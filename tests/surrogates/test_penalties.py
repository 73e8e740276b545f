import numpy as np

from netwright.surrogates.penalties import penalty

ONE = np.array([1.0])


def test_it_rises_with_the_distance_and_is_capped_at_1():
    x = np.array([[0.0], [0.1], [0.2], [0.9]])
    found = penalty(x, np.zeros((1, 1)), np.array([[0.5]]), np.array([[0.3]]), ONE, np.array([2.0]))
    assert np.allclose(found[:, 0], [0.0, 2 * 0.1 / 0.8, 2 * 0.2 / 0.8, 1.0])


def test_each_objective_has_its_own_and_all_points_count():
    x, at = np.array([[0.1, 0.0]]), np.array([[0.0, 0.0], [0.2, 0.0]])
    mean, deviation = np.array([[0.0, 1.0], [0.5, 1.0]]), np.full((2, 2), 0.5)
    found = penalty(x, at, mean, deviation, np.ones(2), np.array([1.0, 2.0]))
    assert np.allclose(found, [[0.1 / 1.5 * 0.1 / 1.0, (0.2 / 0.5) ** 2]])


def test_certainty_of_the_best_and_a_flat_mean_divide_by_no_zero():
    zero = np.zeros(1)
    assert penalty(np.array([[0.5]]), np.zeros((1, 1)), ONE[None], zero[None], ONE, ONE)[0, 0] == 1.0
    assert np.isfinite(penalty(np.array([[0.5]]), np.zeros((1, 1)), ONE[None], ONE[None], ONE, zero)).all()
