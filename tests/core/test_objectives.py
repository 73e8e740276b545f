import pytest

from netwright.core.errors import BadReference, BadRunFile
from netwright.core.objectives import at_budget, best, check_single, judged_budget, score, with_scores
from netwright.core.records import Proposal, Result, Trial

RESULT = Result({"valid_accuracy": 0.9, "params": 12})


def test_a_leading_minus_turns_the_sign():
    assert score(RESULT, ("valid_accuracy", "-params")) == (0.9, -12.0)
    assert score(RESULT, ("-valid_accuracy",)) == (-0.9,)


def test_a_failed_trial_has_no_scores():
    assert score(Result(failure="diverged"), ("valid_accuracy",)) is None
    assert score(Result({"valid_accuracy": 0.9}, failure="timeout"), ("valid_accuracy",)) is None


@pytest.mark.parametrize("objective", ["test_accuracy", "-test_accuracy", "--params"])
def test_a_metric_that_was_not_measured_is_named_with_those_that_were(objective):
    with pytest.raises(BadRunFile) as caught:
        score(RESULT, (objective,))
    assert repr(objective) in str(caught.value)
    assert "the evaluator measures: params, valid_accuracy" in str(caught.value)


def test_rows_get_their_scores_and_stay_as_they_were():
    rows = [
        Trial(1, Proposal((0,)), "a", 1, "done", RESULT, finish=2),
        Trial(2, Proposal((1,)), "b", 2, "failed", Result(failure="error"), finish=1),
        Trial(3, Proposal((2,)), "c", 3, "running"),
    ]
    scored = with_scores(rows, ("valid_accuracy", "-params"))
    assert [row.scores for row in scored] == [(0.9, -12.0), None, None]
    assert [(row.id, row.result, row.finish) for row in scored] == [(r.id, r.result, r.finish) for r in rows]
    assert all(row.scores is None for row in rows)


def _row(n, score, budget=None, continues=None):
    proposal = Proposal((n,), budget=budget, continues=continues)
    return Trial(n, proposal, str(n), 1, "done", RESULT, None if score is None else (score,), n)


def test_the_best_is_the_best_of_the_largest_budget_that_has_a_score():
    rows = [_row(1, 0.9, 1), _row(2, 0.8, 1), _row(3, 0.7, 4, continues=1), _row(4, 0.6, 4), _row(5, None, 16)]
    assert best(rows) is rows[2], "the promotion did worse than its origin, at a budget that counts for more"
    assert best(rows[:2]) is rows[0]
    assert best([_row(1, 0.5), _row(2, 0.7), _row(3, 0.7)]).id == 2, "without budgets the earliest of equals"
    assert best([_row(1, None)]) is None
    assert judged_budget(rows) == 4 and judged_budget([_row(1, 0.5), _row(2, None, 4)]) is None
    mixed = [_row(1, 0.9), _row(2, 0.5, 1)]
    assert judged_budget(mixed) == 1 and best(mixed) is mixed[1], "a trial without a budget counts for less"
    assert [at_budget(row) for row in (rows[2], _row(1, 0.5))] == [" at budget 4", ""]


def test_two_objectives_are_refused():
    with pytest.raises(BadReference, match="asha ranks by one objective, the run has 2"):
        check_single("asha", ("a", "-b"))
