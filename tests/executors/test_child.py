"""The loop of a worker process, with what it is told and what it finds in the table played."""

import os
from types import SimpleNamespace

import pytest

from netwright.executors import child, orders
from netwright.executors.post import Post
from netwright.stores.remote import TOKEN


@pytest.mark.parametrize("served", [False, True])
def test_a_worker_that_is_too_early_looks_again_less_and_less_often(monkeypatch, served):
    line, waits = SimpleNamespace(is_draining=False, is_stopping=False, say=lambda word, **values: None), []
    monkeypatch.setenv(TOKEN, "secret")

    def too_early(store, evaluator, name, context, **_options):
        assert TOKEN not in os.environ, "what a trial starts would have it"
        context(SimpleNamespace(id=1))

    def sleep(seconds):
        waits.append(seconds)
        line.is_draining = len(waits) == 8

    monkeypatch.setattr(child.refs, "load", lambda kind, reference: SimpleNamespace(recall=lambda name: "seed = 1"))
    monkeypatch.setattr(child.here, "made_ready", lambda run, task, fingerprint: run)
    monkeypatch.setattr(child.building, "build_evaluator", lambda run: None)
    monkeypatch.setattr(child.worker, "run_once", too_early)
    monkeypatch.setattr(child.time, "sleep", sleep)
    monkeypatch.setattr(orders, "heard", lambda store, name: "")
    child.work(Post("memory", "", "w0", served=served), line)
    assert waits[0] == child.SHORTEST_WAIT and waits[-1] == child.LONGEST_WAIT and waits == sorted(waits)
