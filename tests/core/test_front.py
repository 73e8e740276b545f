import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from netwright.core import front

SCORES = st.integers(1, 4).flatmap(
    lambda objectives: nps.arrays(
        np.float64, st.tuples(st.integers(1, 12), st.just(objectives)), elements=st.integers(0, 5)
    )
)


def dominates(a, b):
    return bool((a >= b).all() and (a > b).any())


@given(SCORES)
def test_nobody_on_the_front_is_dominated_and_everybody_else_is(scores):
    found = front.nondominated(scores)
    assert found.tolist() == [not any(dominates(other, each) for other in scores) for each in scores]


@given(SCORES)
def test_a_layer_is_the_front_of_what_is_left(scores):
    layers = front.layers(scores)
    for layer in range(layers.max() + 1):
        left = layers >= layer
        assert (front.nondominated(scores[left]) == (layers[left] == layer)).all()


@given(SCORES)
def test_the_volume_is_that_of_the_cells_that_are_covered(scores):
    reference = np.full(scores.shape[1], 0.0)
    cells = itertools.product(range(5), repeat=scores.shape[1])
    covered = sum(any((point >= np.array(cell) + 1).all() for point in scores) for cell in cells)
    assert front.hypervolume(scores, reference) == pytest.approx(covered)


@given(SCORES)
def test_the_volume_after_each_point_is_that_of_the_points_up_to_it(scores):
    reference = np.full(scores.shape[1], 0.5)
    expected = [front.hypervolume(scores[: n + 1], reference) for n in range(len(scores))]
    assert front.hypervolumes(scores, reference) == pytest.approx(expected)


def test_a_point_without_a_value_adds_no_volume():
    scores = np.array([[np.nan, np.nan], [1.0, 2.0], [3.0, np.nan], [2.0, 2.0]])
    assert front.hypervolumes(scores, np.zeros(2)).tolist() == [0, 2, 2, 4]
    assert front.hypervolumes(scores[:0], np.zeros(2)).shape == (0,)


def independent(scores, reference):
    """The same by another library, whichever is installed; all but BoTorch minimize."""
    scores = scores[(scores > reference).all(1)]
    if not len(scores):
        return 0.0
    try:
        import moocore

        return moocore.hypervolume(-scores, ref=-reference)
    except ImportError:
        pass
    try:
        from pymoo.indicators.hv import HV

        return HV(ref_point=-reference)(-scores)
    except ImportError:
        pass
    try:
        from optuna._hypervolume import compute_hypervolume

        return compute_hypervolume(-scores, -reference)
    except ImportError:
        pass
    torch = pytest.importorskip("torch")
    found = pytest.importorskip(
        "botorch.utils.multi_objective.hypervolume", reason="none of moocore, pymoo, optuna and botorch is installed"
    ).Hypervolume(ref_point=torch.tensor(reference))
    return found.compute(torch.tensor(scores[front.nondominated(scores)]))


@pytest.mark.parametrize("objectives", [2, 3, 4, 5])
def test_the_volume_is_that_of_an_independent_library(objectives):
    rng = np.random.default_rng(objectives)
    for count in (1, 7, 40):
        scores, reference = rng.normal(size=(count, objectives)), np.full(objectives, -1.0)
        assert front.hypervolume(scores, reference) == pytest.approx(independent(scores, reference), rel=1e-9)


def test_a_volume_of_three_objectives_is_the_one_that_is_sampled():
    rng = np.random.default_rng(0)
    scores, drawn = rng.random((30, 3)), rng.random((200_000, 3))
    share = (drawn[:, None] <= scores[front.nondominated(scores)]).all(2).any(1).mean()
    assert front.hypervolume(scores, np.zeros(3)) == pytest.approx(share, abs=0.005)


def test_points_behind_the_reference_add_nothing():
    scores = np.array([[2.0, 2.0], [5.0, -1.0], [-1.0, 5.0]])
    assert front.hypervolume(scores, np.zeros(2)) == 4
    assert front.hypervolume(scores[1:], np.zeros(2)) == 0


def test_the_reference_point_lies_behind_the_front_and_not_behind_what_it_dominates():
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [-50.0, -50.0]])
    assert front.reference_point(scores).tolist() == [-0.1, -0.1]
    assert front.reference_point(np.array([[2.0, 0.0]])).tolist() == [1.8, -0.1]
    alone = np.array([[5.0, 5.0], [1.0, 4.0], [3.0, -15.0]])
    assert front.reference_point(alone).tolist() == [4.6, 3.0], "the range of all, where the front is one point"
    assert front.reference_point(np.array([[-2.0, 3.0]])).tolist() == pytest.approx([-2.2, 2.7])


def test_behind_all_points_is_behind_the_worst_of_them():
    scores = np.array([[1.0, 0.0], [0.0, 1.0], [-9.0, -9.0]])
    assert front.behind(scores).tolist() == [-10.0, -10.0]


def test_the_knee_is_where_a_front_bends():
    scores = np.array([[0.0, 1.0], [0.8, 0.9], [1.0, 0.0], [0.7, 0.7]])
    assert front.knee(scores) == 1
    assert front.knee(np.array([[1.0, 1.0]])) == 0
    assert front.knee(np.array([[0.5, 0.5], [0.9, 0.6]])) == 1  # a front of one point, behind a dominated one


def test_the_ends_of_a_layer_are_farthest_apart():
    scores = np.array([[0.0, 4.0], [1.0, 3.0], [3.0, 1.0], [4.0, 0.0]])
    assert front.crowding(scores).tolist() == [np.inf, 1.5, 1.5, np.inf]
    assert front.crowding(np.ones((3, 2))).tolist()[1] == 0
