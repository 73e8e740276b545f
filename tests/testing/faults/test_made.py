"""Faults that need something of the machine: disks of their own, and a clock of their own."""

import errno
import random
import subprocess
import sys
import time

import pytest

from netwright.testing.faults import clocks, crowded_disk, searching
from netwright.testing.faults.clocks import ClockJumps
from netwright.testing.faults.crowded_disk import Crowded, Unable


class Asleep:
    """A session as far as these faults need one."""

    def __init__(self, place, code=None):
        self.place, self.code = place, code
        self.seen = []

    def sleep(self, seconds, until=lambda: False):
        self.seen.append(self.tried())
        return True

    def tried(self):
        """What a write of 64 KB in the folder of the run comes to: an error's number, or 0."""
        try:
            (self.place.disk / "file").write_bytes(bytes(65536))
        except OSError as error:
            return error.errno
        finally:
            (self.place.disk / "file").unlink(missing_ok=True)
        return 0

    def poll(self):
        return self.code

    def words(self):
        return "netwright: something"


@pytest.fixture
def place(tmp_path):
    with searching.made(tmp_path / "case", "test-made") as place:
        yield place


@pytest.mark.parametrize("of", ["room", "inodes"])
def test_a_disk_is_full_for_a_while(place, of):
    fault = Crowded(of)
    try:
        with fault.prepared(place):
            session = Asleep(place)
            assert fault.inject(session, random.Random(0)) == 1
            assert session.seen == [errno.ENOSPC]
            assert session.tried() == 0, "there is room again"
            with pytest.raises(searching.Violated, match="did not say so"):
                fault.after(Asleep(place, 2), 2, None)
    except Unable as reason:
        pytest.skip(str(reason))
    assert not place.disk.is_mount()


def test_where_nothing_can_be_mounted_that_is_said(place, monkeypatch):
    monkeypatch.setattr(crowded_disk, "MOUNT", "/bin/false")
    with pytest.raises(Unable, match="cannot be mounted"), Crowded("room").prepared(place):
        pass


def test_the_clock_of_a_process_jumps_while_it_runs(place):
    fault = ClockJumps()
    code = "import time\nwhile True:\n    print(time.time(), flush=True)\n    time.sleep(0.01)"
    with fault.prepared(place):
        process = subprocess.Popen([sys.executable, "-c", code], env=place.variables(), stdout=subprocess.PIPE)
        assert abs(float(process.stdout.readline()) - time.time()) < 60

        class Running(Asleep):
            def sleep(self, seconds, until=lambda: False):
                end = time.monotonic() + seconds
                while not until() and time.monotonic() < end:
                    time.sleep(0.01)

        class Decade:
            def choice(self, among):
                return among[-1]

            def uniform(self, low, high):
                return high

        assert fault.inject(Running(place), Decade()) == 1
        until = time.monotonic() + 30
        while float(process.stdout.readline()) - time.time() < 0.9 * clocks.JUMPS[-1]:
            assert time.monotonic() < until
        process.kill()
        process.communicate()
