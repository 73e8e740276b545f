import pytest

from netwright.core.errors import BadRunFile
from netwright.core.objectives import score, with_scores
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
