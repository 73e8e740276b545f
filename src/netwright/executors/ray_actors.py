"""Which actors work and which are to be made: decided by what a cluster answers, whatever gives these answers."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from netwright.executors.ray_place import News

TRIES: Final = 3  # failures in a row to make an actor that are its own fault, after which making it is given up
LONGEST_WAIT: Final = 30.0  # seconds between two tries to have an actor made
LOOKS: Final = 50.0  # questions a second, of all places together, at most
PATIENCE: Final = 30.0  # seconds for which an actor of an earlier search, when all are to leave, may not have answered
ALONE_FOR: Final = 30.0  # seconds without any worker after which that is said: so long may the first ones take to come


@dataclass(frozen=True)
class Loss:
    """What became of an actor that answers no more.

    Args:
        reason: Why, in words.
        is_own: Whether it could not be made for a reason that the next one would meet too, as a missing package.
        is_final: Whether it is dead; else it may answer another time.
    """

    reason: str
    is_own: bool = False
    is_final: bool = True


class Cluster(Protocol):
    """What Actors need of a cluster. Handles and questions are whatever it likes, questions to be put into dicts."""

    def names(self) -> list[str]:
        """Names of the actors of this run that are there, or are to be made."""

    def find(self, name: str) -> Any:
        """The actor of a name; None: it has just gone."""

    def make(self, name: str, index: int) -> Any:
        """Have an actor made, whenever there is room for it."""

    def ask(self, handle: Any, after: int | None) -> Any:
        """Ask for news, as `Place.news`."""

    def end(self, handle: Any, after: int | None) -> Any:
        """Ask an actor to end its worker; its answer is the last news."""

    def kill(self, handle: Any) -> None:
        """End an actor, also one that is still to be made."""

    def answers(self, questions: Sequence[Any], seconds: float) -> dict[Any, News | Loss]:
        """The answers that are there, or come within a time."""


@dataclass(frozen=True)
class Event:
    """What has changed: a word of `ray_bridge.UP`, the number of the seat, and what else there is to say."""

    say: str
    seat: int = 0
    worker: str = ""
    text: str = ""
    code: int = 0


@dataclass
class Seat:
    """One of the workers that are wanted, by number.

    Args:
        index: Its number.
        name: Name of its actor; "": it has none.
        handle: The actor.
        question: What it was asked and has not answered.
        looked: When it was asked last.
        read: Bytes of what its worker printed that were taken in; None: the actor knows, which others asked before.
        is_there: Whether it has answered.
        fails: How often in a row no actor came to answer.
        own: How often in a row that was for a reason of its own.
        at: When the next one is made.
    """

    index: int
    name: str = ""
    handle: Any = None
    question: Any = None
    looked: float = -math.inf
    read: int | None = 0
    is_there: bool = False
    fails: int = 0
    own: int = 0
    at: float = 0.0


@dataclass
class Actors:
    """Keeps so many actors at work.

    Args:
        cluster: Where they are.
        size: How many there are to be.
        prefix: Beginning of the names of this run's actors; "-INDEX-RANDOM" follows.
        key: That of the work; actors found with another one are ended.
        printed: Is given what the worker of a seat has printed.
        clock: Seconds.
    """

    cluster: Cluster
    size: int
    prefix: str
    key: str
    printed: Callable[[int, bytes], None]
    clock: Callable[[], float] = time.monotonic
    is_leaving: bool = field(default=False, init=False)  # no actor is made any more
    _seats: list[Seat] = field(default_factory=list, init=False)
    _left_at: float = field(default=0.0, init=False)
    _alone_since: float | None = field(default=None, init=False)
    _is_waiting: bool = field(default=False, init=False)

    def adopt(self) -> int:
        """Take up the actors that are there already; returns how many. Those with no seat are killed."""
        self._seats = [Seat(index) for index in range(self.size)]
        for name in sorted(self.cluster.names()):
            index = _index_of(name, self.prefix)
            handle = self.cluster.find(name)
            if handle is None:
                continue
            if index is None or index >= self.size or self._seats[index].handle is not None:
                self.cluster.kill(handle)
                continue
            self._seats[index] = Seat(index, name, handle, read=None)
        return sum(seat.handle is not None for seat in self._seats)

    @property
    def present(self) -> int:
        """How many have answered and are not known to be gone."""
        return sum(seat.is_there for seat in self._seats)

    def is_idle(self) -> bool:
        """Whether no actor is left and none is to come."""
        return self.is_leaving and all(seat.handle is None for seat in self._seats)

    def leave(self) -> None:
        """Let the workers that are there leave by themselves, and have no other come."""
        self.is_leaving, self._left_at = True, self.clock()
        for seat in self._seats:
            if seat.handle is not None and not seat.is_there and seat.read is not None:
                self._empty(seat)

    def step(self, seconds: float) -> Iterator[Event]:
        """Make what is missing, ask what is due, take in what comes within a time; gives what has changed."""
        now = self.clock()
        every = max(1.0, self.size / LOOKS)
        for seat in self._seats:
            if self.is_leaving and seat.handle is not None and not seat.is_there and now - self._left_at > PATIENCE:
                self._empty(seat)
            if seat.handle is None and not self.is_leaving and now >= seat.at:
                seat.name = f"{self.prefix}-{seat.index}-{uuid.uuid4().hex[:8]}"
                seat.handle, seat.looked = self.cluster.make(seat.name, seat.index), -math.inf
            if seat.handle is not None and seat.question is None and now - seat.looked >= every:
                seat.question, seat.looked = self.cluster.ask(seat.handle, seat.read), now
        asked = {seat.question: seat for seat in self._seats if seat.question is not None}
        for question, answer in self.cluster.answers(list(asked), seconds).items():
            seat = asked[question]
            seat.question = None
            if isinstance(answer, Loss):
                yield from self._lose(seat, answer)
            else:
                yield from self._hear(seat, answer)
        yield from self._count(now)

    def end(self, seconds: float) -> list[str]:
        """End all workers and actors, in so many seconds; returns the names of those that did not answer."""
        self.is_leaving, until = True, self.clock() + seconds
        waited = {}
        for seat in self._seats:
            if seat.handle is not None and seat.is_there:
                waited[self.cluster.end(seat.handle, seat.read)] = seat
            elif seat.handle is not None:
                self._empty(seat)
        while waited and (rest := until - self.clock()) > 0:
            for question, answer in self.cluster.answers(list(waited), min(rest, 1.0)).items():
                seat = waited.pop(question)
                if isinstance(answer, News):
                    self._take(seat, answer)
                self._empty(seat)
        silent = [seat.name for seat in waited.values()]
        for seat in waited.values():
            self._empty(seat)
        return silent

    def _hear(self, seat: Seat, news: News) -> Iterator[Event]:
        if news.key != self.key:  # it works for a table that is no more
            self._empty(seat)
            return
        self._take(seat, news)
        if not seat.is_there:
            seat.is_there, seat.fails, seat.own = True, 0, 0
            yield Event("here", seat.index, news.worker, news.node)
        if news.code is not None:
            self._empty(seat)
            seat.at = self.clock() + 1.0
            yield Event("left", seat.index, news.worker, code=news.code)

    def _take(self, seat: Seat, news: News) -> None:
        seat.read = news.at + len(news.printed)
        if news.printed:
            self.printed(seat.index, news.printed)

    def _lose(self, seat: Seat, loss: Loss) -> Iterator[Event]:
        if not loss.is_final:
            return
        worker, was_there = worker_of(seat.name, self.prefix), seat.is_there
        self._empty(seat)
        seat.fails = 0 if was_there else seat.fails + 1
        seat.own = seat.own + 1 if loss.is_own else 0
        seat.at = self.clock() + (min(LONGEST_WAIT, 2.0 ** min(seat.fails, 10)) if seat.fails else 0.0)
        yield Event("lost", seat.index, worker, loss.reason)
        if seat.own >= TRIES:
            yield Event("failed", seat.index, worker, loss.reason)

    def _empty(self, seat: Seat) -> None:
        self.cluster.kill(seat.handle)
        seat.handle = seat.question = None
        seat.read, seat.is_there = 0, False

    def _count(self, now: float) -> Iterator[Event]:
        """Say once that nobody works, and once that somebody does again."""
        if self.present or self.is_leaving:
            self._alone_since = None
            if self._is_waiting and self.present:
                self._is_waiting = False
                yield Event("back")
            return
        self._alone_since = now if self._alone_since is None else self._alone_since
        if not self._is_waiting and now - self._alone_since >= ALONE_FOR:
            self._is_waiting = True
            yield Event("waiting")


def worker_of(name: str, prefix: str) -> str:
    """The name in the table of the worker of an actor: "w2-1f2e3d4c" of "PREFIX-2-1f2e3d4c"."""
    return f"w{name.removeprefix(f'{prefix}-')}"


def _index_of(name: str, prefix: str) -> int | None:
    index, _, token = name.removeprefix(f"{prefix}-").partition("-")
    return int(index) if index.isdecimal() and len(token) == 8 else None
