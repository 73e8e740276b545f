"""Signals that ask a process to stop, as something to wait on: what it is at can then be ended in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass
class StopSignal:
    """Whether a signal has come.

    Args:
        line: File descriptor to wait on, which can be read once a signal has come, and later ones with it.
        number: Number of the first signal; 0: none has come.
    """

    line: int
    number: int = 0


@contextmanager
def noting(*numbers: int) -> Iterator[StopSignal]:
    """Take note of these signals within the block.

    SIGTERM may come any number of times, as schedulers repeat it; a second SIGINT does what it did before the block.
    """
    line, end = os.pipe()
    os.set_blocking(end, False)
    noted = StopSignal(line)
    before: dict[int, Any] = {}

    def note(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT:
            signal.signal(number, before[number])
        noted.number = noted.number or number
        with suppress(BlockingIOError):
            os.write(end, b".")

    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(line)
        os.close(end)
