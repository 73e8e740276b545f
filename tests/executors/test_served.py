"""Workers that join a served table: real processes, a toy in place of a network, a search in a thread of this one."""

import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import psutil
import pytest

from netwright.controller import Search
from netwright.core import run_file
from netwright.core.errors import WorkerError
from netwright.core.protocols import Job
from netwright.core.records import Proposal
from netwright.core.refs import Reference
from netwright.core.round_plan import MEMBERS, PLACE
from netwright.core.run_file import Limits, RunFile
from netwright.executors import orders
from netwright.executors.post import ENOUGH, OUT_OF_REACH, Post
from netwright.executors.served import ServedTable
from netwright.executors.table_service import Serving
from netwright.stores import playing
from netwright.stores.remote import RemoteStore
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.tournament import Tournament
from netwright.testing.executors import check_executor
from netwright.testing.toys import ToySpace
from tests.executors.test_processes import assert_nothing_left
from tests.test_survival import rows, undisturbed
from tests.verified import VERIFIED

TOYS = "netwright.testing.toys"
PATIENCE = 120.0  # seconds until a test gives up


def begun(folder, evaluator="ToyEvaluator", **options):
    """A table that holds the run file of a search by toys."""
    name = evaluator if ":" in evaluator else f"{TOYS}:{evaluator}"
    run = RunFile(Reference(f"{TOYS}:ToySpace"), task=Reference(f"{TOYS}:ToyTask"), evaluator=Reference(name, options))
    store = SqliteStore(str(folder / "trials.sqlite"))
    store.remember("run", run_file.to_toml(run))
    return store


@contextmanager
def searched(folder, trials, workers=1, stop_seconds=20.0, **options):
    """A search that goes on in a thread, as long as the block and until its end: its controller and its executor."""
    store, executor = begun(folder, **options), ServedTable(workers=workers, stop_seconds=stop_seconds)
    limits = Limits(trials=trials, failures_in_a_row=0)
    search = Search(
        ToySpace(), Tournament(ToySpace(), initial=10), store, executor, limits=limits, seed=3, folder=folder
    )
    thread = threading.Thread(target=search.run)
    thread.start()
    try:
        wait_until(lambda: (folder / "served.json").exists())
        yield search, executor
        wait_until(lambda: not thread.is_alive())
    finally:
        search.stop()
        thread.join(PATIENCE)
        store.close()
    assert not (folder / "served.json").exists()


def wait_until(is_there):
    until = time.monotonic() + PATIENCE
    while not is_there():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def worker(folder, own=None, name="w", patience=30.0, stdin=subprocess.DEVNULL, **given):
    """A worker process of a served run, with its parent; in a folder of its own, as on a host that shares no disk."""
    store = Reference("remote", {"token_file": str(folder / "served.json"), "patience": patience})
    post = Post(str(store), str(own or folder), name, served=True, carries=own is not None, **given)
    command = [sys.executable, "-m", "netwright.executors.supervisor", post.to_json()]
    return subprocess.Popen(command, stdin=stdin, start_new_session=True)


def test_workers_come_and_go_and_the_table_is_the_undisturbed_one(tmp_path):
    """One after the other: one has done what it was to do, another one sees no folder of the run."""
    with searched(tmp_path, 14):
        assert (tmp_path / "served.json").stat().st_mode & 0o777 == 0o600
        assert worker(tmp_path, trials=3).wait(PATIENCE) == ENOUGH
        assert len(rows(tmp_path)) == 4, "nobody is there, so that one row is ahead"
        own = tmp_path / "own"
        last = worker(tmp_path, own)
    assert last.wait(PATIENCE) == 0
    assert rows(tmp_path) == undisturbed(14)
    assert not list((tmp_path / "trials").glob("*")) if (tmp_path / "trials").exists() else True
    assert_nothing_left(tmp_path)


def test_a_worker_whose_time_is_over_begins_nothing_that_takes_longer(tmp_path):
    with searched(tmp_path, 2, seconds=0.1) as (search, _):
        search.store.remember("median_seconds", "1000")
        late = worker(tmp_path, until=time.monotonic() + 900)
        assert late.wait(PATIENCE) == ENOUGH
        assert search.store.tally().finished == 0
        search.stop()


