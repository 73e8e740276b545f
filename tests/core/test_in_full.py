"""What an evaluator says of its options, so that nobody else knows them by name."""

import pytest

from netwright.core import in_full
from netwright.core.in_full import InFull
from netwright.core.refs import Reference

SAID = InFull(
    lengths=("rounds", "games"),
    length={"rounds": 30},
    usual={"keep": True},
    searched=("tries",),
    incidental=("keep", "where"),
    places={"noise": 0.0},
)


@pytest.mark.parametrize(
    ("changes", "length"),
    [
        ([], {"rounds": 30}),
        ([{"rate": 0.5}], {"rounds": 30, "rate": 0.5}),
        ([{"games": 5}], {"games": 5}),
        ([{"games": 5}, {"rounds": 7}, {"rate": 1.0}], {"rounds": 7, "rate": 1.0}),
    ],
)
def test_the_length_of_a_search_is_for_the_search_and_the_last_one_given_holds(changes, length):
    found = SAID.options({"games": 9, "tries": 4, "color": "red"}, changes)
    assert found == {"color": "red", "keep": True, "split": "test", **length}


def test_what_is_given_holds_before_what_is_usual():
    found = SAID.options({"keep": False}, [{"rounds": 1}], "valid")
    assert found == {"keep": False, "rounds": 1, "split": "valid"}


def test_an_evaluator_that_says_nothing_is_given_what_users_give():
    found = InFull().options({"games": 9, "tries": 4}, [{"rate": 0.5}])
    assert found == {"games": 9, "tries": 4, "rate": 0.5, "split": "test"}
    assert InFull().words({"epochs": 3}) == ""


def test_budgets_and_words():
    assert SAID.budget({"rounds": 1000, "color": "red"}) == {"rounds": 1000}
    assert SAID.words({"rounds": 1000, "color": "red"}) == "1,000 rounds"
    assert SAID.words({"color": "red"}) == ""


def test_what_changes_no_result_and_what_only_some_networks_have_a_place_for():
    options = {"keep": True, "where": "here", "noise": 0.5, "rate": 1.0}
    assert SAID.essential(options) == {"noise": 0.5, "rate": 1.0}
    plain = {**options, **SAID.without_places(options)}
    assert plain == {**options, "noise": 0.0}
    assert SAID.way(plain) == SAID.way(options) == {"rate": 1.0}
    assert SAID.without_places({"rate": 1.0}) == {}, "what is not given is off"


def test_it_is_asked_of_the_plug_in():
    assert in_full.of(Reference("training")).words({"epochs": 30}) == "30 epochs"
    assert in_full.of(Reference("netwright.testing.toys:ToyEvaluator")) == InFull()
