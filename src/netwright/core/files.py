"""Files that appear whole or not at all, and texts that say whether they were changed since."""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
import zlib
from contextlib import suppress
from pathlib import Path

from netwright.core import liveness

_DRAFT = re.compile(r"\..+\.(?P<pid>[0-9]{1,10})-[0-9]{1,20}-(?P<place>[0-9a-f]{8})\.(new|old)(-[a-z]+)?", re.DOTALL)
_STALE = 86_400.0  # seconds
_CHECKSUM = re.compile(r"# checksum ([0-9]{1,10})\n")


def write(path: Path, data: bytes) -> None:
    """Replace a file at once: readers see the old file or the new one, also after a kill or on a full disk."""
    draft = draft_of(path)
    try:
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power loss may leave the new name with nothing in it
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def draft_of(path: Path) -> Path:
    """Where this thread writes what is to lie at a path, file or folder, before it is renamed; beside it.

    What processes that are gone have left in that folder is removed (`sweep`).
    """
    sweep(path.parent)
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}-{liveness.place_mark()}.new")


def sweep(folder: Path) -> None:
    """Remove drafts in a folder whose processes are gone; failing to is no error.

    Those of another machine, container or boot are removed once nothing in them has changed for a day.
    """
    for path in abandoned(folder):
        with suppress(OSError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def abandoned(folder: Path) -> list[Path]:
    """Drafts in a folder, files or folders, that nobody writes any more, as `sweep` finds them."""
    with suppress(OSError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if _is_left(entry)]
    return []


def _is_left(entry: os.DirEntry[str]) -> bool:
    known = _DRAFT.fullmatch(entry.name)
    if known is None:
        return False
    if known["place"] == liveness.place_mark():
        return liveness.is_gone(int(known["pid"]))
    return time.time() - _changed(entry) > _STALE


def _changed(entry: os.DirEntry[str]) -> float:
    """When a draft was last written to: of a folder, when any file in it was, which does not touch the folder."""
    own = entry.stat(follow_symlinks=False).st_mtime
    if not entry.is_dir(follow_symlinks=False):
        return own
    return max([own, *(path.lstat().st_mtime for path in Path(entry.path).rglob("*"))])


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
