"""Who may use a card: many trials beside each other, or one that has it to itself.

Locks on files, which the system gives back when a process ends, however it ends. One that waits to be alone holds the
gate meanwhile, so that no other trial begins and its turn comes when those at hand have ended.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from netwright.core.locks import fcntl

LOOK_EVERY: Final = 0.1  # seconds


@contextmanager
def taken(
    folder: Path,
    cards: Sequence[str],
    *,
    alone: bool,
    is_wanted: Callable[[], bool] = lambda: True,
) -> Iterator[bool]:
    """Hold cards within the block; gives False, and holds none, where waiting for them was no longer wanted.

    Where the system has no such locks (no POSIX), nobody waits.

    Args:
        folder: Folder of the lock files, the same for all who share the cards; made when missing.
        cards: Names of the cards.
        alone: Whether to hold them alone.
        is_wanted: Asked again and again while waiting.

    Raises:
        OSError: A lock file cannot be written.
    """
    if fcntl is None:
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        for card in sorted(cards):  # in one order, so that no two wait for each other
            name = re.sub(r"\W+", "-", card)
            with ExitStack() as gate:
                place = folder / f"{name}.gate"
                if not _locked(gate, place, alone, is_wanted) or not _locked(
                    held, folder / f"{name}.card", alone, is_wanted
                ):
                    held.close()
                    yield False
                    return
        yield True


def _locked(stack: ExitStack, path: Path, alone: bool, is_wanted: Callable[[], bool]) -> bool:
    """Wait for a lock, which is held as long as the stack is; False: it was no longer wanted."""
    assert fcntl is not None
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # not inherited by what is started
    stack.callback(os.close, handle)
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if not is_wanted():
                return False
        time.sleep(LOOK_EVERY)
