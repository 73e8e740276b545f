"""Who works in a timed run, on how many cards."""

from pathlib import Path

import pytest

from netwright.core.errors import BadRunFile
from netwright.core.refs import Reference
from netwright.runs.timed import crew
from netwright.runs.timed.crew import Crew
from netwright.runs.timed.timetable import Speed
from netwright.runs.timed.wish import Wish

PROCESSES = Reference("processes")


def wish(executor=None, **more):
    return Wish(Path("run"), Reference("digits"), given={"executor": executor} if executor else {}, **more)


@pytest.fixture(params=[0, 2])
def cards(request, monkeypatch):
    monkeypatch.setattr(crew.torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(crew, "cores", lambda: 12)
    monkeypatch.setattr(crew.room, "held", lambda each: 10)
    return request.param


@pytest.mark.parametrize(
    ("executor", "more", "expected"),
    [
        ("inline", {}, {}),
        ("processes", {"workers": 2}, {"workers": 2}),
        ("processes(workers=2,stop_seconds=3)", {}, {"workers": 2, "stop_seconds": 3}),
        ("processes(workers=2)", {"changes": {"executor": {"workers": 1}}}, {"workers": 1}),
    ],
)
def test_an_executor_that_is_typed_has_the_workers_that_the_plan_is_for(cards, executor, more, expected):
    found = crew.of(wish(executor, **more), None)
    shared = {"trials_per_gpu": 1} if cards and expected else {}
    assert found.options(found.executor) == {**expected, **shared}
    assert found.workers == expected.get("workers", 1)
    assert found.most_on_a_card == 1
    assert found.sharing(3) == found, "their number is decided"


def test_where_nobody_says_there_is_one_for_each_card_or_core(cards):
    found = crew.of(wish(), None)
    assert found.workers == (cards or 10)
    assert found.most_on_a_card == (5 if cards else 1), "each has a core, and memory of the machine"
    if cards:
        shared = found.sharing(3)
        assert shared.options(PROCESSES) == {"workers": 6, "trials_per_gpu": 3}
    else:
        assert found.options(PROCESSES) == {"workers": 10}


def test_trials_on_a_card_that_were_typed_are_taken(cards):
    found = crew.of(wish("processes(trials_per_gpu=4)"), None)
    assert found.workers == (8 if cards else 10)
    assert found.options(found.executor)["trials_per_gpu"] == 4
    assert found.most_on_a_card == 1


@pytest.mark.parametrize("device", ["cpu", "cuda:1"])
def test_the_device_that_is_typed_decides(cards, device):
    found = crew.of(wish(changes={"evaluator": {"device": device}}), None)
    assert found.cards == (1 if cards and device == "cuda:1" else 0)


def test_numbers_that_cannot_be_are_refused():
    for asked in (wish(workers=0), wish("processes(workers=two)"), wish("inline", workers=2)):
        with pytest.raises(BadRunFile, match="workers is"):
            crew.of(asked, None)


def test_a_pace_is_slower_beside_others():
    speed = Speed(32, "bfloat16", (1.0, 2.0), 0.5)
    assert crew.slower([speed], 1.5) == [Speed(32, "bfloat16", (1.5, 3.0), 0.75)]


def test_cards_are_no_matter_of_a_crew_without_any():
    assert Crew(None, 4).options(PROCESSES) == {"workers": 4}
