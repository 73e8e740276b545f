"""Trials of several budgets, against sums done here."""

from dataclasses import replace

import pytest

from netwright.comparison.contests import budgets
from netwright.core import objectives
from netwright.core.records import Proposal, Result, Trial
from netwright.core.round_plan import MEMBERS
from netwright.evaluators.training import Training
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask


def trial(number, budget, continues=None, score=0.5):
    result = Result({"valid_accuracy": score})
    return Trial(number, Proposal((0,), (), budget, continues), str(number), 0, "done", result, (score,), number)


SEARCH = [trial(1, 1), trial(2, 1), trial(3, 3, 1), trial(4, 9, 3), trial(5, 9)]


def test_the_largest_is_judged():
    assert objectives.judged_budget(SEARCH) == 9
    assert [each.scores is not None for each in budgets.only(SEARCH, 9)] == [False, False, False, True, True]


def test_without_budgets_everything_is():
    plain = [trial(1, None), trial(2, None)]
    assert budgets.only(plain, None) == plain
    assert budgets.sentence([plain]) == budgets.sentence([]) == budgets.sentence([[trial(1, 4)]]) == ""


def test_trials_without_a_budget_beside_others_are_said():
    assert "budgets 5 or none: the 1 of 2 with 5 are judged" in budgets.sentence([[trial(1, 5), trial(2, None)]])


def test_rounds_are_no_lengths():
    rows = [trial(number, number) for number in (1, 2, 2)]
    rows = [replace(each, proposal=replace(each.proposal, notes={MEMBERS: 1})) for each in rows]
    assert budgets.are_rounds(rows) and not budgets.are_rounds(SEARCH)
    said = "by weights that their own search trains: the 2 of 3 trials of round 2 are judged, which do not compare with"
    assert said in budgets.sentence([rows])


def _training(**settings):
    return Training(ToySpace(), ToyTask(), **settings)


def test_strategies_that_are_judged_at_different_budgets_are_said():
    own = _training(epochs=12)
    said = budgets.apart({"random": None, "aging": None, "bohb": 9}, own)
    assert said == {
        "bohb": "it is judged by its trials with budget 9, random with 12 epochs, aging with 12 epochs: such scores do "
        "not compare; make them equal, as by --evaluator.epochs 9"
    }
    assert budgets.apart({"random": None, "bohb": 12}, own) == budgets.apart({"random": None}, own) == {}
    assert budgets.apart({"random": None, "bohb": 40}, _training(steps=40)) == {}
    assert "random with the evaluator's own steps" in budgets.apart({"random": None, "bohb": 1}, _training())["bohb"]


def test_budgets_of_several_strategies_differ_whatever_the_evaluator():
    unknown = ToyEvaluator(ToySpace(), ToyTask())
    said = budgets.apart({"asha": 27, "bohb": 9, "random": None}, unknown)
    assert "budget 27, bohb with budget 9: such scores do not compare; make them equal" in said["asha"]
    assert "asha with budget 27: such" in said["bohb"]
    assert budgets.apart({"asha": 9, "bohb": 9, "random": None}, unknown) == {}


def test_a_promotion_costs_what_it_adds():
    assert budgets.spent(SEARCH) == 1 + 1 + 2 + 6 + 9
    said = budgets.sentence([SEARCH, SEARCH])
    assert said.startswith("its trials have budgets 1, 3, 9: the 4 of 10 with 9 are judged")
    assert said.endswith(f"what {19 / 9:,.1f} trials with 9 cost") and pytest.approx(2.11, abs=0.01) == 19 / 9


def test_a_promotion_that_trained_anew_costs_all_of_its_budget():
    def measured(steps):
        return [
            replace(trial, result=Result({"carried_steps": steps})) if trial.proposal.continues else trial
            for trial in SEARCH
        ]

    assert budgets.spent(measured(40)) == budgets.spent(SEARCH)
    assert budgets.spent(measured(0)) == sum(trial.proposal.budget for trial in SEARCH)
