"""The table offered to other processes and hosts: JSON lines over TCP, a token, TLS beyond the loopback address.

The process that has the table serves it; whoever is told where and has the token works with it by `stores.remote`.

A thread with an event loop reads requests; another one plays those that wait together on the store, as one commit
where the store can (`CommitsTogether`), and only then are they answered. Each client has one request at a time, with a
number: one that comes again is not played again, but given the answer that it had.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import secrets
import socket
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from netwright.core.errors import NetwrightError, StoreError
from netwright.core.protocols import CommitsTogether, Store
from netwright.core.reading import shown
from netwright.stores import certificate, served_file, wire
from netwright.stores.requests import READS, Caller, Present, Requests
from netwright.stores.served_file import Served
from netwright.stores.wire import Garbled, Place

RUN: Final = "served run"  # fact: the id of the run, which says that it is the same one to clients that come back
PORTS: Final = 200  # that are tried, from `wire.PORT` on
MOST_CONNECTIONS: Final = 4096
MOST_SESSIONS: Final = 20_000  # clients whose last answer is remembered
MOST_TOGETHER: Final = 256  # requests of one commit
MOST_LOGGED: Final = 200  # sentences, so that whoever knocks fills no disk
GREETING_SECONDS, IDLE_SECONDS = 10.0, 600.0
SWEEP = 2.0  # seconds between looks for idle connections
TICK = 0.01  # seconds between looks for a row that waiting workers could have
LONGEST_WAIT = 30.0  # seconds for which a claim may wait for a row


@dataclass(eq=False)
class _Connection:
    """One connection: its two ends, when it was last heard, and the client that it turned out to be."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: float
    session: _Session | None = None

    @property
    def is_open(self) -> bool:
        return not self.writer.is_closing() and not self.reader.at_eof()


@dataclass(eq=False)
class _Session:
    """A client, over all of its connections: its last request and what was answered."""

    caller: Caller
    number: int = 0
    answer: bytes | None = None
    playing: _Asked | None = None
    connections: set[_Connection] = field(default_factory=set)


@dataclass(eq=False)
class _Asked:
    """A request that is to be played, and its answer, once there is one; "" where it was given up."""

    session: _Session
    number: int
    do: str
    values: Sequence[Any]
    waits_until: float
    answer: asyncio.Future[bytes]


