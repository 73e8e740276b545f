"""Who may use what trials share, as a card or the machine: many beside each other, or one that has it to itself.

Locks on files, which the system gives back when a process ends, however it ends. One that waits to be alone holds the
gate meanwhile, so that no other trial begins and its turn comes when those at hand have ended.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from netwright.core.locks import fcntl

LOOK_EVERY: Final = 0.1  # seconds


class Turns:
    """Takes turns with other processes on the same machine; its files stay open between two turns.

    Where the system has no such locks (no POSIX), or their files cannot be made, nobody waits.

    Args:
        folder: Folder of the lock files, the same for all who share; made when missing.
        names: Names of what is shared.
    """

    def __init__(self, folder: Path, names: Collection[str]) -> None:
        self._folder = folder
        self._names = sorted(set(names))  # in one order, so that no two wait for each other
        self._files: dict[str, tuple[int, int]] | None = None  # by name: the gate, and the lock itself

    @contextmanager
    def taken(self, *, alone: Collection[str] = (), is_wanted: Callable[[], bool] = lambda: True) -> Iterator[bool]:
        """Hold all of it within the block; gives False, and holds nothing, where waiting was no longer wanted.

        Args:
            alone: Names of what is held alone.
            is_wanted: Asked again and again while waiting.
        """
        held: list[int] = []
        try:
            for name, (gate, own) in self._opened().items():
                if not _locked(gate, name in alone, is_wanted):
                    yield False
                    return
                try:
                    has_come = _locked(own, name in alone, is_wanted)
                finally:
                    _unlock(gate)
                if not has_come:
                    yield False
                    return
                held.append(own)
            yield True
        finally:
            for handle in held:
                _unlock(handle)

    def close(self) -> None:
        """Close the files."""
        for pair in (self._files or {}).values():
            for handle in pair:
                os.close(handle)
        self._files = None

    def _opened(self) -> dict[str, tuple[int, int]]:
        if self._files is None:
            self._files = {}
            if fcntl is not None:
                try:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    for name in self._names:
                        self._files[name] = (self._open(name, "gate"), self._open(name, "lock"))
                except OSError:  # as on a full disk
                    self.close()
                    self._files = {}
        return self._files

    def _open(self, name: str, kind: str) -> int:
        path = self._folder / f"{re.sub(r'[^a-zA-Z0-9_]+', '-', name)}.{kind}"
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # not inherited by what is started


def _locked(handle: int, is_alone: bool, is_wanted: Callable[[], bool]) -> bool:
    """Wait for a lock; False: it was no longer wanted."""
    assert fcntl is not None
    kind = fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if not is_wanted():
                return False
        except OSError:  # as on a network disk without locks
            return True
        time.sleep(LOOK_EVERY)


def _unlock(handle: int) -> None:
    assert fcntl is not None
    try:
        fcntl.flock(handle, fcntl.LOCK_UN)  # also for what was forked meanwhile
    except OSError:
        return
