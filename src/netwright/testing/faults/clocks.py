"""The clock of the day jumps, in every process of a search at once."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from netwright.testing.faults.searching import Play, Scene

JUMPING: Final = Path(__file__).parent / "jumping"
JUMPS: Final = (1.0, 60.0, 3600.0, 86_400.0, 3.2e8)  # seconds, up to ten years
READ_IN: Final = 5.0  # seconds in which some process should have read the new time


@dataclass
class ClockJumps:
    """`time.time` jumps forward or back; a jump that no process has read is not counted."""

    name: str = "clock jumps"
    rows: int = 2
    codes: frozenset[int] = frozenset()

    @contextmanager
    def prepared(self, place: Scene) -> Iterator[None]:
        """Have every Python that is started for the search load what reads the file of the jumps."""
        _file(place).write_text("0.0", encoding="ascii")
        before = os.environ.get("PYTHONPATH", "")
        place.environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(JUMPING), before)))
        place.environment["NETWRIGHT_CHAOS_CLOCK"] = str(_file(place))
        yield

    def inject(self, session: Play, rng: random.Random) -> int:
        """Jump, and wait until somebody has seen it."""
        path = _file(session.place)
        text = repr(rng.choice((-1, 1)) * rng.choice(JUMPS) * rng.uniform(0.5, 1.0))
        draft = path.with_suffix(".new")
        draft.write_text(text, encoding="ascii")
        draft.replace(path)
        seen = Path(f"{path}.seen")
        until = time.monotonic() + READ_IN

        def is_seen() -> bool:
            return seen.exists() and text in seen.read_text(encoding="ascii")

        session.sleep(until - time.monotonic(), is_seen)
        return int(is_seen())

    def after(self, session: Play, code: int, rng: random.Random) -> None:
        """Nothing to put right."""


def _file(place: Scene) -> Path:
    return place.root / "clock"
