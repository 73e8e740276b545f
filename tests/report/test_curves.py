import math
import time
from dataclasses import replace

import numpy as np
import pytest

from netwright.core.records import Proposal, Result, Trial
from netwright.report import curves
from netwright.report.history import History


def made(trial_id, score=None, parents=(), key=None, **result):
    status = "failed" if score is None else "done"
    failure = "" if score is not None else result.pop("failure", "error")
    metrics = {} if score is None else {"valid_accuracy": score, "params": 1000 * trial_id}
    return Trial(
        trial_id,
        Proposal((0,), tuple(parents)),
        key or f"k{trial_id}",
        0,
        status,
        Result(metrics, failure=failure, **result),
        None if score is None else (score,),
        trial_id,
    )


def test_failed_trials_have_no_score_and_no_params():
    trials = [made(1, 0.5), made(2), made(3, 0.7)]
    np.testing.assert_array_equal(History.of(trials).scores, [0.5, np.nan, 0.7])
    np.testing.assert_array_equal(History.of(trials).params, [1000, np.nan, 3000])


def test_best_so_far_skips_failures_and_never_falls():
    values = np.array([np.nan, 0.5, 0.4, np.nan, 0.9, 0.1])
    np.testing.assert_array_equal(curves.best_so_far(values), [np.nan, 0.5, 0.5, 0.5, 0.9, 0.9])
    np.testing.assert_array_equal(curves.records(values), [1, 4])
    assert len(curves.best_so_far(np.zeros(0))) == len(curves.records(np.zeros(0))) == 0


def test_moving_average_is_the_mean_of_the_last_numbers():
    values = np.array([np.nan, 1.0, 3.0, np.nan, np.nan, np.nan, 8.0])
    np.testing.assert_allclose(curves.moving_average(values, 3), [np.nan, 1, 2, 2, 3, np.nan, 8])
    with pytest.raises(ValueError, match="window is 0"):
        curves.moving_average(values, 0)


def test_moving_average_keeps_the_digits_of_large_numbers():
    values = 1e9 + np.arange(100_000) % 2
    np.testing.assert_allclose(curves.moving_average(values, 2)[1:] - 1e9, 0.5, rtol=0, atol=1e-6)


def test_thin_keeps_ends_records_and_the_minimum():
    values = np.random.default_rng(0).normal(size=50_000)
    places = curves.thin(values, 100)
    assert len(places) <= 100
    assert (np.diff(places) > 0).all()
    assert {0, len(values) - 1, int(values.argmin()), *curves.records(values)} <= set(places)
    np.testing.assert_array_equal(curves.thin(values[:100], 100), np.arange(100))


def test_thin_holds_its_limit_when_every_value_is_a_record():
    places = curves.thin(np.arange(10_000.0), 100)
    assert 50 <= len(places) <= 100
    assert places[-1] == 9999


def test_start_population_is_what_was_asked_before_the_first_child():
    trials = [made(2, 0.1), made(1, 0.2), made(4, 0.3, [1]), made(3, 0.1), made(5, 0.4)]
    assert curves.start_population(History.of(trials)) == 3
    assert curves.start_population(History.of(trials[:2])) == curves.start_population(History.of([])) == 0


def test_lineage_leads_from_the_oldest_ancestor():
    trials = [made(1, 0.1), made(2, 0.1), made(3, 0.2, [1, 2]), made(4, 0.3, [3])]
    assert curves.lineage(History.of(trials), 3).tolist() == [0, 2, 3]


def test_lineage_ends_at_missing_parents_and_cycles():
    assert curves.lineage(History.of([made(5, 0.1, [3])]), 0).tolist() == [0]
    assert curves.lineage(History.of([made(1, 0.1, [2]), made(2, 0.1, [1])]), 1).tolist() == [0, 1]


