"""The table offered to other processes and hosts: JSON lines over TCP, a token, TLS beyond the loopback address.

The process that has the table serves it; whoever is told where and has the token works with it by `stores.remote`.
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
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from netwright.core.errors import StoreError
from netwright.core.protocols import Store
from netwright.core.reading import shown
from netwright.stores import certificate, served_file, wire
from netwright.stores.playing import Client, Playing
from netwright.stores.requests import Caller, Present, Requests
from netwright.stores.served_file import Served
from netwright.stores.wire import Endpoint, Garbled

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None  # type: ignore[assignment]

RUN: Final = "served run"  # fact: the id of the run, which says that it is the same one to clients that come back
PORTS: Final = 200  # that are tried, from `wire.PORT` on
MOST_CONNECTIONS: Final = 4096
MOST_LOGGED: Final = 200  # sentences, so that whoever knocks fills no disk
GREETING_SECONDS, IDLE_SECONDS = 10.0, 600.0
SWEEP: Final = 2.0  # seconds between looks for idle connections
PIECE: Final = 65536  # bytes
BACKLOG: Final = 1024  # connections that wait to be taken, as when a whole cluster begins


@dataclass(eq=False)
class _Connection:
    """One connection: its two ends, when it was last heard, and the client that it turned out to be."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heard: float
    client: Client | None = None

    @property
    def is_open(self) -> bool:
        return not self.writer.is_closing() and not self.reader.at_eof()

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


