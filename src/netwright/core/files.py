"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import zlib
from pathlib import Path


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
    """A number below 2**32 that changes with any few bits of the text: CRC-32 of its UTF-8."""
    return zlib.crc32(text.encode())
