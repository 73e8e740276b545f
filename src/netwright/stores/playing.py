"""Requests of many clients at a served table: each played once, those that wait together in one commit.

Each client has one request at a time, with a number: one that comes again is not played again, but given the answer
that it had. All that has come while others were played is played next, as one commit where the store can
(`CommitsTogether`), and answered only then. A claim may wait for a row: it is looked for on behalf of all that wait.

The store is called in the thread of the event loop: whoever would be answered meanwhile waits for the store anyway, and
a thread more for each request is what would cost most.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from netwright.core.errors import NetwrightError
from netwright.core.protocols import CommitsTogether, Store
from netwright.core.reading import shown
from netwright.stores import wire
from netwright.stores.requests import READS, Caller, Requests

MOST_CLIENTS: Final = 20_000  # clients whose last answer is remembered
MOST_TOGETHER: Final = 256  # requests of one commit
TICK: Final = 0.01  # seconds between looks for a row that waiting workers could have
LONGEST_WAIT: Final = 30.0  # seconds for which a claim may wait for one


class Listener(Protocol):
    """A connection, as far as this is concerned."""

    @property
    def is_open(self) -> bool:
        """Whether an answer may still arrive there."""


@dataclass(eq=False)
class Client:
    """A client, over all of its connections: its last request and what was answered."""

    caller: Caller
    number: int = 0
    answer: bytes | None = None
    asked: Request | None = None  # until it is answered
    listeners: set[Listener] = field(default_factory=set)

    @property
    def has_listeners(self) -> bool:
        """Whether an answer may still arrive somewhere."""
        return any(listener.is_open for listener in self.listeners)


@dataclass(eq=False)
class Request:
    """A request that is to be played, and its answer once there is one: a line, or nothing where it was given up."""

    client: Client
    number: int
    do: str
    values: Sequence[Any]
    waits_until: float
    answer: asyncio.Future[bytes]
    has_waited: bool = False


class Playing:
    """What has been asked, for one event loop.

    Args:
        requests: What requests do.
        store: The table that they do it to.
        methods: Further requests, as `TableServer` takes them.
        log: Is given a sentence about each fault.
        news: Is set whenever a row was finished.
        prompt: Those of the methods that are played here, as they take no time.
    """

    def __init__(
        self,
        requests: Requests,
        store: Store,
        methods: Mapping[str, Callable[..., Any]],
        log: Callable[[str], None],
        news: threading.Event,
        prompt: Collection[str] = (),
    ) -> None:
        self._requests, self._methods, self._log, self._news = requests, methods, log, news
        self._prompt = frozenset(prompt)
        self._together = store.together if isinstance(store, CommitsTogether) else nullcontext
        self._clients: dict[str, Client] = {}
        self._waiting: list[Request] = []
        self._parked: deque[Request] = deque()  # claims that wait for a row, in order of coming
        self._tasks: set[asyncio.Task[None]] = set()
        self._others = ThreadPoolExecutor(4, "netwright-served")

    def client(self, caller: Caller) -> Client:
        """Who calls, as it was known before or as it is met for the first time."""
        if (known := self._clients.get(caller.client)) is not None:
            return known
        if len(self._clients) >= MOST_CLIENTS:
            gone = [client for client, each in self._clients.items() if not each.listeners]
            for client in gone[: 1 + MOST_CLIENTS // 10]:
                del self._clients[client]
        return self._clients.setdefault(caller.client, Client(caller))

    async def answer(self, client: Client, number: int, do: str, values: Sequence[Any]) -> bytes:
        """The answer to a request, which is played if it is new; nothing for one that is over."""
        while client.asked is not None and client.asked.number < number:  # one that the client has given up
            self._give_up(client.asked)
            if client.asked is not None:
                await client.asked.answer
        if number < client.number:
            return b""
        if number == client.number and client.asked is not None:
            return await client.asked.answer
        if number == client.number and client.answer is not None:
            return client.answer
        waits = min(values[1], LONGEST_WAIT) if do == "claim" and _has_wait(values) else 0.0
        answer = asyncio.get_running_loop().create_future()
        asked = Request(client, number, do, values, time.monotonic() + waits if waits > 0 else 0.0, answer)
        client.number, client.answer, client.asked = number, None, asked
        if do in self._methods and do not in self._prompt:
            task = asyncio.create_task(self._play_method(asked))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._play_soon([asked])
        return await answer

    async def look_for_rows(self) -> None:
        """Give rows to the claims that wait for some, in order, and tell those that have waited long enough."""
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            for asked in [each for each in self._parked if each.waits_until <= now]:
                if asked.client.has_listeners:
                    self._parked.remove(asked)
                    self._play_soon([asked])
                else:
                    self._give_up(asked)
            self.look()

    @property
    def has_waiting_claims(self) -> bool:
        """Whether a claim waits for a row; may be asked in any thread."""
        return bool(self._parked)

    def look(self) -> None:
        """Look for a row for the claim that has waited longest; where there is one, the next one is looked for."""
        self._play_soon(self._next_parked())

    def end(self) -> None:
        """Begin nothing further, and wait for what threads of methods are at."""
        self._others.shutdown(cancel_futures=True)

    def _next_parked(self) -> list[Request]:
        """The claim that has waited longest; where there is no row for it, there is none for the others."""
        while self._parked:
            if self._parked[0].client.has_listeners:
                return [self._parked.popleft()]
            self._give_up(self._parked[0])
        return []

    def _play_soon(self, asked: Sequence[Request]) -> None:
        if asked and not self._waiting:
            asyncio.get_running_loop().call_soon(self._play_waiting)
        self._waiting += asked

    def _play_waiting(self) -> None:
        batch, rest = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
        self._waiting = []
        for asked, answer in zip(batch, self._play(batch), strict=True):
            self._settle(asked, answer)
        if any(asked.do == "finish" for asked in batch):
            self._news.set()
        if rest:
            self._play_soon(rest)

    async def _play_method(self, asked: Request) -> None:
        method = self._methods[asked.do]

        def play() -> bytes:
            return self._line(asked, lambda: method(asked.client.caller, *asked.values))

        self._settle(asked, await asyncio.get_running_loop().run_in_executor(self._others, play))

    def _settle(self, asked: Request, answer: bytes | None) -> None:
        """Give a request its answer; None: it is a claim that goes on waiting."""
        if answer is None:
            (self._parked.appendleft if asked.has_waited else self._parked.append)(asked)
            asked.has_waited = True
            return
        asked.client.asked = None
        asked.client.answer = None if asked.do in READS or asked.do in self._methods else answer
        if not asked.answer.done():
            asked.answer.set_result(answer)
        if asked.waits_until and b'"ok":null' not in answer[:40]:  # there may be a row for the next one, too
            self._play_soon(self._next_parked())

    def _give_up(self, asked: Request) -> None:
        """Forget a claim that waits for a row; it was not played, and may come again."""
        if asked in self._parked:
            self._parked.remove(asked)
            asked.client.asked = None
            asked.client.number -= 1
            if not asked.answer.done():
                asked.answer.set_result(b"")

    def _play(self, batch: Sequence[Request]) -> list[bytes | None]:
        """The answers to requests, whose changes are durable by then; None: no row for a claim that can wait."""
        try:
            with self._together() if len(batch) > 1 else nullcontext():
                return [self._play_one(asked) for asked in batch]
        except Exception as error:  # the commit failed, and with it all of them
            fault = error

        def fail() -> Any:
            raise fault

        return [self._line(asked, fail) for asked in batch]

    def _play_one(self, asked: Request) -> bytes | None:
        found: list[Any] = []

        def act() -> Any:
            if asked.do in self._prompt:
                found.append(self._methods[asked.do](asked.client.caller, *asked.values))
            else:
                found.append(self._requests.answer(asked.client.caller, asked.do, asked.values))
            return found[0]

        answer = self._line(asked, act)
        return None if found == [None] and time.monotonic() < asked.waits_until else answer

    def _line(self, asked: Request, act: Callable[[], Any]) -> bytes:
        """The answer that an act gives, or the sentence that it raises, as a line."""
        try:
            return wire.line({"n": asked.number, "ok": act()})
        except NetwrightError as error:
            return wire.line({"n": asked.number, "error": wire.fault(error)})
        except Exception as error:  # a fault of ours, which ends no server
            self._log(
                f"the request {shown(asked.do)} failed by a fault of netwright's: {traceback.format_exc(limit=-3)}"
            )
            what = f"the request {shown(asked.do)} failed where the table is: {type(error).__name__}; see the log there"
            return wire.line({"n": asked.number, "error": ["StoreError", what]})


def _has_wait(values: Sequence[Any]) -> bool:
    return len(values) == 2 and type(values[1]) in (int, float)
