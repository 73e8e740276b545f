"""Workers that others start, on this host or any other: the table is served, and whoever has its token joins.

Nobody is started here. `table_service` has what executors that start workers on other hosts are made of.
"""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass, field
from typing import Final

from netwright.core.errors import WorkerError
from netwright.core.protocols import STOP_SECONDS, Job
from netwright.executors.table_service import Serving

HIGHEST_PORT: Final = 65_535


@dataclass
class ServedTable:
    """Evaluates by the workers that join with `netwright worker`.

    Args:
        host: Address to listen at; for workers on other hosts, that of this machine, which is then served by TLS.
        port: Port to listen at; 0: the first free one, of a run that goes on that of before.
        workers: How many workers are expected: so many rows are asked for before they are there. Of more, as many as
            join work.
        trial_minutes: Wall-clock limit of a trial, in minutes; 0: none.
        silent_minutes: Minutes that a trial may go on without a report; 0: no limit.
        stop_seconds: Seconds that a trial has for writing down where it stands when the search is stopped.
    """

    host: str = "127.0.0.1"
    port: int = 0
    workers: int = 1
    trial_minutes: float = 0.0
    silent_minutes: float = 30.0
    stop_seconds: float = STOP_SECONDS
    _serving: Serving | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise WorkerError(f"executor.workers is {self.workers}; it must be at least 1")
        if not 0 <= self.port <= HIGHEST_PORT:
            raise WorkerError(f"executor.port is {self.port}; it must be from 1 to {HIGHEST_PORT}, or 0 for a free one")
        for name in ("trial_minutes", "silent_minutes", "stop_seconds"):
            if not getattr(self, name) >= 0:
                raise WorkerError(f"executor.{name} is {getattr(self, name)}; it must be at least 0")

    def start(self, job: Job) -> None:
        """Serve the table, and say how to join. Raises StoreError: the address cannot be listened at."""
        serving = self._serving = Serving(job, self.host, self.port, self.stop_seconds)
        folder, token_file = (shlex.quote(str(path)) for path in (job.folder, serving.token_file))
        job.say(
            f"the table is served at {serving.address}; start as many workers as you like where its folder is seen:"
        )
        job.say(f"  netwright worker {folder}")
        job.say("and elsewhere with a copy of the file with the token, which is for nobody else to see:")
        job.say(f"  netwright worker {serving.address} --token-file {token_file}")

    def poll(self, seconds: float) -> None:
        """Wait, at most until a trial has finished: workers come and go by themselves."""
        if self._serving is None:
            time.sleep(seconds)
        else:
            self._serving.wait(seconds)

    def drain(self) -> None:
        """Have workers leave after the trial they are at."""
        if self._serving is not None:
            self._serving.drain()

    def halt(self) -> None:
        """Have workers put back what they are at, with where it stands, and leave."""
        if self._serving is not None:
            self._serving.halt()

    def is_idle(self) -> bool:
        """Whether nothing runs any more."""
        return self._serving is None or self._serving.is_idle()

    def stop(self) -> None:
        """Have all workers leave, and serve the table no longer."""
        if self._serving is not None:
            self._serving.end()
            self._serving = None


plugin = ServedTable
