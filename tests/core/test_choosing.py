import numpy as np
import pytest

from netwright.core import choosing
from netwright.core.choosing import Which
from netwright.core.errors import BadReference, BadRunFile

# by accuracy and size, which is to be small: the third is dominated, the fourth bends the front
SCORES = np.array([[0.9, -900.0], [0.5, -100.0], [0.4, -500.0], [0.85, -300.0]])
METRICS = [{"valid_accuracy": float(a), "params": float(-s), "flat": 1.0} for a, s in SCORES]


@pytest.mark.parametrize(
    ("which", "place"),
    [
        (Which(), 0),
        (Which(knee=True), 3),
        (Which(at=("params<=2e5",)), 0),
        (Which(at=("params<=300",)), 3),
        (Which(at=("params < 300",)), 1),
        (Which(at=("valid_accuracy>=0.6", "params<900")), 3),
    ],
)
def test_a_point_of_the_front(which, place):
    assert choosing.chosen(SCORES, METRICS, which) == place


@pytest.mark.parametrize(
    ("which", "sentence"),
    [
        (Which(at=("params<50",)), r"no point of the front meets --at 'params < 50': the smallest is 100"),
        (Which(at=("valid_accuracy>0.95",)), r"no point of the front meets .*: the largest is 0.9000; ask for less"),
        (Which(at=("params<=300", "valid_accuracy>=0.9")), r"besides the conditions before it: the largest is 0.8500"),
        (Which(at=("latency_ms<=5",)), r"latency_ms, which was not measured; of the front are known: flat, params, v"),
    ],
)
def test_what_no_point_meets(which, sentence):
    with pytest.raises(BadReference, match=sentence):
        choosing.chosen(SCORES, METRICS, which)


@pytest.mark.parametrize("which", [Which(knee=True), Which(at=("params<=300",))])
def test_one_objective_has_no_front(which):
    with pytest.raises(
        BadReference, match=r"--(knee|at) chooses from the front of several objectives, and the run has"
    ):
        choosing.chosen(SCORES[:, :1], METRICS, which)


@pytest.mark.parametrize("given", [{"trial": 1, "knee": True}, {"knee": True, "at": ("params<1",)}])
def test_two_of_them_are_refused(given):
    with pytest.raises(BadRunFile, match=r"--\w+ and --\w+ are given; give one of them"):
        Which(**given)


@pytest.mark.parametrize("text", ["params", "params=5", "<5", "params<=five", "params<=1 params<=2"])
def test_a_condition_that_cannot_be_read(text):
    with pytest.raises(BadRunFile, match="cannot be read; write it as"):
        Which(at=(text,))
