"""Worker processes under every fault: the row says what happened, the search goes on, nothing is left behind."""

import time

import psutil
import pytest

from netwright.core import run_file
from netwright.core.errors import WorkerError
from netwright.core.protocols import Job
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.executors.processes import Processes
from netwright.search import Search
from netwright.stores.memory import MemoryStore
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToySpace

TOYS = "netwright.testing.toys"


def search(folder, fault, trials=4, evaluator="tests.faulty:Evaluator", every=2, **options):
    """Run a search of faulty evaluations; returns its rows in order of id."""
    run = RunFile(
        space=Reference(f"{TOYS}:ToySpace"),
        task=Reference(f"{TOYS}:ToyTask"),
        evaluator=Reference(evaluator, {"fault": fault, "every": every}),
    )
    store = SqliteStore(str(folder / "trials.sqlite"))
    store.remember("run", run_file.to_toml(run))
    executor = Processes(**{"workers": 1, **options})
    limits = Limits(trials=trials, failures_in_a_row=0)
    ending = Search(ToySpace(), RandomSearch(ToySpace()), store, executor, limits=limits, folder=folder).run()
    assert ending == "trials"
    rows = sorted(store.finished(), key=lambda trial: trial.id)
    assert len(rows) == trials
    assert all(row.status == "done" for row in rows if row.id % every), "other trials are untouched"
    assert_nothing_left(folder)
    return rows


def poll_for(executor, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        executor.poll(0.1)


def assert_nothing_left(folder):
    until = time.monotonic() + 10
    while left := [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])]:
        assert time.monotonic() < until, f"still running: {left}"


@pytest.mark.parametrize(
    ("fault", "failure", "message"),
    [
        ("raise", "error", "ValueError: no good: 2"),
        ("nan", "diverged", "metric 'valid_accuracy' is nan"),
        ("none", "error", "metric 'valid_accuracy' is 'None'; it must be a number"),
        ("text", "error", "it must return a Result"),
        ("memory", "out_of_memory", "80 GiB"),
    ],
)
def test_a_fault_becomes_a_failed_row(tmp_path, fault, failure, message):
    rows = search(tmp_path, fault)
    assert [row.status for row in rows] == ["done", "failed", "done", "failed"]
    assert rows[1].result.failure == failure
    assert message in rows[1].result.message


def test_a_worker_that_ran_out_of_memory_is_replaced(tmp_path):
    rows = search(tmp_path, "memory")
    assert rows[0].result.metrics["pid"] != rows[2].result.metrics["pid"]


def test_a_trial_that_kills_its_worker_is_asked_four_times_then_lost(tmp_path):
    rows = search(tmp_path, "die", trials=3)
    assert [row.status for row in rows] == ["done", "failed", "done"]
    assert rows[1].result.failure == "lost"


def test_a_trial_whose_worker_died_once_is_asked_again(tmp_path):
    assert [row.status for row in search(tmp_path, "die_once")] == ["done"] * 4


def test_a_trial_over_its_time_is_killed_with_its_children(tmp_path):
    rows = search(tmp_path, "hang", trials=3, trial_minutes=0.01)
    assert rows[1].result.failure == "timeout"
    assert "limit of 0.6 s" in rows[1].result.message


def test_a_silent_trial_is_killed(tmp_path):
    rows = search(tmp_path, "silent", trials=3, silent_minutes=0.01)
    assert rows[1].result.failure == "timeout"
    assert "without a report" in rows[1].result.message


def test_what_a_trial_prints_goes_to_the_log(tmp_path):
    assert [row.status for row in search(tmp_path, "print", trials=2)] == ["done", "done"]
    assert (tmp_path / "logs" / "w0.log").stat().st_size >= 5_000_000


def test_workers_that_cannot_start_end_the_search_with_their_error(tmp_path):
    with pytest.raises(WorkerError, match=r"there is no module 'tests\.nowhere'"):
        search(tmp_path, "raise", evaluator="tests.nowhere:Evaluator")
    assert_nothing_left(tmp_path)


def test_a_table_in_memory_is_refused(tmp_path):
    with pytest.raises(WorkerError, match="inline executor"):
        Processes(workers=1).start(Job(MemoryStore(), tmp_path))


def test_no_workers_are_refused():
    with pytest.raises(WorkerError, match="workers is 0;"):
        Processes(workers=0)


def test_a_table_without_a_run_file_ends_the_search(tmp_path):
    """The reason is in the log, and starting is not tried for ever."""
    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    executor = Processes(workers=1)
    executor.start(Job(store, tmp_path))
    try:
        with pytest.raises(WorkerError, match=r"worker w0 cannot start: .*holds no run file"):
            poll_for(executor, seconds=60)
    finally:
        executor.stop()
    assert_nothing_left(tmp_path)
