"""What Ctrl-C and SIGTERM do while a controller is at work."""

from __future__ import annotations

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
SPEAKING = 2.0  # seconds for which a sentence that cannot be said, as on a terminal that stands still, is waited for
STOPPING = "stopping: running trials write down where they stand, to go on from there"


@contextmanager
def attended(controller: Search, say: Callable[[str], None]) -> Iterator[None]:
    """Handles signals: the first Ctrl-C drains; a second one, or SIGTERM, has what runs write down where it stands.

    A third Ctrl-C stops at once. So does a stop that takes longer than it may, as of a trial in this very process that
    never asks whether to stop. SIGTERM may come several times, as schedulers repeat it, and ends in `Terminated`.
    """
    begun: list[float] = []
    presses, is_terminated, is_late, is_over = 0, False, False, False
    alarm: threading.Timer | None = None
    ending, main = threading.Lock(), threading.get_ident()
    # a handler comes between any two steps of what it interrupts, which may be printing, or an import by that: what it
    # has to say is said by a thread, and this kind of queue is the one that both may use
    sentences: queue.SimpleQueue[str] = queue.SimpleQueue()

    def speak() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))  # which are the main thread's
        while sentence := sentences.get():
            with suppress(Exception, SystemExit):  # whoever listened is gone, which is met elsewhere
                say(sentence)

    def stop() -> None:
        nonlocal alarm
        controller.stop()
        if alarm is None:
            alarm = threading.Timer(min(controller.stop_seconds + MARGIN, threading.TIMEOUT_MAX), overstay)
            alarm.daemon = True
            alarm.start()

    def overstay() -> None:
        nonlocal is_late
        with ending:
            if not is_over:
                is_late = True
                signal.pthread_kill(main, signal.SIGTERM if is_terminated else signal.SIGINT)

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

    old = signal.signal(signal.SIGINT, interrupt), signal.signal(signal.SIGTERM, terminate)
    speaker = threading.Thread(target=speak, daemon=True)
    try:
        speaker.start()
        yield
    finally:
        try:
            with ending:
                is_over = True
            if alarm is not None:
                alarm.cancel()
            sentences.put("")
            speaker.join(SPEAKING)
        finally:
            signal.signal(signal.SIGINT, old[0])
            signal.signal(signal.SIGTERM, old[1])
        if begun:
            goes_on = "; the same command goes on" if is_terminated else ""
            say(f"stopped after {clock(time.monotonic() - begun[0])}{goes_on}")
    if is_terminated:
        raise Terminated(TERMINATED)
