"""What workers have started is found by whose it is."""

import os
import subprocess
import sys

import pytest

from netwright.core import liveness
from netwright.executors import descendants

SLEEP = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"]


@pytest.mark.parametrize("is_gone", [True, False])
def test_what_a_worker_started_is_ended_once_its_parent_is_gone(is_gone):
    """A process that has the id of the parent by now, but another birth, does not hold it."""
    own = descendants.named()[descendants.PARENT]
    parent = f"{os.getpid()} {liveness.birth().rpartition('/')[0]}/1" if is_gone else own
    left = subprocess.Popen(SLEEP, env={**os.environ, descendants.PARENT: parent}, stdout=subprocess.PIPE)
    try:
        left.stdout.readline()
        assert descendants.end_abandoned() == []
        if is_gone:
            left.wait(30)
        assert (left.poll() is not None) == is_gone
    finally:
        left.kill()
        left.communicate()
