"""What every executor must do. Call `check_executor` from a test of your own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from netwright.core import run_file
from netwright.core.protocols import Evaluator, Executor, Halts, Job, Store
from netwright.core.records import Proposal, Result
from netwright.core.refs import Reference
from netwright.core.round_plan import MEMBERS, PLACE
from netwright.core.run_file import RunFile
from netwright.testing.toys import ToyEvaluator, ToySharedEvaluator, ToySpace, ToyTask

PATIENCE = 60.0  # seconds until a check gives up


def check_executor(make: Callable[[Evaluator], Executor], make_store: Callable[[], Store], folder: Path) -> None:
    """Assert that trials are evaluated once each, over a stop in between, and that `drain` and `halt` leave the others.

    Of an evaluator that makes something ready for a round, no trial is evaluated before all of the round are there.

    Args:
        make: Constructs the executor around an evaluator.
        make_store: Makes a fresh store that the executor's workers can reach.
        folder: Folder for what workers write.
    """
    evaluator = ToyEvaluator(ToySpace(), ToyTask(), seconds=0.01)
    store = make_store()
    store.remember("run", run_file.to_toml(_run("ToyEvaluator", {"seconds": 0.01})))
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
    late = store.claim("late")
    assert late is not None
    store.finish(late.id, Result({"valid_accuracy": 0.0}))
    with TemporaryDirectory(dir=folder) as own:
        _check_rounds(make, store, Path(own))
    store.close()


def _check_rounds(make: Callable[[Evaluator], Executor], store: Store, folder: Path) -> None:
    """Trials of a round wait for its last row, and find what was made ready in the folder that they share."""
    given: dict[str, Any] = {"rounds_played": 1, "pool": 4}
    before = len(store.finished())
    store.remember("run", run_file.to_toml(_run("ToySharedEvaluator", given)))
    executor = make(ToySharedEvaluator(ToySpace(), ToyTask(), **given))
    executor.start(Job(store, folder))
    for place in range(4):
        executor.poll(0.1)
        assert len(store.finished()) == before, "a trial was measured before all rows of its round were there"
        store.add(Proposal((place,) * 12, budget=1, notes={PLACE: place, MEMBERS: 4}), f"member {place}", place)
    _poll_until(executor, lambda: not store.unfinished())
    assert [trial.status for trial in store.finished()[before:]] == ["done"] * 4
    assert [path.name for path in (folder / "shared").iterdir()] == ["round-0001.txt"]
    executor.stop()


def _run(evaluator: str, options: Mapping[str, Any]) -> RunFile:
    toys = "netwright.testing.toys"
    return RunFile(
        space=Reference(f"{toys}:ToySpace"),
        task=Reference(f"{toys}:ToyTask"),
        evaluator=Reference(f"{toys}:{evaluator}", options),
    )


def _poll_until(executor: Executor, is_done: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not is_done():
        assert time.monotonic() < until, f"the executor did not get there in {PATIENCE:.0f} s"
        executor.poll(0.02)