def test_a_leashed_worker_ends_with_whoever_holds_the_leash(tmp_path):
    with searched(tmp_path, 2, seconds=1000.0) as (search, _):
        held = worker(tmp_path, leashed=True, stdin=subprocess.PIPE)
        wait_until(lambda: "running" in [row.status for row in search.store.unfinished()])
        held.stdin.close()
        assert held.wait(PATIENCE) == 0
        assert "running" not in [row.status for row in search.store.unfinished()]
        search.stop()
    assert_nothing_left(tmp_path)


def test_what_is_no_place_to_listen_is_refused(tmp_path):
    with pytest.raises(WorkerError, match=r"executor\.port is 70000"):
        ServedTable(port=70000)
    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    with pytest.raises(WorkerError, match="a run with a folder"):
        ServedTable().start(Job(store))
    store.close()


def test_orders_reach_workers_and_rows_are_lent_no_more(tmp_path):
    store = begun(tmp_path)
    serving = Serving(Job(store, tmp_path))
    remote = RemoteStore(token_file=str(tmp_path / "served.json"), wait=0.0)
    try:
        remote.beat("w")
        assert [each.worker for each in serving.present()] == ["w"]
        assert orders.heard(remote, "w") == ""
        serving.drain()
        assert orders.heard(remote, "w") == "drain"
        search_row(store)
        assert remote.claim("w") is None
        assert serving.is_idle()
        serving.halt()
        assert orders.heard(remote, "w") == "stop"
        orders.leave(remote, "w")
        assert serving.present() == []
    finally:
        serving.end()
        remote.close()
    with pytest.raises(Exception, match="is no served table"):
        orders.heard(store, "w")
    store.close()


def search_row(store):
    space = ToySpace()
    return store.add(Tournament(space, initial=10).ask(np.random.default_rng(0), ()), "key", 1)


@VERIFIED
@pytest.mark.parametrize("whom", ["worker", "parent", "both"])
def test_a_worker_that_is_killed_is_replaced_by_others(tmp_path, whom):
    with searched(tmp_path, 16, workers=2, seconds=0.2):
        first, second = worker(tmp_path, name="a"), worker(tmp_path, name="b")
        wait_until(lambda: any(row[5] == "done" for row in rows(tmp_path)))
        [child] = psutil.Process(first.pid).children()
        for victim in {"worker": [child], "parent": [first], "both": [child, first]}[whom]:
            victim.kill()
    assert second.wait(PATIENCE) == 0
    assert first.wait(PATIENCE) == (0 if whom == "worker" else -signal.SIGKILL)
    found = rows(tmp_path)
    assert [row[0] for row in found] == list(range(1, 17))
    assert sorted(row[6] for row in found) == list(range(1, 17))
    assert {row[5] for row in found} == {"done"}
    assert_nothing_left(tmp_path)


@VERIFIED
def test_a_trial_that_is_put_back_goes_on_elsewhere_without_a_disk_in_common(tmp_path):
    """Where it stood travels through the table."""
    with searched(tmp_path, 1, evaluator="tests.carried:Counting", steps=400):
        first = worker(tmp_path, tmp_path / "one", name="a")
        wait_until(lambda: (tmp_path / "one" / "trials" / "000001" / "step").exists())
        time.sleep(0.5)
        for process in (*psutil.Process(first.pid).children(), first):  # as schedulers do
            process.send_signal(signal.SIGUSR1 if process is not first else signal.SIGTERM)
        assert first.wait(PATIENCE) == 0
        assert int((tmp_path / "trials" / "000001" / "step").read_text()) > 0
        second = worker(tmp_path, tmp_path / "two", name="b")
    assert second.wait(PATIENCE) == 0
    [row] = rows(tmp_path)
    assert '"begun_at":' in row[7]
    assert '"begun_at":0' not in row[7]
    assert not (tmp_path / "trials" / "000001").exists()
    assert_nothing_left(tmp_path)


@VERIFIED
def test_a_worker_whose_controller_is_gone_leaves_after_its_patience(tmp_path):
    store = begun(tmp_path)
    search_row(store)
    serving = Serving(Job(store, tmp_path))
    left = worker(tmp_path, patience=1.0)
    wait_until(lambda: store.tally().finished)
    serving._server.__exit__(None, None, None)  # at once, as a kill would
    assert left.wait(PATIENCE) == OUT_OF_REACH
    store.close()
    assert_nothing_left(tmp_path)


