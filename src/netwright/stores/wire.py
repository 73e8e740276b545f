"""What a served table and its clients say to each other: lines of JSON, and the bounds that both keep.

A client begins with a greeting, a table with the names of GREETING, upon which the server says which run it serves and
when it began. Then it sends {"n": 5, "do": "claim", "with": ["w0"]}; the answer is {"n": 5, "ok": ...} or
{"n": 5, "error": ["StoreError", "a sentence"]}. Rows travel as the cells that SQLite keeps, with their checksums
(`sqlite_rows`). Nothing is ever unpickled.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from netwright.core import errors, reading
from netwright.core.errors import NetwrightError, StoreError

PROTOCOL: Final = 1
PORT: Final = 7711  # first port that is tried where none was asked for
GREETING: Final[Mapping[str, type]] = {
    "netwright": int,  # PROTOCOL
    "token": str,
    "client": str,  # one for each store that is opened
    "run": str,  # that the client worked for before; "": none yet
    "host": str,
    "pid": int,
    "born": str,
}
MAX_GREETING: Final = 4096  # bytes of a line
MAX_MESSAGE: Final = 32_000_000  # of a request; a curve of a million points takes 24
MAX_ANSWER: Final = 80_000_000  # rows are sent in pages of PAGE_BYTES, of one row at least
PAGE_ROWS, PAGE_BYTES = 500, 4_000_000
MAX_NAME, MAX_TEXT = 200, 10_000  # characters of a worker's name, and of an activity, a reason, a fact's name


class Garbled(Exception):
    """A line that is none of these messages."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens: host (a name or an address) and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"

    @staticmethod
    def of(text: str) -> Endpoint:
        """Read "tcp://HOST:PORT". Raises StoreError for anything else."""
        host, colon, port = text.removeprefix("tcp://").rstrip("/").rpartition(":")
        is_whole = text.startswith("tcp://") and colon and host and port.isascii() and port.isdigit()
        if not is_whole or not 0 < int(port[:6]) < 65536 or any(each in host for each in " /?#@"):
            raise StoreError(f"{reading.shown(text)} is no address of a served table; write tcp://HOST:PORT")
        return Endpoint(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def is_loopback(self) -> bool:
        """Whether what is said there stays within this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def line(message: Mapping[str, Any]) -> bytes:
    """A message as a line. Raises ValueError or TypeError for what is no JSON, a number that is not finite among it."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def message(text: bytes, most: int) -> dict[str, Any]:
    """The message of a line. Raises Garbled."""
    try:
        found = reading.json_value(text, most)
    except NetwrightError as error:
        raise Garbled(f"it {error}") from None
    if type(found) is not dict:
        raise Garbled("it is no JSON object")
    return found


def fault(error: NetwrightError) -> list[str]:
    """An error as it travels."""
    named = next(kind for kind in type(error).__mro__ if getattr(errors, kind.__name__, None) is kind)
    return [named.__name__, str(error)]


def error_of(said: Any) -> NetwrightError:
    """The error that a server tells of, of the class that it had there. Raises Garbled."""
    if type(said) is not list or len(said) != 2 or not all(type(each) is str for each in said):
        raise Garbled("its error is no class and sentence")
    kind = getattr(errors, said[0], None)
    is_ours = isinstance(kind, type) and issubclass(kind, NetwrightError)
    return kind(said[1]) if is_ours and kind is not None else StoreError(said[1])


def request(found: Mapping[str, Any]) -> tuple[int, str, list[Any]]:
    """The number, the name and the values of a request. Raises Garbled."""
    number, do, values = found.get("n"), found.get("do"), found.get("with")
    if type(number) is not int or number < 1 or type(do) is not str or type(values) is not list:
        raise Garbled("its request has no number n, no name do, or no list of values with")
    return number, do, values
