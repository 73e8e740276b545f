"""How many steps a training takes."""

import pytest

from netwright.core.errors import BadReference
from netwright.training.epochs import EvenEpochs
from netwright.training.lengths import Lengths


@pytest.mark.parametrize(
    ("options", "budget", "length"),
    [
        ({}, None, (100, 100)),
        ({}, 3, (12, 12)),
        ({"epochs": 2}, None, (8, 8)),
        ({"steps": 7}, None, (7, 7)),
        ({"steps": 7}, 3, (3, 3)),
        ({"horizon": 9}, 3, (12, 36)),
        ({"pace": 0.5}, 3, (6, 6)),
        ({"pace": 0.5, "trainings": 3, "horizon": 9}, 3, (2, 6)),
        ({"pace": 0.5, "seconds": 60}, None, (120, 120)),
        ({"pace": 0.5, "steps": 60}, None, (60, 60)),
        ({"pace": 50.0}, 3, (1, 1)),
    ],
)
def test_lengths(options, budget, length):
    assert Lengths(EvenEpochs(4), **options).of(budget) == length


def test_a_budget_beyond_the_horizon_is_refused():
    with pytest.raises(BadReference, match=r"the budget 10 is beyond evaluator.horizon, 9; give horizon"):
        Lengths(EvenEpochs(4), horizon=9, pace=0.1).of(10)
