"""Worker processes under every fault: the row says what happened, the search goes on, nothing is left behind."""

import sys
import time

import psutil
import pytest
import torch

from netwright.controller import Search
from netwright.core import liveness, refs, room, run_file
from netwright.core.errors import WorkerError
from netwright.core.protocols import Job
from netwright.core.records import LOST, Proposal
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.executors import deaths, supervisor
from netwright.executors.descendants import MARK
from netwright.executors.processes import Processes
from netwright.stores.memory import MemoryStore
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToySpace
from tests.faulty import SURVIVED
from tests.verified import VERIFIED

TOYS = "netwright.testing.toys"


def begun(folder, fault, evaluator="tests.faulty:Evaluator", every=1, **options):
    """The table of a search of faulty evaluations, and its executor."""
    run = RunFile(
        space=Reference(f"{TOYS}:ToySpace"),
        task=Reference(f"{TOYS}:ToyTask"),
        evaluator=Reference(evaluator, {"fault": fault, "every": every}),
    )
    store = SqliteStore(str(folder / "trials.sqlite"))
    store.remember("run", run_file.to_toml(run))
    return store, Processes(**{"workers": 1, **options})


def search(folder, fault, trials=4, evaluator="tests.faulty:Evaluator", every=2, **options):
    """Run a search of faulty evaluations; returns its rows in order of id."""
    store, executor = begun(folder, fault, evaluator, every, **options)
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
    until = time.monotonic() + 60
    while left := named(folder):
        assert time.monotonic() < until, f"still running: {left}"


def test_a_full_disk_ends_the_search_in_a_sentence_and_costs_no_trial(tmp_path):
    with pytest.raises(WorkerError, match=r"could not write in .* the disk is full; it is put back; make room"):
        search(tmp_path, "room", trials=2)
    assert_nothing_left(tmp_path)
    rows = search(tmp_path, "room", trials=2)
    assert [row.status for row in rows] == ["done", "done"]


@pytest.fixture(scope="module")
def survived(tmp_path_factory):
    """Rows of one search whose every second trial has another fault, by fault; all of one process."""
    rows = search(tmp_path_factory.mktemp("survived"), "in_turn", trials=2 * len(SURVIVED))
    assert len({row.result.metrics["pid"] for row in rows[::2]}) == 1, "the worker goes on"
    return dict(zip(SURVIVED, rows[1::2], strict=True))


@pytest.mark.parametrize(
    ("fault", "failure", "message"),
    [
        ("raise", "error", "ValueError: no good: 2"),
        ("nan", "diverged", "metric 'valid_accuracy' is nan"),
        ("none", "error", "metric 'valid_accuracy' is None (NoneType); it must be a number"),
        ("text", "error", "it must return a Result"),
        ("quit", "error", "SystemExit: enough"),
        (
            "names",
            "error",
            "a metric is named 'line\\nbreak12' (str); its name must be a text of at most 200 printable",
        ),
        ("reports", "error", "context.report was given a metric called 7 (int); its name must be text"),
    ],
)
def test_a_fault_becomes_a_failed_row(survived, fault, failure, message):
    row = survived[fault]
    assert (row.status, row.result.failure) == ("failed", failure)
    assert message in row.result.message


MAKING = "tests.faulty:Making"


def test_what_many_trials_need_is_made_beyond_the_limit_of_one(tmp_path):
    rows = search(tmp_path, "slow", trials=2, evaluator=MAKING, trial_minutes=0.02, silent_minutes=0.02)
    assert [row.status for row in rows] == ["done", "done"]


def test_silence_while_it_is_made_fails_a_trial_that_is_billed_nothing(tmp_path):
    rows = search(tmp_path, "hang", trials=3, evaluator=MAKING, silent_minutes=0.02)
    assert [row.status for row in rows] == ["done", "failed", "done"]
    assert (rows[1].result.failure, rows[1].result.seconds) == ("timeout", 0.0)
    assert rows[1].result.message == "stopped after 1.2 s without a report"


