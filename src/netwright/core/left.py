"""What a training leaves beside its weights for reports to show: files, and a list of them that says whose they are."""

from __future__ import annotations

import json
import os
import stat
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from netwright.core import files

LIST: Final = "left.txt"


def write(folder: Path, contents: Mapping[str, bytes], seed: int) -> None:
    """Write files by name, and their list.

    Args:
        folder: Folder of the training.
        contents: What the files hold, by name.
        seed: Seed of the trial, which no other has.
    """
    for name, content in contents.items():
        files.write(folder / name, content)
    listed = {"seed": seed, "files": {name: _mark(content) for name, content in contents.items()}}
    files.write(folder / LIST, files.with_checksum(json.dumps(listed) + "\n").encode())


def fault(folder: Path, seed: int | None) -> str:
    """Which file is not what the training left, and what is wrong with it; "" where none is, or where nothing was left.

    Args:
        folder: Folder of the training.
        seed: Seed of the trial that the folder should be of; None: any.
    """
    path = folder / LIST
    if not path.exists():
        return ""
    try:
        listed = json.loads(files.without_checksum(path.read_text(encoding="utf-8")))
        if seed not in (None, listed["seed"]):
            return f"{path} and the files that it lists are those of another training"
        for name, mark in listed["files"].items():
            if Path(name).name != name or not stat.S_ISREG((state := os.stat(folder / name)).st_mode):
                raise ValueError("a training leaves files in its own folder")
            if state.st_size != mark[0] or _mark((folder / name).read_bytes()) != mark:
                return f"{folder / name} is damaged, or that of another training"
    except OSError as error:
        return f"{error.filename or path} cannot be read: {error.strerror or error}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"{path} is damaged"
    return ""


def _mark(content: bytes) -> list[int]:
    """Size and CRC-32."""
    return [len(content), zlib.crc32(content)]
