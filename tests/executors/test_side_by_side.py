"""Trainings side by side by order: real processes with a toy in place of a network, and a cast of numbers."""

import os
import sys

import psutil
import pytest

from netwright.core import run_file
from netwright.core.cards import CardMemory
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.executors import lines, side_by_side
from netwright.executors.descendants import MARK
from netwright.executors.rehearsal import Rehearsal
from netwright.executors.side_by_side import Cast, Gate

TOYS = "netwright.testing.toys"


class Numbers:
    """A cast whose rates are given, and of which only so many get ready."""

    def __init__(self, rates, ready=16, memory=CardMemory(80_000, 78_000, 2_000)):
        self.rates, self.ready, self.memory, self.asked, self.grown = rates, ready, memory, [], []

    def grow(self, number):
        self.grown.append(number)
        return min(self.ready, number)

    def rate(self, number, seconds):
        self.asked.append(number)
        return self.rates[number]


def test_more_trainings_are_tried_while_they_bring_more():
    cast = Numbers({1: 100.0, 2: 190.0, 4: 195.0, 8: 300.0})
    assert side_by_side.measured(cast, None, 8) == {1: 100.0, 2: 190.0, 4: 195.0}
    assert cast.grown == [1, 8]


def test_no_more_are_tried_than_fit_by_memory_or_get_ready():
    rates = {1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}
    by_estimate = Numbers(rates)
    assert max(side_by_side.measured(by_estimate, 20_000.0, 16)) == 3
    assert max(side_by_side.measured(Numbers(rates, ready=2), None, 16)) == 2
    assert side_by_side.measured(Numbers(rates, ready=0), None, 16) == {}


def test_a_gate_counts_the_steps_of_each_order_and_waits_for_the_next():
    now, orders, answers = [0.0], os.pipe(), os.pipe()
    gate = Gate(orders[0], answers[1], lambda: CardMemory(80.0, 70.0, 10.0), lambda: now[0])

    def answered():
        [answer] = lines.Reader(side_by_side.UP).take(os.read(answers[0], 65536))
        return answer

    os.write(orders[1], lines.encode("go", milliseconds=3000))
    assert not gate.step()
    assert answered() == {"say": "did", "steps": 1, "milliseconds": 0, "total": 80, "free": 70, "held": 10}
    for now[0] in (1.0, 2.0):
        assert not gate.step()
    now[0] = 3.5
    os.write(orders[1], lines.encode("go", milliseconds=1))
    assert not gate.step()
    assert (answered()["steps"], now[0]) == (3, 3.5)
    os.close(orders[1])
    now[0] = 4.0
    assert gate.step() and gate.step(), "there are no more orders"
    assert answered()["milliseconds"] == 500, "once"


@pytest.mark.parametrize("evaluator", ["ToyEvaluator", "missing"])
def test_trials_are_rehearsed_in_processes_that_leave_nothing(tmp_path, evaluator):
    run = RunFile(
        space=Reference(f"{TOYS}:ToySpace"),
        task=Reference(f"{TOYS}:ToyTask"),
        evaluator=Reference(f"{TOYS}:{evaluator}", {"seconds": 0.3} if evaluator == "ToyEvaluator" else {}),
    )
    path = tmp_path / "run.toml"
    path.write_text(run_file.to_toml(run))
    genotypes = tuple(tuple(index for _ in range(6)) for index in range(2))

    def command(index):
        told = Rehearsal(str(path), genotypes, first=index)
        return side_by_side.module("netwright.executors.rehearsal", told.to_json())

    mark = f"{path}|rehearsal|"
    with Cast(command, {}, mark) as cast:
        if evaluator == "missing":
            assert cast.grow(1) == 0
        else:
            assert cast.grow(2) == 2
            alone, both = cast.rate(1, 0.5), cast.rate(2, 0.5)
            assert both > alone > 0, "both sleep between steps"
    assert not [process.pid for process in psutil.process_iter() if _mark(process) == mark]


def _mark(process):
    try:
        return process.environ().get(MARK)
    except psutil.Error:
        return None


def test_a_process_that_ends_adds_nothing():
    quits = (sys.executable, "-c", "raise SystemExit(1)")
    with Cast(lambda index: quits, {}) as cast:
        assert cast.grow(2) == 0
        assert cast.rate(2, 0.1) == 0
