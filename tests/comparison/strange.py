"""Strategies that go wrong or slow, found by processes as `tests.comparison.strange:Raising`."""

import os
import signal
import sys
import time
from dataclasses import dataclass

from netwright.core.errors import BadReference
from netwright.core.protocols import SearchSpace
from netwright.core.records import Proposal


@dataclass
class Raising:
    """Raises at its third ask."""

    space: SearchSpace
    asked: int = 0

    def ask(self, rng, pending):
        if self.asked == 2:
            raise KeyError("two\nlines")
        return Proposal(self.space.sample(rng))

    def tell(self, trial, rng):
        self.asked += 1


@dataclass
class Dying(Raising):
    """Kills its process at its third ask."""

    def ask(self, rng, pending):
        if self.asked == 2:
            print("last words", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return Proposal(self.space.sample(rng))


@dataclass
class Fragile(Raising):
    """Kills its process from some seeds."""

    def ask(self, rng, pending):
        if self.asked == 2 and rng.random() < 0.2:
            os.kill(os.getpid(), signal.SIGKILL)
        return Proposal(self.space.sample(rng))


@dataclass
class Printing(Raising):
    """Prints where nobody should."""

    def ask(self, rng, pending):
        print("hello", flush=True)
        os.write(1, b"{}\n")
        return Proposal(self.space.sample(rng))


@dataclass
class Slow(Raising):
    """Thinks for a while."""

    seconds: float = 0.05

    def ask(self, rng, pending):
        time.sleep(self.seconds)
        return Proposal(self.space.sample(rng))


@dataclass
class Stray(Raising):
    """Proposes what is no network."""

    def ask(self, rng, pending):
        return Proposal((99,) * len(self.space.genes))


@dataclass
class Remembering:
    """Keeps what it was told in a list that its constructor takes."""

    space: SearchSpace
    told: list | None = None

    def __post_init__(self):
        self.told = [] if self.told is None else self.told

    def ask(self, rng, pending):
        return None if len(self.told) >= 3 else Proposal(self.space.sample(rng))

    def tell(self, trial, rng):
        self.told.append(trial.id)


@dataclass
class TwoGoals:
    """Takes two objectives and no less."""

    space: SearchSpace
    objectives: tuple[str, ...] = ()

    def __post_init__(self):
        if len(self.objectives) < 2:
            raise BadReference(f"two_goals weighs two objectives, the run has {len(self.objectives)}")


def not_a_table(path: str = ""):
    return path