@VERIFIED
def test_a_worker_that_is_killed_while_it_is_made_loses_no_trial(tmp_path):
    rows = search(tmp_path, "die", trials=2, evaluator=MAKING)
    assert [row.status for row in rows] == ["done", "done"]
    assert rows[0].result.metrics["pid"] != rows[1].result.metrics["pid"]


def test_a_worker_that_ran_out_of_memory_is_replaced(tmp_path):
    rows = search(tmp_path, "memory", trials=3)
    assert [row.status for row in rows] == ["done", "failed", "done"]
    assert rows[1].result.failure == "out_of_memory" and "80 GiB" in rows[1].result.message
    assert rows[0].result.metrics["pid"] != rows[2].result.metrics["pid"]


@VERIFIED
def test_a_trial_that_kills_its_worker_is_asked_four_times_then_lost(tmp_path):
    rows = search(tmp_path, "die", trials=3)
    assert [row.status for row in rows] == ["done", "failed", "done"]
    assert rows[1].result.failure == "lost"
    assert rows[1].result.message.endswith("its worker was killed by SIGKILL (9), perhaps because memory ran out")


def test_the_row_says_what_its_trial_died_of_and_printed_last(tmp_path):
    rows = search(tmp_path, "deaths", trials=3)
    assert [row.status for row in rows] == ["done", "failed", "done"]
    words, _, last = rows[1].result.message.rpartition("\n")
    assert rows[1].result.failure == "lost"
    assert last == f"{LOST}; the last time, its worker was killed by SIGABRT (6), a fault in native code"
    assert "words of attempt 3" in words and "Fatal Python error: Aborted" in words
    assert "attempt 2" not in words, "what earlier attempts printed is not of this one"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_what_a_trial_writes_into_the_pipe_does_not_switch_its_limit_off(tmp_path):
    rows = search(tmp_path, "babble", trials=3, trial_minutes=0.025)
    assert rows[1].result.failure == "timeout"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a reaper of descendants")
def test_whatever_a_trial_has_started_ends_with_it(tmp_path):
    """In sessions of their own, deaf, twice forked, with another environment, and always forking anew."""
    rows = search(tmp_path, "fork", trials=3, trial_minutes=0.03)
    assert rows[1].result.failure == "timeout"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs a reaper of descendants")
@pytest.mark.parametrize("victim", ["parent", "worker", "both"])
def test_whatever_a_trial_has_started_ends_with_its_worker_or_the_parent_of_it(tmp_path, victim):
    store, executor = begun(tmp_path, "leave")
    store.add(Proposal((0,) * 12), "k", 0)
    executor.start(Job(store, tmp_path))
    try:
        [parent] = executor._parents
        parent = psutil.Process(parent.pid)
        while len([each for each in named(tmp_path) if "sleep(600)" in " ".join(each.info["cmdline"])]) < 4:
            executor.poll(0.05)
        found = named(tmp_path)
        children = [each.pid for each in parent.children()]
        [worker] = [
            each for each in found if "netwright.executors.child" in each.info["cmdline"] and each.pid in children
        ]
        # without the reaper, the mark is all that there is to know a descendant by
        ends = [each for each in found if each != parent and (victim == "worker" or MARK in environment(each))]
        left = {each.pid: liveness.birth(each.pid) for each in ends}
        for each in {"parent": [parent], "worker": [worker], "both": [parent, worker]}[victim]:
            each.kill()
        while any(liveness.fate(pid, born) == "alive" for pid, born in left.items()):  # or for ever
            executor.poll(0.05)
    finally:
        executor.stop()
        for each in named(tmp_path):
            each.kill()


def environment(process):
    try:
        return process.environ()
    except psutil.Error:
        return {}


def named(folder):
    """Processes that have the folder in their command."""
    return [p for p in psutil.process_iter(["cmdline"]) if str(folder) in " ".join(p.info["cmdline"] or [])]


