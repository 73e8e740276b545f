"""What a process died of, in words."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Final

LINES, CHARACTERS, WIDTH = 20, 2000, 300  # of what it printed last: so many lines, characters in all, characters a line
CAUSES: Final = {
    signal.SIGKILL: ", perhaps because memory ran out",
    signal.SIGSEGV: ", a fault in native code",
    signal.SIGABRT: ", a fault in native code",
    signal.SIGBUS: ", a fault in native code, or a file that was cut",
    signal.SIGFPE: ", a fault in native code",
    signal.SIGILL: ", as by code for another processor",
}


def cause(code: int) -> str:
    """What an exit code says, as `subprocess` gives it: negative for a signal."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        number = signal.Signals(-code)
    except ValueError:
        return f"was killed by signal {-code}"
    return f"was killed by {number.name} ({-code}){CAUSES.get(number, '')}"


def last_words(path: Path, start: int = 0) -> str:
    """The last lines of a log behind position `start`, in bytes; "" where there are none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - 8 * CHARACTERS))
            text = file.read(8 * CHARACTERS).decode(errors="replace")
    except OSError:
        return ""
    lines = [line.rstrip()[:WIDTH] for line in text.splitlines() if line.strip()]
    return "\n".join(lines[-LINES:])[-CHARACTERS:].strip()
