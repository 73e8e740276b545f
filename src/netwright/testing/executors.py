"""What every executor must do. Call `check_executor` from a test of your own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from netwright.core import run_file
from netwright.core.protocols import Evaluator, Executor, Halts, Job, Store
from netwright.core.records import Proposal
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask

PATIENCE = 60.0  # seconds until a check gives up


def check_executor(make: Callable[[Evaluator], Executor], make_store: Callable[[], Store], folder: Path) -> None:
    """Assert that trials are evaluated once each, over a stop in between, and that `drain` and `halt` leave the others.

    Args:
        make: Constructs the executor around an evaluator.
        make_store: Makes a fresh store that the executor's workers can reach.
        folder: Folder for what workers write.
    """
    evaluator = ToyEvaluator(ToySpace(), ToyTask(), seconds=0.01)
    store = make_store()
    toys = "netwright.testing.toys"
    run = RunFile(
        space=Reference(f"{toys}:ToySpace"),
        task=Reference(f"{toys}:ToyTask"),
        evaluator=Reference(f"{toys}:ToyEvaluator", {"seconds": 0.01}),
    )
    store.remember("run", run_file.to_toml(run))
    for number in range(8):
        store.add(Proposal((number % 4,) * 12), str(number), number)
    executor = make(evaluator)
    executor.start(Job(store, folder))
    _poll_until(executor, lambda: len(store.finished()) >= 2)
    executor.stop()
    store.put_back()
    done = len(store.finished())
    executor = make(evaluator)
    executor.start(Job(store, folder))
    _poll_until(executor, lambda: not store.unfinished())
    assert sorted(trial.id for trial in store.finished()) == list(range(1, 9))
    assert len(store.finished()) > done or done == 8
    executor.drain()
    _poll_until(executor, executor.is_idle)
    store.add(Proposal((0,) * 12), "late", 1)
    executor.poll(0.05)
    assert [trial.status for trial in store.unfinished()] == ["pending"], "after drain nothing is started"
    executor.stop()
    halting = make(evaluator)
    if isinstance(halting, Halts):
        halting.start(Job(store, folder))
        halting.halt()
        _poll_until(halting, halting.is_idle)
        halting.poll(0.05)
        assert [trial.status for trial in store.unfinished()] == ["pending"], "after halt nothing is started"
        halting.stop()
    store.close()


def _poll_until(executor: Executor, is_done: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not is_done():
        assert time.monotonic() < until, f"the executor did not get there in {PATIENCE:.0f} s"
        executor.poll(0.02)
