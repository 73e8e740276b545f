"""Files that appear whole or not at all, and texts that say whether they were changed since."""

from __future__ import annotations

import os
import re
import zlib
from pathlib import Path

_CHECKSUM = re.compile(r"# checksum ([0-9]{1,10})\n")


def write(path: Path, data: bytes) -> None:
    """Replace a file at once: readers see the old file or the new one, also after a kill or on a full disk."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power loss may leave the new name with nothing in it
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def checksum(text: str) -> int:
    """CRC-32 of the UTF-8 text, in [0, 2**32): another one where the text was damaged, but for one time in 2**32."""
    return zlib.crc32(text.encode())


def with_checksum(text: str) -> str:
    """The text, which ends with a line end, and a last line that says its checksum: in TOML, a comment."""
    return f"{text}# checksum {checksum(text)}\n"


def without_checksum(text: str) -> str:
    """Inverse of `with_checksum`. Raises ValueError where the text was changed or cut since."""
    found, line = text[: text.rfind("\n", 0, -1) + 1], text[text.rfind("\n", 0, -1) + 1 :]
    known = _CHECKSUM.fullmatch(line)
    if known is None or int(known[1]) != checksum(found):
        raise ValueError("its checksum is not that of its content")
    return found


def put_aside(path: Path) -> str:
    """Rename a file or folder that cannot be used, so that it stays to be looked at; returns what to say of that."""
    aside = path.with_name(f"{path.name}.damaged")
    try:
        os.replace(path, aside)
    except OSError as error:
        return f"it could not be put aside ({error.strerror})"
    return f"it was put aside as {aside.name}"
