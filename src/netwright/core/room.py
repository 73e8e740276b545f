"""How many processes the memory of this machine holds, asked before any is started."""

from __future__ import annotations

import os
from typing import Final

from netwright.core import memory
from netwright.core.errors import WorkerError

MOST: Final = 1024  # processes that may be asked for on any machine, where fewer are started in the end


def free_mb() -> float:
    """Memory that is free, in 10**6 bytes; see `memory.free`."""
    return memory.free() / 1e6


def held(each_mb: float) -> int:
    """How many processes of so much memory, in 10**6 bytes, can be started now; at least one."""
    return max(1, int(free_mb() / each_mb))


def per_core(each_mb: float) -> int:
    """One process for each core, or fewer where memory does not hold as many: a number to start from."""
    return min(os.cpu_count() or 1, held(each_mb))


def refuse_crowd(option: str, asked: int, started: int, each_mb: float) -> None:
    """Raise WorkerError where memory does not hold the processes; one is always admitted.

    Args:
        option: The option that asks for them, for the message.
        asked: Their number as the option has it.
        started: Their number as they are started: fewer where there is less to do.
        each_mb: Memory that each takes before it does anything, in 10**6 bytes.
    """
    most = held(each_mb)
    if started <= most and asked <= max(MOST, most):
        return
    raise WorkerError(
        f"{option} is {asked}, but the {free_mb() / 1000:,.1f} GB of memory that are free hold {most:,} processes of "
        f"{each_mb / 1000:.2f} GB; give fewer, at most {most}"
    )
