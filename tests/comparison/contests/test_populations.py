"""Courses of searches as arrays."""

from dataclasses import replace

import numpy as np
import pytest

from netwright.comparison import command_line, strategy_refs
from netwright.comparison.contests import populations
from netwright.core.records import Proposal, Result, Trial
from netwright.testing.toys import ToySpace


def trials(scores, seconds=36.0, keys=None, reused=(), budgets=None):
    """Finished rows; None: it failed."""
    found = []
    for number, score in enumerate(scores, 1):
        failure = "" if score is not None else "error"
        metrics = {} if failure else {"valid_accuracy": score, "params": 10 * number}
        result = Result(metrics, (), seconds, failure, "", 1 if number in reused else None)
        key = keys[number - 1] if keys else str(number)
        found.append(
            Trial(
                number,
                Proposal((0,), (), budgets and budgets[number - 1]),
                key,
                0,
                "done",
                result,
                None if failure else (score,),
                number,
            )
        )
    return found


def path(rows, population=2):
    return populations.path(rows, population, ToySpace(), ())


def test_the_population_is_the_last_told():
    found = path(trials([0.2, 0.6, None, 0.4, 0.8]))
    np.testing.assert_allclose(found.population, [0.2, 0.4, 0.6, 0.4, 0.6])
    np.testing.assert_allclose(found.best, [0.2, 0.6, 0.6, 0.6, 0.8])
    np.testing.assert_allclose(found.params, [10, 20, np.nan, 40, 50])
    assert (found.incumbent, found.failures) == (4, 1)


def test_hours_are_of_evaluation_and_answers_from_the_table_cost_none():
    found = path(trials([0.2, 0.2, 0.3], keys="aab", reused={2}))
    np.testing.assert_allclose(found.hours, [0.01, 0.01, 0.02])
    assert found.is_repeat.tolist() == [False, True, False]


def test_the_same_network_at_another_budget_is_no_repeat():
    assert path(trials([0.2] * 4, keys="aaab", budgets=[1, 3, 3, 3])).is_repeat.tolist() == [False, False, True, False]


def test_failed_trials_have_no_fan_in():
    rows = [replace(row, proposal=Proposal(row.proposal.genotype * 12)) for row in trials([0.2, None, 0.4])]
    found = populations.path(rows, 2, ToySpace(), ("toy",))
    np.testing.assert_array_equal(found.fan_in, [1.0, np.nan, 1.0])


@pytest.mark.parametrize(("score", "when"), [(0.2, (1, 0.01)), (0.5, (2, 0.02)), (0.7, (5, 0.05))])
def test_the_first_trial_that_is_good_enough(score, when):
    assert populations.reached(path(trials([0.2, 0.6, None, 0.4, 0.8])), score) == pytest.approx(when)


def test_some_never_are():
    assert np.isnan(populations.reached(path(trials([0.2, None])), 0.3)).all()
    assert np.isnan(populations.reached(path(trials([None])), 0.0)).all()
    assert path(trials([None])).incumbent == path([]).incumbent == -1


def test_a_fraction_of_the_best_is_below_it_whatever_its_sign():
    assert populations.bound(0.8, 0.99) == pytest.approx(0.792)
    assert populations.bound(-100.0, 0.9) == pytest.approx(-110.0)
    assert populations.bound(-0.0, 0.9) == 0


@pytest.mark.parametrize(
    ("strategies", "sizes"),
    [
        ("random,aging(population=20,sample=5),reinforce(batch=10)", [20, 20, 20]),
        ("random,aging,non_aging(population=7)", [100, 100, 7]),
        ("random,reinforce(batch=10)", [100, 10]),
    ],
)
def test_every_strategy_has_a_population_to_be_read_by(strategies, sizes):
    references = {strategy_refs.label(each): each for each in command_line.read_strategies(strategies)}
    assert list(populations.sizes(references).values()) == sizes
