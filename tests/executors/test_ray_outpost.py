"""A place of a cluster runs a program, says how it goes, and leaves nothing of it, whatever becomes of the place."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from netwright.executors import ray_outpost
from netwright.executors.ray_outpost import SEAT, Errand, Outpost

WAIT = 30.0  # seconds for which something is waited for


def work(program, seat="run-0", worker="w0-1", **environment):
    return Errand("key", worker, ("-c", program, worker), environment, seat)


def until(is_so):
    end = time.monotonic() + WAIT
    while not is_so():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def seated(seat):
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(SEAT, "").startswith(seat):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def placed(errand):
    """A place in this process, which is not to end with it."""
    return Outpost(errand, lambda: None)


def test_what_is_printed_is_given_once_and_the_end_comes_last():
    place = placed(work("import os, sys; print(os.environ['WORD'], sys.argv[1]); sys.exit(4)", WORD="hello"))
    until(lambda: place.news(0).code is not None)
    first = place.news(0)
    assert (first.key, first.worker, first.code, first.at, first.printed) == ("key", "w0-1", 4, 0, b"hello w0-1\n")
    assert place.news(len(first.printed)).printed == b""
    assert place.news().at == len(first.printed), "whoever asks without a number goes on where another one was"


def test_the_end_is_not_said_before_all_that_was_printed(monkeypatch):
    monkeypatch.setattr(ray_outpost, "PIECE", 3)
    place = placed(work("print('abcde', end='')"))
    until(lambda: place.news(0).code is None and place.news(3).code == 0)
    assert (place.news(0).printed, place.news(3).printed) == (b"abc", b"de")


def test_a_place_that_ends_closes_the_line_and_what_ignores_that_is_killed(monkeypatch):
    place = placed(work("import sys; sys.stdin.read(); print('over', flush=True)"))
    assert place.end().printed == b"over\n"
    monkeypatch.setattr(ray_outpost, "CLOSING", 0.1)
    place = placed(work("import time; time.sleep(1000)", seat="run-deaf"))
    assert place.end().code == -signal.SIGKILL
    assert seated("run-deaf") == []


def test_what_outlives_its_place_is_ended_by_the_next_one_of_the_seat_on_the_machine():
    rest = "[sys.executable, '-c', 'import time; time.sleep(1000)'], start_new_session=True"
    daemon = f"import subprocess, sys; subprocess.Popen({rest})"
    first = placed(work(daemon, seat="run-left"))
    until(lambda: first.news(0).code == 0)
    assert len(seated("run-left|")) == 1
    other = placed(work("pass", seat="run-lef"))
    assert len(seated("run-left|")) == 1, "it belongs to another seat"
    placed(work("import sys; sys.stdin.read()", seat="run-left", worker="w0-2")).end()
    assert seated("run-left|") == []
    other.end()


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_place_leaves_when_its_program_has_ended_and_nobody_asks(monkeypatch, is_asked):
    monkeypatch.setattr(ray_outpost, "UNASKED", 1000.0 if is_asked else 0.05)
    left = []
    place = Outpost(work("pass"), lambda: left.append(True))
    until(lambda: place.news().code == 0)
    if is_asked:
        assert not left
    else:
        until(lambda: left)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_a_place_that_is_killed_takes_its_program_along():
    program = """
from tests.executors.test_ray_outpost import placed, work
place = placed(work("import sys; print('on', flush=True); sys.stdin.read()", seat="run-killed"))
print(place._process.pid, flush=True)
import time; time.sleep(1000)
"""
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root / "src"), str(root)])}
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    pid = int(process.stdout.readline())
    process.kill()
    process.wait()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
