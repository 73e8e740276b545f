"""Which process controls a run: one fact of its table, which changes by compare-and-set alone.

The file lock of a run's folder can be tidied away, or be invisible to another machine; the fact goes wherever the table
goes. It names the process by its id and birth (`liveness`), the machine, the file that the table is (a copy of the
folder is nobody's), and counts the owner's signs of life.

A claim is broken when its owner is dead: the process is gone from this boot and container. An owner in another
container, on another machine, or from before a restart cannot be seen: then the counter is watched, and an owner that
does not count on for WATCH seconds is taken for dead. No clock is compared. An owner that was only asleep finds its
claim taken when it wakes, and stops.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Final

from netwright.core import liveness
from netwright.core.errors import ControlLost, NetwrightError
from netwright.core.protocols import Store
from netwright.core.records import Trial

FACT: Final = "controller"
BEAT, WATCH = 2.0, 12.0  # seconds between the signs of life of an owner; without one, an unseen owner counts as dead


@dataclass(frozen=True)
class Owner:
    """The process that controls a run.

    Args:
        pid: Its id, as counted in its container.
        born: Its birth, as `liveness.birth` writes it.
        host: Name of its machine.
        table: Number of the file that the table is; 0: unknown.
        beats: How many signs of life it has given.
    """

    pid: int
    born: str
    host: str
    table: int = 0
    beats: int = 0

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def to_json(self) -> str:
        """The owner as the text of a fact."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Owner | None:
        """Inverse of `to_json`; None: the text names no process."""
        try:
            owner = Owner(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return None
        kinds = {"pid": int, "born": str, "host": str, "table": int, "beats": int}
        return owner if all(type(getattr(owner, name)) is kind for name, kind in kinds.items()) else None

    def is_alive(self, beats: Callable[[], int | None], *, sleep: Callable[[float], None] = time.sleep) -> bool:
        """Whether it lives; where it cannot be seen, its count is watched for WATCH seconds.

        Args:
            beats: Its count of signs of life now; None: the claim is another one's by now.
            sleep: Waits some seconds.
        """
        seen = liveness.fate(self.pid, self.born)
        if seen != "unseen":
            return seen == "alive"
        for _ in range(round(WATCH / BEAT)):
            sleep(BEAT)
            if beats() != self.beats:
                return True
        return False


def owner(store: Store, table: int) -> Owner | None:
    """The process that the claim on a table names; None: nobody, or a process that claimed another file.

    Args:
        store: The table.
        table: Number of the file that it is.
    """
    found = Owner.from_json(store.recall(FACT) or "")
    return found if found and found.table in (0, table) else None


def living_owner(store: Store, table: int, sleep: Callable[[float], None] = time.sleep) -> Owner | None:
    """The living process that controls a run; None: there is none."""
    found = owner(store, table)

    def beats() -> int | None:
        now = owner(store, table)
        return now.beats if now and found and (now.pid, now.born) == (found.pid, found.born) else None

    return found if found and found.is_alive(beats, sleep=sleep) else None


class Watch:
    """Whether the owner of a claim is still there, asked again and again by a worker that depends on it."""

    def __init__(self, store: Store, first: Owner) -> None:
        self._store, self._first = store, first
        self._beats, self._heard = first.beats, time.monotonic()

    def is_there(self) -> bool:
        """Whether the claim still stands and its owner lives; one that cannot be seen must count on."""
        now = owner(self._store, self._first.table)
        if now is None or (now.pid, now.born) != (self._first.pid, self._first.born):
            return False
        seen = liveness.fate(now.pid, now.born)
        if now.beats != self._beats:
            self._beats, self._heard = now.beats, time.monotonic()
        return seen == "alive" or (seen == "unseen" and time.monotonic() - self._heard < WATCH)


class Taken(Exception):
    """Another living process, `owner`, controls the run."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(str(owner))
        self.owner = owner


class Claim:
    """The claim of this process on a run; as a watcher of a search it raises ControlLost once it is lost."""

    def __init__(self, store: Store, own: Owner, number: Callable[[], int]) -> None:
        self._store, self._own, self._number = store, own, number
        self._given_back, self._lock = threading.Event(), threading.Lock()
        self._fault: Exception | None = None
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise ControlLost when the claim is another process's by now, or nobody's."""
        if self._fault is not None:
            raise self._fault

    def asked(self, trial: Trial) -> None:
        """Do nothing."""

    def told(self, trial: Trial) -> None:
        """Do nothing."""

    def tick(self) -> None:
        """As `check`."""
        self.check()

    def count(self) -> None:
        """Give one sign of life, or find that the claim is lost, or that the table is no more where it was."""
        if self._number() != self._own.table:
            self._fault = ControlLost(
                "the table of the run was removed or replaced while it was searched; nothing more is written there"
            )
            return
        after = replace(self._own, beats=self._own.beats + 1)
        if self._store.exchange(FACT, self._own.to_json(), after.to_json()):
            self._own = after
            return
        now = Owner.from_json(self._store.recall(FACT) or "")
        self._fault = ControlLost(
            f"the run is being searched by {now or 'nobody'} now, which took this process for dead or found its claim "
            "gone; nothing more is written here"
        )

    def give_back(self) -> None:
        """Leave the run to whoever comes next."""
        self._given_back.set()
        self._thread.join()
        if self._fault is None:
            with suppress(NetwrightError):  # as on a full disk: this process is soon gone, and the claim with it
                self._store.exchange(FACT, self._own.to_json(), None)

    def _beat(self) -> None:
        while self._fault is None and not self._given_back.wait(BEAT):
            try:
                self.count()
            except NetwrightError:  # a full disk, say: the controller itself meets it, and the next sign may come
                continue


@contextmanager
def taken(store: Store, number: Callable[[], int], sleep: Callable[[float], None] = time.sleep) -> Iterator[Claim]:
    """Makes this process the one that controls a run, until the end of the block.

    Args:
        store: The run's table, which stays open meanwhile.
        number: Gives the number of the file that lies at the table's place now; 0: there is none.
        sleep: Waits some seconds.

    Raises:
        Taken: Another living process controls it.
    """
    table = number()
    own = Owner(os.getpid(), liveness.birth(), socket.gethostname(), table)
    while True:
        before = store.recall(FACT)
        if (other := living_owner(store, table, sleep)) is not None:
            raise Taken(other)
        if store.exchange(FACT, before, own.to_json()):
            break
    claim = Claim(store, own, number)
    try:
        yield claim
    finally:
        claim.give_back()
