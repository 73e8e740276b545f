"""Locks on folders, which the system gives back when their process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from filelock import FileLock, Timeout

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # no POSIX: the lock file alone is left
    fcntl = None


class Held(Exception):
    """Another process, or another part of this one, holds the lock."""


@contextmanager
def alone_in(folder: Path, name: str) -> Iterator[None]:
    """Makes this process the only one in a folder.

    A lock file is held and, where the system can lock a folder, the folder itself: deleting the lock file lets nobody
    in.

    Args:
        folder: The folder, which must exist.
        name: Name of the lock file in it, which stays when the lock is given back.

    Raises:
        Held: Another one is in it.
        OSError: The lock file cannot be written.
    """
    with holding(folder / name), alone_at(folder):
        yield


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Holds a lock file, which stays when the lock is given back.

    Raises:
        Held: Another one holds it.
        OSError: It cannot be written.
    """
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Held from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def alone_at(folder: Path) -> Iterator[None]:
    """Holds a folder itself, where the system can lock folders. Raises Held when another one does.

    The lock stays with the folder when it is renamed.
    """
    handle = os.open(folder, os.O_RDONLY)  # not inherited by what is started
    try:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Held from None
            except OSError:  # as on a network disk, which locks files that are written alone
                pass
        yield
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether a process holds a lock file, which is not written to; False where the system has no such locks.

    To look, the lock is had for a moment, together with others who look.
    """
    if fcntl is None:
        return False
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # as on a network disk without locks
        return False
    finally:
        os.close(handle)
    return False
