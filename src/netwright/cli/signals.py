"""What Ctrl-C and SIGTERM do while a controller is at work."""

from __future__ import annotations

import math
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from netwright.core.errors import Terminated
from netwright.runs.display import clock

if TYPE_CHECKING:
    from netwright.controller import Search

INTERRUPTED, TERMINATED = 130, 143
MARGIN = 5.0  # seconds after those that trials have for writing down where they stand
STOPPING = "stopping: running trials write down where they stand, to go on from there"


@contextmanager
def attended(controller: Search, say: Callable[[str], None]) -> Iterator[None]:
    """Handles signals: the first Ctrl-C drains; a second one, or SIGTERM, has what runs write down where it stands.

    A third Ctrl-C stops at once. So does a stop that takes longer than it may, as of a trial in this very process that
    never asks whether to stop. SIGTERM may come several times, as schedulers repeat it, and ends in `Terminated`.
    """
    begun: list[float] = []
    presses, is_terminated, is_late, late_at = 0, False, False, math.inf
    main = threading.get_ident()
    # a handler comes between any two steps of what it interrupts, which may be printing, or an import by it: only this
    # kind of queue may be used in both
    sentences: queue.SimpleQueue[str] = queue.SimpleQueue()

    def attend() -> None:
        """Say what is to be said, until that is nothing, and end what stops for too long."""
        nonlocal is_late
        while True:
            rest = max(0.0, late_at - time.monotonic())
            try:
                sentence = sentences.get(timeout=None if is_late or math.isinf(rest) else rest)
            except queue.Empty:
                is_late = True
                signal.pthread_kill(main, signal.SIGTERM if is_terminated else signal.SIGINT)
                continue
            if not sentence:
                return
            with suppress(OSError):  # whoever listened is gone, which is met elsewhere
                say(sentence)

    def stop() -> None:
        nonlocal late_at
        controller.stop()
        late_at = min(late_at, time.monotonic() + controller.stop_seconds + MARGIN)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal presses
        presses += 1
        begun.append(time.monotonic())
        if is_late or presses > 2:
            raise KeyboardInterrupt
        if presses == 2:
            stop()
            sentences.put(f"{STOPPING}; Ctrl-C again loses that")
        else:
            controller.drain()
            sentences.put(
                "stopping: running trials finish first, with the training that they share, if any; Ctrl-C again stops "
                "them where they stand"
            )

    def terminate(_number: int, _frame: FrameType | None) -> None:
        nonlocal is_terminated, presses
        if is_late:
            raise Terminated(TERMINATED)
        if not is_terminated:
            is_terminated, presses = True, max(presses, 1)
            begun.append(time.monotonic())
            stop()
            sentences.put(STOPPING)

    attendant = threading.Thread(target=attend, daemon=True)
    attendant.start()
    old = signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old[0])
        signal.signal(signal.SIGTERM, old[1])
        sentences.put("")
        attendant.join()
        if begun:
            goes_on = "; the same command goes on" if is_terminated else ""
            say(f"stopped after {clock(time.monotonic() - begun[0])}{goes_on}")
    if is_terminated:
        raise Terminated(TERMINATED)