class TableServer:
    """Serves a store from a thread of this process, between `with TableServer(store, ...) as server:` and its end.

    Args:
        store: The table; used by this process at the same time.
        folder: Folder of the run: `served.json` is written there, for this user alone, and removed at the end. A file
            that a killed predecessor left is taken up: same port if it is free, same token, same certificate, so that
            its workers find their way back. None: nothing is written.
        host: Address to listen at; anything but a loopback one is served by TLS.
        port: Port to listen at, 0 standing for any, or StoreError where it is taken; None: that of the predecessor,
            else the first free one from `wire.PORT` on.
        methods: Further requests by name, such as those for files: called with (the `Caller`, *values of JSON), in
            threads of their own; they return a value of JSON, or raise NetwrightError for the client. Their answers are
            not remembered: one whose answer was lost is played again, and must come to the same.
        prompt: Names of those methods that take no time: they are called in the thread that answers, since a thread for
            each is most of what a short request costs.
        log: Is given a sentence about whatever is refused; None: they go to the standard error.

    Attributes:
        address: "tcp://HOST:PORT", once it listens.
        token: What a client needs; with TLS it ends with the certificate's fingerprint. Never to be printed.
        run: Id of the run, which is no secret.
        news: Is set whenever a row was finished here, for whoever waits for that and clears it.
    """

    def __init__(
        self,
        store: Store,
        folder: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        methods: Mapping[str, Callable[..., Any]] | None = None,
        prompt: Collection[str] = (),
        log: Callable[[str], None] | None = None,
    ) -> None:
        self.address = self.token = self.run = ""
        self._store, self._folder, self._host, self._port = store, folder, host, port
        self._methods, self._log_line, self._logged = dict(methods or {}), log or _print, 0
        self._requests, self._prompt = Requests(store), prompt
        self._epoch = secrets.token_hex(8)
        self._connections: set[_Connection] = set()
        self._begun, self.news = threading.Event(), threading.Event()
        self._fault: Exception | None = None  # before it had begun

    def __enter__(self) -> TableServer:
        """Listen.

        Raises:
            StoreError: The port is taken, the address is none of this machine, or TLS cannot be had.
        """
        self.run = _run_of(self._store)
        before = served_file.read(self._folder / served_file.NAME) if self._folder else None
        # whoever sends no token is let in by none that is empty
        if before is not None and (before.run != self.run or not before.token.partition(".")[0]):
            before = None
        context, fingerprint = None, ""
        if not Endpoint(self._host, 1).is_loopback:
            context, fingerprint = certificate.serving(self._folder)
        self._secret = before.token.partition(".")[0] if before else secrets.token_urlsafe(32)
        self.token = f"{self._secret}.{fingerprint}" if fingerprint else self._secret
        _allow_files(MOST_CONNECTIONS)
        listening = _listening(self._host, self._port, Endpoint.of(before.address).port if before else None)
        try:
            named = socket.getfqdn() if self._host in ("", "0.0.0.0", "::") else self._host
            self.address = str(Endpoint(named, listening.getsockname()[1]))
            if self._folder is not None:
                Served(self.address, self.token, self.run).write(self._folder)
        except BaseException:
            listening.close()
            raise
        self._thread = threading.Thread(
            target=self._go_on, args=(listening, context), name="netwright-served", daemon=True
        )
        self._thread.start()
        self._begun.wait()
        if self._fault is not None:
            self._thread.join()
            listening.close()
            if self._folder is not None:
                served_file.remove(self._folder, Served(self.address, self.token, self.run))
            raise StoreError(f"the table cannot be served at {self.address}: {self._fault}; try again") from self._fault
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and remove the file; the store stays open."""
        self._loop.call_soon_threadsafe(self._ends.set)
        self._thread.join()
        if self._folder is not None:
            served_file.remove(self._folder, Served(self.address, self.token, self.run))

    def present(self) -> list[Present]:
        """Workers that were heard of, in order of first being heard."""
        return self._requests.present()

    def look_for_rows(self) -> None:
        """Give rows that this process has just added to workers that wait for some, which else takes a moment.

        Raises:
            StoreError: The table is served no more, as a fault of netwright's has ended that.
        """
        if not self._thread.is_alive():
            raise StoreError(f"the table at {self.address} is served no more; give the same command again")
        if self._playing.has_waiting_claims:
            self._loop.call_soon_threadsafe(self._playing.look)

    def lend_no_more(self) -> None:
        """Give no row to workers from now on."""
        self._requests.lends = False

    def _go_on(self, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            asyncio.run(self._serve(listening, context))
        except Exception as error:  # as where the system lets this process have no more files
            if self._begun.is_set():
                raise
            self._fault = error
        finally:
            self._begun.set()

    async def _serve(self, listening: socket.socket, context: ssl.SSLContext | None) -> None:
        self._loop, self._ends = asyncio.get_running_loop(), asyncio.Event()
        self._playing = Playing(self._requests, self._store, self._methods, self._log, self.news, self._prompt)
        self._loop.set_exception_handler(lambda _, found: self._log(f"{found['message']}: {found.get('exception')}"))
        limit = GREETING_SECONDS if context else None
        server = await asyncio.start_server(
            self._meet, sock=listening, backlog=BACKLOG, ssl=context, limit=PIECE, ssl_handshake_timeout=limit
        )
        keeping = [asyncio.create_task(self._sweep()), asyncio.create_task(self._playing.look_for_rows())]
        self._begun.set()
        await self._ends.wait()
        server.close()
        for task in keeping:
            task.cancel()
        self._playing.end()
        for connection in list(self._connections):
            connection.writer.close()
        await asyncio.sleep(0)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer, time.monotonic())
        self._connections.add(connection)
        try:
            await self._converse(connection)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            pass
        except Garbled as error:
            with suppress(ConnectionError, TimeoutError, ssl.SSLError):
                await self._turn_away(connection, str(error))
        except Exception:  # a fault of ours ends this connection, not the server
            self._log(f"a connection ended by a fault of netwright's: {traceback.format_exc(limit=-3)}")
        finally:
            self._connections.discard(connection)
            if connection.client is not None:
                connection.client.listeners.discard(connection)
            writer.close()

    async def _converse(self, connection: _Connection) -> None:
        """Let a client in and answer it, until it leaves. Raises Garbled: it may not come in, or says no such thing."""
        if len(self._connections) > MOST_CONNECTIONS:
            raise Garbled(f"{MOST_CONNECTIONS:,} connections are open already")
        buffer = bytearray()
        if not (text := await _line(connection.reader, buffer, wire.MAX_GREETING)):
            return
        client = self._let_in(wire.message(text, wire.MAX_GREETING))
        connection.client = client
        client.listeners.add(connection)
        await connection.send(wire.line({"ok": {"run": self.run, "epoch": self._epoch}}))
        while text := await _line(connection.reader, buffer, wire.MAX_MESSAGE):
            connection.heard = time.monotonic()
            number, do, values = wire.request(wire.message(text, wire.MAX_MESSAGE))
            if answer := await self._playing.answer(client, number, do, values):
                await connection.send(answer)

    def _let_in(self, greeting: Mapping[str, Any]) -> Client:
        """The client that greets. Raises Garbled where it may not come in."""
        for name, kind in wire.GREETING.items():
            if type(greeting.get(name)) is not kind:
                raise Garbled(f"its greeting has no {name}")
        if greeting["netwright"] != wire.PROTOCOL:
            raise Garbled(f"it speaks protocol {greeting['netwright']}, and this is {wire.PROTOCOL}; use one release")
        if not hmac.compare_digest(greeting["token"].encode("utf-8", "replace"), self._secret.encode()):
            raise Garbled("its token is not that of the run which is served here")
        if greeting["run"] not in ("", self.run):
            raise Garbled(f"it belongs to the run {shown(greeting['run'])}, and the one here is {self.run}")
        return self._playing.client(Caller(*(greeting[name] for name in ("client", "host", "pid", "born"))))

    async def _turn_away(self, connection: _Connection, why: str) -> None:
        peer = connection.writer.get_extra_info("peername")
        self._log(f"a client at {peer[0] if peer else 'an unknown address'} was turned away: {why}")
        await connection.send(wire.line({"error": ["StoreError", why]}))
        # what is still on its way would make the system cut the connection before the sentence was read
        async with asyncio.timeout(1.0):
            while await connection.reader.read(PIECE):
                continue

    async def _sweep(self) -> None:
        """Close connections that say nothing, or do not take their answers."""
        while True:
            await asyncio.sleep(SWEEP)
            now = time.monotonic()
            for connection in list(self._connections):
                if now - connection.heard > (GREETING_SECONDS if connection.client is None else IDLE_SECONDS):
                    connection.writer.transport.abort()

    def _log(self, sentence: str) -> None:
        self._logged += 1
        if self._logged <= MOST_LOGGED:
            self._log_line(sentence)
        if self._logged == MOST_LOGGED:
            self._log_line(f"{MOST_LOGGED} such lines were written; further ones are not")


async def _line(reader: asyncio.StreamReader, buffer: bytearray, most: int) -> bytes:
    """The next line without its end; nothing at the end of the stream. Raises Garbled for one that is too long."""
    seen = 0
    while (end := buffer.find(b"\n", seen)) < 0 and len(buffer) <= most:
        seen = len(buffer)
        if not (piece := await reader.read(PIECE)):
            return b""
        buffer += piece
    if not 0 <= end <= most:
        raise Garbled(f"its line is longer than {most:,} bytes")
    line = bytes(buffer[:end])
    del buffer[: end + 1]
    return line or b" "


def _allow_files(connections: int) -> None:
    """Let this process have so many connections beside its files, as far as the system allows; many allow 1,024."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 1024 if hard == resource.RLIM_INFINITY else min(connections + 1024, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


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
        family, _, _, _, address = socket.getaddrinfo(
            host or None, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise StoreError(f"{shown(host)} is no address of this machine; give one that is") from None
    others = range(wire.PORT, wire.PORT + PORTS)
    for each in [port] if port is not None else [*([] if before is None else [before]), *others]:
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((address[0], each, *address[2:]))
            listening.listen(BACKLOG)  # of two that were bound at the same instant, one is refused here
            return listening
        except OSError as error:
            listening.close()
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise StoreError(
                    f"cannot listen at {host}: {error.strerror}; give an address of this machine"
                ) from None
            if port is not None:
                why = f"cannot listen at port {port} of {host}: {error.strerror}"
                raise StoreError(f"{why}; give another port, or none for one that is free") from None
    raise StoreError(f"ports {others[0]} to {others[-1]} of {host} are all taken; give one that is free")


def _print(sentence: str) -> None:
    print(f"netwright: {sentence}", file=sys.stderr, flush=True)
