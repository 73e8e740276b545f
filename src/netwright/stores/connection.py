"""One connection of a client to a served table: made, greeted, and asked one thing at a time."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from netwright.core.errors import StoreError
from netwright.stores import wire
from netwright.stores.wire import Endpoint, Garbled

CONNECTING = 10.0  # most seconds for a connection, and for its greeting: what took the server's port may say nothing


class Refused(Exception):
    """The server let this client not in: its sentence."""


class Connection:
    """A connection that was let in.

    Args:
        place: Where the server listens.
        token: The secret, and after a dot the fingerprint of the certificate, without which a server beyond the
            loopback address is not believed.
        greeting: What the client says of itself.
        timeout: Most seconds for the answer.

    Attributes:
        run: Id of the run that is served.
        epoch: Which start of the server this is.

    Raises:
        StoreError: The token does not do for that place.
        Refused: The server does not want this client.
        OSError, EOFError, Garbled: There is no server, or something else.
    """

    def __init__(self, place: Endpoint, token: str, greeting: Mapping[str, Any], timeout: float) -> None:
        secret, _, fingerprint = token.partition(".")
        if not fingerprint and not place.is_loopback:
            raise StoreError(
                f"the token for {place} names no certificate, so that anybody could listen on the way; take the one "
                "that its server wrote"
            )
        self._socket = socket.create_connection((place.host, place.port), min(timeout, CONNECTING))
        self._read = bytearray()
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if fingerprint:
                self._socket = _encrypted(self._socket, fingerprint, place)
            self._socket.sendall(wire.line({**greeting, "token": secret}))
            found = self._message(time.monotonic() + min(timeout, CONNECTING))
            if "error" in found:
                raise Refused(str(wire.error_of(found["error"])))
            said = found.get("ok")
            if type(said) is not dict or not all(type(said.get(name)) is str for name in ("run", "epoch")):
                raise Garbled("it is no table of netwright's")
            self.run, self.epoch = str(said["run"]), str(said["epoch"])
        except BaseException:
            self.close()
            raise

    def ask(self, request: bytes, number: int, timeout: float) -> dict[str, Any]:
        """The answer to a request, past those to earlier ones. Raises OSError, EOFError, Garbled: none came."""
        until = time.monotonic() + timeout
        self._socket.settimeout(timeout)
        self._socket.sendall(request)
        while True:
            found = self._message(until)
            if found.get("n") == number and ("ok" in found or "error" in found):
                return found
            if "n" not in found:
                raise Garbled(str(wire.error_of(found.get("error"))))

    def close(self) -> None:
        """Close it."""
        with suppress(OSError):
            self._socket.close()

    def _message(self, until: float) -> dict[str, Any]:
        seen = 0
        while (end := self._read.find(b"\n", seen)) < 0:
            seen = len(self._read)
            if seen > wire.MAX_ANSWER:
                raise Garbled(f"its line is longer than {wire.MAX_ANSWER:,} bytes")
            self._socket.settimeout(max(0.001, until - time.monotonic()))
            piece = self._socket.recv(65536)
            if not piece:
                raise EOFError("it closed the connection")
            self._read += piece
        line = bytes(self._read[:end])
        del self._read[: end + 1]
        return wire.message(line, wire.MAX_ANSWER)


def _encrypted(plain: socket.socket, fingerprint: str, place: Endpoint) -> ssl.SSLSocket:
    """The connection by TLS to the server that has the certificate, and to no other. Raises StoreError, OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate is known by its fingerprint, whatever the name of the host
    context.verify_mode = ssl.CERT_NONE
    encrypted = context.wrap_socket(plain)
    found = hashlib.sha256(encrypted.getpeercert(binary_form=True) or b"").hexdigest()
    if not hmac.compare_digest(found, fingerprint):
        encrypted.close()
        raise StoreError(
            f"{place} shows another certificate than the token names; take the token of the run that is served there "
            "now, and look whether anybody listens on the way"
        )
    return encrypted
