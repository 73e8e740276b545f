"""The table of a run that another process serves (`netwright serve`), by JSON lines over TCP.

Every request has a number and is sent until it is answered; the server plays it once. A worker that had a row before
the server was started again is given that row again by `claim`. Rows are fenced: what a late worker says of a row that
another one has by now changes nothing.
"""

from __future__ import annotations

import errno
import os
import random
import secrets
import socket
import threading
import time
from pathlib import Path
from typing import Any, Final

from netwright.core import liveness
from netwright.core.errors import OutOfReach, StoreError
from netwright.core.records import Proposal, Result, Tally, Trial, WorkerState
from netwright.core.refs import Reference, options_of
from netwright.stores import served_file, sqlite_rows, wire
from netwright.stores.connection import Connection, Refused
from netwright.stores.served_file import Served
from netwright.stores.sqlite_rows import DamagedRow
from netwright.stores.wire import Endpoint, Garbled

TOKEN: Final = "NETWRIGHT_TOKEN"  # variable of the environment
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0  # seconds between attempts to connect
ONCE: Final = frozenset(("add", "exchange"))  # cannot be told from another one by a server that began anew


class RemoteStore:
    """A store like any other, safe for many threads; `refs.load("store", refs.parse(store.address))` opens it anew.

    Args:
        at: "tcp://HOST:PORT"; "": as `token_file` says, which is a run's `served.json` then.
        token_file: File with the token, or a run's `served.json`, which is read again for every new connection, so that
            a controller that was started again elsewhere is found; "": the token is in the variable NETWRIGHT_TOKEN,
            which is read once.
        patience: Seconds for which a server that does not answer is waited for, before StoreError is raised.
        wait: Seconds for which `claim` waits for a row before it says that there is none.
        timeout: Seconds after which a request that was not answered is sent again, over a new connection.

    Raises:
        StoreError: There is no server, no token, the wrong one, or another run than before.
    """

    def __init__(
        self, at: str = "", token_file: str = "", patience: float = 60.0, wait: float = 1.0, timeout: float = 20.0
    ) -> None:
        self._at, self._token_file, self._patience = at, token_file, patience
        self._wait, self._timeout = wait, timeout
        self._token = os.environ.get(TOKEN, "").strip()
        file = str(Path(token_file).absolute()) if token_file else ""
        given = {"at": at, "token_file": file, "patience": patience, "wait": wait, "timeout": timeout}
        known = {name: option.default for name, option in options_of(type(self)).items()}
        self.address = str(Reference("remote", {n: value for n, value in given.items() if value != known[n]}))
        self._lock = threading.RLock()
        self._run = ""
        self._connection: Connection | None = None
        self._begin()
        self.missing()  # a server that is not there, or refuses, is met here

    def add(self, proposal: Proposal, key: str, seed: int, result: Result | None = None) -> int:
        """Write a pending row, or, with `result`, one that is finished at once; returns its id."""
        came = None if result is None else sqlite_rows.result_row(0, result)
        return int(self.call("add", sqlite_rows.asked_row(proposal, key, seed), came))

    def claim(self, worker: str) -> Trial | None:
        """Make the oldest pending row `running` for this worker, or give the one that it is running again."""
        row = self.call("claim", worker, self._wait)
        return None if row is None else self._trial(row)

    def beat(self, worker: str, activity: str = "", process: tuple[int, str] | None = None) -> None:
        """Note that the worker is alive; on the server's machine, the calling process is the one whose death counts."""
        if process is not None:
            raise StoreError("a served table notes the process that calls; beat from the one that watches")
        self.call("beat", worker, activity)

    def finish(self, trial_id: int, result: Result, worker: str | None = None) -> bool:
        """Write a result; the first finish of a row wins, later ones change nothing. Returns whether this one did."""
        return bool(self.call("finish", trial_id, sqlite_rows.result_row(trial_id, result), worker))

    def finished(self, after: int = 0, most: int | None = None) -> list[Trial]:
        """Rows whose `finish` is greater than `after`, in that order; with `most`, at most so many of them."""
        found: list[Trial] = []
        while most is None or len(found) < most:
            wanted = wire.PAGE_ROWS if most is None else min(wire.PAGE_ROWS, most - len(found))
            page, is_cut = self.call("finished", after, wanted)
            found += map(self._trial, page)
            if not is_cut:
                break
            after = found[-1].finish or after
        return found

    def unfinished(self) -> list[Trial]:
        """Pending and running rows in order of id."""
        found: list[Trial] = []
        is_cut = True
        while is_cut:
            page, is_cut = self.call("unfinished", found[-1].id if found else 0)
            found += map(self._trial, page)
        return found

    def missing(self) -> list[int]:
        """Numbers of the trials that are to be asked again."""
        return list(self.call("missing"))

    def faults(self) -> list[str]:
        """What is damaged or missing, one sentence each."""
        return list(self.call("faults"))

    def tally(self) -> Tally:
        """What all rows come to."""
        return Tally(*self.call("tally"))

    def best(self, metric: str, *, is_minimized: bool = False) -> Trial | None:
        """The successful trial with the best value of a metric."""
        row = self.call("best", metric, is_minimized)
        return None if row is None else self._trial(row)

    def requeue(self, lost_for: float, worker: str | None = None, reason: str = "") -> int:
        """Put rows of dead or silent workers back to pending; fail those lost too often."""
        return int(self.call("requeue", lost_for, worker, reason[-wire.MAX_TEXT :]))

    def put_back(self, worker: str | None = None) -> int:
        """Put running rows (of one worker, or all) back to pending without counting a loss."""
        return int(self.call("put_back", worker))

    def remember(self, name: str, text: str) -> None:
        """Keep a fact about the run."""
        self.call("remember", name, text)

    def recall(self, name: str) -> str | None:
        """A fact that was kept before; None: there is none of this name."""
        text = self.call("recall", name)
        return None if text is None else str(text)

    def exchange(self, name: str, old: str | None, new: str | None) -> bool:
        """Replace a fact if it is `old`, atomically; None: there is none. Returns whether it was replaced."""
        return bool(self.call("exchange", name, old, new))

    def workers(self) -> list[WorkerState]:
        """Living workers that have beaten or claimed."""
        return [WorkerState(*state) for state in self.call("workers")]

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._leave()

    def call(self, method: str, *values: Any) -> Any:
        """What the server answers to a request, one of its further `methods` among them, with values of JSON.

        Raises:
            NetwrightError: What was raised where the table is, of the same class.
            OutOfReach: No answer came within `patience`.
            StoreError: The server serves another run, or refuses this client.
        """
        with self._lock:
            if self._pid != os.getpid():  # a process that was forked is a client of its own
                self._begin()
            self._number += 1
            try:
                request = wire.line({"n": self._number, "do": method, "with": values})
            except (ValueError, TypeError, RecursionError) as error:
                raise StoreError(f"the request {method} holds what no table can: {error}") from None
            if len(request) > wire.MAX_MESSAGE:
                raise StoreError(
                    f"the request {method} has {len(request):,} bytes, and a served table takes up to "
                    f"{wire.MAX_MESSAGE:,}; report fewer points, or shorter texts"
                )
            answer = self._sent(method, request)
            if "error" in answer:
                raise wire.error_of(answer["error"])
            return answer.get("ok")

    def _sent(self, method: str, request: bytes) -> dict[str, Any]:
        """The answer to a request that is sent until there is one."""
        pause, failing_since, played_by = FIRST_PAUSE, None, ""
        while True:
            try:
                connection = self._connection or self._connect()
                if method in ONCE and played_by not in ("", connection.epoch):
                    raise StoreError(
                        f"the controller was started again while it was asked to {method}, and whether it did is not "
                        "known; look at the table before it is asked again"
                    )
                played_by = connection.epoch
                return connection.ask(request, self._number, self._timeout + self._wait * (method == "claim"))
            except (OSError, EOFError, Garbled) as error:
                self._leave()
                now = time.monotonic()
                failing_since = failing_since or now
                if now - failing_since >= self._patience:
                    raise OutOfReach(
                        f"the table at {self._at or self._token_file} did not answer for {self._patience:g} s "
                        f"({_reason(error)}); look whether its search still runs there"
                    ) from None
                time.sleep(min(pause * random.uniform(0.5, 1.0), self._patience))
                pause = min(2 * pause, LONGEST_PAUSE)

    def _connect(self) -> Connection:
        """A new connection to where the run is served now. Raises StoreError where it is none of ours, else OSError."""
        served = self._served()
        place = Endpoint.of(served.address)
        greeting = {
            "netwright": wire.PROTOCOL,
            "client": self._client,
            "run": self._run or served.run,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "born": self._born,
        }
        try:
            connection = Connection(place, served.token, greeting, self._timeout)
        except Refused as error:
            if self._run:  # whoever took the port of a controller that was killed; it may be started again elsewhere
                raise ConnectionRefusedError(errno.ECONNREFUSED, f"another run is served there: {error}") from None
            raise StoreError(f"the table at {place} turned this process away: {error}") from None
        if self._run and connection.run != self._run:
            connection.close()
            raise ConnectionRefusedError(errno.ECONNREFUSED, "another run is served there")
        self._run, self._connection = connection.run, connection
        return connection

    def _served(self) -> Served:
        """Where the table is and what it takes to come in. Raises StoreError."""
        if not self._token_file:
            if not self._token:
                raise StoreError(f"no token for {self._at}; give a file with it, or set the variable {TOKEN}")
            return Served(self._at, self._token, "")
        path = Path(self._token_file)
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing")
        if (found := served_file.read(path)) is not None:
            return found if not self._at else Served(self._at, found.token, found.run)
        if not self._at:
            raise StoreError(f"{path} does not say where a table is served; give tcp://HOST:PORT as well")
        return Served(self._at, served_file.text(path), "")

    def _begin(self) -> None:
        self._pid, self._born = os.getpid(), liveness.birth()
        self._client, self._number = secrets.token_hex(8), 0
        self._connection = None

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _trial(self, row: list[Any]) -> Trial:
        try:
            return sqlite_rows.read(tuple(row))
        except (DamagedRow, ValueError, TypeError) as error:
            raise StoreError(f"a row of {self._at or self._token_file} was damaged on its way: {error}") from None


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error or type(error).__name__).split())


plugin = RemoteStore
