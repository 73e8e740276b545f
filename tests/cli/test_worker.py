"""`netwright worker` at a search whose evaluator allows no other."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from netwright.cli.options import Typed
from netwright.cli.worker import _take_place, worker
from netwright.core.errors import WorkerError
from netwright.core.refs import Reference
from netwright.core.run_file import Limits
from netwright.stores.memory import MemoryStore
from tests.runs.test_session import RUN, TOYS, play


def test_no_other_worker_joins_where_the_evaluator_allows_one(tmp_path):
    said = []

    def joining(_controller, _say):
        with pytest.raises(WorkerError) as refusal:
            worker(SimpleNamespace(obj=Typed((), "", 0.0)), str(tmp_path), None, 0, None, None, 60.0, None, True)
        said.append(str(refusal.value))
        return nullcontext()

    evaluator = Reference(f"{TOYS}:ToySharedEvaluator", {"rounds_played": 1, "pool": 3})
    play(tmp_path, replace(RUN, evaluator=evaluator, limits=Limits(trials=3)), joining)
    assert said == [
        "the search has 1 worker, and its evaluator, whose trials share what they are measured with, allows no more "
        "than 1; let it work alone"
    ]


def test_of_two_workers_that_join_at_once_one_is_refused_where_the_evaluator_allows_one():
    store = MemoryStore()
    store.remember("max_workers", "1")
    beat = store.beat

    def late(*values):
        store.beat = beat
        _take_place(store, "sooner", 0)
        beat(*values)

    store.beat = late  # both have looked who is there, and nobody was
    with pytest.raises(WorkerError, match="the search has 1 worker"):
        _take_place(store, "later", 0)
    assert store.recall("joined") == "sooner"


def test_as_many_workers_join_as_the_evaluator_allows():
    store = MemoryStore()
    store.remember("max_workers", "2")
    for name in ("one", "two", "two"):
        _take_place(store, name, 0)
    with pytest.raises(WorkerError, match="the search has 2 workers"):
        _take_place(store, "three", 0)
    store = MemoryStore()
    _take_place(store, "one", 0)
    assert store.workers() == [], "nobody is kept out, and nothing is written"
