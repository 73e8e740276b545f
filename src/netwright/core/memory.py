"""How much memory this process may have: what the machine, its group of processes and its own limits allow."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

SHARE: Final = 0.5  # of what a process may have that one file or one batch may take

VMSTAT: Final = Path("/proc/vmstat")
GROUP: Final = Path("/sys/fs/cgroup")
GROUP_FILES: Final = (  # with the limit of a control group, as a container has, and what it uses; of versions 2 and 1
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def most() -> int:
    """Bytes that this process may have at most: the least of the machine's, its control group's and its own limits."""
    return min([psutil.virtual_memory().total, *(limit for limit, _ in _of_group()), *_of_process()])


def free() -> int:
    """Bytes that are free for more processes: those of the machine, or of this process's control group if fewer."""
    left = [limit - used for limit, used in _of_group()]
    return max(0, min([psutil.virtual_memory().available, *left]))


def told() -> str:
    """What is free and what this process holds, as one line for people; "": it cannot be said."""
    try:
        held, total = psutil.Process().memory_info(), psutil.virtual_memory().total
        text = (
            f"{size_text(free())} of {size_text(total)} of memory were free, {size_text(held.rss)} held by this process"
        )
        limits = _of_process()
    except (MemoryError, OSError, psutil.Error):
        return ""
    if not limits:
        return text
    return f"{text}, which has {size_text(held.vms)} of addresses and may have {size_text(min(limits))}"


def kills() -> int:
    """How many processes the kernel has killed on this machine since it was started, as memory ran out; 0: not known.

    Linux counts those of control groups too (`oom_kill` in /proc/vmstat).
    """
    try:
        lines = VMSTAT.read_text(encoding="ascii").splitlines()
        return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
    except (OSError, ValueError, IndexError):
        return 0


def share() -> int:
    """Bytes that one file or one batch may take: half of `most()`."""
    return int(SHARE * most())


def size_text(count: float) -> str:
    """A number of bytes for people: 147 MB, 1.5 GB."""
    if count >= 1e9:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{max(count / 1e6, 0.1):.1f} MB"


def _of_group() -> list[tuple[int, int]]:
    """Limit and use of the control group, for each version that has a limit."""
    found = []
    for names in GROUP_FILES:
        try:
            limit, used = [(GROUP / name).read_text(encoding="ascii").strip() for name in names]
        except (OSError, ValueError):
            continue
        if limit.isdigit() and used.isdigit():  # else "max"
            found.append((int(limit), int(used)))
    return found


def _of_process() -> list[int]:
    process = psutil.Process()
    if not hasattr(process, "rlimit"):  # neither macOS nor Windows has it
        return []
    limits = [process.rlimit(kind)[0] for kind in (psutil.RLIMIT_AS, psutil.RLIMIT_DATA)]
    return [limit for limit in limits if limit != psutil.RLIM_INFINITY]
