"""Memory of the machine that runs out under workers, for real: a trial has it alone, then half a batch, then fails."""

import os
import re
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from netwright.controller import Search
from netwright.core import attempts, memory, run_file
from netwright.core.attempts import Attempt
from netwright.core.records import Proposal
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.executors import supervisor
from netwright.executors.post import Post
from netwright.executors.processes import Processes
from netwright.executors.worker_process import WorkerProcess
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToySpace
from tests.executors.test_processes import assert_nothing_left
from tests.verified import VERIFIED

TOYS = "netwright.testing.toys"
GROUPS = Path("/sys/fs/cgroup")


def searched(folder, trials, workers, **options):
    """Rows of a search, by number."""
    run = RunFile(
        space=Reference(f"{TOYS}:ToySpace"),
        task=Reference(f"{TOYS}:ToyTask"),
        evaluator=Reference("tests.hungry:Evaluator", options),
    )
    store = SqliteStore(str(folder / "trials.sqlite"))
    store.remember("run", run_file.to_toml(run))
    limits = Limits(trials=trials, failures_in_a_row=0)
    executor = Processes(workers=workers)
    ending = Search(ToySpace(), RandomSearch(ToySpace()), store, executor, limits=limits, folder=folder).run()
    assert ending == "trials"
    rows = {row.id: row for row in store.finished()}
    store.close()
    assert_nothing_left(folder)
    return rows


def test_a_trial_that_does_not_fit_beside_others_has_the_machine_alone_and_a_larger_one_is_halved(tmp_path):
    rows = searched(tmp_path, trials=3, workers=2)
    assert [rows[number].status for number in (1, 2, 3)] == ["done"] * 3
    assert rows[1].result.message == "", "others are untouched"
    alone, halved = rows[2].result, rows[3].result
    assert (alone.metrics["parts"], halved.metrics["parts"], halved.metrics["bytes"]) == (1, 2, 100e6)
    assert alone.message.startswith("the machine's memory ran out beside other trials (")
    assert alone.message.endswith("measured with the machine to itself")
    assert re.search(r"[\d.]+ GB of memory were free, \d+ MB held by this process, which has .*may have", alone.message)
    assert "by an estimate of 5.3 GB" in alone.message
    assert "also with the machine to itself" in halved.message and "saw halves" in halved.message


@VERIFIED
def test_a_trial_that_does_not_fit_at_all_fails(tmp_path):
    rows = searched(tmp_path, trials=6, workers=2)
    assert [rows[number].status for number in range(1, 7)] == ["done"] * 4 + ["failed"] * 2
    assert rows[6].result.failure == "out_of_memory"
    assert "with the machine to itself and half a batch at a time" in rows[6].result.message.splitlines()[-1]


@contextmanager
def group(megabytes):
    """A control group that may have so much memory; skips the test where none can be made."""
    is_second = (GROUPS / "cgroup.controllers").exists()
    place = (GROUPS if is_second else GROUPS / "memory") / f"netwright-test-{os.getpid()}"
    try:
        place.mkdir()
        (place / ("memory.max" if is_second else "memory.limit_in_bytes")).write_text(str(megabytes * 10**6))
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        yield str(place)
    finally:
        place.rmdir()


@VERIFIED
def test_what_the_kernel_kills_for_want_of_memory_is_no_lost_worker(tmp_path):
    with group(300) as place:
        rows = searched(tmp_path, trials=5, workers=1, group=place)
    assert [rows[number].status for number in range(1, 6)] == ["done"] * 5
    assert [rows[number].result.message for number in (1, 2, 3)] == [""] * 3
    assert rows[5].result.metrics["parts"] == 2
    assert "the kernel killed its worker, as memory ran out, at the last look with" in rows[5].result.message


@pytest.fixture
def died(tmp_path):
    """What a parent makes of the death of a worker at trial 1, and the table."""
    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    store.add(Proposal((0,)), "key", 1)
    worker = WorkerProcess.__new__(WorkerProcess)
    worker._kills, worker._sizes, worker.begun, worker.trial = 3, ", with 1 GB free", None, 1
    worker.done = 0

    def die(code, kills, words=""):
        store.claim("w0")
        worker.process = SimpleNamespace(returncode=code)
        memory_kills = memory.kills
        memory.kills = lambda: kills
        try:
            if sizes := worker.out_of_memory(words):
                supervisor._ran_out(store, Post("", str(tmp_path), "w0"), worker, 1, sizes)
        finally:
            memory.kills = memory_kills
        store.requeue(0.0, "w0")
        return attempts.of(store, 1)

    yield die, store
    store.close()


def test_a_death_for_want_of_memory_is_told_from_others(died):
    die, store = died
    assert die(-9, 3) == Attempt(), "somebody killed it"
    assert die(1, 4) == Attempt(), "the kernel killed another one"
    assert die(-6, 3, "Aborted") == Attempt()
    assert die(-9, 4) == Attempt(1, "machine", "the kernel killed its worker, as memory ran out, with 1 GB free")
    assert die(-6, 3, "terminate called after throwing an instance of 'std::bad_alloc'").ran_out == 2
    assert store.tally().pending == 1
    die(-9, 5)
    [row] = store.finished()
    assert row.result.failure == "out_of_memory"
    assert row.result.message.endswith("with 1 GB free; that was with the machine to itself and half a batch at a time")


def test_the_kernel_counts_what_it_kills(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "VMSTAT", tmp_path / "vmstat")
    assert memory.kills() == 0
    (tmp_path / "vmstat").write_text("nr_free_pages 7\noom_kill 12\n")
    assert memory.kills() == 12
