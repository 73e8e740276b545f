from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from netwright.core.finals import finalists
from netwright.core.records import Proposal, Result, Trial


def _trial(n, key, budget, score, **metrics):
    status, scores = ("failed", None) if score is None else ("done", (score,))
    return Trial(n, Proposal((n,), budget=budget), key, 0, status, Result(metrics), scores, n)


def _ids(trials, count=9):
    return [trial.id for trial in finalists(trials, count)]


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
    late = [replace(trials[0], finish=7), trials[1]]
    assert _ids(trials) == [1, 2]
    assert _ids(late) == [2, 1]


def test_a_training_that_ended_by_itself_counts_as_one_at_the_largest_budget():
    trials = [_trial(1, "a", 1, 0.9, stopped_early=1.0), _trial(2, "b", 9, 0.8), _trial(3, "c", 3, 0.95)]
    assert _ids(trials) == [1, 2, 3]


def test_trials_without_budgets_go_by_their_scores():
    assert _ids([_trial(1, "a", None, 0.5), _trial(2, "b", None, 0.9), _trial(3, "c", None, None)]) == [2, 1]


TRIALS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from([1, 3, 9]), st.none() | st.sampled_from([0.1, 0.2, 0.3])),
    max_size=12,
)


@given(TRIALS, st.integers(0, 5), st.randoms())
def test_the_order_in_which_trials_are_given_changes_nothing(rows, count, random):
    trials = [_trial(n, *row) for n, row in enumerate(rows, 1)]
    found = finalists(trials, count)
    assert len({trial.key for trial in found}) == len(found) <= count
    random.shuffle(trials)
    assert finalists(trials, count) == found
