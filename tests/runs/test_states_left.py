"""Which trials of a long search keep the states that others may go on from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import trial_folders
from netwright.core.records import Proposal, Result, Trial
from netwright.runs import states_left
from netwright.runs.states_left import StatesLeft


def finished(number, score, budget=1):
    result = Result({"a": score}) if score is not None else Result(failure="error")
    scores = None if score is None else (score,)
    return Trial(number, Proposal((number,), budget=budget), str(number), 1, "done", result, scores, number)


@pytest.fixture
def _few(monkeypatch):
    monkeypatch.setattr(states_left, "LEAST", 4)


@pytest.mark.usefixtures("_few")
def test_the_better_half_of_each_budget_and_the_best_few_stay(tmp_path):
    for number in range(1, 31):
        trial_folders.folder_of(tmp_path, number).mkdir()
    left = StatesLeft(tmp_path)
    for number in range(1, 21):  # the later, the better
        left.asked(finished(number, None))
        left.told(finished(number, float(number)))
        left.tick()
    for number in range(21, 25):
        left.told(finished(number, -float(number), budget=3))
    left.told(finished(25, None))
    left.told(finished(26, -99.0, budget=None))
    there = [int(each.name) for each in sorted(tmp_path.iterdir())]
    assert there == [*range(11, 21), *range(21, 31)]


@pytest.mark.usefixtures("_few")
@given(scores=st.lists(st.floats(-9, 9), max_size=40), stop=st.integers(0, 40))
def test_a_search_that_is_gone_on_with_removes_the_same(tmp_path_factory, scores, stop):
    trials = [finished(number, score) for number, score in enumerate(scores, 1)]
    found = []
    for pieces in ([trials], [trials[:stop], trials[stop:]]):
        place, earlier = tmp_path_factory.mktemp("trials"), []
        for piece in pieces:
            watcher = StatesLeft(place, earlier)
            for trial in piece:
                trial_folders.folder_of(place, trial.id).mkdir()
                watcher.told(trial)
            earlier += piece
        found.append(sorted(each.name for each in place.iterdir()))
    assert found[0] == found[1] and len(found[0]) == min(len(trials), max(4, len(trials) // 2))
