"""What `--json` says of finished trials."""

from dataclasses import replace

from netwright.core.baselines import Baseline
from netwright.core.objectives import Objective
from netwright.report import facts, progress
from netwright.report.history import History
from tests.report.test_promotions import SEARCH, SMALL_IS_HIGHER, trial


def _facts_of(trials):
    return facts.of_progress(progress.of_history(History.of(trials)), Objective("valid_accuracy"))


def test_the_best_has_its_budget_where_there_are_any():
    plain = {"score": 0.5, "metric": "valid_accuracy", "value": 0.5, "note": "higher is better"}
    assert _facts_of(SMALL_IS_HIGHER)["best"] == {"trial": 5, "key": "5", "budget": 4, **plain}
    assert _facts_of([trial(1, 0.5, None)])["best"] == {"trial": 1, "key": "1", **plain}


def test_the_best_says_what_it_is_to_be_compared_with():
    known = [Baseline("loss", 0.3, "the shares alone give 0.3", "no better than these")]
    found = facts.of_progress(progress.of_history(History.of([trial(1, -0.5, None)])), Objective("loss", -1), known)
    note = "lower is better; the shares alone give 0.3: no better than these"
    assert found["best"] == {"trial": 1, "score": -0.5, "key": "1", "metric": "loss", "value": 0.5, "note": note}


def test_budgets_are_told_of_searches_with_promotions_alone():
    found = _facts_of(SEARCH)
    assert (found["done"], found["failed"], len(found["budgets"])) == (9, 1, 3)
    assert _facts_of([trial(1, None, 4)]) == {
        "done": 0,
        "failed": 1,
        "trainings": 1,
        "answers": 0,
        "best": None,
        "model": None,
    }


def test_trainings_and_answers_are_counted_apart():
    trials = [trial(n, 0.5, None) for n in (1, 2, 3)]
    trials[2] = replace(trials[2], result=replace(trials[2].result, reused=1))
    found = progress.of_history(History.of(trials))
    assert (found.trainings, found.answers) == (2, 1)
    assert found.work == "3 trials: 2 trainings, 1 answer from the table"
    told = _facts_of(trials)
    assert (told["done"], told["trainings"], told["answers"]) == (3, 2, 1)
    assert progress.work(7000, 5688) == "7,000 trials: 1,312 trainings, 5,688 answers from the table"
    assert progress.work(7000, 0) == ""
