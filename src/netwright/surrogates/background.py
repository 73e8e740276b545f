"""Learning in a thread of its own, so that the search need not wait for it."""

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

    It computes with one thread of torch's, since sums depend on their number, and a resumed run may see another one.
    Torch keeps that number for each thread and, for threads to come, the one set last anywhere; the creator's is set
    again once this thread has its own.

    Args:
        work: The computation. It gets a function that says whether to stop, and should ask it every second or so.
    """

    def __init__(self, work: Callable[[Callable[[], bool]], T]) -> None:
        stop, is_set_up = threading.Event(), threading.Event()
        self._outcome: dict[str, Any] = {}
        self._thread = threading.Thread(target=_run, args=(work, stop.is_set, is_set_up, self._outcome), daemon=True)
        threads = torch.get_num_threads()
        self._thread.start()
        is_set_up.wait()
        torch.set_num_threads(threads)
        weakref.finalize(self, _stop, stop, self._thread)

    @property
    def is_done(self) -> bool:
        """Whether `result` would answer without waiting."""
        return not self._thread.is_alive()

    def result(self) -> T:
        """What was computed; waits for it, and raises what the computation raised."""
        self._thread.join()
        if "error" in self._outcome:
            raise self._outcome["error"]
        value: T = self._outcome["value"]
        return value


def _run(
    work: Callable[[Callable[[], bool]], Any],
    is_stopped: Callable[[], bool],
    is_set_up: threading.Event,
    outcome: dict[str, Any],
) -> None:
    try:
        torch.get_num_threads()  # a thread's first look adopts the number of all threads: not later
        torch.set_num_threads(1)
    finally:
        is_set_up.set()
    try:
        outcome["value"] = work(is_stopped)
    except BaseException as error:  # not handled, but handed over to `result`
        outcome["error"] = error


def _stop(stop: threading.Event, thread: threading.Thread) -> None:
    stop.set()
    if thread is not threading.current_thread():  # the last reference may go in the thread itself
        thread.join()
