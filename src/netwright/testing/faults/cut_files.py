"""Files of a run that are cut or have a bit flipped while nobody plays it."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from netwright.testing.faults.searching import TABLE, Play, Scene, Violated, end

FILES: Final = {"table": TABLE, "log": f"{TABLE}-wal", "count": f"{TABLE}-count"}


@dataclass
class Damaged:
    """Everything is killed, and then a file is cut at some byte, or one of its bits flipped.

    The same command must go on and lose nothing, or refuse in a sentence: then a copy from before is put back, as a
    person would, and the command given again.

    Args:
        file: The table, its write-ahead log, or the number of its rows beside it.
        how: What is done to it.
    """

    file: Literal["table", "log", "count"]
    how: Literal["cut", "bit"]
    rows: int = 4
    codes: frozenset[int] = frozenset({2, -signal.SIGKILL})
    refused: int = 0
    _is_due: bool = field(default=False, repr=False)
    _finished: int = field(default=0, repr=False)

    @property
    def name(self) -> str:
        """The fault in words."""
        what = {"table": "table", "log": "write-ahead log", "count": "number of rows"}[self.file]
        return f"{what} cut" if self.how == "cut" else f"bit of {what} flipped"

    @contextmanager
    def prepared(self, place: Scene) -> Iterator[None]:  # noqa: ARG002
        """Nothing to prepare."""
        yield

    def inject(self, session: Play, rng: random.Random) -> int:
        """Kill everything, copy the folder, and damage the file."""
        path = session.place.run / FILES[self.file]
        # what a session has opened is whole, so that a copy of it can be put back
        if not session.place.may_lose() or not _size(path) or session.finished() <= self._finished:
            return 0
        end(session.place)
        while session.poll() is None:
            time.sleep(0.01)
        size, self._finished = _size(path), session.finished()
        if not size:
            return 0
        kept = session.place.root / "copy"
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(session.place.run, kept)
        if self.how == "cut":
            with path.open("r+b") as file:
                file.truncate(rng.randrange(size))
        else:
            with path.open("r+b") as file:
                place = rng.randrange(size)
                file.seek(place)
                [byte] = file.read(1)
                file.seek(place)
                file.write(bytes([byte ^ 1 << rng.randrange(8)]))
        self._is_due = True
        return 1

    def after(self, session: Play, code: int, rng: random.Random) -> None:  # noqa: ARG002
        """Put the copy back where the damage was refused."""
        if code != 2:
            return
        said = session.words()
        if not self._is_due or not said.startswith("netwright: ") or TABLE not in said:
            raise Violated(f"the command ended with code 2 after {self.name} and named no table: {said!r}")
        self._is_due, self.refused = False, self.refused + 1
        shutil.rmtree(session.place.run)
        shutil.copytree(session.place.root / "copy", session.place.run)


def _size(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size
    return 0
