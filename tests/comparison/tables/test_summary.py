"""Rows, pairs and curves of courses that were made by hand; and the same as JSON and CSV."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from netwright.comparison import caveats
from netwright.comparison.courses import SearchCell
from netwright.comparison.tables import json_and_csv, summary
from netwright.comparison.tables.comparison import Comparison, ComparisonOutcome
from netwright.comparison.tables.plan import ComparisonPlan
from netwright.comparison.tables.problems import Problem
from netwright.core.refs import Reference
from tests.comparison.test_courses import made

NAN = math.nan
PROBLEM = Problem("t c10", "t", "c10", "val", "test", 1, 1, 80.0, 60, "abc", ("a remark",))
MINUS = Problem("loss", "loss", "", "val", "test", -1, -1, -2.0, 60, "def")
COURSES = {
    "random": [made([70, 76, 79.5, 79.5], [1, 2, 3, 4]), made([79.2, 70, 70, 80], [5, 6, 7, 8])],
    "aging": [made([70, 80, 70, 70], [1, 9, 3, 4]), made([70, 80, 70, 70], [1, 7, 3, 4])],
}


def comparison(problem=PROBLEM, horizons=(4,), strategies=("random", "aging"), table_seconds=None, starts=None):
    plan = ComparisonPlan(tuple(map(Reference, strategies)), (Reference("csv"),), (0, 1), horizons, table_seconds)
    return Comparison(plan, (problem,), dict.fromkeys(strategies, ""), starts or {})


def outcome(found, problem="t c10", faults=()):
    cells = {
        SearchCell(name, problem, seed): course
        for name, each in found.items()
        for seed, course in enumerate(each)
        if course is not None
    }
    return ComparisonOutcome(cells, dict(faults))


def summarized(whole, found):
    return summary.summarize(whole, found, np.random.default_rng(0))


def test_rows_by_hand():
    first, second = summarized(comparison(), outcome(COURSES)).rows
    assert (first.strategy, first.trials, first.seeds, first.made) == ("random", 4, 2, 4)
    assert first.final[:2] == pytest.approx((5.5, 2.5)), "3 and 8: mean 5.5, sd 3.54, of two"
    assert first.regret[:2] == pytest.approx((0.25, 0.25))
    assert first.found_best == 0.5
    assert first.within[1.0].seeds == 2 and first.within[1.0].mean == 2, "0.8 off is within 1 %: trials 3 and 1"
    assert first.within[0.1].seeds == 1 and first.within[0.1].mean == 4
    assert first.microseconds == pytest.approx(10)
    assert second.found_best == 1 and second.final.mean == 8 and second.regret == (0.0, 0.0, 2)


def test_horizons_are_what_a_shorter_search_would_have_said():
    rows = summarized(comparison(horizons=(2, 4)), outcome(COURSES)).rows
    assert [(row.trials, row.strategy) for row in rows] == [(2, "random"), (2, "aging"), (4, "random"), (4, "aging")]
    assert rows[0].regret.mean == pytest.approx((4 + 0.8) / 2)
    assert rows[0].final.mean == pytest.approx((2 + 5) / 2)
    assert rows[0].within[0.1].seeds == 0
    assert rows[1].found_best == 1


def test_lower_is_better():
    found = outcome({"random": [made([5, 3, 9], [50, 30, 90])] * 2}, "loss")
    whole = summarized(comparison(MINUS, (3,), ("random",)), found)
    [row] = whole.rows
    assert row.regret.mean == 1 and row.final.mean == 30 and row.found_best == 0
    assert json_and_csv.as_json(whole, "x")["rows"][0]["best_signal"] == 2.0


def test_pairs_are_over_common_seeds():
    found = outcome({"random": COURSES["random"], "aging": [None, COURSES["aging"][1]]})
    whole = summarized(comparison(), found)
    regret, final = whole.pairs
    assert (regret.strategy, regret.other, regret.measure, regret.trials) == ("random", "aging", "regret", 4)
    assert regret.difference.seeds == 1 and regret.difference.mean == 0
    assert final.measure == "final" and final.difference.mean == 1
    assert whole.rows[1].seeds == 1
    assert "the searches of 1 of 2 seeds failed and are left out" in whole.rows[1].warnings


def test_curves_are_means_after_every_trial():
    curve = summarized(comparison(), outcome(COURSES)).curves[0]
    np.testing.assert_allclose(curve.x, [1, 2, 3, 4])
    np.testing.assert_allclose(curve.regret, [(10 + 0.8) / 2, (4 + 0.8) / 2, (0.5 + 0.8) / 2, 0.25])
    np.testing.assert_allclose(curve.final, [3, 3.5, 4, 5.5])


def test_curves_over_seconds():
    found = outcome({"random": [made([70, 80], costs=[40, 60]), made([75, 79], costs=[90, 10])]})
    curve = summarized(comparison(horizons=(), strategies=("random",), table_seconds=100.0), found).curves[0]
    assert curve.is_seconds and curve.x[-1] == 100
    at = dict(zip(np.round(curve.x).tolist(), curve.regret.tolist(), strict=True))
    assert math.isnan(at[20.0]) and math.isnan(at[50.0]), "the second search has not begun"
    assert at[95.0] == pytest.approx(7.5) and at[100.0] == 0.5


def test_what_must_be_said_of_a_row():
    courses = [
        made([70, NAN, 80], [1, 2, NAN], ending="exhausted", failed=[1], message="missing", source="old"),
        made([NAN, NAN], ending="exhausted", failed=[0, 1], message="missing"),
    ]
    whole = comparison(strategies=("random",), starts={"random": {"initial": 4}})
    [row] = summarized(whole, outcome({"random": courses})).rows
    assert row.warnings == (
        "initial = 4 is not less than T = 4: its random start is all there is; give fewer",
        "the space is exhausted after 2 to 3 trials",
        "no trial succeeded with 1 of 2 seeds",
        "the final measure of 1 of 2 incumbents is missing and left out",
        "3 of 5 trials failed; the first: missing",
        "its program has changed since 1 of 2 searches; give another --out to play all anew",
    )
    assert row.final.seeds == 0 and row.regret.seeds == 1


def test_failures_are_those_before_the_horizon():
    courses = [
        made([70, 71, 72, NAN], failed=[3], message="late"),
        made([70, NAN, NAN, NAN], failed=[1, 2, 3], message="early"),
    ]
    whole = comparison(strategies=("random",), horizons=(1, 3, 4))
    said = [row.warnings for row in summarized(whole, outcome({"random": courses})).rows]
    assert said == [
        (),
        ("2 of 6 trials failed; the first: early",),
        ("4 of 8 trials failed; the first: late",),
    ]


def test_the_time_per_trial_is_that_up_to_the_horizon():
    slower = replace(made([70, 71, 72, 73]), elapsed=np.array([10, 20, 120, 220]))
    whole = comparison(strategies=("random",), horizons=(2, 4))
    rows = summarized(whole, outcome({"random": [slower, slower]})).rows
    assert [row.microseconds for row in rows] == [10, 55]


def test_one_strategy_has_a_header_of_pairs_alone():
    found = summarized(comparison(strategies=("random",), horizons=(2,)), outcome({"random": [made([70, 71])] * 2}))
    assert json_and_csv.pairs_csv(found) == ",".join(json_and_csv.PAIR_COLUMNS) + "\n"


def test_every_horizon_is_reported_beside_a_limit_of_seconds():
    courses = [made([70, 71, 72, 80], costs=[10] * 4), made([70, 79], costs=[30, 30], ending="table_seconds")]
    whole = comparison(strategies=("random", "aging"), horizons=(1, 4), table_seconds=60.0)
    found = summarized(whole, outcome({"random": courses, "aging": courses}))
    assert [(row.trials, row.table_seconds, row.made) for row in found.rows[::2]] == [(1, 60.0, 1), (4, 60.0, 3)]
    assert [row.regret.mean for row in found.rows[::2]] == [10, 0.5]
    assert {(pair.trials, pair.table_seconds) for pair in found.pairs} == {(1, 60.0), (4, 60.0)}
    assert json_and_csv.as_json(found, "x")["rows"][0]["table_seconds"] == 60
    assert next(csv.DictReader(io.StringIO(json_and_csv.rows_csv(found))))["table_seconds"] == "60.0"
    assert next(csv.DictReader(io.StringIO(json_and_csv.pairs_csv(found))))["table_seconds"] == "60.0"


def test_a_random_start_as_long_as_what_the_seconds_allow_is_said():
    courses = [made([70, 71, 72], costs=[20] * 3), made([70, 79], costs=[30, 30])]
    for initial, sentences in {
        1: (),
        2: (
            "initial = 2 is not less than the 2 trials that were made: its random start is all there is, with 1 of 2 "
            "seeds; give fewer",
        ),
        9: (
            "initial = 9 is not less than the 2 to 3 trials that were made: its random start is all there is; "
            "give fewer",
        ),
    }.items():
        starts = {"random": {"initial": initial}}
        whole = comparison(strategies=("random",), horizons=(), table_seconds=60.0, starts=starts)
        assert summarized(whole, outcome({"random": courses})).rows[0].warnings == sentences


def test_few_seeds_are_said():
    few = [pair.difference for pair in summarized(comparison(), outcome(COURSES)).pairs]
    assert caveats.few_seeds(few).startswith("with 2 common seeds, fewer than 20, intervals are too short")
    assert caveats.few_seeds([few[0]._replace(seeds=1)]).startswith("with 1 common seed, fewer than 20")
    assert caveats.few_seeds([each._replace(seeds=20) for each in few]) == ""
    assert caveats.few_seeds([few[0]._replace(seeds=0)]) == caveats.few_seeds([]) == ""


def test_searches_that_made_no_trial_at_all():
    found = outcome({"random": [made([], ending="exhausted")] * 2, "aging": COURSES["aging"]})
    whole = summarized(comparison(), found)
    row = whole.rows[0]
    assert row.made == 0 and math.isnan(row.found_best) and math.isnan(row.repeated) and math.isnan(row.microseconds)
    assert row.warnings == ("the space is exhausted after 0 trials", "no trial succeeded with 2 of 2 seeds")
    assert whole.pairs[0].difference.seeds == 0
    as_json = json_and_csv.as_json(whole, "runs/x")
    assert as_json["rows"][0]["mean_test"] is None and as_json["pairs"][0]["p"] is None
    json.dumps(as_json, allow_nan=False)


def test_json_has_what_scripts_ask_for():
    found = json_and_csv.as_json(
        summarized(comparison(), outcome(COURSES, faults={SearchCell("aging", "t c10", 7): "why"})), "runs/x"
    )
    row = found["rows"][0]
    assert {name: row[name] for name in ("strategy", "table", "dataset", "trials", "seeds", "found_best")} == {
        "strategy": "random",
        "table": "t",
        "dataset": "c10",
        "trials": 4,
        "seeds": 2,
        "found_best": 0.5,
    }
    assert row["reached"]["1%"] == {"trials": 2.0, "se": 1.0, "seeds": 2}
    assert found["pairs"][0]["measure"] == "regret" and found["pairs"][1]["measure"] == "test"
    assert found["failed"] == [{"strategy": "aging", "problem": "t c10", "seed": 7, "message": "why"}]
    assert found["remarks"] == {"t c10": ["a remark"]} and found["folder"] == "runs/x"


def test_csv_says_the_same_as_json():
    whole = summarized(comparison(horizons=(2, 4)), outcome(COURSES))
    found = json_and_csv.as_json(whole, "x")
    rows = list(csv.DictReader(io.StringIO(json_and_csv.rows_csv(whole))))
    assert [float(row["mean_regret"]) for row in rows] == [row["mean_regret"] for row in found["rows"]]
    assert rows[2]["trials_to_0.1%"] == "4.0" and rows[2]["seeds_to_0.1%"] == "1"
    pairs = list(csv.DictReader(io.StringIO(json_and_csv.pairs_csv(whole))))
    assert [float(pair["p"]) for pair in pairs] == [pair["p"] for pair in found["pairs"]]