@pytest.mark.parametrize(
    ("workers", "trials", "started"), [(16, 1, 1), (16, 16, 16), (2, None, 2), (1, 0, 1), (3, 10**9, 3)]
)
def test_no_more_workers_than_trials(monkeypatch, workers, trials, started):
    monkeypatch.setattr(room, "free_mb", lambda: 1e6)
    assert Processes(workers=workers).bounded(trials).workers == started


def test_more_workers_than_memory_holds_are_refused_before_any_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "free_mb", lambda: 1000.0)
    monkeypatch.setattr(Processes, "_launch", None)
    for workers in (3, 10**6):
        with pytest.raises(WorkerError, match=f"executor.workers is {workers}, but .* give fewer, at most 2"):
            Processes(workers=workers).start(Job(SqliteStore(str(tmp_path / "t.sqlite")), tmp_path))


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-9, "was killed by SIGKILL (9), perhaps because memory ran out"),
        (-11, "was killed by SIGSEGV (11), a fault in native code"),
        (-15, "was killed by SIGTERM (15)"),
        (-99, "was killed by signal 99"),
    ],
)
def test_exit_codes_in_words(code, words):
    assert deaths.cause(code) == words


def test_last_words_are_few_and_those_of_the_trial(tmp_path):
    log = tmp_path / "w0.log"
    log.write_bytes(b"before\n" + b"\xff" * 5000 + b"\n" + b"\n".join(b"line %d " % n * 9 for n in range(300)))
    words = deaths.last_words(log)
    assert len(words.splitlines()) <= 20 and len(words) <= 2000 and words.endswith("line 299")
    assert deaths.last_words(log, log.stat().st_size) == deaths.last_words(tmp_path / "none") == ""
    assert max(map(len, deaths.last_words(log).splitlines())) <= 300


def test_a_worker_that_lost_its_device_is_replaced_and_the_trial_asked_again(tmp_path):
    rows = search(tmp_path, "card", trials=3)
    assert [row.status for row in rows] == ["done"] * 3
    assert rows[0].result.metrics["pid"] != rows[1].result.metrics["pid"]
    assert "the card is gone" in (tmp_path / "logs" / "w0.log").read_text()


@pytest.mark.gpu
def test_a_worker_killed_in_a_kernel_gives_its_memory_back(tmp_path):
    torch.zeros((), device="cuda")  # this process's own share
    free = lambda: torch.cuda.mem_get_info()[0]  # noqa: E731
    before, (store, executor) = free(), begun(tmp_path, "kernel")
    store.add(Proposal((0,) * 12), "k", 0)
    executor.start(Job(store, tmp_path))
    try:
        while not (tmp_path / "taken").exists():
            executor.poll(0.1)
        assert before - free() > 0.9e9
    finally:
        executor.stop()
    assert_nothing_left(tmp_path)
    until = time.monotonic() + 30
    while before - free() > 0.1e9:
        assert time.monotonic() < until, f"{before - free()} bytes are still taken"
        time.sleep(0.1)


def trained(folder, evaluator, options, trials, workers):
    """Rows of a search that trains small networks on the card."""
    space = Reference("hierarchical", {"motifs": [2, 1], "nodes": [3, 3], "channels": 4})
    own = Reference(evaluator, {"steps": 20, "batch": 25, "device": "cuda", **options})
    run = RunFile(space=space, task=Reference("digits", {"train_limit": 100}), evaluator=own)
    store = SqliteStore(str(folder / "trials.sqlite"))
    store.remember("run", run_file.to_toml(run))
    made = refs.load("space", space)
    search = Search(
        made, RandomSearch(made), store, Processes(workers=workers), limits=Limits(trials=trials), folder=folder
    )
    assert search.run() == "trials"
    return sorted(store.finished(), key=lambda trial: trial.id)


@pytest.mark.gpu
def test_several_workers_share_one_card(tmp_path):
    rows = trained(tmp_path, "training", {}, trials=6, workers=3)
    assert [row.status for row in rows] == ["done"] * 6, [row.result.message for row in rows]
    assert all(row.result.metrics["peak_memory_mb"] > 0 for row in rows)
    assert all((tmp_path / "logs" / f"w{index}.log").exists() for index in range(3))


