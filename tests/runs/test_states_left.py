"""Which trials of a long search keep the states that others may go on from."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import netwright
from netwright.core import trial_folders
from netwright.core.records import Proposal, Result, Trial
from netwright.report import page
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
def test_those_that_may_be_promoted_and_some_more_stay_and_the_best_few(tmp_path):
    for number in range(1, 31):
        trial_folders.folder_of(tmp_path, number).mkdir()
    left = StatesLeft(tmp_path, 1 / 3)
    for number in range(1, 21):  # the later, the better
        left.asked(finished(number, None))
        left.told(finished(number, float(number)))
        left.tick()
    for number in range(21, 25):
        left.told(finished(number, -float(number), budget=3))
    left.told(finished(25, None))
    left.told(finished(26, -99.0, budget=None))
    assert len(list(tmp_path.iterdir())) == 20
    left.asked(replace(finished(27, None), proposal=Proposal((11,), budget=3, continues=11)))
    for number in range(28, 31):
        left.told(finished(number, float(number)))
    there = [int(each.name) for each in sorted(tmp_path.iterdir())]
    assert there == [*range(11, 31)], "the state that a promotion goes on from stays, though it is among the worst"


@pytest.mark.usefixtures("_few")
def test_failed_trials_count_and_what_waits_when_a_search_is_gone_on_with_keeps_its_state(tmp_path):
    for number in range(1, 11):
        trial_folders.folder_of(tmp_path, number).mkdir()
    waiting = replace(finished(11, None), proposal=Proposal((1,), budget=3, continues=1))
    trials = [finished(number, float(number)) for number in range(1, 9)]
    StatesLeft(tmp_path, 1 / 3, trials, [waiting])
    assert [int(each.name) for each in sorted(tmp_path.iterdir())] == [1, *range(5, 11)]
    trial_folders.folder_of(tmp_path, 3).mkdir()
    failed = [finished(number, None) for number in range(20, 24)]
    StatesLeft(tmp_path, 1 / 3, [*failed, *trials])
    assert [int(each.name) for each in sorted(tmp_path.iterdir())] == [3, *range(5, 11)]


@pytest.mark.usefixtures("_few")
@given(scores=st.lists(st.floats(-9, 9), max_size=40), stop=st.integers(0, 40))
def test_a_search_that_is_gone_on_with_removes_the_same(tmp_path_factory, scores, stop):
    trials = [finished(number, score) for number, score in enumerate(scores, 1)]
    found = []
    for pieces in ([trials], [trials[:stop], trials[stop:]]):
        place, earlier = tmp_path_factory.mktemp("trials"), []
        for piece in pieces:
            watcher = StatesLeft(place, 1 / 3, earlier)
            for trial in piece:
                trial_folders.folder_of(place, trial.id).mkdir()
                watcher.told(trial)
            earlier += piece
        found.append(sorted(each.name for each in place.iterdir()))
    assert found[0] == found[1] and len(found[0]) == min(len(trials), max(4, len(trials) // 2))


def test_a_search_by_halving_keeps_few_states_and_fails_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(states_left, "LEAST", 2)
    monkeypatch.setattr(page, "write", lambda folder, *_: folder / "report.html")
    settings = {"steps": 1, "horizon": 3, "batch": 8}
    run = netwright.Run(
        tmp_path / "run",
        space="nats(channels=2, repeats=1)",
        task="digits(train_limit=40)",
        strategy="asha(max_budget=3)",
        executor="inline",
        trials=16,
        changes={"evaluator": settings},
    )
    rows = run.search().trials
    lowest = [row for row in rows if row.proposal.budget == 1]
    promoted = {row.proposal.continues for row in rows} - {None}
    assert len(promoted) > 2 and not any(row.result.failure for row in rows)
    left = {int(path.parent.name) for path in (tmp_path / "run" / "trials").rglob(trial_folders.ENDS)}
    assert left <= {row.id for row in lowest} - promoted
    assert len(left) <= max(2, len(lowest) // 2) - len(promoted)
    assert not any(row.result.message for row in rows), "nothing was trained anew"
