"""A real Slurm, whose nodes, jobs and controllers end at any time: every asked row once, nothing left in the queue.

Part of `make cluster-test`, which installs Slurm; minutes.
"""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import closing

import pytest

from netwright.executors.slurm import Slurm
from netwright.runs import run_folder
from netwright.stores.sqlite import SqliteStore
from netwright.testing import executors
from tests.cluster import searching, slurm_cluster
from tests.cluster.searching import PATIENCE, ended, finished, wait_until
from tests.cluster.slurm_cluster import search
from tests.cluster.slurm_search import disturbed

pytestmark = [
    pytest.mark.skipif(not os.environ.get("NETWRIGHT_CLUSTER"), reason="part of `make cluster-test`"),
    pytest.mark.skipif(
        bool(slurm_cluster.missing()),
        reason=f"there is no {slurm_cluster.missing()}, a program of Slurm; `make cluster-test` installs it",
    ),
    pytest.mark.timeout(1200),
]


@pytest.fixture(scope="module")
def cluster():
    with slurm_cluster.started() as made:
        yield made


def run(cluster, folder, **options):
    """Search to the end; returns the exit code and what was printed."""
    words = search(folder, **options)
    ran = subprocess.run(
        words, env=cluster.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE
    )
    return ran.returncode, ran.stdout


def begun(cluster, folder, after=2, **options):
    return searching.begun(search(folder, **options), cluster.variables, folder, after)


def assert_exact(cluster, folder, trials):
    searching.assert_exact(folder, trials)
    assert cluster.jobs() == []


def arrays(folder):
    with closing(run_folder.open_table(folder / "run", "read")) as store:
        return json.loads(store.recall("slurm"))["arrays"]


def test_a_search_while_nodes_are_cut_off_and_a_job_is_preempted(cluster, tmp_path):
    cuts, preempted, said = disturbed(cluster, tmp_path, 60, 1.0)
    assert "60 trials finished, 0 of them failed" in said
    assert cuts and preempted
    assert_exact(cluster, tmp_path, 60)


def test_a_controller_that_was_killed_goes_on_with_its_jobs(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=40)
    before = cluster.jobs()
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    assert cluster.jobs() == before
    code, said = run(cluster, tmp_path, trials=40)
    assert code == 0 and "goes on with 3 jobs" in said
    assert len(arrays(tmp_path)) == 1, "no other array was submitted"
    assert_exact(cluster, tmp_path, 40)


def test_jobs_of_other_options_are_cancelled_when_a_controller_is_started_again(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=24)
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    first = arrays(tmp_path)
    code, _ = run(cluster, tmp_path, trials=24, memory_mb=100)
    assert code == 0 and first[0] not in arrays(tmp_path)
    assert_exact(cluster, tmp_path, 24)


def test_workers_of_a_controller_that_stays_away_leave_and_cancel_what_waits(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=100, workers=6, patience_minutes=0.1)
    assert len(cluster.jobs("PENDING")) == 3
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    wait_until(lambda: cluster.jobs() == [])
    assert cluster.run("squeue", "--noheader", "--array", "--states=CANCELLED", "--format=%i")


def test_a_job_that_somebody_cancels_is_replaced(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=60)
    cluster.run("scancel", cluster.jobs("RUNNING")[0])
    code, _ = ended(program)
    assert code == 0 and len(arrays(tmp_path)) == 2
    assert_exact(cluster, tmp_path, 60)


def test_somebody_who_cancels_all_jobs_ends_the_search(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=30, seconds=2.0)
    cluster.run("scancel", str(arrays(tmp_path)[0]))
    code, said = ended(program)
    assert code == 2 and "somebody else has cancelled all jobs of this search" in said
    assert cluster.jobs() == []
    code, _ = run(cluster, tmp_path, trials=30, seconds=0.5)
    assert code == 2, "another evaluator is another run"
    code, _ = run(cluster, tmp_path, trials=30, seconds=2.0)
    assert code == 0
    assert_exact(cluster, tmp_path, 30)


def test_ctrl_c_and_sigterm_leave_no_job(cluster, tmp_path):
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        program = begun(cluster, tmp_path, after=finished(tmp_path) + 2, trials=100)
        program.send_signal(number)
        found, said = ended(program)
        assert found == code and "goes on" in said
        assert cluster.jobs() == []


def test_jobs_that_end_with_their_time_put_nothing_at_risk(cluster, tmp_path):
    code, _ = run(cluster, tmp_path, trials=70, seconds=2.0, minutes=1)
    assert code == 0
    assert len(arrays(tmp_path)) > 1, "jobs were replaced"
    assert_exact(cluster, tmp_path, 70)
    with closing(run_folder.open_table(tmp_path / "run", "read")) as store:
        ends = {re.sub(r"-\d+-\w+$", "", worker.name) for worker in store.workers()}
    assert not cluster.run("squeue", "--noheader", "--states=TIMEOUT", "--format=%i"), f"killed at the limit: {ends}"


def test_a_slurm_that_does_not_answer_for_a_while_stops_nothing(cluster, tmp_path):
    program = begun(cluster, tmp_path, trials=40)
    cluster.kill_controller()
    before = finished(tmp_path)
    wait_until(lambda: finished(tmp_path) > before + 6)
    cluster.start_controller()
    code, _ = ended(program)
    assert code == 0
    assert_exact(cluster, tmp_path, 40)


def test_what_slurm_refuses_is_its_own_sentence_and_leaves_nothing(cluster, tmp_path):
    code, said = run(cluster, tmp_path, partition="gpu")
    assert code == 2 and "invalid partition specified: gpu" in said and said.count("\n") == 1
    assert not (tmp_path / "run").exists() and cluster.jobs() == []


def test_jobs_that_cannot_work_end_the_search_with_the_last_words_of_their_log(cluster, tmp_path):
    code, said = run(cluster, tmp_path, trials=8, setup='["echo no module cuda >&2; false"]')
    assert code == 2 and "Slurm jobs have ended as soon as they began" in said
    assert "this line of executor.setup failed" in said
    assert cluster.jobs() == []


def test_more_workers_than_an_array_may_have_are_several_arrays(cluster, tmp_path):
    code, _ = run(cluster, tmp_path, trials=20, seconds=0.2, workers=12)
    assert code == 0 and len(arrays(tmp_path)) == 3
    assert_exact(cluster, tmp_path, 20)


def test_the_suite_of_executors(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "PATIENCE", PATIENCE)
    for name, text in cluster.variables.items():
        monkeypatch.setenv(name, text)
    executors.check_executor(
        lambda _evaluator: Slurm(workers=2, poll_seconds=0.5, python=sys.executable),
        lambda: SqliteStore(str(tmp_path / "trials.sqlite")),
        tmp_path,
    )
    assert cluster.jobs() == []
