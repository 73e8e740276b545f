"""What a timed run trains with where nobody says otherwise."""

import pytest

from netwright.core.errors import BadRunFile
from netwright.runs.timed.defaults import TRAINING, UNMIXED, Defaults, any_training
from netwright.runs.timed.timetable import Circumstances, Speed, planned

SPEED = Speed(32, "bfloat16", (1e-3, 1e-12, 1e-12, 1e-9, 1e-6), 1.5e-3)
PLAN = planned(Circumstances(1 / 6, 20.0, 1, 1, 4_000, 1_000), SPEED)


@pytest.mark.parametrize("bound", ["params <= 50000", "params < 1e4", f"params <= {UNMIXED - 1}"])
def test_nothing_is_mixed_for_networks_that_must_be_small(bound):
    assert any_training((bound,)) == any_training(("multiply_adds <= 1e9", bound)) == {**TRAINING, "mixing": 0.0}


@pytest.mark.parametrize("bounds", [(), (f"params <= {UNMIXED}",), ("params >= 10",), ("multiply_adds <= 5e6",)])
def test_others_are_mixed_for(bounds):
    assert any_training(bounds) == TRAINING and TRAINING["mixing"] > 0


def test_a_bound_that_cannot_be_read_is_refused():
    with pytest.raises(BadRunFile, match="cannot be read"):
        any_training(("params of 10",))


def test_a_search_begins_from_the_settings_of_all_trainings():
    plain, small = (
        Defaults().tables(PLAN, 4_000, None, None, bounds)["evaluator"] for bounds in ((), ("params <= 50000",))
    )
    assert plain["mixing"] == TRAINING["mixing"]
    assert small == {**plain, "mixing": 0.0}
