"""Whether another process of this machine is alive."""

from __future__ import annotations

import psutil


def is_alive(pid: int, born: float | None = None) -> bool:
    """Whether the process runs (a zombie does not); with `born`, whether it is the one created at that time.

    A process id alone can be reused, also across a restart of the machine; id and time of birth (seconds since the
    epoch) cannot.
    """
    try:
        process = psutil.Process(pid)
        is_same = born is None or abs(process.create_time() - born) < 1.0
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False
