"""What goes wrong or slow, strategies above all, found by processes as `tests.comparison.strange:Raising`."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from netwright.core.errors import BadReference
from netwright.core.protocols import SearchSpace, Task  # noqa: F401 - of the toys' annotations
from netwright.core.records import IO, Proposal
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask


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
class Spawning(Raising):
    """Starts a process in a session of its own, and prints its number."""

    def ask(self, rng, pending):
        if self.asked == 0:
            code = "import time; time.sleep(600)"
            print(subprocess.Popen([sys.executable, "-c", code], start_new_session=True).pid, flush=True)
        return Proposal(self.space.sample(rng))


@dataclass
class Leaving(Raising):
    """Asks its program to end at its third ask."""

    def ask(self, rng, pending):
        if self.asked == 2:
            sys.exit("enough")
        return Proposal(self.space.sample(rng))


@dataclass
class Exiting(Raising):
    """Ends its process at its third ask, without a word."""

    def ask(self, rng, pending):
        if self.asked == 2:
            os._exit(3)
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

    def ask(self, rng, pending):
        return None

    def tell(self, trial, rng):
        pass


@dataclass(frozen=True)
class Stamped(ToyTask):
    """Its data is what stands in a file."""

    path: str = ""

    def fingerprint(self):
        return Path(self.path).read_text()


@dataclass(frozen=True)
class Placed(Stamped):
    """The same, and says so."""

    whereabouts: ClassVar = ("path",)


@dataclass(frozen=True)
class Pictures(ToyTask):
    """Images, as far as their shape goes."""

    io: ClassVar[IO] = IO(1, 8, 8, 10)


@dataclass(frozen=True)
class Untrainable(ToyEvaluator):
    """Fails when networks are trained in full, and in searches where the first gene is `fails_at`."""

    fails_at: int = -1

    def evaluate(self, trial, context):
        if self.split == "test":
            raise ValueError("no memory for so long a training")
        if self.fails_at in (trial.proposal.genotype[0], 99):
            raise ValueError("a bad gene")
        return super().evaluate(trial, context)


@dataclass(frozen=True)
class Mortal(ToyEvaluator):
    """Its first full training kills the process, and leaves a mark."""

    mark: str = ""

    def evaluate(self, trial, context):
        if self.split == "test" and not Path(self.mark).exists():
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(trial, context)


@dataclass(frozen=True)
class Uncountable(ToySpace):
    """Describes no network at all."""

    def count(self, genotype, io):
        raise BadReference("space.length is 12; no such network fits")


def not_a_table(path: str = ""):
    return path
