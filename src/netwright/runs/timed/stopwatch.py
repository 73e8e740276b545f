"""The time of a timed run: how much is used, over all its sessions, what it is used for, and when it will be over."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from netwright.core import files, reading
from netwright.core.errors import StoreError
from netwright.core.reading import BadText, shown
from netwright.core.timetable import MOST_SECONDS
from netwright.runs.display import clock

FILE: Final = "used_seconds.txt"
NOTE_EVERY: Final = 2.0  # seconds between notes, as many as a kill can lose


class Stopwatch:
    """Counts the seconds of a run from the start of a command on, and those of earlier sessions.

    Args:
        now: Gives the seconds of a clock that never goes back.
        begun: What the clock gave when the command began; None: it begins now.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, begun: float | None = None) -> None:
        self._now = now
        self._begun = now() if begun is None else begun
        self.start_up = now() - self._begun  # seconds that a process takes to start
        self._earlier = 0.0
        self.total = 0.0  # seconds of the whole; 0: not decided yet
        self.stage = ""  # what the time is used for
        self.stage_ends = 0.0  # seconds used when the stage is to end; 0: it has no end of its own
        self.then = "the same command goes on"  # what happens next where the run is stopped now

    @property
    def used(self) -> float:
        """Seconds used so far."""
        return self._earlier + self._now() - self._begun

    @property
    def left(self) -> float:
        """Seconds left of the whole; below 0: it takes longer."""
        return self.total - self.used

    def now(self) -> float:
        """The seconds of the clock."""
        return self._now()

    def enter(self, stage: str, seconds: float = 0.0) -> None:
        """Begin a stage, which is to take so many seconds; 0: as long as it takes."""
        self.stage, self.stage_ends = stage, self.used + seconds if seconds else 0.0

    def outlook(self) -> str:
        """For people: what is done now, until when, and when all will be over."""
        used = self.used
        until = f", {clock(self.stage_ends - used)} to go" if self.stage_ends else ""
        now = datetime.now()
        end = now + timedelta(seconds=max(0.0, self.left))
        day = "" if end.date() == now.date() else f" on {end:%B} {end.day}"
        return f"{self.stage}{until}; {clock(used)} of {clock(self.total)} used, all done about {end:%H:%M}{day}"

    def recall(self, folder: Path) -> None:
        """Add the seconds of earlier sessions. Raises StoreError for a note of them that cannot be read."""
        path = folder / FILE
        if not path.exists():
            return
        try:
            text = reading.file(path, 100)
        except BadText as error:
            raise StoreError(f"{path} {error}") from None
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= MOST_SECONDS:
            raise StoreError(
                f"{path} holds {shown(text.strip(), 40)}, which is no number of seconds used; remove it to give the "
                "run all of its time again"
            )
        self._earlier = seconds

    @contextmanager
    def noting(self, folder: Path) -> Iterator[None]:
        """Note the seconds used in a folder, every few seconds and at the end."""
        over = threading.Event()

        def note() -> None:
            while not over.wait(NOTE_EVERY):
                self._note(folder)

        thread = threading.Thread(target=note, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._note(folder)

    def _note(self, folder: Path) -> None:
        if folder.is_dir():  # it may have been removed
            try:
                files.write(folder / FILE, f"{self.used:.1f}\n".encode())
            except OSError:  # a full disk ends what matters more
                return
