"""What `--json` says of finished trials."""

from netwright.report import facts, progress
from netwright.report.history import History
from tests.report.test_promotions import SEARCH, SMALL_IS_HIGHER, trial


def _facts_of(trials):
    return facts.of_progress(progress.of_history(History.of(trials)))


def test_the_best_has_its_budget_where_there_are_any():
    assert _facts_of(SMALL_IS_HIGHER)["best"] == {"trial": 5, "score": 0.5, "key": "5", "budget": 4}
    assert _facts_of([trial(1, 0.5, None)])["best"] == {"trial": 1, "score": 0.5, "key": "1"}


def test_budgets_are_told_of_searches_with_promotions_alone():
    found = _facts_of(SEARCH)
    assert (found["done"], found["failed"], len(found["budgets"])) == (9, 1, 3)
    assert _facts_of([trial(1, None, 4)]) == {"done": 0, "failed": 1, "best": None, "model": None}
