"""A worker's parent by itself: what it hears is written here, in place of a worker."""

import os
import signal
import subprocess
import sys
import time

import pytest

from netwright.core import memory
from netwright.executors import descendants, lines, worker_process
from netwright.executors.post import Post
from netwright.executors.worker_process import BAD_ALLOC, WorkerProcess

SLEEPS = "import time; time.sleep(60)"
POST = Post("memory", "/none", "w0", trial_seconds=10.0, silent_seconds=5.0)


@pytest.fixture
def worker(monkeypatch):
    """A process that only sleeps, started as a worker is; it hears and says nothing by itself."""
    real = subprocess.Popen

    def sleeper(_command, **options):
        return real([sys.executable, "-c", SLEEPS], **{**options, "env": {**os.environ, descendants.MARK: "test"}})

    monkeypatch.setattr(worker_process, "Popen", sleeper)
    found = WorkerProcess(POST)
    yield found
    if found.process.poll() is None:
        found.kill()


def hear(worker, *messages):
    """Let the parent hear these messages, as one piece."""
    down, up = os.pipe()
    os.write(up, b"".join(lines.encode(say, **values) for say, values in messages))
    os.close(up)
    before, worker._up = worker._up, down
    assert worker.listen()
    assert not worker.listen(), "the end of the pipe is heard as such"
    os.close(down)
    worker._up = before


def test_a_trial_is_followed_from_its_start_to_its_end(worker):
    assert not worker.has_started
    hear(worker, ("ready", {}))
    assert worker.has_started
    assert worker.trial is None
    hear(worker, ("start", {"trial": 7, "log": 30}), ("report", {"text": "step 3\nof 9"}))
    assert (worker.trial, worker.log_start, worker.activity) == (7, 30, "step 3 of 9")
    hear(worker, ("end", {"done": 1}), ("leave", {"code": 4}))
    assert (worker.trial, worker.activity, worker.done, worker.left) == (None, "", 1, 4)


@pytest.mark.parametrize(
    ("begun", "heard", "said"), [(11, 0, "limit of 10 s"), (11, 6, "limit of 10 s"), (9, 6, "5 s without a report")]
)
def test_limits_are_told_from_each_other(worker, begun, heard, said):
    hear(worker, ("start", {"trial": 7, "log": 0}))
    assert worker.overdue(POST) == ""
    now = time.monotonic()
    worker.begun, worker.heard = now - begun, now - heard
    assert said in worker.overdue(POST)
    assert worker.overdue(Post("memory", "/none", "w0")) == ""


def test_what_is_made_for_other_trials_too_is_no_part_of_the_trial(worker):
    hear(worker, ("start", {"trial": 7, "log": 0}), ("making", {}))
    worker.heard = time.monotonic() - 4
    assert worker.overdue(POST) == ""
    worker.heard = time.monotonic() - 6
    assert "without a report" in worker.overdue(POST)


def test_between_trials_there_is_no_limit(worker):
    hear(worker, ("start", {"trial": 7, "log": 0}), ("end", {"done": 1}))
    worker.begun = worker.heard = time.monotonic() - 1000
    assert worker.overdue(POST) == ""


def test_a_worker_that_has_just_died_is_told_nothing(worker):
    os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.wait()
    worker.tell("drain")


def test_a_kill_that_memory_had_no_part_in_is_none_for_want_of_memory(worker, monkeypatch):
    worker.look()
    os.killpg(worker.process.pid, signal.SIGKILL)
    assert worker.cause_of_death("").startswith("its worker was killed")
    assert worker.out_of_memory("") == ""
    kills = memory.kills()
    monkeypatch.setattr(memory, "kills", lambda: kills + 1)
    assert "memory ran out, at the last look with " in worker.out_of_memory("")


def test_an_abort_is_one_for_want_of_memory_only_where_it_says_so(worker):
    worker.look()
    os.kill(worker.process.pid, signal.SIGABRT)
    worker.process.wait()
    assert worker.out_of_memory("terminate called after throwing something") == ""
    assert "got no more memory" in worker.out_of_memory(f"what():  {BAD_ALLOC}")


def test_last_words_are_those_of_its_trial(worker, tmp_path):
    log = tmp_path / "log.txt"
    log.write_text("of another trial\nof this one\n")
    hear(worker, ("start", {"trial": 7, "log": len("of another trial\n")}))
    os.killpg(worker.process.pid, signal.SIGKILL)
    said = worker.cause_of_death(str(log))
    assert said.startswith("of this one\nits worker was killed")
