"""How many trials share a card, with an evaluator that says it has cards, and measurements that are given."""

import json
from dataclasses import dataclass, replace

import pytest

from netwright.core import building
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.executors.inline import Inline
from netwright.executors.processes import Processes
from netwright.runs import sharing
from netwright.stores.memory import MemoryStore
from netwright.testing.toys import ToyEvaluator

TOYS = "netwright.testing.toys"
RATES = {1: 100.0, 2: 180.0, 4: 260.0, 8: 270.0}


@dataclass(frozen=True)
class OnCards(ToyEvaluator):
    number: int = 1
    processes: int = 1

    def cards(self, worker_index):
        first = worker_index * self.processes
        return tuple(f"cuda-{index % self.number}" for index in range(first, first + self.processes))

    def in_more_parts(self, parts, genotype):
        return self

    def card_memory(self):
        return None

    def leave_cards(self):
        pass

    def memory_mb(self, genotype):
        return 1000.0 * sum(genotype)


def parts_of(evaluator=OnCards, executor=None, **options):
    run = RunFile(space=Reference(f"{TOYS}:ToySpace"), task=Reference(f"{TOYS}:ToyTask"))
    parts = building.build(replace(run, evaluator=Reference(f"{TOYS}:ToyEvaluator")))
    made = evaluator(parts.space, parts.task, **options)
    return replace(parts, evaluator=made, executor=executor or Processes(workers=8, card_service="never"))


def stored():
    store = MemoryStore()
    store.remember("run", "x = 1")
    return store


def shared(parts, store=None, limits=Limits(trials=100), left=100, measure=lambda cast, estimate, most: RATES):
    found, said = sharing.shared(parts, store or stored(), [(1, 0), (1, 1)], limits, left, 1, measure)
    return found.executor, said


def test_as_many_as_measure_best_share_a_card_and_are_measured_once():
    asked = []

    def measure(cast, estimate, most):
        asked.append((estimate, most))
        return RATES

    store = stored()
    for _ in range(2):
        executor, said = shared(parts_of(), store, measure=measure)
        assert executor.workers == 4
        assert "1 GPU, at most 4 trials on each" in said
        assert "4: 260" in said
    assert asked == [(2000.0, 8)], "the largest of the estimates, and all workers"
    assert json.loads(store.recall(sharing.FACT)) == {str(number): rate for number, rate in RATES.items()}


@pytest.mark.parametrize(
    ("options", "executor", "workers"),
    [
        ({"number": 2}, {"workers": 16}, 8),
        ({"number": 2}, {"workers": 3}, 3),
        ({"number": 2, "processes": 2}, {"workers": 8}, 1),
        ({}, {"workers": 8, "trials_per_gpu": 3}, 3),
        ({"number": 4}, {"workers": 16, "trials_per_gpu": 1}, 4),
    ],
)
def test_workers_are_as_many_as_cards_take_and_no_more_than_asked(options, executor, workers):
    found, _ = shared(parts_of(executor=Processes(**executor, card_service="never"), **options))
    assert found.workers == workers


@pytest.mark.parametrize(("limits", "left"), [(Limits(trials=10), 10), (Limits(hours=0.05), None)])
def test_a_short_search_is_not_measured(limits, left):
    executor, said = shared(parts_of(), limits=limits, left=left, measure=lambda *_: pytest.fail("it is"))
    assert executor.workers == 1
    assert "as this is short" in said


def test_where_nothing_can_be_rehearsed_each_card_has_one_trial():
    store = stored()
    executor, _ = shared(parts_of(), store, measure=lambda *_: {})
    assert executor.workers == 1
    assert store.recall(sharing.FACT) is None, "another time, it may be possible"


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"1": "x"}', '{"0": 1.0}', '{"2": -1}'])
def test_a_measurement_that_cannot_be_read_is_made_anew(text):
    store = stored()
    store.remember(sharing.FACT, text)
    assert shared(parts_of(), store)[0].workers == 4


def test_without_cards_nothing_changes():
    for parts in (parts_of(ToyEvaluator), parts_of(executor=Inline(None))):
        assert shared(parts, measure=lambda *_: pytest.fail("measured")) == (parts.executor, "")
