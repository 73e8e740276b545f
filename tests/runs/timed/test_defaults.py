"""What a timed run trains with where nobody says otherwise."""

import pytest

from netwright.core.errors import BadRunFile
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.runs.timed import defaults
from netwright.runs.timed.defaults import TRAINING, UNMIXED, any_training, params_instead
from netwright.runs.timed.timetable import Circumstances, Speed, planned

CIFAR, DIGITS = IO(3, 32, 32, 10), IO(1, 8, 8, 10)
MACRO = Reference("macro")


def test_only_networks_that_constraints_make_small_are_not_mixed_for():
    assert params_instead(MACRO, CIFAR, ()) is None
    assert params_instead(MACRO, DIGITS, ()) is None, "small as it is by itself"
    assert params_instead(MACRO, CIFAR, ("params <= 1e6",)) is None
    within = params_instead(MACRO, CIFAR, ("params <= 50000",))
    assert within is not None and 30_000 < within <= 50_000 < UNMIXED
    assert params_instead(MACRO, CIFAR, ("params <= 150000",)) > UNMIXED
    assert any_training() == any_training(UNMIXED) == TRAINING
    assert any_training(within) == {**TRAINING, "mixing": 0.0}


def test_settings_among_the_genes_change_nothing_of_it():
    tuned = Reference("macro", {"with": "lr,mixing:centered"})
    assert params_instead(tuned, CIFAR, ("params <= 50000",)) == params_instead(MACRO, CIFAR, ("params <= 50000",))


def test_a_space_without_starts_and_constraints_that_none_is_within_say_nothing():
    assert params_instead(Reference("hierarchical"), CIFAR, ("params <= 50000",)) is None
    assert params_instead(MACRO, CIFAR, ("params <= 10",)) is None
    with pytest.raises(BadRunFile, match="cannot be read"):
        params_instead(MACRO, CIFAR, ("params of 10",))


def test_a_run_within_constraints_searches_mixing_from_none_on(timetable):
    class Task:
        io = CIFAR

        def examples(self, _split):
            return 4_000

    tables = defaults.Defaults().tables(timetable, Task(), None, None, ("params <= 50000",))
    assert tables["evaluator"]["mixing"] == 0.0 and tables["evaluator"]["label_smoothing"] == 0.1
    assert defaults.Defaults().tables(timetable, Task(), None, None)["evaluator"]["mixing"] == TRAINING["mixing"]


@pytest.fixture
def timetable():
    speed = Speed(32, "bfloat16", (1e-3, 1e-12, 1e-12, 1e-9, 1e-6), 1.5e-3)
    return planned(Circumstances(1 / 6, 20.0, 1, 1, 4_000, 1_000), speed)
