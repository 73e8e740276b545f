"""Locks are seen from outside without being taken."""

import subprocess
import sys

from netwright.core import locks

HOLD = """
import sys
from pathlib import Path
from netwright.core import locks
with locks.holding(Path(sys.argv[1])):
    print(flush=True)
    sys.stdin.read()
"""


def test_whether_a_lock_is_held(tmp_path):
    path = tmp_path / "a.lock"
    assert not locks.is_held(path)
    with subprocess.Popen([sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        before = path.stat().st_mtime_ns
        assert locks.is_held(path) and path.stat().st_mtime_ns == before
        other.stdin.close()
    assert not locks.is_held(path)
    with locks.holding(path):
        pass
