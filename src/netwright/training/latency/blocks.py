"""Seconds of a call, measured in blocks of many calls, so that neither the clock nor a single interruption decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

MOST_CALLS = 2**20  # in a block: a clock that stands still ends


@dataclass(frozen=True)
class Effort:
    """How long a call is measured.

    Args:
        blocks: Number of blocks.
        least: Least seconds of a block; calls in it follow from this. The blocks before, which find that number of
            calls, are the warm-up.
        most: Seconds after which no further block begins, once there are FEWEST.
    """

    blocks: int
    least: float
    most: float


FEWEST = 3  # blocks, however long they take
OF_NETWORKS = Effort(blocks=25, least=0.04, most=20.0)
OF_OPERATIONS = Effort(blocks=7, least=0.002, most=1.0)


@dataclass(frozen=True)
class Quartiles:
    """What the blocks say of one call, in milliseconds: the median of their means, and the quartiles around it."""

    lower: float
    median: float
    upper: float


def seconds(
    call: Callable[[], object],
    effort: Effort,
    clock: Callable[[], float],
    wait: Callable[[], object] = lambda: None,
) -> list[float]:
    """Mean seconds of a call, one for each block.

    Args:
        call: What is measured.
        effort: How long.
        clock: Gives the seconds.
        wait: Waits until a device has done what the calls gave it.
    """

    def block(calls: int) -> float:
        began = clock()
        for _ in range(calls):
            call()
        wait()
        return clock() - began

    block(1)  # the first call chooses algorithms and takes memory
    calls = 1
    while (taken := block(calls)) < effort.least and calls < MOST_CALLS:
        calls = min(MOST_CALLS, max(2 * calls, int(calls * 1.1 * effort.least / max(taken, 1e-9)) if calls > 8 else 0))
    found: list[float] = []
    spent = 0.0
    while len(found) < effort.blocks and (len(found) < FEWEST or spent < effort.most):
        taken = block(calls)
        spent += taken
        found.append(taken / calls)
    return found


def quartiles(found: list[float]) -> Quartiles:
    """Quartiles of seconds, in milliseconds."""
    lower, median, upper = np.quantile(found, (0.25, 0.5, 0.75)) * 1000
    return Quartiles(float(lower), float(median), float(upper))


def waiting(device: torch.device) -> Callable[[], object]:
    """What waits until the device has done its work."""
    return (lambda: None) if device.type == "cpu" else (lambda: torch.accelerator.synchronize(device))
