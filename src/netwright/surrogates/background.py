"""Learning in a thread of its own, so that whoever hands out work need not wait for it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch

T = TypeVar("T")


class Background(Generic[T]):
    """A computation that starts at once, in a daemon thread.

    When nobody holds this object any more, or the program ends, the computation is told to stop and waited for: a
    thread that still computes while Python shuts down can crash it.

    Args:
        work: Gets a function that says whether to stop, to be asked every second or so.
    """

    def __init__(self, work: Callable[[Callable[[], bool]], T]) -> None:
        stop = threading.Event()
        self._outcome: dict[str, Any] = {}
        self._thread = threading.Thread(target=_run, args=(work, stop.is_set, self._outcome), daemon=True)
        self._thread.start()
        weakref.finalize(self, _stop, stop, self._thread)

    def result(self) -> T:
        """What was computed; waits for it, and raises what the computation raised."""
        self._thread.join()
        if "error" in self._outcome:
            raise self._outcome["error"]
        value: T = self._outcome["value"]
        return value


def _run(work: Callable[[Callable[[], bool]], Any], is_stopped: Callable[[], bool], outcome: dict[str, Any]) -> None:
    torch.set_num_threads(1)  # of this thread alone: sums depend on it, and a resumed run may see another number
    try:
        outcome["value"] = work(is_stopped)
    except BaseException as error:  # not handled, but handed over to `result`
        outcome["error"] = error


def _stop(stop: threading.Event, thread: threading.Thread) -> None:
    stop.set()
    thread.join()
