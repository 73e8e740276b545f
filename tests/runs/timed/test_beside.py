"""The reference network, told when to train; on the CPU, which stands in for a card, and with a cast that is none."""

import json
import os
import threading

import pytest

from netwright.core import refs, run_file
from netwright.core.refs import Reference
from netwright.executors import lines, side_by_side
from netwright.executors.card_service import Service
from netwright.runs.timed import beside, probe
from netwright.runs.timed.beside import SharedTraining


@pytest.fixture
def task():
    return refs.load("task", Reference("digits", {"train_limit": 20}))


@pytest.fixture
def facts(task):
    return SharedTraining(run_file.write_io(probe.sized(task, 8)), 4, "float32", device="cpu")


def test_steps_are_taken_until_there_are_no_more_orders(facts):
    orders, answers = os.pipe(), os.pipe()
    training = threading.Thread(target=beside.train, args=(facts, orders[0], answers[1]))
    training.start()
    said = lines.Reader(side_by_side.UP)
    for milliseconds in (50, 1):
        [answer] = said.take(os.read(answers[0], 4096))
        assert answer["steps"] > 0
        os.write(orders[1], lines.encode("go", milliseconds=milliseconds))
    os.close(orders[1])
    training.join()


def test_processes_are_told_what_to_train_and_the_service_ends_after_them(task, facts, monkeypatch):
    events = []

    class Cast:
        def __init__(self, command, environment, mark):
            assert json.loads(command(3)[-1])["batch"] == 4
            assert environment == {"x": "y"}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            events.append("cast")

    def measured(cast, estimate, most):
        assert 500 < estimate < 1000 and most == 7
        return {1: 5.0}

    monkeypatch.setattr(beside, "Cast", Cast)
    monkeypatch.setattr(side_by_side, "measured", measured)
    monkeypatch.setattr("netwright.executors.card_service.start", lambda mark: Service({"x": "y"}))
    monkeypatch.setattr(Service, "stop", lambda service: events.append("service"))
    assert beside.rates(task, 8, facts, 7) == {1: 5.0}
    assert events == ["cast", "service"]
