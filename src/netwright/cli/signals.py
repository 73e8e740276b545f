"""What Ctrl-C and SIGTERM do while a controller is at work."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from netwright.core.errors import Terminated
from netwright.runs.display import clock

if TYPE_CHECKING:
    from netwright.search import Search

INTERRUPTED, TERMINATED = 130, 143


@contextmanager
def attended(controller: Search, say: Callable[[str], None]) -> Iterator[None]:
    """Handles signals: the first Ctrl-C drains, a second one, or SIGTERM, as from a job scheduler, stops at once."""
    begun: list[float] = []

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        if begun:
            raise KeyboardInterrupt
        begun.append(time.monotonic())
        controller.drain()
        say("stopping: running trials finish first; Ctrl-C again stops now")

    def terminate(_number: int, _frame: FrameType | None) -> None:
        raise Terminated(TERMINATED)

    old = signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old[0])
        signal.signal(signal.SIGTERM, old[1])
        if begun:
            say(f"stopped after {clock(time.monotonic() - begun[0])}")
