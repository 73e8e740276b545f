"""The table offered to other processes and hosts: JSON lines over TCP, a token, TLS beyond the loopback address.

The process that has the table serves it; whoever is told where and has the token works with it by `stores.remote`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from netwright.core.protocols import Store


@dataclass(frozen=True)
class Present:
    """A worker that has claimed or beaten through the server.

    Args:
        worker: Its name in the table.
        host: Name of its machine, as it says.
        pid: Id of the process that spoke last for it, on its machine.
        silent_seconds: Time since it was last heard of.
    """

    worker: str
    host: str
    pid: int
    silent_seconds: float


class TableServer:
    """Serves a store from a thread of this process, between `with TableServer(store, ...) as server:` and its end.

    Args:
        store: The table; used by this process at the same time.
        folder: Folder of the run: `served.json` is written there, for this user alone, and removed at the end. A file
            that a killed predecessor left is taken up: same port if it is free, same token, same certificate, so that
            its workers find their way back. None: nothing is written.
        host: Address to listen at; anything but a loopback one is served by TLS.
        port: Port to listen at, or StoreError where it is taken; None: that of the predecessor, else the first free
            one from `PORT` on.
        methods: Further requests by name, such as those for files: called with (name of the client, *values of JSON),
            in threads of their own; they return a value of JSON, or raise NetwrightError for the client.
        log: Is given a sentence about whatever is refused.
    """

    address: str  # tcp://HOST:PORT
    token: str  # what a client needs; with TLS it ends with the certificate's fingerprint. Never print it.

    def __init__(
        self,
        store: Store,
        folder: Path | None = None,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        methods: Mapping[str, Callable[..., Any]] | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None: ...

    def __enter__(self) -> TableServer:
        """Listen. Raises StoreError: the port is taken, the address is none of this machine, TLS cannot be had."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and remove the file; the store stays open."""

    def present(self) -> list[Present]:
        """Workers that were heard of, in order of first being heard."""
        return []
