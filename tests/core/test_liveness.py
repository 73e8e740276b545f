import os
import subprocess
import sys
import time

import psutil
import pytest

from netwright.core import liveness
from netwright.core.liveness import birth, fate


@pytest.fixture
def child():
    """A process that lives until its standard input is closed."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture(params=["here", "elsewhere"])
def system(request, monkeypatch, tmp_path):
    """This system, and one without /proc."""
    liveness._place.cache_clear()
    if request.param == "elsewhere":
        monkeypatch.setattr(liveness, "PROC", tmp_path)
    yield request.param
    liveness._place.cache_clear()


def test_this_process_is_alive(system):
    assert birth() == birth(os.getpid())
    assert fate(os.getpid(), birth()) == "alive"
    assert birth().startswith("host ") == (system == "elsewhere" or not sys.platform.startswith("linux"))


def test_a_process_id_that_was_reused_is_another_process(system):
    place, _, number = birth().rpartition("/")
    assert fate(os.getpid(), f"{place}/{float(number) - 500:g}") == "dead"
    assert fate(os.getpid(), f"{place}/") == "dead"


def test_a_child_is_alive_until_it_dies(system, child):
    born = birth(child.pid)
    assert fate(child.pid, born) == "alive"
    child.kill()
    child.wait()
    assert fate(child.pid, born) == "dead" and birth(child.pid) == ""


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="needs waitid")
def test_a_zombie_is_dead(system, child):
    born = birth(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not reaped
    assert psutil.pid_exists(child.pid)
    assert fate(child.pid, born) == "dead" and birth(child.pid) == ""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs ticks since boot")
@pytest.mark.parametrize("step", [-86400.0, -5.0, 0.5, 5.0, 86400.0])
def test_a_clock_that_is_set_changes_nothing(child, monkeypatch, step):
    """What the kernel says of the time of boot moves with the clock, and all that is computed from it."""
    before = birth(), birth(child.pid)
    real, now = psutil.Process.create_time, time.time()
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: real(self) + step)
    monkeypatch.setattr(psutil, "boot_time", lambda: 1e9 + step)
    monkeypatch.setattr(time, "time", lambda: now + step)
    assert (birth(), birth(child.pid)) == before
    assert fate(child.pid, before[1]) == "alive"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs namespaces of process ids")
def test_another_boot_and_another_container_are_not_seen_from_here():
    boot, container, ticks = birth().split("/")
    assert fate(os.getpid(), f"{boot}/1/{ticks}") == "unseen"
    assert fate(os.getpid(), f"other/{container}/{ticks}") == "unseen"
    assert liveness.is_of_this_boot(f"{boot}/1/{ticks}") and not liveness.is_of_this_boot(f"other/{container}/{ticks}")


@pytest.mark.parametrize("pid", [0, -1, 2**40, 2**80])
def test_what_is_no_process_id_is_nobody(pid):
    place, _, ticks = birth().rpartition("/")
    assert fate(pid, f"{place}/{ticks}") in ("dead", "unseen") and birth(pid) == ""
    assert fate(pid, "") == fate(pid, "1.5e9") == "unseen"
