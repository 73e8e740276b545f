"""The multi-process service by a program in its place: used where it works, and nothing is left of it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from netwright.executors import card_service
from netwright.executors.descendants import MARK

CONTROL = """#!{python}
import os, signal, subprocess, sys, time
from pathlib import Path
control = Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"], "control")
seen = Path({seen!r})
if sys.argv[1:] == ["-f"]:
    seen.write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all") + " " + os.environ["CUDA_MPS_PIPE_DIRECTORY"])
    {fault}
    server = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    control.touch()
    while control.exists():
        time.sleep(0.01)
else:
    order = sys.stdin.read()
    {quits}
    seen.write_text(seen.read_text() + " " + order)
    control.unlink()
"""
WORKS = (sys.executable, "-c", "import os; os.listdir(os.environ['CUDA_MPS_PIPE_DIRECTORY'])")


def control(folder, fault="pass", quits="pass"):
    """A program in place of the driver's, and the file in which it says what it saw."""
    program, seen = folder / "control", folder / "seen"
    program.write_text(CONTROL.format(python=sys.executable, seen=str(seen), fault=fault, quits=quits))
    program.chmod(0o755)
    return str(program), seen


def marked(mark):
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK, "").startswith(mark):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("quits", ["pass", "sys.exit(1)"])
def test_clients_are_told_of_it_and_it_ends_with_the_search(tmp_path, quits):
    program, seen = control(tmp_path, quits=quits)
    mark = f"{tmp_path}|card_service|"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "3"}
    service = card_service.start(mark, control=program, client=WORKS, environment=environment)
    assert len(marked(mark)) == 3, "the daemon, its server, and what watches over them"
    pipes = service.environment["CUDA_MPS_PIPE_DIRECTORY"]
    assert seen.read_text() == f"all {pipes}", "its clients number the cards"
    service.stop()
    assert not marked(mark)
    assert not Path(pipes).exists()
    assert ("quit" in seen.read_text()) == (quits == "pass")


BEGUN = """
import sys, time
from netwright.executors import card_service
assert card_service.start({mark!r}, control={program!r}, client={client!r})
print("begun", flush=True)
time.sleep(600)
"""


def test_it_ends_with_a_controller_that_is_killed(tmp_path):
    program, seen = control(tmp_path)
    mark = f"{tmp_path}|card_service|"
    code = BEGUN.format(mark=mark, program=program, client=WORKS)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as controller:
        begun, found = controller.stdout.readline(), marked(mark)
        controller.kill()
    assert (begun, len(found)) == (b"begun\n", 3)
    until = time.monotonic() + 30
    while marked(mark):
        assert time.monotonic() < until, "the daemon outlives its controller"
        time.sleep(0.05)
    _, pipes, *order = seen.read_text().split()
    assert order == ["quit", "-t", "2"], "as it is to be told"
    assert not Path(pipes).exists()


def test_one_that_ends_leaves_a_later_one_of_the_same_search_alone(tmp_path):
    """As after a kill of the controller, when the search goes on at once."""
    program, _seen = control(tmp_path)
    mark = f"{tmp_path}|card_service|"
    first, second = (card_service.start(mark, control=program, client=WORKS) for _ in range(2))
    first.stop()
    assert second.watcher.poll() is None
    assert len(marked(mark)) == 3
    second.stop()
    assert not marked(mark)


def test_a_watcher_that_is_killed_leaves_nothing_when_the_search_ends(tmp_path):
    program, _seen = control(tmp_path)
    mark = f"{tmp_path}|card_service|"
    service = card_service.start(mark, control=program, client=WORKS)
    service.watcher.kill()
    service.watcher.wait()
    assert len(marked(mark)) == 2
    service.stop()
    assert not marked(mark)
    assert not Path(service.environment["CUDA_MPS_PIPE_DIRECTORY"]).exists()


@pytest.mark.parametrize(
    ("fault", "client"), [("sys.exit(1)", WORKS), ("pass", (sys.executable, "-c", "raise SystemExit(1)"))]
)
def test_where_it_is_not_allowed_there_is_none(tmp_path, fault, client):
    program, seen = control(tmp_path, fault)
    mark = f"{tmp_path}|card_service|"
    assert card_service.start(mark, control=program, client=client) is None
    assert not marked(mark)
    assert not Path(seen.read_text().split()[1]).exists()


def test_there_is_none_without_its_program_and_one_that_is_there_is_used(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert card_service.start("mark") is None
    service = card_service.start("mark", environment={"CUDA_MPS_PIPE_DIRECTORY": "/tmp/nvidia-mps"})
    assert service.environment == {}
    service.stop()