@VERIFIED
def test_drain_and_halt_reach_workers_at_their_trial(tmp_path):
    with searched(tmp_path, 5, seconds=300.0) as (search, _):
        busy = worker(tmp_path)
        wait_until(lambda: any(row[5] == "running" for row in rows(tmp_path)))
        search.stop()
    assert busy.wait(PATIENCE) == 0
    assert {row[5] for row in rows(tmp_path)} == {"pending"}
    assert_nothing_left(tmp_path)


@VERIFIED
def test_promotions_go_on_from_checkpoints_of_other_hosts(tmp_path):
    store, space = begun(tmp_path, "tests.carried:Continued"), ToySpace()
    serving = Serving(Job(store, tmp_path))
    try:
        store.add(Proposal(space.trivial(), budget=1), "key", 1)
        assert worker(tmp_path, tmp_path / "one", name="a", trials=1).wait(PATIENCE) == ENOUGH
        assert (tmp_path / "trials" / "000001" / "word").read_text() == "0.75"
        store.add(Proposal(space.trivial(), budget=2, continues=1), "key", 1)
        assert worker(tmp_path, tmp_path / "two", name="b", trials=1).wait(PATIENCE) == ENOUGH
    finally:
        serving.end()
    assert [trial.result.metrics["valid_accuracy"] for trial in store.finished()] == [0.5, 0.75]
    assert not list((tmp_path / "trials").iterdir()), "nobody continues either of them"
    store.close()
    assert_nothing_left(tmp_path)


@VERIFIED
def test_what_a_round_shares_comes_back_from_another_host(tmp_path):
    store = begun(tmp_path, "ToySharedEvaluator", rounds_played=1, pool=4)
    serving = Serving(Job(store, tmp_path))
    try:
        for place in range(4):
            store.add(Proposal((place,) * 12, budget=1, notes={PLACE: place, MEMBERS: 4}), f"member {place}", place)
        assert worker(tmp_path, tmp_path / "one", name="a", trials=2).wait(PATIENCE) == ENOUGH
        made = (tmp_path / "shared" / "round-0001.txt").read_text()
        assert worker(tmp_path, tmp_path / "two", name="b", trials=2).wait(PATIENCE) == ENOUGH
    finally:
        serving.end()
    assert {trial.status for trial in store.finished()} == {"done"}
    assert (tmp_path / "two" / "shared" / "round-0001.txt").read_text() == made
    store.close()
    assert_nothing_left(tmp_path)


class WithWorkers(ServedTable):
    """The executor, and two workers that join it each time."""

    def start(self, job):
        super().start(job)
        self.joined = [worker(job.folder, name=name, patience=5.0) for name in "ab"]

    def stop(self):
        super().stop()
        # those that came when all was over find nobody
        assert {each.wait(PATIENCE) for each in self.joined} <= {0, OUT_OF_REACH}


@VERIFIED
def test_it_keeps_the_contract_of_executors(tmp_path):
    check_executor(
        lambda _evaluator: WithWorkers(workers=2), lambda: SqliteStore(str(tmp_path / "trials.sqlite")), tmp_path
    )


def test_a_row_that_was_just_added_goes_to_a_worker_that_waits_when_the_search_does(tmp_path, monkeypatch):
    monkeypatch.setattr(playing, "TICK", 3600.0)
    store = begun(tmp_path)
    serving = Serving(Job(store, tmp_path, 1, False))
    waiting = RemoteStore(token_file=str(serving.token_file), wait=30.0)
    lent = []
    claim = threading.Thread(target=lambda: lent.append(waiting.claim("w0")))
    claim.start()
    try:
        wait_until(lambda: serving._server._playing.has_waiting_claims)
        store.add(Proposal((0,) * 6), "key", 1)
        serving.wait(0.0)
        claim.join(PATIENCE)
        assert [trial.id for trial in lent] == [1]
    finally:
        orders.leave(waiting, "w0")  # else its end is waited for
        waiting.close()
        serving.end()
        store.close()