@pytest.mark.gpu
def test_a_card_that_fails_in_a_training_costs_no_trial(tmp_path):
    """By an assertion within a kernel, after which CUDA refuses all that the process asks for."""
    rows = trained(tmp_path, "tests.losing_card:Evaluator", {}, trials=3, workers=1)
    assert [row.status for row in rows] == ["done"] * 3, [row.result.message for row in rows]
    assert "answers this process no more" in (tmp_path / "logs" / "w0.log").read_text()


def test_a_trial_whose_worker_died_once_is_asked_again(tmp_path):
    assert [row.status for row in search(tmp_path, "die_once")] == ["done"] * 4


def test_a_trial_over_its_time_is_killed_with_its_children(tmp_path):
    rows = search(tmp_path, "hang", trials=3, trial_minutes=0.025)
    assert rows[1].result.failure == "timeout"
    assert "limit of 1.5 s" in rows[1].result.message


def test_a_trial_that_never_asks_whether_to_stop_is_killed_in_time_and_put_back(tmp_path):
    store, executor = begun(tmp_path, "silent", stop_seconds=0.3)
    store.add(Proposal((0,) * 12), "key", 1)
    executor.start(Job(store, tmp_path))
    while [row.status for row in store.unfinished()] != ["running"]:
        executor.poll(0.02)
    executor.halt()
    while not executor.is_idle():
        executor.poll(0.02)
    assert [row.status for row in store.unfinished()] == ["pending"]
    executor.stop()
    assert_nothing_left(tmp_path)


@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_no_time_for_stopping_is_less_than_none(seconds):
    with pytest.raises(WorkerError, match=r"executor.stop_seconds is (-1.0|nan); it must be at least 0"):
        Processes(stop_seconds=seconds)


def test_a_silent_trial_is_killed(tmp_path):
    rows = search(tmp_path, "silent", trials=3, silent_minutes=0.025)
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


def test_trials_for_which_a_card_is_full_have_it_to_themselves_whatever_is_killed(tmp_path):
    store, executor = begun(tmp_path, "", "tests.crowded:Evaluator", workers=2)
    search = Search(ToySpace(), RandomSearch(ToySpace()), store, executor, limits=Limits(trials=4), folder=tmp_path)
    assert search.run() == "trials"
    rows = sorted(store.finished(), key=lambda trial: trial.id)
    assert [row.status for row in rows] == ["done"] * 4, "as many as asked for"
    assert rows[1].result.message.endswith("with the card to itself")
    assert rows[2].result.message.endswith("saw halves")
    tried = (tmp_path / "attempts.txt").read_text().splitlines()
    assert sorted(tried) == ["1 1", "2 1", "2 2", "3 1", "3 2", "3 3", "3 3", "4 1"]
    store.close()
    assert_nothing_left(tmp_path)


def test_workers_that_share_cards_use_the_service_that_lets_them(tmp_path, monkeypatch):
    started, stopped = [], []

    def parents():
        """Of workers, among what other tests of this process have left."""
        return [each for each in psutil.Process().children() if supervisor.__name__ in each.cmdline()]

    class Service:
        def __init__(self, mark):
            started.append(mark)
            self.environment = {"CUDA_MPS_PIPE_DIRECTORY": "pipes"}

        def stop(self):
            stopped.append(len(parents()))

    monkeypatch.setattr("netwright.executors.card_service.start", Service)
    store, executor = begun(tmp_path, "", "tests.crowded:Evaluator", workers=4)
    assert executor.on_cards(4, 2).workers == 4
    for each, environment in ((1, None), (2, "pipes")):
        shared = executor.on_cards(1, each)
        assert shared.workers == each
        shared.start(Job(store, tmp_path))
        assert {each.environ().get("CUDA_MPS_PIPE_DIRECTORY") for each in parents()} == {environment}
        shared.stop()
    assert started == [f"{store.address}|card_service|"]
    assert stopped == [0], "after its clients"
    store.close()