class TableServer:
    """Serves a store from a thread of this process, between `with TableServer(store, ...) as server:` and its end.

    Args:
        store: The table; used by this process at the same time.
        folder: Folder of the run: `served.json` is written there, for this user alone, and removed at the end. A file
            that a killed predecessor left is taken up: same port if it is free, same token, same certificate, so that
            its workers find their way back. None: nothing is written.
        host: Address to listen at; anything but a loopback one is served by TLS.
        port: Port to listen at, or StoreError where it is taken; None: that of the predecessor, else the first free
            one from `wire.PORT` on.
        methods: Further requests by name, such as those for files: called with (the `Caller`, *values of JSON), in
            threads of their own; they return a value of JSON, or raise NetwrightError for the client.
        log: Is given a sentence about whatever is refused; None: they go to the standard error.

    Attributes:
        address: "tcp://HOST:PORT", once it listens.
        token: What a client needs; with TLS it ends with the certificate's fingerprint. Never to be printed.
        run: Id of the run, which is no secret.
    """

    def __init__(
        self,
        store: Store,
        folder: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        methods: Mapping[str, Callable[..., Any]] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.address = self.token = self.run = ""
        self._store, self._folder, self._host, self._port = store, folder, host, port
        self._methods = dict(methods or {})
        self._log_line = log or _print
        self._logged = 0
        self._epoch = secrets.token_hex(8)
        self._requests = Requests(store)
        self._sessions: dict[str, _Session] = {}
        self._connections: set[_Connection] = set()
        self._waiting: list[_Asked] = []
        self._parked: list[_Asked] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_draining = False
        self._began = threading.Event()

    def __enter__(self) -> TableServer:
        """Listen.

        Raises:
            StoreError: The port is taken, the address is none of this machine, or TLS cannot be had.
        """
        before = served_file.read(self._folder / served_file.NAME) if self._folder else None
        self.run = _run_of(self._store)
        if before is not None and before.run != self.run:
            before = None
        context, fingerprint = self._tls()
        secret = before.token.partition(".")[0] if before else secrets.token_urlsafe(32)
        self.token = f"{secret}.{fingerprint}" if fingerprint else secret
        self._secret = secret.encode()
        listening = _listening(self._host, self._port, Place.of(before.address).port if before else None)
        try:
            shown_host = socket.getfqdn() if _is_any(self._host) else self._host
            self.address = str(Place(shown_host, listening.getsockname()[1]))
            if self._folder is not None:
                Served(self.address, self.token, self.run).write(self._folder)
        except BaseException:
            listening.close()
            raise
        self._player = ThreadPoolExecutor(1, "netwright-table")
        self._others = ThreadPoolExecutor(4, "netwright-served")
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._listen(listening, context)), name="netwright-served", daemon=True
        )
        self._thread.start()
        self._began.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and remove the file; the store stays open."""
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join()
        self._player.shutdown()
        self._others.shutdown(cancel_futures=True)
        if self._folder is not None:
            served_file.remove(self._folder)

    def present(self) -> list[Present]:
        """Workers that were heard of, in order of first being heard."""
        return self._requests.present()

    def lend_no_more(self) -> None:
        """Give no row to workers from now on."""
        self._requests.lends = False

    def _tls(self) -> tuple[ssl.SSLContext | None, str]:
        """What encrypts, and the fingerprint of its certificate; None and "" on the loopback address."""
        if Place(self._host, 1).is_loopback:
            return None, ""
        return certificate.serving(self._folder, self._host)

    async def _listen(self, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        self._loop, self._ends = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(
            self._serve,
            sock=listening,
            ssl=context,
            limit=65536,
            **({"ssl_handshake_timeout": GREETING_SECONDS} if context else {}),
        )
        self._began.set()
        keeping = [asyncio.create_task(self._sweep()), asyncio.create_task(self._look_for_rows())]
        await self._ends.wait()
        server.close()
        for task in (*keeping, *self._tasks):
            task.cancel()
        while self._is_draining:  # what is being played is answered
            await asyncio.sleep(0.001)
        for connection in list(self._connections):
            connection.writer.close()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer, time.monotonic())
        self._connections.add(connection)
        try:
            await self._converse(connection)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass
        except Exception:  # a fault of ours ends this connection, not the server
            self._log(f"a connection ended by a fault of netwright's: {traceback.format_exc(limit=-3)}")
        finally:
            self._connections.discard(connection)
            if connection.session is not None:
                connection.session.connections.discard(connection)
            writer.close()

    async def _converse(self, connection: _Connection) -> None:
        buffer = bytearray()
        try:
            if len(self._connections) > MOST_CONNECTIONS:
                raise Garbled(f"more than {MOST_CONNECTIONS:,} connections are open already")
            text = await _line(connection.reader, buffer, wire.MAX_GREETING)
            if not text:
                return
            session = self._greeted(wire.message(text, wire.MAX_GREETING))
        except Garbled as error:
            return await self._refuse(connection, f"its greeting was refused: {error}")
        connection.session, connection.heard = session, time.monotonic()
        session.connections.add(connection)
        await _send(connection, wire.line({"ok": {"run": self.run, "epoch": self._epoch}}))
        while True:
            try:
                text = await _line(connection.reader, buffer, wire.MAX_MESSAGE)
                if not text:
                    return
                connection.heard = time.monotonic()
                number, do, values = _request(wire.message(text, wire.MAX_MESSAGE))
            except Garbled as error:
                return await self._refuse(connection, f"its request was not understood: {error}")
            if answer := await self._answer(session, number, do, values):
                await _send(connection, answer)

    def _greeted(self, greeting: Mapping[str, Any]) -> _Session:
        """The client that says hello. Raises Garbled where it may not come in."""
        for name, kind in wire.GREETING.items():
            if type(greeting.get(name)) is not kind:
                raise Garbled(f"it has no {name}")
        if greeting["netwright"] != wire.PROTOCOL:
            raise Garbled(f"it is of protocol {greeting['netwright']}, and this is {wire.PROTOCOL}; use one release")
        if not hmac.compare_digest(greeting["token"].encode(), self._secret):
            raise Garbled("its token is not this run's")
        if greeting["run"] not in ("", self.run):
            raise Garbled(f"it worked for the run {shown(greeting['run'])}, and this is {self.run}")
        client = greeting["client"]
        if (session := self._sessions.get(client)) is None:
            for idle in [name for name, each in self._sessions.items() if not each.connections][: 1 - MOST_SESSIONS]:
                del self._sessions[idle]
            caller = Caller(client, *(greeting[name] for name in ("host", "pid", "born")))
            session = self._sessions[client] = _Session(caller)
        return session

    async def _refuse(self, connection: _Connection, why: str) -> None:
        peer = connection.writer.get_extra_info("peername")
        self._log(f"a client at {peer[0] if peer else 'an unknown address'} was turned away: {why}")
        await _send(connection, wire.line({"error": ["StoreError", why]}))
        # what is still on its way would make the system cut the connection before the sentence was read
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                while await connection.reader.read(65536):
                    continue

    async def _answer(self, session: _Session, number: int, do: str, values: Sequence[Any]) -> bytes:
        """The answer to a request, which is played if it is new; "" for one that is answered and over."""
        if number < session.number:
            return b""
        if number == session.number:
            if session.playing is not None:
                return await asyncio.shield(session.playing.answer)
            if session.answer is not None:
                return session.answer
        elif session.playing is not None:  # the client has given that one up
            self._give_up(session.playing)
            if session.playing is not None:
                await asyncio.shield(session.playing.answer)
        session.number, session.answer = number, None
        if do in self._methods:
            return await self._by_method(session, number, do, values)
        is_waiting = do == "claim" and len(values) == 2 and type(values[1]) in (int, float)
        until = time.monotonic() + min(values[1], LONGEST_WAIT) if is_waiting else 0.0
        asked = _Asked(session, number, do, values, until, self._loop.create_future())
        session.playing = asked
        self._waiting.append(asked)
        if not self._is_draining:
            self._is_draining = True
            self._start(self._drain())
        return await asyncio.shield(asked.answer)

    async def _by_method(self, session: _Session, number: int, do: str, values: Sequence[Any]) -> bytes:
        method = self._methods[do]
        return await self._loop.run_in_executor(
            self._others, lambda: self._line(number, do, lambda: method(session.caller, *values))
        )

    async def _drain(self) -> None:
        """Play what waits, all that has come meanwhile together, until nothing waits."""
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_TOGETHER], self._waiting[MOST_TOGETHER:]
                for asked, answer in zip(batch, await self._played(batch), strict=True):
                    self._settle(asked, answer)
        finally:
            self._is_draining = False

    async def _played(self, batch: Sequence[_Asked]) -> list[bytes | None]:
        return await self._loop.run_in_executor(self._player, self._play, batch)

    def _settle(self, asked: _Asked, answer: bytes | None) -> None:
        """Give a request its answer; None: it goes on waiting for a row."""
        if answer is None:
            self._parked.append(asked)
            return
        asked.session.playing = None
        asked.session.answer = None if asked.do in READS else answer
        asked.answer.set_result(answer)

    def _give_up(self, asked: _Asked) -> None:
        """Forget a claim that waits for a row; it was not played, and may come again."""
        if asked in self._parked:
            self._parked.remove(asked)
            asked.session.playing = None
            asked.session.number -= 1
            asked.answer.set_result(b"")

    def _play(self, batch: Sequence[_Asked]) -> list[bytes | None]:
        """The answers to requests, whose changes are durable by then; None: no row for a claim that can wait."""
        is_several = len(batch) > 1 and isinstance(self._store, CommitsTogether)
        answers: list[bytes | None] = []
        try:
            with self._store.together() if is_several else nullcontext():  # type: ignore[attr-defined]
                answers += [self._play_one(asked) for asked in batch]
        except NetwrightError as error:  # the commit failed, and with it all of them
            return [wire.line({"n": asked.number, "error": wire.fault(error)}) for asked in batch]
        return answers

    def _play_one(self, asked: _Asked) -> bytes | None:
        found: list[Any] = []

        def act() -> Any:
            found.append(self._requests.answer(asked.session.caller, asked.do, asked.values))
            return found[0]

        answer = self._line(asked.number, asked.do, act)
        return None if found == [None] and time.monotonic() < asked.waits_until else answer

    def _line(self, number: int, do: str, act: Callable[[], Any]) -> bytes:
        """The answer that an act gives or the sentence that it raises, as a line."""
        try:
            return wire.line({"n": number, "ok": act()})
        except NetwrightError as error:
            return wire.line({"n": number, "error": wire.fault(error)})
        except Exception as error:
            self._log(f"the request {shown(do)} failed by a fault of netwright's: {traceback.format_exc(limit=-3)}")
            sentence = f"the request {shown(do)} failed where the table is: {type(error).__name__}; see the log there"
            return wire.line({"n": number, "error": ["StoreError", sentence]})

    async def _look_for_rows(self) -> None:
        """Give rows to the claims that wait for some, in order, and tell those that have waited long enough."""
        while True:
            await asyncio.sleep(TICK)
            for asked in [each for each in self._parked if not any(c.is_open for c in each.session.connections)]:
                self._give_up(asked)
            if not self._parked or self._is_draining:
                continue
            now = time.monotonic()
            overdue = [each for each in self._parked if each.waits_until <= now]
            batch = [self._parked[0], *(each for each in overdue if each is not self._parked[0])]
            self._parked = [each for each in self._parked if each not in batch]
            self._is_draining = True
            try:
                answers = await self._played(batch)
            finally:
                self._is_draining = False
            for asked, answer in zip(batch, answers, strict=True):
                if answer is None:
                    self._parked.insert(0, asked)
                else:
                    self._settle(asked, answer)
            if answers[0] is not None and self._parked:  # there may be more rows
                self._waiting, self._parked = [*self._parked, *self._waiting], []
            if self._waiting and not self._is_draining:
                self._is_draining = True
                self._start(self._drain())

    async def _sweep(self) -> None:
        """Close connections that say nothing."""
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for connection in list(self._connections):
                limit = GREETING_SECONDS if connection.session is None else IDLE_SECONDS
                if now - connection.heard > limit:
                    connection.writer.transport.abort()

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _log(self, sentence: str) -> None:
        self._logged += 1
        if self._logged <= MOST_LOGGED:
            self._log_line(sentence)
        if self._logged == MOST_LOGGED:
            self._log_line(f"{MOST_LOGGED} such lines were written; further ones are not")


async def _line(reader: asyncio.StreamReader, buffer: bytearray, most: int) -> bytes:
    """The next line, without its end; "" at the end of the stream. Raises Garbled for one that is longer than `most`."""
    seen = 0
    while (end := buffer.find(b"\n", seen)) < 0:
        seen = len(buffer)
        if seen > most:
            break
        piece = await reader.read(65536)
        if not piece:
            return b""
        buffer += piece
    if end < 0 or end > most:
        raise Garbled(f"its line is longer than {most:,} bytes")
    line = bytes(buffer[:end])
    del buffer[: end + 1]
    return line or b" "


async def _send(connection: _Connection, data: bytes) -> None:
    connection.writer.write(data)
    await connection.writer.drain()


def _request(message: Mapping[str, Any]) -> tuple[int, str, list[Any]]:
    number, do, values = message.get("n"), message.get("do"), message.get("with")
    if type(number) is not int or number < 1 or type(do) is not str or type(values) is not list:
        raise Garbled("it has no number n, no request do, or no list with")
    return number, do, values


def _run_of(store: Store) -> str:
    """The id of a run, which its table keeps."""
    while (run := store.recall(RUN)) is None:
        store.exchange(RUN, None, secrets.token_hex(8))
    return run


def _listening(host: str, port: int | None, before: int | None) -> socket.socket:
    """A socket that listens at the port that was asked for or, where none was, at one that is free.

    Args:
        host: Where to listen.
        port: The only port that will do, 0 standing for any; None: any.
        before: Port that is tried first where none was asked for.

    Raises:
        StoreError: It cannot listen there.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError):
        raise StoreError(f"{shown(host)} is no address of this machine; give another --host") from None
    if port is not None:
        wanted = [port]
    else:
        wanted = [*([] if before is None else [before]), *range(wire.PORT, wire.PORT + PORTS)]
    for each in wanted:
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((address[0], each, *address[2:]))
            listening.listen(1024)  # of two that were bound at the same instant, one is refused here
            return listening
        except OSError as error:
            listening.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise StoreError(
                    f"cannot listen at {host}: {error.strerror}; give an address of this machine"
                ) from None
            if port is not None:
                raise StoreError(
                    f"port {port} of {host} is taken ({error.strerror}); give another one, or none, for one that is free"
                ) from None
    raise StoreError(f"ports {wire.PORT} to {wire.PORT + PORTS - 1} of {host} are all taken; give one that is free")


def _is_any(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")


def _print(sentence: str) -> None:
    print(f"netwright: {sentence}", file=sys.stderr, flush=True)
