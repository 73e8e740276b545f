"""How much memory this process may have: what the machine, its group of processes and its own limits allow."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import psutil

SHARE: Final = 0.5  # of what a process may have that one file or one batch may take

_GROUPS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # version 2, version 1


def most() -> int:
    """Bytes that this process may have at most: the least of the machine's, its control group's and its own limits."""
    return min([psutil.virtual_memory().total, *_of_group(), *_of_process()])


def share() -> int:
    """Bytes that one file or one batch may take: half of `most()`."""
    return int(SHARE * most())


def gigabytes(size: float) -> str:
    """A number of bytes for people: "3.2 GB"."""
    return f"{size / 1e9:,.1f} GB" if size >= 1e8 else f"{size / 1e6:,.1f} MB"


def _of_group() -> list[int]:
    found = []
    for path in _GROUPS:
        try:
            text = Path(path).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            continue
        if text.isdigit():  # else "max"
            found.append(int(text))
    return found


def _of_process() -> list[int]:
    process = psutil.Process()
    if not hasattr(process, "rlimit"):  # neither macOS nor Windows has it
        return []
    limits = [process.rlimit(kind)[0] for kind in (psutil.RLIMIT_AS, psutil.RLIMIT_DATA)]
    return [limit for limit in limits if limit != psutil.RLIM_INFINITY]
