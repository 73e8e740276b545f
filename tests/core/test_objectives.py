from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import objectives, remembered
from netwright.core.errors import BadRunFile
from netwright.core.objectives import (
    UNNAMED,
    Objective,
    at_budget,
    best,
    judged_budget,
    score,
    score_of,
    shortened,
    with_scores,
)
from netwright.core.records import Proposal, Result, Trial
from netwright.stores.memory import MemoryStore

RESULT = Result({"valid_accuracy": 0.9, "params": 12})
ACCURACY, LOSS = Objective("accuracy", shown="share"), Objective("valid_loss", -1)


@given(st.text())
def test_what_is_read_is_written_as_it_was(text):
    assert str(Objective.read(text)) == text


@given(st.text().filter(lambda name: not name.startswith("-")), st.sampled_from((1, -1)))
def test_what_is_written_is_read_as_it_was(name, sign):
    assert Objective.read(str(Objective(name, sign))) == Objective(name, sign)


@given(st.floats(allow_nan=False), st.sampled_from((1, -1)))
def test_of_scores_the_higher_is_always_the_better(value, sign):
    objective = Objective("a", sign)
    assert objective.score(value) == sign * value and objective.measured(objective.score(value)) == value
    np.testing.assert_array_equal(objective.score(np.array([value, 1.0])), sign * np.array([value, 1.0]))


def test_names_with_a_split_and_without():
    measured = ACCURACY.on("valid")
    assert measured == Objective("valid_accuracy", shown="share") and measured.label == "valid accuracy"
    assert measured.moved_to("test") == ACCURACY.on("test") and measured.moved_to("valid") == measured
    assert [Objective(name).split for name in ("test_loss", "valid", "validity", "invalid_loss")] == [
        "test",
        "",
        "",
        "",
    ]
    assert Objective("invalid_loss").moved_to("test") == Objective("invalid_loss"), "it belongs to no split"


@pytest.mark.parametrize(
    ("objective", "value", "text", "amount"),
    [
        (ACCURACY, 0.98061, "98.06 %", "98.06 points"),
        (LOSS, 0.98061, "0.9806", "0.9806"),
        (LOSS, 0.91234, "0.9123", "0.9123"),
        (LOSS, 1234567.0, "1,234,567", "1,234,567"),
        (LOSS, 0.0, "0.0000", "0.0000"),
        (LOSS, 1.5e-5, "1.50e-05", "1.50e-05"),
    ],
)
def test_values_are_shares_in_percent_or_numbers(objective, value, text, amount):
    assert (objective.text(value), objective.amount(value)) == (text, amount)


def test_how_it_is_shown_comes_from_what_is_measured_and_survives_a_table():
    measures = (ACCURACY.on("valid"), LOSS)
    store = MemoryStore()
    assert remembered.measures(store) == ()
    store.remember("measures", objectives.to_json(measures))
    assert remembered.measures(store) == measures
    asked = ("-valid_loss", "-valid_accuracy", "params")
    assert objectives.shown(asked, measures) == (LOSS, Objective("valid_accuracy", -1, "share"), Objective("params"))
    assert objectives.first(asked) == LOSS
    assert objectives.first(("valid_accuracy",)) == Objective("valid_accuracy"), "not known: a plain number"


def test_without_an_objective_the_first_metric_counts():
    assert score(RESULT, None) == (0.9,)
    assert score(Result(failure="diverged"), None) is None
    with pytest.raises(BadRunFile, match="the evaluator measured nothing"):
        score(Result(), None)
    failed = Trial(1, Proposal((0,)), "a", 1, "failed", Result(failure="error"), finish=1)
    row = replace(failed, status="done", result=RESULT)
    assert [row.scores for row in with_scores([failed, row], None)] == [None, (0.9,)]
    assert objectives.named(None, [failed, row]) == ("valid_accuracy",)
    assert objectives.named(None, [failed]) is None and objectives.first(None) == UNNAMED
    assert objectives.named(("-params",), [row]) == ("-params",)


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


def test_of_several_objectives_the_first_decides():
    rows = with_scores(
        [
            Trial(n, Proposal((n,)), str(n), 1, "done", Result({"valid_loss": loss, "params": params}), finish=n)
            for n, loss, params in ((1, 0.5, 1), (2, 0.3, 9), (3, 0.4, 5))
        ],
        ("-valid_loss", "-params"),
    )
    assert best(rows).id == 2 and [row.scores for row in rows] == [(-0.5, -1.0), (-0.3, -9.0), (-0.4, -5.0)]
    assert [score_of(row) for row in rows] == [-0.5, -0.3, -0.4] and score_of(_row(1, None)) is None
    assert objectives.result_of(rows[1], LOSS) == "valid_loss 0.3000"
    assert objectives.result_of(_row(1, -2.0, 4), LOSS) == "valid_loss 2.0000 at budget 4"


@pytest.mark.parametrize(("value", "text"), [(7_690_000, "7.33 MiB"), (11_776, "11.50 KiB"), (-2048, "-2.00 KiB")])
def test_memory_is_written_in_units_that_leave_digits(value, text):
    assert shortened("memory_per_sample", value) == text
