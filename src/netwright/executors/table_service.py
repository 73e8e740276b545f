"""A run's table served to workers that come and go, wherever they are: what executors of other hosts are made of.

A controller has no pipe to such workers. They ask, with their beats and whenever they find no row, what they are to
do; when they leave, they say so. Where nobody answers for as long as they were told to be patient, they leave by
themselves; those of a controller that was killed and started again find it where it was, and go on.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Final

from netwright.core.errors import WorkerError
from netwright.core.protocols import STOP_SECONDS, Job
from netwright.executors.carrying import Depot
from netwright.executors.orders import BEAT, LEAVE, ORDERS, Order
from netwright.stores.requests import Present
from netwright.stores.served import TableServer
from netwright.stores.served_file import NAME

PRESENT_FOR: Final = 12.0  # seconds after it was last heard of for which a worker counts as present
LOOK_EVERY: Final = 0.05  # seconds
GATHER: Final = 0.0005  # seconds after a result, in which others may come


class Serving:
    """The table of a job, served from now on until `end`.

    Args:
        job: What the workers are to do. Its folder gets `served.json`, which says to this user alone where the table is
            served, with the token.
        host: Address to listen at; all but loopback ones are served by TLS.
        port: Port to listen at; 0: that of a controller of this run which was killed, else the first free one.
        stop_seconds: Seconds that a trial has for writing down where it stands.

    Raises:
        WorkerError: The job has no folder.
        StoreError: The address cannot be listened at.
    """

    def __init__(self, job: Job, host: str = "127.0.0.1", port: int = 0, stop_seconds: float = STOP_SECONDS) -> None:
        if job.folder is None:
            raise WorkerError("workers on other hosts need a run with a folder; use the inline executor")
        self._job, self._stop_seconds = job, stop_seconds
        self._order: Order = ""
        self._halted_at: float | None = None
        self._left: set[str] = set()
        self._lock = threading.Lock()
        self._depot = Depot(job.folder, job.store)
        methods = {**self._depot.methods, ORDERS: self._heard, LEAVE: self._leave}
        self._server = TableServer(
            job.store, job.folder, host=host, port=port or None, methods=methods, prompt=(ORDERS, LEAVE)
        )
        self._server.__enter__()

    @property
    def address(self) -> str:
        """Where the table is served: tcp://HOST:PORT."""
        return self._server.address

    @property
    def token(self) -> str:
        """What workers need that do not see the file with it, for the variable NETWRIGHT_TOKEN of their environment."""
        return self._server.token

    @property
    def token_file(self) -> Path:
        """The file with the token, which is nobody else's to read."""
        assert self._job.folder is not None
        return self._job.folder.absolute() / NAME

    def command(self, *options: str) -> list[str]:
        """The words that start a worker where the folder of the run is seen, on whatever host."""
        assert self._job.folder is not None
        return [sys.executable, "-m", "netwright", "worker", str(self._job.folder.absolute()), *options]

    def present(self) -> list[Present]:
        """Workers that are there, in order of coming."""
        with self._lock:
            left = set(self._left)
        return [
            each for each in self._server.present() if each.worker not in left and each.silent_seconds < PRESENT_FOR
        ]

    def heard(self) -> list[str]:
        """Names of all workers that have ever been there, whether they have left or not."""
        return [each.worker for each in self._server.present()]

    def wait(self, seconds: float) -> None:
        """Wait so long, or until a trial has finished, whose worker waits for the next one.

        Rows that were added to the table before are given to workers at once.
        """
        self._server.look_for_rows()
        if self._server.news.wait(seconds):
            time.sleep(GATHER)
            self._server.news.clear()

    def drain(self) -> None:
        """Have workers leave after the trial they are at."""
        self._order = self._order or "drain"
        self._server.lend_no_more()

    def halt(self) -> None:
        """Have workers put back what they are at, with where it stands, and leave."""
        self._order = "stop"
        self._server.lend_no_more()
        self._halted_at = self._halted_at or time.monotonic()

    def is_idle(self) -> bool:
        """After `drain` or `halt`: nothing runs any more, or what was to stop has taken longer than it may."""
        if self._halted_at is not None and time.monotonic() - self._halted_at > self._stop_seconds + BEAT:
            return True
        return not any(trial.status == "running" for trial in self._job.store.unfinished())

    def end(self) -> None:
        """Have all workers leave, and serve the table no longer once they have, or after they should have."""
        self._order = "stop"
        self._server.lend_no_more()
        until = time.monotonic() + BEAT + 1.0
        try:
            while self.present() and time.monotonic() < until:
                time.sleep(LOOK_EVERY)
        finally:
            self._server.__exit__(None, None, None)
            self._depot.close()

    def _heard(self, _client: object, _worker: str) -> Order:
        return self._order

    def _leave(self, _client: object, worker: str) -> None:
        with self._lock:
            self._left.add(worker)
