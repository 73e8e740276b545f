"""Files that appear whole or not at all."""

from __future__ import annotations

import os
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


def put_aside(path: Path) -> str:
    """Rename a file or folder that cannot be used, so that it stays to be looked at; returns what to say of that."""
    aside = path.with_name(f"{path.name}.damaged")
    try:
        os.replace(path, aside)
    except OSError as error:
        return f"it could not be put aside ({error.strerror})"
    return f"it was put aside as {aside.name}"
