import os
import subprocess
import sys

import psutil
import pytest

from netwright.core.liveness import is_alive


@pytest.fixture
def child():
    """A process that lives until its standard input is closed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def test_this_process_is_alive():
    assert is_alive(os.getpid())
    assert is_alive(os.getpid(), psutil.Process().create_time())


def test_a_process_id_that_was_reused_is_another_process():
    assert not is_alive(os.getpid(), psutil.Process().create_time() - 5.0)
    assert not is_alive(os.getpid(), 0.0)


def test_a_child_is_alive_until_it_dies(child):
    assert is_alive(child.pid, psutil.Process(child.pid).create_time())
    child.kill()
    child.wait()
    assert not is_alive(child.pid)


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs waitid")
def test_a_zombie_is_dead(child):
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped
    assert psutil.pid_exists(child.pid)
    assert not is_alive(child.pid)
