"""`served.json` in a run's folder: where its table is served, and the token, for its user's eyes alone.

It is there while the table is served; one that a killed process left says with which token and port its workers expect
the next one.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from netwright.core import files, reading
from netwright.core.errors import NetwrightError, StoreError

NAME = "served.json"
CERTIFICATE = "served.pem"
MAX_BYTES = 10_000


@dataclass(frozen=True)
class Served:
    """What a client must know.

    Args:
        address: "tcp://HOST:PORT".
        token: The secret; with TLS, a dot and the certificate's fingerprint follow.
        run: Id of the run.
    """

    address: str
    token: str
    run: str

    def write(self, folder: Path) -> None:
        """Leave it in a folder, readable for this user alone. Raises StoreError."""
        write_private(folder / NAME, json.dumps(asdict(self)) + "\n")


def read(path: Path) -> Served | None:
    """What a file says; None: it is missing, or says something else. Raises StoreError: it cannot be read."""
    if not path.exists():
        return None
    try:
        found = reading.json_value(text(path))
    except reading.BadText:
        return None
    names = ("address", "token", "run")
    if type(found) is not dict or set(found) != set(names) or not all(type(found[name]) is str for name in names):
        return None
    return Served(**found)


def text(path: Path) -> str:
    """What stands in a file with a token, without the line's end. Raises StoreError: it cannot be read."""
    try:
        return reading.file(path, MAX_BYTES).strip()
    except NetwrightError as error:
        raise StoreError(f"the file {path}, which should hold the token of a served table, {error}") from None


def remove(folder: Path, served: Served) -> None:
    """Take away what `write` left, and the certificate with it; what another server of the run has left stays."""
    with suppress(StoreError):
        if read(folder / NAME) == served:
            clear(folder)


def clear(folder: Path) -> None:
    """Take away what any server has left in a folder that nobody serves now: workers would look for it in vain."""
    with suppress(OSError):
        for name in (NAME, CERTIFICATE):
            (folder / name).unlink(missing_ok=True)


def write_private(path: Path, content: str) -> None:
    """A file that appears whole, and that nobody else can read at any time. Raises StoreError."""
    draft = files.draft_of(path)
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(content)
        os.replace(draft, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}; check the disk") from None
    finally:
        draft.unlink(missing_ok=True)
