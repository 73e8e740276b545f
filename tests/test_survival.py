"""A search is killed at random instants, in whole or in part, and goes on: exactly the asked rows, none twice."""

import json
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from netwright.controller import Search
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore
from netwright.strategies.tournament import Tournament
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask
from netwright.training import checkpoint
from tests.cli.test_bad_input import refused, run
from tests.executors.test_processes import assert_nothing_left
from tests.verified import IS_VERIFIED, VERIFIED

KILLS, PARENTS = (30, 3) if IS_VERIFIED else (1, 1)
TOYS = "netwright.testing.toys"
INITIAL = 10


def words_of(folder, trials, workers, seconds=0.08, seed=3, evaluator=None):
    """A search, as words of the command line."""
    measured = evaluator or f"{TOYS}:ToyEvaluator(seconds={seconds})"
    return [
        *("search", "--out", str(folder), "--seed", str(seed)),
        *("--space", f"{TOYS}:ToySpace", "--task", f"{TOYS}:ToyTask", "--evaluator", measured),
        *("--strategy", f"tournament(initial={INITIAL})"),
        *("--trials", str(trials), "--workers", str(workers), "--json"),
    ]


def start(*given, **options):
    """The command line, in a process group of its own."""
    command = [sys.executable, "-m", "netwright.cli.main", *words_of(*given, **options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def rows(folder):
    """Everything but times."""
    with sqlite3.connect(folder / "trials.sqlite") as db:
        return db.execute(
            "SELECT id, genotype, parents, key, seed, status, finish, metrics, failure FROM trials ORDER BY id"
        ).fetchall()


def undisturbed(trials, seed=3):
    """The same search in this process, with one worker and no pauses."""
    space, store = ToySpace(), MemoryStore()
    evaluator = ToyEvaluator(space, ToyTask())
    strategy = Tournament(space, initial=INITIAL)
    Search(space, strategy, store, Inline(evaluator), limits=Limits(trials=trials), seed=seed).run()
    return [
        (
            *(t.id, json.dumps(t.proposal.genotype, separators=(",", ":")), json.dumps(t.proposal.parents)),
            *(t.key, t.seed, t.status, t.finish),
            *(json.dumps(dict(t.result.metrics), separators=(",", ":")), t.result.failure),
        )
        for t in sorted(store.finished(), key=lambda t: t.id)
    ]


def victims(process, rng):
    """Controller, a worker's parent, a worker, or everything at once; of a single kill, the controller."""
    try:
        controller = psutil.Process(process.pid)
        parents = controller.children()
        workers = [worker for parent in parents for worker in parent.children()]
    except psutil.NoSuchProcess:
        return []
    groups = [[controller], parents[:1], workers[-1:], [controller, *parents, *workers]][: 1 if KILLS == 1 else None]
    return rng.choice([group for group in groups if group])


@pytest.mark.parametrize("workers", [pytest.param(1, marks=VERIFIED), 2])
def test_kills_at_random_instants(tmp_path, workers):
    rng, trials, kills, process = random.Random(workers), 10 * max(KILLS, 3), 0, None
    while True:
        if process is None or process.poll() is not None:
            assert process is None or process.returncode in (0, -signal.SIGKILL), process.communicate()
            if process is not None and process.returncode == 0:
                break
            process = start(tmp_path, trials, workers)
        if kills == KILLS:
            process.wait()
            continue
        if KILLS == 1:  # in the middle, however long it takes to start
            wait_for(process, tmp_path, "done")
            time.sleep(rng.uniform(0.0, 0.1))
        else:
            time.sleep(rng.uniform(0.1, 1.5))
        for victim in victims(process, rng):
            try:
                victim.kill()
            except psutil.NoSuchProcess:
                continue
        kills += 1
        time.sleep(0.05)
    assert kills == KILLS, "the search was over too soon: give it more trials"
    assert_nothing_left(tmp_path)
    found = rows(tmp_path)
    assert [row[0] for row in found] == list(range(1, trials + 1))
    assert {row[5] for row in found} == {"done"}
    assert sorted(row[6] for row in found) == list(range(1, trials + 1)), "each row finished once"
    if workers == 1:
        assert found == undisturbed(trials)


@VERIFIED
def test_a_worker_whose_parent_is_killed_again_and_again(tmp_path):
    """The successor's beats must not vouch for the row of the dead one."""
    process = start(tmp_path, PARENTS, 1, seconds=0.6)
    wait_for(process, tmp_path, "pending", "running", "done")
    killed = set()
    while len(killed) < PARENTS and process.poll() is None:
        for parent in psutil.Process(process.pid).children():
            if parent.pid not in killed and has_beaten(tmp_path, parent.pid):
                parent.kill()
                killed.add(parent.pid)
        time.sleep(0.02)
    process.communicate()
    assert process.returncode == 0
    assert rows(tmp_path) == undisturbed(PARENTS)
    assert_nothing_left(tmp_path)


def test_ctrl_c_once_lets_the_running_trial_finish(tmp_path, capsys):
    process = start(tmp_path, 2, 1, seconds=1.0)
    wait_for(process, tmp_path, "running")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130, errors
    assert b"running trials finish first" in errors
    assert [row[5] for row in rows(tmp_path)][:1] == ["done"]
    assert {row[5] for row in rows(tmp_path)[1:]} <= {"pending"}
    assert_nothing_left(tmp_path)
    assert run(capsys, *words_of(tmp_path, 2, 1, seconds=1.0))[0] == 0
    assert rows(tmp_path) == undisturbed(2)


def test_ctrl_c_twice_stops_the_trial_where_it_stands_and_puts_it_back(tmp_path):
    process = start(tmp_path, 4, 1, seconds=300)
    wait_for(process, tmp_path, "running")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert_put_back(tmp_path)


@pytest.mark.parametrize(
    "whom",
    [
        "all",  # as schedulers and service managers do
        pytest.param("controller", marks=VERIFIED),
        pytest.param("worker", marks=VERIFIED),
        pytest.param("parent", marks=VERIFIED),
    ],
)
def test_sigterm_keeps_every_step_of_a_training(tmp_path, whom):
    """And says so in the exit code, which only the controller's own has."""
    words = ["--task", "digits(train_limit=40)", "--space", "hierarchical", "--space.channels", "2", "--trials", "1"]
    words += ["--space.motifs", "[2,1]", "--space.nodes", "[3,3]"]
    words += ["--evaluator.steps", "1000000", "--evaluator.batch", "10", "--workers", "1", "--out", str(tmp_path)]
    command = [sys.executable, "-m", "netwright", "search", *words]
    search = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    wait_for(search, tmp_path, "running")
    controller = psutil.Process(search.pid)
    [parent] = controller.children()
    [worker] = parent.children()
    if whom in ("worker", "parent"):
        {"worker": worker, "parent": parent}[whom].terminate()
        psutil.wait_procs([worker])
        assert checkpoint_in(tmp_path)["progress"]["step"] > 0
        assert losses(tmp_path) == [0]
    for process in [worker, parent, controller] if whom == "all" else [controller]:
        process.terminate()
    said, _ = search.communicate()
    assert search.returncode == 143, said
    assert b"the same command goes on" in said
    assert_put_back(tmp_path)
    assert checkpoint_in(tmp_path)["progress"]["step"] > 0


def checkpoint_in(folder):
    return checkpoint.read_facts(folder / "trials" / "000001" / "checkpoint.safetensors")


def losses(folder):
    with closing(sqlite3.connect(folder / "trials.sqlite")) as db:
        return [number for (number,) in db.execute("SELECT losses FROM trials")]


def assert_put_back(folder):
    """The only row is pending, as if it had never run, and no process is left."""
    assert [row[5] for row in rows(folder)] == ["pending"]
    assert losses(folder) == [0]
    assert_nothing_left(folder)


def test_a_second_controller_is_refused_and_a_second_worker_joins(tmp_path, capsys):
    """Trials wait until the test lets them go on, so that nothing depends on how fast the machine is."""
    gate = "tests.faulty:Evaluator(fault='gate',every=1)"
    first = start(tmp_path, 4, 1, evaluator=gate)
    wait_for(first, tmp_path, "running")
    assert f"is being searched by process {first.pid}" in refused(capsys, *words_of(tmp_path, 4, 1, evaluator=gate))
    command = [sys.executable, "-m", "netwright", "worker", str(tmp_path), "--trust"]
    joined = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while workers_at_rows(tmp_path) != {"w0", "joined"}:
        assert first.poll() is None and joined.poll() is None
        time.sleep(0.02)
    (tmp_path / "open").touch()
    said, _ = joined.communicate()
    assert joined.returncode == 0, said
    first.communicate()
    assert first.returncode == 0
    assert workers_at_rows(tmp_path) == {"w0", "joined"}
    assert_nothing_left(tmp_path)


def workers_at_rows(folder):
    """Names of workers that have a row, without their numbers."""
    with sqlite3.connect(folder / "trials.sqlite") as db:
        found = db.execute("SELECT worker FROM trials WHERE worker IS NOT NULL").fetchall()
    return {name.partition("-")[0] for (name,) in found}


def has_beaten(folder, pid):
    """Whether a worker's parent has given a sign of life, and its worker has a row."""
    with sqlite3.connect(folder / "trials.sqlite") as db:
        query = "SELECT 1 FROM workers w JOIN trials t ON t.worker = w.name AND t.status = 'running' WHERE w.pid = ?"
        return bool(db.execute(query, (pid,)).fetchall())


def wait_for(process, folder, *wanted):
    """Until a row has one of the statuses, however long that takes here; not for ever where it was missed."""
    while not ((folder / "trials.sqlite").exists() and {row[5] for row in rows(folder)}.intersection(wanted)):
        assert process.poll() is None, f"the search ended, and no row was seen as {wanted}: {process.communicate()}"
        time.sleep(0.02)
