"""Rounds: the way of a search whose evaluator measures many networks together, as those that share weights.

Round r is a set of rows at the budget r, so that whatever judges the largest budget alone judges the newest round; a
network that stays for another round is asked again, as a new row. How a round flows stands in `docs/architecture.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from netwright.core.errors import BadReference
from netwright.core.records import Trial

# notes of every proposal of a round, besides `records.ROUND`
PLACE: Final = "place"  # 0, 1, ... in the round, in the order of asking
MEMBERS: Final = "members"  # how many rows the round has
AGE: Final = "age"  # in how many earlier rounds the network was; 0: it is new


@dataclass(frozen=True)
class Rounds:
    """How many rounds there are, and what each is made of.

    Args:
        number: Number of rounds.
        pool: Number of networks in the first round.
        new: Number of networks that the strategy brings to each later round.
        fresh: Number of random networks that come besides.
        keeps: Who stays for the next round: "best": so many of the best by their newest score that its size is `pool`
            again; "all": whoever has a score, so that rounds grow.
        trains: Whom the training before a round's scores learns from: "pool": all its members; "new": those alone that
            were in no earlier round.

    Raises:
        BadReference: Numbers that make no rounds.
    """

    number: int
    pool: int
    new: int
    fresh: int = 0
    keeps: Literal["best", "all"] = "best"
    trains: Literal["pool", "new"] = "pool"

    def __post_init__(self) -> None:
        for name, least in (("number", 1), ("pool", 1), ("new", 0), ("fresh", 0)):
            if getattr(self, name) < least:
                raise BadReference(f"the {name} of rounds is {getattr(self, name)}; it must be at least {least}")
        if self.number > 1 and self.new + self.fresh < 1:
            raise BadReference("rounds bring 0 new and 0 fresh networks; let each bring at least 1, or have one round")
        if self.number > 1 and self.keeps == "best" and self.new + self.fresh > self.pool:
            raise BadReference(
                f"rounds bring {self.new} new and {self.fresh} fresh networks to a pool of {self.pool}; bring at most "
                "as many as it has"
            )

    def size(self, number: int) -> int:
        """Number of rows of round `number`, counted from 1, whatever fails."""
        return self.pool if self.keeps == "best" else self.pool + (number - 1) * (self.new + self.fresh)

    def survivors(self, number: int) -> int:
        """Number of rows of round `number` that are asked again where all rows of the round before have scores."""
        return 0 if number == 1 else self.size(number) - self.new - self.fresh

    def rows(self, rounds: int | None = None) -> int:
        """Number of rows of the first so many rounds together; None: of all."""
        return sum(map(self.size, range(1, (self.number if rounds is None else rounds) + 1)))

    def trained(self, members: Sequence[Trial]) -> list[Trial]:
        """Those of a round's rows whose networks are trained before it is scored, in the same order."""
        return [trial for trial in members if self.trains == "pool" or not trial.proposal.notes[AGE]]
