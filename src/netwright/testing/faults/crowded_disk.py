"""Disks on which no room, no inode or no larger file is left, at one write after the other."""

from __future__ import annotations

import os
import random
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import psutil

from netwright.testing.faults.searching import Play, Scene, Violated, end

MOUNT: Final = "mount"
PAGE: Final = 4096  # bytes: the unit in which a file system gives room
SIZE, INODES = {"room": "24m", "inodes": "1g"}, 160  # nothing is taken before it is used
WRITES: Final = 24  # so many writes are tried one after the other
HOLDS: Final = 3.0  # seconds for which there is no room, at most
WORDS: Final = {
    "room": ("disk is full", "No space left"),
    "inodes": ("inode",),
    "length": ("size limit", "File too large"),
}


class Unable(Exception):
    """A fault that cannot be made here, and why."""


@dataclass
class Crowded:
    """What a run writes to gives no more after so many pages, inodes or bytes, for a while.

    Room and inodes are used up on a small file system of the search's own; the length of files is limited in its
    processes. Each time one more write goes well before the first that fails.

    Args:
        of: What is used up.
    """

    of: Literal["room", "inodes", "length"]
    rows: int = 3
    codes: frozenset[int] = frozenset({2, 1})
    _count: int = 0

    @property
    def name(self) -> str:
        """The fault in words."""
        return {"room": "disk full", "inodes": "no inode left", "length": "files limited in size"}[self.of]

    @contextmanager
    def prepared(self, place: Scene) -> Iterator[None]:
        """A small file system where the run is to lie. Raises Unable."""
        if self.of == "length":
            yield
            return
        options = f"size={SIZE[self.of]}" + (f",nr_inodes={INODES}" if self.of == "inodes" else "")
        words = [MOUNT, "-t", "tmpfs", "-o", options, "netwright-chaos", str(place.disk)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        except OSError as error:
            raise Unable(f"mount: {error.strerror}") from None
        if done.returncode:
            raise Unable(f"a file system cannot be mounted here: {done.stderr.strip()[:200]}")
        try:
            yield
        finally:
            end(place)
            subprocess.run(["umount", str(place.disk)], capture_output=True, check=False)

    def inject(self, session: Play, rng: random.Random) -> int:
        """Use up all but a little; make room again after a while, or when the command has ended."""
        spare = self._count % WRITES
        place = session.place
        if self.of == "length":
            limited = [each for each in session.members("all") if self._limit(each, place, spare)]
            if not limited:
                return 0
            session.sleep(rng.uniform(0.2, HOLDS))
            for process in limited:
                with suppress(psutil.Error):
                    process.rlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        else:
            balloon = place.disk / "balloon"
            if self.of == "room":
                _blow_up(balloon, spare * PAGE)
            else:
                _crowd(balloon, spare % 4)
            session.sleep(rng.uniform(0.2, HOLDS))
            if session.poll() is not None:
                return self._counted()
            _free(balloon)
        return self._counted()

    def after(self, session: Play, code: int, rng: random.Random) -> None:  # noqa: ARG002
        """See that it was said, and make room."""
        said = session.words()
        if code and not any(word in said for word in WORDS[self.of]):
            raise Violated(f"the command ended with code {code} when {self.name}, and did not say so: {said!r}")
        _free(session.place.disk / "balloon")

    def _counted(self) -> int:
        self._count += 1
        return 1

    def _limit(self, process: psutil.Process, place: Scene, spare: int) -> bool:
        """Limit the files of a process to what the log of the table has now, and a few pages."""
        with suppress(OSError, psutil.Error):
            log = place.run / "trials.sqlite-wal"
            process.rlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + spare * PAGE, resource.RLIM_INFINITY))
            return True
        return False


def _blow_up(balloon: Path, spare: int) -> None:
    """A file that takes all room but so many bytes."""
    with suppress(OSError), balloon.open("ab") as file:
        while True:
            room = os.statvfs(balloon.parent)
            left = room.f_bavail * room.f_frsize - spare
            if left <= 0:
                return
            file.write(bytes(min(left, 1 << 20)))
            file.flush()


def _crowd(balloon: Path, spare: int) -> None:
    """A folder of empty files that takes all inodes but a few."""
    with suppress(OSError):
        balloon.mkdir(exist_ok=True)
        number = 0
        while os.statvfs(balloon).f_favail > spare:
            number += 1
            (balloon / str(number)).touch()


def _free(balloon: Path) -> None:
    if balloon.is_dir():
        for path in balloon.iterdir():
            path.unlink()
        balloon.rmdir()
    balloon.unlink(missing_ok=True)
