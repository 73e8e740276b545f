"""What a search leaves behind is found, wherever it lies and however it was started."""

import os
import subprocess
import sys

import pytest

from netwright.core import claim, locks
from netwright.stores.sqlite import SqliteStore
from netwright.testing.faults import remains, searching


@pytest.fixture
def place(tmp_path):
    """A place whose search has ended in order."""
    with searching.made(tmp_path / "case", f"test-{os.getpid()}") as place:
        for name in ("logs", "report", "trials"):
            (place.run / name).mkdir(parents=True)
        SqliteStore(str(place.run / "trials.sqlite")).close()
        yield place


def test_nothing_is_left_where_all_ended_in_order(place):
    assert remains.files(place) == []
    assert remains.processes(place) == []


def test_files_of_every_kind(place):
    (place.temporary / "netwright-shared-x").mkdir()
    (place.run / "trials" / "000007").mkdir()
    (place.run / "served.json").touch()
    (place.run / "logs" / ".w0.log.1-2-0123abcd.new").touch()
    assert remains.files(place) == [
        "temporary file netwright-shared-x",
        "served.json in the run's folder",
        "the folder of trial 000007",
        "draft logs/.w0.log.1-2-0123abcd.new",
    ]


def test_locks_and_claims(place):
    with locks.alone_in(place.run, remains.LOCK):
        assert remains.files(place) == ["the lock of the folder is held"]
    store = SqliteStore(str(place.run / "trials.sqlite"))
    with claim.taken(store, lambda: (place.run / "trials.sqlite").stat().st_ino):
        assert remains.files(place) == [f"the claim of process {os.getpid()} on {os.uname().nodename}"]
    store.close()


def test_a_process_in_a_session_of_its_own_that_listens(place):
    code = "import socket, time; s = socket.create_server(('127.0.0.1', 0)); print(1, flush=True); time.sleep(60)"
    words = [sys.executable, "-c", code]
    left = subprocess.Popen(words, env=place.variables(), start_new_session=True, stdout=subprocess.PIPE)
    left.stdout.readline()
    [sentence] = remains.processes(place, 0.0)
    assert sentence.startswith(f"process {left.pid} (") and "which listens on port" in sentence
    searching.end(place)
    assert remains.processes(place) == []
    left.communicate()