def test_rounds_hold_what_notes_say_of_the_model():
    def noted(trial_id, score, **notes):
        return replace(made(trial_id, score), proposal=Proposal((0,), notes=notes))

    trials = [
        made(1, 0.9),
        noted(4, 0.6, round=2.0, step=1.0, model_tau=0.75, model_unseen_tau=0.5),
        noted(2, 0.5, round=1.0, step=1.0, model_tau=0.5),
        noted(3, 0.7, round=1.0, step=9.0, model_tau=0.5),
        noted(5, None, round=3.0, model_tau=1.0),
        noted(6, 0.8, round=4.0, bracket=1.0),
    ]
    first, second, third = curves.learning(History.of(trials)).rounds
    assert (first.number, first.trials, first.best, first.model) == (1, 2, 0.7, {"tau": 0.5})
    assert second.facts() == {"round": 2, "tau": 0.75, "unseen_tau": 0.5}
    assert str(second) == "model of round 2: tau 0.7500, unseen tau 0.5000"
    assert (third.trials, third.best) == (1, None)
    without = [History.of([]), History.of([made(1, 0.5), noted(2, 0.5, rung=1.0)])]
    assert [curves.learning(history) for history in without] == [curves.Learning()] * 2


def _trial(n, key, budget, score, **metrics):
    status, scores = ("failed", None) if score is None else ("done", (score,))
    return Trial(n, Proposal((n,), budget=budget), key, 0, status, Result(metrics), scores, n)


def _ids(trials, count=9):
    return [trial.id for trial in curves.finalists(History.of(trials), count)]


def test_the_largest_budget_counts_before_any_score_and_a_network_counts_once():
    trials = [
        _trial(1, "a", 1, 0.7),
        _trial(2, "b", 1, 0.9),
        _trial(3, "c", 1, 0.8),
        _trial(4, "a", 3, 0.6),
        _trial(5, "d", 3, None),
        _trial(6, "c", 3, 0.85),
    ]
    assert _ids(trials) == [6, 4, 2]
    assert _ids(trials, 2) == [6, 4]
    assert _ids(trials, 0) == []


def test_of_equals_the_first_finished_comes_first():
    trials = [_trial(1, "a", 1, 0.5), _trial(2, "b", 1, 0.5)]
    late = [trials[1], replace(trials[0], finish=7)]
    assert _ids(trials) == [1, 2]
    assert _ids(late) == [2, 1]


def test_a_training_that_ended_by_itself_counts_as_one_at_the_largest_budget():
    trials = [_trial(1, "a", 1, 0.9, stopped_early=1.0), _trial(2, "b", 9, 0.8), _trial(3, "c", 3, 0.95)]
    assert _ids(trials) == [1, 2, 3]


def test_trials_without_budgets_go_by_their_scores():
    assert _ids([_trial(1, "a", None, 0.5), _trial(2, "b", None, 0.9), _trial(3, "c", None, None)]) == [2, 1]


def test_finalists_are_ten_unless_more_are_asked_for():
    trials = [_trial(n, f"k{n}", None, 0.5) for n in range(1, 20)]
    assert [trial.id for trial in curves.finalists(History.of(trials))] == list(range(1, 11))


def test_failures_are_grouped_by_kind_and_last_line():
    trials = [made(1, message="Traceback\nat 1\nboom\n"), made(2, 0.5), made(3, message="other\nboom")]
    trials += [made(4, failure="timeout"), made(5, message="boom", failure="diverged")]
    found = [(g.failure, g.reason, g.times, g.trial_ids) for g in curves.failures(History.of(trials))]
    assert found == [("error", "boom", 2, (1, 3)), ("timeout", "", 1, (4,)), ("diverged", "boom", 1, (5,))]
    assert curves.failures(History.of([made(1, 0.5)])) == []


def test_utilization_leaves_out_what_was_not_measured_anew():
    trials = [made(1, 0.5, seconds=30.0), made(2, 0.5, seconds=99.0, reused=1), made(3, seconds=10.0)]
    assert math.isclose(curves.utilization(History.of(trials), 2, 40.0), 0.5)
    with pytest.raises(ValueError, match="wall_seconds"):
        curves.utilization(History.of(trials), 2, 0.0)


def test_arrays_of_a_million_trials_take_seconds_at_most():
    values = np.random.default_rng(0).normal(size=1_000_000)
    start = time.perf_counter()
    curves.moving_average(values, 1000)
    curves.thin(values)
    curves.best_so_far(values)
    assert time.perf_counter() - start < 3
