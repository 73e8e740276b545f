"""Which process of this machine is which, and whether it is alive; no clock that can be set is asked.

A process id is used again and again. On Linux a process is known by its id together with its birth: the boot that it
belongs to (`/proc/sys/kernel/random/boot_id`), the namespace of its id (containers of one machine count from 1 each)
and the clock ticks from that boot to its start, as the kernel counts them. No step of the clock changes any of them.

Elsewhere the birth is the host's name and the time of creation that the system noted, as psutil reads it; macOS keeps
that time as it was written. A restart with a clock that was set back by years could then meet an equal one.
"""

from __future__ import annotations

import os
import socket
import zlib
from functools import cache
from pathlib import Path
from typing import Final, Literal

import psutil

Fate = Literal["alive", "dead", "unseen"]

PROC: Final = Path("/proc")
STATE, TICKS = 0, 19  # of the words behind the name in /proc/PID/stat: fields 3 and 22, see proc(5)


def birth(pid: int | None = None) -> str:
    """The birth of a process of this machine, of the caller by default; "" where it is not alive (a zombie is not)."""
    try:
        return _birth(os.getpid() if pid is None else pid, _place())
    except OSError:
        return ""


def fate(pid: int, born: str) -> Fate:
    """What became of the process of an id and a birth.

    Returns:
        "unseen" where it belongs to another container or, going by the text alone, to another machine or an earlier
        boot of this one: its signs of life decide there. A process that may not or cannot be looked at, as with too
        many files open, is "unseen" too.
    """
    here = _place()
    if not here or born.rpartition("/")[0] != here:
        return "unseen"
    try:
        found = _birth(pid, here)
    except OSError:
        return "unseen"
    if found:
        return "alive" if found == born else "dead"
    return "dead" if _is_gone(pid) else "unseen"


def is_gone(pid: int) -> bool:
    """Whether no process of that id is alive where this one is, in its container if it is in one.

    Raises:
        OSError: It cannot be looked at, as with too many files open.
    """
    return not _birth(pid, _place()) and _is_gone(pid)


def place_mark() -> str:
    """Eight hexadecimal digits for where ids of processes are those of this one: machine, boot and container."""
    return f"{zlib.crc32(_place().encode()):08x}"


def is_of_this_boot(born: str) -> bool:
    """Whether a birth belongs to this machine since it was started, whatever container it is in."""
    return born.partition("/")[0] == boot()


def boot() -> str:
    """With what births of this machine since it was started begin, before a slash."""
    return _place().partition("/")[0]


def seen_from_here(born: str) -> str:
    """The birth of a process that tells of itself from elsewhere, as a table of this machine notes it.

    One of this boot stays as it is. One of another machine is "unseen" from now to the end of this boot: its signs of
    life, whose times are this machine's, decide.
    """
    return born if is_of_this_boot(born) else f"{boot()}/afar/{zlib.crc32(born.encode()):08x}"


def _is_gone(pid: int) -> bool:
    """Whether a process without a birth is gone, or a zombie; else it is hidden from this user (hidepid)."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError, ValueError):
        return True
    except PermissionError:
        return False
    return True


def _birth(pid: int, place: str) -> str:
    """The birth of a process; "" where it is not alive or hidden. Raises OSError where the system cannot say."""
    if place.startswith("host "):
        try:
            process = psutil.Process(pid)
            is_zombie = process.status() == psutil.STATUS_ZOMBIE
            return "" if is_zombie else f"{place}/{process.create_time():.2f}"
        except (psutil.Error, ValueError, OverflowError):
            return ""
    try:
        words = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
    return "" if words[STATE] in "ZX" else f"{place}/{words[TICKS]}"


@cache
def _place() -> str:
    """The boot and the namespace of process ids that this process belongs to, with a slash between."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        (PROC / "self/stat").read_bytes()
        return f"{boot}/{os.stat(PROC / 'self/ns/pid').st_ino}"
    except OSError:
        return f"host {socket.gethostname().replace('/', '-')}/"
