"""Lets `time.time` of every process of a search jump; Python imports it at its start where its folder is on the path.

The variable NETWRIGHT_CHAOS_CLOCK names a file that holds the seconds to add; who read another number than before says
so in a file beside it. Nothing in netwright knows of it.
"""

from __future__ import annotations

import os
import time
from typing import Any

_PATH = os.environ.get("NETWRIGHT_CHAOS_CLOCK", "")
_real, _real_ns = time.time, time.time_ns
_last: list[Any] = [""]


def _offset() -> float:
    try:
        with open(_PATH, encoding="ascii") as file:
            text = file.read()
        if text != _last[0]:
            _last[0] = text
            with open(f"{_PATH}.seen", "a", encoding="ascii") as file:
                file.write(f"{text} {os.getpid()}\n")
        return float(text)
    except (OSError, ValueError):
        return 0.0


if _PATH:
    time.time = lambda: _real() + _offset()
    time.time_ns = lambda: _real_ns() + int(_offset() * 1e9)
