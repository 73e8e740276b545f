"""A place of a Ray cluster, and the process that works there: what an actor is, without anything of Ray.

The actor is no worker itself: it starts the very program that `netwright search` starts on its own machine, the parent
of one worker (`supervisor`). So limits of trials, memory that runs out and descendants are handled by the same code,
no trial shares a process with Ray, and whatever becomes of the actor closes its line to the parent, which then ends the
worker: a node that is lost, or an actor that is killed, leaves no process that would still compute beside the next one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from subprocess import Popen
from typing import IO, Final

from netwright.executors import descendants

PIECE: Final = 256 * 1024  # bytes of the log that one answer takes along at most
CLOSING: Final = 10.0  # seconds for which a parent whose line was closed may go on
UNASKED: Final = 60.0  # seconds after the end of its process for which a place waits to be asked how that was
SEAT: Final = "NETWRIGHT_SEAT"  # variable of the environment: the place that a process belongs to


@dataclass(frozen=True)
class Errand:
    """What is done in a place.

    Args:
        key: Stands for the run's table and its server; a place with another key works for somebody else.
        worker: The worker's name in the table, to which its process adds its id.
        arguments: The program, as arguments of Python.
        environment: Variables for it; the token is one of them.
        directory: Directory to work in, where this machine has it; "": the place's own.
        seat: Stands for the run and the number of the place. What an earlier one of it has left on this machine is
            ended, such as one whose actor was killed with all its processes but one.
    """

    key: str
    worker: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    seat: str
    directory: str = ""


@dataclass(frozen=True)
class News:
    """What a place says of itself.

    Args:
        key: That of its errand.
        worker: Name of the worker, as its errand has it.
        node: Address of the node, or the name of the machine where Ray is not at work.
        code: Exit code of the program; None: it goes on.
        at: Bytes that the program had printed before `printed`.
        printed: What it has printed since.
    """

    key: str
    worker: str
    node: str
    code: int | None = None
    at: int = 0
    printed: bytes = b""


class Outpost:
    """Runs one program, says how it goes, and ends with it; what the program prints is kept in a file without a name.

    Args:
        errand: What is to be done.
        leave: Ends the process of the place, once its program has ended and nobody has asked about that for a while.
    """

    def __init__(self, errand: Errand, leave: Callable[[], None]) -> None:
        descendants.end_marked(f"{errand.seat}|", variable=SEAT)
        self._errand, self._leave, self._asked, self._read = errand, leave, time.monotonic(), 0
        self._printed: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - as long as the place is
        self._process: Popen[bytes] = Popen(
            [sys.executable, *errand.arguments],
            stdin=subprocess.PIPE,
            stdout=self._printed,
            stderr=self._printed,
            env={**os.environ, **errand.environment, SEAT: f"{errand.seat}|{errand.worker}|"},
            cwd=errand.directory if os.path.isdir(errand.directory) else None,
            start_new_session=True,
        )
        threading.Thread(target=self._outlast, daemon=True).start()

    def news(self, after: int | None = None) -> News:
        """How it goes, with what was printed behind so many bytes; None: behind those that were asked for last."""
        self._asked, code = time.monotonic(), self._process.poll()
        self._read = after = self._read if after is None else after
        printed = os.pread(self._printed.fileno(), PIECE, after)
        if len(printed) == PIECE:  # the end is not said before everything that was printed
            code = None
        return News(self._errand.key, self._errand.worker, _node(), code, after, printed)

    def end(self, after: int | None = None) -> News:
        """End the program and what it has started; returns the last news."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(CLOSING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._clear()
        return self.news(after)

    def _outlast(self) -> None:
        """Leave when the program has ended and nobody asks: whoever made this place is gone."""
        self._process.wait()
        self._clear()
        while (rest := self._asked + UNASKED - time.monotonic()) > 0:
            time.sleep(rest)
        self._leave()

    def _clear(self) -> None:
        """End what a program that was killed has left."""
        if self._process.returncode < 0:
            descendants.end_marked(f"{self._errand.seat}|{self._errand.worker}|", variable=SEAT)


def end_process() -> None:
    """End this process, which is nothing but a place, at once and without a word."""
    os._exit(0)


def _node() -> str:
    ray = sys.modules.get("ray")  # which an actor has imported
    return str(ray.util.get_node_ip_address()) if ray is not None else os.uname().nodename
