"""The line of a search to the process that is connected to Ray (`ray_bridge`)."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from subprocess import Popen
from typing import Any, Final

from netwright.executors import lines, ray_bridge
from netwright.executors.ray_bridge import UP, Duty, Terms

SILENT: Final = 120.0  # seconds without a sign of life after which it counts as gone: Ray can block for a minute
CLOSING: Final = 5.0  # seconds for which it may go on when its line is closed
LOG: Final = "ray.log"  # in the folder of the run's logs: what Ray and the process itself print


class Link:
    """A process that connects to Ray, and the two pipes to it.

    Args:
        terms: What it is told.
        module: The module that it runs.
    """

    def __init__(self, terms: Terms, module: str = ray_bridge.__name__) -> None:
        self._up, up = os.pipe()
        self._said = lines.Reader(UP)
        self._heard = time.monotonic()
        self._is_connected = self._is_closed = False
        log = Path(terms.logs) / LOG
        log.parent.mkdir(parents=True, exist_ok=True)
        try:
            with log.open("ab") as output:
                self._process: Popen[bytes] = Popen(
                    [sys.executable, "-m", module, terms.to_json(), str(up)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    pass_fds=(up,),
                    start_new_session=True,  # Ctrl-C reaches the search alone
                )
        finally:
            os.close(up)

    def hear(self, seconds: float) -> list[dict[str, Any]]:
        """What it says within a time; returns as soon as there is anything."""
        if self._is_closed:
            time.sleep(seconds)
            return []
        if not select.select([self._up], [], [], seconds)[0]:
            return []
        if not (piece := os.read(self._up, 65536)):
            self._is_closed = True
            return []
        self._heard = time.monotonic()
        found = list(self._said.take(piece))
        self._is_connected = self._is_connected or any(message["say"] == "connected" for message in found)
        return found

    def is_alive(self) -> bool:
        """Whether it is there, and says so."""
        return not self._is_closed and time.monotonic() - self._heard < SILENT

    def begin(self, duty: Duty) -> None:
        """Tell it what the workers are to do."""
        self._tell({"say": "begin", "duty": asdict(duty)})

    def leave(self) -> None:
        """Tell it that the workers leave by themselves, and that no others are to be made."""
        self._tell({"say": "leave"})

    def end(self, seconds: float) -> None:
        """Have it end the actors, and itself, within a time; then it is killed."""
        try:
            self._tell({"say": "end"})
            until = time.monotonic() + seconds
            while self._is_connected and not self._is_closed and (rest := until - time.monotonic()) > 0:
                self.hear(rest)
        finally:
            self.close()

    def close(self) -> None:
        """End the process, where it does not by itself; actors go on, for another one to find."""
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(CLOSING)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._up)

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it has just ended, which is seen elsewhere
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
