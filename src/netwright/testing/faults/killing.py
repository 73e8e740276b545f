"""Signals to the processes of a search: killed, asked to stop, or stopped for a while."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

import psutil

from netwright.testing.faults.searching import Play, Scene

# several processes at once: the workers first, as what is above them would end them
MANY: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"all": ("worker", "parent", "controller"), "above": ("parent", "controller")}
)
# by signal: exit codes with which the command may end when its controller gets it
CODES: Final[Mapping[signal.Signals, frozenset[int]]] = MappingProxyType(
    {
        signal.SIGKILL: frozenset({-signal.SIGKILL}),
        signal.SIGTERM: frozenset({143, -signal.SIGTERM}),  # the latter before Python has begun
        signal.SIGINT: frozenset({130, -signal.SIGINT}),
        signal.SIGSTOP: frozenset(),
    }
)


@dataclass(frozen=True)
class Signaled:
    """A signal to one process of a role, or to all processes at once; SIGSTOP is followed by SIGCONT.

    Args:
        role: "controller", a role of the subject, "all" (but for what trials have started), or "above" (controller and
            parents, so that workers alone are left).
        signal: The signal.
        seconds: Most seconds for which a process is stopped; at least half of them where `is_long`.
        is_long: Whether the stop is longer than a row may go without a sign of life.
    """

    role: str
    signal: signal.Signals
    seconds: float = 1.0
    is_long: bool = False
    rows: int = 3

    @property
    def name(self) -> str:
        """The fault in words."""
        whom = {"all": "everything", "above": "controller and parents"}.get(self.role, self.role)
        if self.signal == signal.SIGSTOP:
            return f"{whom} SIGSTOP, {self.seconds:g} s, SIGCONT" if self.is_long else f"{whom} SIGSTOP, SIGCONT"
        return f"{whom} {self.signal.name}"

    @property
    def codes(self) -> frozenset[int]:
        """Exit codes with which the command may end by it."""
        return CODES[self.signal] if self.role in ("controller", *MANY) else frozenset()

    @contextmanager
    def prepared(self, place: Scene) -> Iterator[None]:  # noqa: ARG002
        """Nothing to prepare."""
        yield

    def inject(self, session: Play, rng: random.Random) -> int:
        """Do it once; returns how often it was done."""
        if self.signal == signal.SIGKILL and not session.place.may_lose():
            return 0
        victims = [each for role in MANY.get(self.role, (self.role,)) for each in session.members(role)]
        if self.role not in MANY and victims:
            victims = [rng.choice(victims)]
        reached = _send(victims, self.signal)
        if not reached:
            return 0
        if self.signal == signal.SIGSTOP:
            seconds = self.seconds if self.is_long else rng.uniform(0.05, self.seconds)
            if self.is_long and self.role == "parent":  # its worker sleeps with it: the row stays running
                reached += _send(session.members("worker")[:1], self.signal) if rng.random() < 0.5 else []
            time.sleep(seconds)
            _send(reached, signal.SIGCONT)
        return 1

    def after(self, session: Play, code: int, rng: random.Random) -> None:
        """Nothing to put right before the same command is given again."""


class Single(Protocol):
    """A fault that needs nothing prepared and nothing put right."""

    @property
    def codes(self) -> frozenset[int]:
        """Exit codes with which the command may end by it."""

    def inject(self, session: Play, rng: random.Random) -> int:
        """Do it once; returns how often it was done."""


@dataclass(frozen=True)
class Mixed:
    """One of several faults each time, drawn at random."""

    among: Sequence[Single]
    name: str = "any of these"
    rows: int = 3
    codes: frozenset[int] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "codes", frozenset().union(*(each.codes for each in self.among)))

    @contextmanager
    def prepared(self, place: Scene) -> Iterator[None]:  # noqa: ARG002
        """Nothing to prepare."""
        yield

    def inject(self, session: Play, rng: random.Random) -> int:
        """Do one of them."""
        return rng.choice(self.among).inject(session, rng)

    def after(self, session: Play, code: int, rng: random.Random) -> None:
        """Nothing to put right."""


def _send(processes: list[psutil.Process], number: signal.Signals) -> list[psutil.Process]:
    """Send a signal, and return whom it has reached."""
    reached = []
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)
            reached.append(process)
    return reached
