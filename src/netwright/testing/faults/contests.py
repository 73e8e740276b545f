"""Two controllers that begin at the same instant: one plays, and the other says who does."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from os import kill
from typing import Final

from netwright.testing.faults.searching import STUCK, Play, Scene, Subject, Violated
from netwright.testing.faults.warm import Forked, Warm

REFUSED: Final = 2
FAR: Final = 10**6  # trials, which no session reaches
SAYS: Final = re.compile(r"is being searched by process (\d+) on")


@dataclass(frozen=True)
class Second:
    """A second controller begins while one plays: it is refused, and names that one."""

    name: str = "second controller"
    rows: int = 1
    codes: frozenset[int] = frozenset()

    @contextmanager
    def prepared(self, place: Scene) -> Iterator[None]:  # noqa: ARG002
        """Nothing to prepare."""
        yield

    def inject(self, session: Play, rng: random.Random) -> int:  # noqa: ARG002
        """Start one, and see it refused; not before the first one plays."""
        place = session.place
        if place.owner() != session.pid:
            return 0
        said = place.root / "second.txt"
        said.unlink(missing_ok=True)
        second = session.started_beside(said)
        until = time.monotonic() + STUCK
        while second.poll() is None:
            if time.monotonic() > until:
                raise Violated("a second controller plays, or does not say that it does not")
            time.sleep(0.01)
        text = said.read_text(errors="replace")
        found = SAYS.search(text)
        if session.poll() is None and (second.poll() != REFUSED or found is None or int(found[1]) != session.pid):
            raise Violated(f"a second controller ended with code {second.poll()}: {text.strip()[-300:]!r}")
        return 1

    def after(self, session: Play, code: int, rng: random.Random) -> None:
        """Nothing to put right."""


@dataclass(frozen=True)
class Race:
    """Contests of two controllers over one folder.

    Args:
        is_new: Whether each is over a folder that nobody has played yet.
    """

    is_new: bool

    @property
    def name(self) -> str:
        """The fault in words."""
        return f"two controllers at once, {'new folder' if self.is_new else 'run goes on'}"

    def held(self, subject: Subject, place: Scene, warm: Warm, rng: random.Random, number: int) -> None:
        """Hold one contest.

        The one that plays is then killed or asked to stop, so that the next contest is over a folder with its claim,
        or without.
        """
        plays = []
        for which in ("one", "other"):
            said = place.root / f"said-{number}-{which}.txt"
            plays.append((subject.words(place.run, FAR), place.variables(), said))
        pair = warm.at_once(plays)
        place.started.extend(pair)
        try:
            loser = self._loser(pair)
            winner = pair[1 - loser]
            text = plays[loser][2].read_text(errors="replace")
            found = SAYS.search(text)
            if pair[loser].code != REFUSED or found is None:
                raise Violated(f"contest {number}: one ended with code {pair[loser].code}: {text.strip()[-300:]!r}")
            if int(found[1]) != winner.pid:
                raise Violated(f"contest {number}: the loser names process {found[1]}, and {winner.pid} plays")
            if rng.random() < 0.5:
                time.sleep(rng.uniform(0, 0.3))
            if winner.poll() is not None:
                what = plays[1 - loser][2].read_text(errors="replace").strip()[-300:]
                raise Violated(f"contest {number}: nobody plays; the other ended with code {winner.code}: {what!r}")
        finally:
            end = rng.choice((signal.SIGTERM, signal.SIGKILL)) if place.may_lose() else signal.SIGTERM
            for each in pair:
                if each.poll() is None:
                    with suppress(ProcessLookupError):
                        kill(each.pid, end)
            self._wait(pair)

    def _loser(self, pair: list[Forked]) -> int:
        until = time.monotonic() + STUCK
        while time.monotonic() < until:
            for which, each in enumerate(pair):
                if each.poll() is not None:
                    return which
            time.sleep(0.005)
        raise Violated("two controllers play one folder, or none says that it does not")

    def _wait(self, pair: list[Forked]) -> None:
        until = time.monotonic() + STUCK
        while any(each.poll() is None for each in pair):
            if time.monotonic() > until:
                raise Violated("a controller that was asked to stop goes on")
            time.sleep(0.005)
