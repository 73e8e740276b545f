"""Signs of life of a worker, given by a thread of its parent: a table that is slow to answer delays nothing else.

With each of them the thread asks what the worker is to do, since a worker may have no pipe to its controller.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from netwright.core.protocols import Store
from netwright.executors.orders import Order

ANSWER: Final = 5.0  # seconds without an answer after which the table counts as out of reach


class Beats:
    """What `beating` gives.

    Args:
        beat: Gives a sign of life with what is said of the worker, and returns what the worker is to do.
        every: Seconds between two beats.
    """

    def __init__(self, beat: Callable[[str], Order], every: float) -> None:
        self.activity = "starting"  # what is said of the worker; set by whoever watches it
        self.order: Order = ""
        self.fault: Exception | None = None  # no beat follows it
        self.line, self._end = os.pipe()  # can be read once there is an order or a fault
        self._beat, self._every = beat, every
        self._asked: float | None = None  # since when an answer is waited for
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    @property
    def is_answered(self) -> bool:
        """Whether the table answers, as far as is known."""
        asked = self._asked
        return self.fault is None and (asked is None or time.monotonic() - asked < ANSWER)

    def begin(self) -> None:
        """Beat for the first time, and from then on in a thread."""
        self.order = self._beat(self.activity)
        self._thread.start()

    def end(self) -> None:
        """Beat no more. A beat that waits for an answer is waited for only as long as the table counts as in reach."""
        self._is_over.set()
        while self._thread.is_alive() and self.is_answered:
            self._thread.join(0.05)
        if not self._thread.is_alive():
            os.close(self.line)
            os.close(self._end)

    def _go_on(self) -> None:
        while not self._is_over.wait(self._every) and self.fault is None:
            self._asked, heard = time.monotonic(), self.order
            try:
                heard = self._beat(self.activity)
                self._asked = None
            except Exception as fault:  # for whoever waits at the line
                self.fault = fault
            if self.fault is not None or (heard and heard != self.order):
                self.order = heard
                os.write(self._end, b".")


@contextmanager
def beating(store: Store, name: str, every: float, hear: Callable[[], Order]) -> Iterator[Beats]:
    """Beats for a worker within the block, for the first time before it.

    Args:
        store: The table.
        name: Name of the worker.
        every: Seconds between two beats.
        hear: Asks what the worker is to do; called in a thread.
    """

    def beat(activity: str) -> Order:
        store.beat(name, activity)
        return hear()

    beats = Beats(beat, every)
    beats.begin()
    try:
        yield beats
    finally:
        beats.end()
