"""A line between workers and a served table on which replies are lost, late or doubled, and connections are cut."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from netwright.testing.faults.searching import GRACE, SERVED, Play, Scene, Violated

DONE_IN: Final = 10.0  # seconds in which somebody should have asked something
What = Literal["lost", "late", "doubled", "asked twice", "cut"]


@dataclass
class Relay:
    """A proxy before the served table of a run, wherever that is served at the moment; a context manager.

    Args:
        folder: Folder of the run.
    """

    folder: Path
    _armed: What | None = None
    _seconds: float = 0.0
    _done: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Relay:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def address(self) -> str:
        """Where workers find it."""
        return f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def once(self, what: What, seconds: float, session: Play) -> bool:
        """Do something to the next message that fits; returns whether there was one in time.

        Args:
            what: What is done.
            seconds: How late a reply is, where it is to be late.
            session: The search, whose end is not waited for.
        """
        with self._lock:
            self._done.clear()
            self._armed, self._seconds = what, seconds
        session.sleep(DONE_IN, self._done.is_set)
        with self._lock:
            self._armed = None
        return self._done.is_set()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                said = json.loads((self.folder / SERVED).read_text(encoding="utf-8"))["address"]
                host, _, port = str(said).removeprefix("tcp://").rpartition(":")
                server = socket.create_connection((host, int(port)), 5.0)
                server.settimeout(None)
            except (OSError, ValueError, KeyError):
                client.close()
                continue
            for source, target, is_reply in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pass_on, args=(source, target, is_reply), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_reply: bool) -> None:
        is_greeting = True
        with suppress(OSError), source.makefile("rb") as lines:
            for line in lines:
                what = None if is_greeting else self._taken(is_reply)
                is_greeting = False
                if what == "lost":
                    break
                if what == "cut":
                    target.sendall(line[: len(line) // 2])
                    break
                if what == "late":
                    time.sleep(self._seconds)
                target.sendall(line * 2 if what in ("doubled", "asked twice") else line)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _taken(self, is_reply: bool) -> What | None:
        """What is to be done to this message."""
        with self._lock:
            if self._armed is None or is_reply == (self._armed == "asked twice"):
                return None
            what, self._armed = self._armed, None
            self._done.set()
            return what


@dataclass
class Disturbed:
    """Messages between workers and the served table that get lost, come late or twice, or are cut with the line.

    Args:
        what: What is done.
    """

    what: What
    rows: int = 2
    codes: frozenset[int] = frozenset()
    _wire: Relay | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The fault in words."""
        return {"asked twice": "request doubled", "cut": "line cut in a reply"}.get(self.what, f"reply {self.what}")

    @contextmanager
    def prepared(self, place: Scene) -> Iterator[None]:
        """Have workers ask by way of a wire of ours."""
        with Relay(place.run) as self._wire:
            place.at.append(self._wire.address)
            yield

    def inject(self, session: Play, rng: random.Random) -> int:
        """Do it to one message, whosever it is."""
        assert self._wire is not None
        seconds = 22.0 if rng.random() < 0.1 else rng.uniform(0.2, 3.0)  # the former longer than a client waits
        return int(self._wire.once(self.what, seconds, session))

    def after(self, session: Play, code: int, rng: random.Random) -> None:
        """Nothing to put right."""


@dataclass
class Occupied:
    """The controller is killed, and its port is taken by somebody else before it comes again."""

    name: str = "port occupied"
    rows: int = 3
    codes: frozenset[int] = frozenset({-signal.SIGKILL})
    _held: ExitStack = field(default_factory=ExitStack, repr=False)

    @contextmanager
    def prepared(self, place: Scene) -> Iterator[None]:  # noqa: ARG002
        """Give back, at the end, the ports that were taken."""
        with self._held:
            yield

    def inject(self, session: Play, rng: random.Random) -> int:  # noqa: ARG002
        """Kill the controller and listen where it did."""
        place = session.place
        if not place.may_lose():
            return 0
        try:
            said = json.loads((place.run / SERVED).read_text(encoding="utf-8"))["address"]
        except (OSError, ValueError, KeyError):
            return 0
        with suppress(ProcessLookupError):
            os.kill(session.pid, signal.SIGKILL)
        until = time.monotonic() + GRACE
        while session.poll() is None:
            if time.monotonic() > until:
                raise Violated("a controller that was killed is still there")
            time.sleep(0.01)
        with suppress(OSError):
            self._held.enter_context(socket.create_server(("127.0.0.1", int(str(said).rpartition(":")[2]))))
            return 1
        return 0

    def after(self, session: Play, code: int, rng: random.Random) -> None:
        """Nothing to put right: the next controller finds another port."""
