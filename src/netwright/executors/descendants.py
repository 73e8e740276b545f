"""Ending whatever a worker has started, also what has left its process group and its session.

On Linux the parent of a worker is the reaper of its descendants (prctl PR_SET_CHILD_SUBREAPER): a process whose own
parent ends becomes its child and not that of process 1, so that every descendant can be found, however it was started.
Besides, a worker marks its environment, which descendants inherit, so that they are found even when the parent itself
was killed. On systems without reapers the group, the descendants still connected, and the marked are ended.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

MARK: Final = "NETWRIGHT_WORKER"  # environment variable: table and name of the worker that a process belongs to
SECONDS: Final = 5.0  # for which ending is tried: what waits for a broken disk cannot be ended
_SET_CHILD_SUBREAPER: Final = 36  # from linux/prctl.h


def adopt() -> bool:
    """Make this process the reaper of its descendants; False: the system has no such thing."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    except (OSError, AttributeError):
        return False


def end_all(seconds: float = SECONDS) -> list[int]:
    """Kill all descendants of this process, and those that they start meanwhile; returns the ids of what is left.

    It reaps children, so that no process may be waited for otherwise. With `adopt`, children of what was killed come to
    this process and are killed in turn.
    """
    until = time.monotonic() + seconds
    while found := _children(os.getpid()) or _descendants():
        for pid in found:
            _kill(pid)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        if time.monotonic() > until:
            return found
    return []


def reap(but: int) -> None:
    """Let go of children that have ended, all but one: of those that came to this process nobody else does."""
    for pid in _children(os.getpid()):
        if pid != but:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def end_marked(mark: str, seconds: float = SECONDS, variable: str = MARK) -> list[int]:
    """Kill all processes but this one whose environment has a mark that begins so; returns the ids of what is left."""
    until = time.monotonic() + seconds
    while found := [pid for pid in psutil.pids() if pid != os.getpid() and _mark_of(pid, variable).startswith(mark)]:
        for pid in found:
            _kill(pid)
        if time.monotonic() > until:
            return found
        time.sleep(0.01)
    return []


def _mark_of(pid: int, variable: str) -> str:
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else str(process.environ().get(variable, ""))
    except (psutil.Error, OSError):  # gone, or another user's
        return ""


def _children(pid: int) -> list[int]:
    """Children of a process, zombies among them, read at once where the kernel lists them."""
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _descendants() -> list[int]:
    """Descendants that are not zombies."""
    with suppress(psutil.Error):
        return [child.pid for child in psutil.Process().children(recursive=True) if _is_running(child)]
    return []


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _kill(pid: int) -> None:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)
