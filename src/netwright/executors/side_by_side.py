"""Rehearsals: trainings that share a card for a few seconds, to see how many steps a second come of so many of them.

Each is a process that takes steps when it is told to, and waits at a gate in between, so that one cast serves for every
number of trainings. What they compute is in no table.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from subprocess import Popen
from types import TracebackType
from typing import Any, Final, Self

from netwright.core import cards
from netwright.core.cards import CardMemory
from netwright.executors import descendants, lines

READY_IN: Final = 180.0  # seconds in which processes must have taken their first steps
SECONDS: Final = 3.0  # of a measurement
ANSWER_IN: Final = 30.0  # seconds beyond a measurement in which a step must end
DOWN: Final[Mapping[str, Mapping[str, type]]] = {"go": {"milliseconds": int}}
UP: Final[Mapping[str, Mapping[str, type]]] = {
    "did": {"steps": int, "milliseconds": int, "total": int, "free": int, "held": int}
}


class Gate:
    """Where a rehearsing process asks after each step whether to take another one.

    Args:
        down: File descriptor on which orders come.
        up: File descriptor on which they are answered.
        memory: Gives the memory of the card that the process uses; None: it uses none.
        clock: Gives the seconds.
    """

    def __init__(
        self,
        down: int,
        up: int,
        memory: Callable[[], CardMemory | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._down, self._up, self._memory, self._clock = down, up, memory, clock
        self._orders = lines.Reader(DOWN)
        self._steps, self._begun, self._until = 0, clock(), 0.0
        self.is_over = False

    def step(self) -> bool:
        """Note a step, and wait where the time is over; returns whether there are to be no more."""
        self._steps += 1
        if not self.is_over and self._clock() >= self._until:
            self._answer()
            self._wait()
        return self.is_over

    def _answer(self) -> None:
        memory = self._memory() or CardMemory(0.0, 0.0, 0.0)
        sizes = {"total": int(memory.total), "free": int(memory.free), "held": int(memory.held)}
        milliseconds = round(1000 * (self._clock() - self._begun))
        with suppress(OSError):
            os.write(self._up, lines.encode("did", steps=self._steps, milliseconds=milliseconds, **sizes))

    def _wait(self) -> None:
        while not self.is_over:
            piece = os.read(self._down, 1024)
            self.is_over = not piece
            for order in self._orders.take(piece):
                self._steps, self._begun = 0, self._clock()
                self._until = self._begun + order["milliseconds"] / 1000
                return


@dataclass
class _Player:
    """A rehearsing process and the pipe on which it answers."""

    process: Popen[bytes]
    up: int
    said: lines.Reader = field(default_factory=lambda: lines.Reader(UP))

    def answer(self, until: float) -> dict[str, Any] | None:
        """What it says next; None: it has ended, or says nothing until then."""
        while (left := until - time.monotonic()) > 0:
            if not select.select([self.up], [], [], left)[0]:
                return None
            piece = os.read(self.up, 4096)
            if not piece:
                return None
            for message in self.said.take(piece):
                return message
        return None


class Cast:
    """Rehearsing processes on one card. Leaving its block ends them.

    Args:
        command: Gives the command of process 0, 1, ...; the descriptor on which it answers is put behind it.
        environment: Variables of their environment besides this process's own.
        mark: What stands in their environment for `descendants.end_marked`; "": nothing.
    """

    def __init__(self, command: Callable[[int], Sequence[str]], environment: Mapping[str, str], mark: str = "") -> None:
        self._command, self._environment, self._mark = command, environment, mark
        self._players: list[_Player] = []
        self.memory: CardMemory | None = None  # of the card, as the last one to get ready saw it

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for player in self._players:
            self._end(player)
        self._players = []

    def grow(self, number: int, seconds: float = READY_IN) -> int:
        """Start processes until there are so many; returns how many have taken a first step and wait."""
        started = [self._start(index) for index in range(len(self._players), number)]
        until = time.monotonic() + seconds
        for player in started:
            answer = player.answer(until)
            if answer is None:  # the card is full, or something else went wrong
                self._end(player)
                continue
            self.memory = CardMemory(answer["total"], answer["free"], answer["held"])
            self._players.append(player)
        return len(self._players)

    def rate(self, number: int, seconds: float = SECONDS) -> float:
        """Steps a second of so many processes together, while the others wait; one that ends adds nothing."""
        playing = self._players[:number]
        for player in playing:
            assert player.process.stdin is not None
            with suppress(OSError):
                player.process.stdin.write(lines.encode("go", milliseconds=int(1000 * seconds)))
                player.process.stdin.flush()
        until = time.monotonic() + seconds + ANSWER_IN
        answers = [player.answer(until) for player in playing]
        return sum(1000 * each["steps"] / max(1, each["milliseconds"]) for each in answers if each)

    def _start(self, index: int) -> _Player:
        up, theirs = os.pipe()
        own = {descendants.MARK: self._mark} if self._mark else {}
        process = Popen(
            [*self._command(index), str(theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs,),
            env={**os.environ, **self._environment, **own},
            start_new_session=True,
        )
        os.close(theirs)
        return _Player(process, up)

    def _end(self, player: _Player) -> None:
        """Let a process leave, which waits at its gate; end it where it does not."""
        assert player.process.stdin is not None
        with suppress(OSError):
            player.process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            player.process.wait(timeout=2)
        with suppress(ProcessLookupError):
            os.killpg(player.process.pid, signal.SIGKILL)
        player.process.wait()
        os.close(player.up)


def measured(cast: Cast, estimate: float | None, most: int, seconds: float = SECONDS) -> dict[int, float]:
    """Steps a second by the number of trainings on a card, as long as more of them bring more; empty: none trains.

    Args:
        cast: The processes, of which none has been started.
        estimate: What the largest training takes of the card by estimate, in 10**6 bytes; None: not known.
        most: Most trainings that are asked for.
        seconds: Seconds of each measurement.
    """
    if not cast.grow(1) or cast.memory is None:
        return {}
    ready = cast.grow(cards.most_that_fit(cast.memory, estimate, most))
    rates: dict[int, float] = {}
    for number in cards.numbers(ready):
        rates[number] = cast.rate(number, seconds)
        if not cards.goes_on(rates):
            break
    return rates


def module(name: str, facts: str) -> list[str]:
    """The command of a module that rehearses."""
    return [sys.executable, "-m", name, facts]
