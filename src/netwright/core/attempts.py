"""How a trial is tried again when a card's memory runs out: alone on the card, then in halves, then no more.

The table remembers how often it ran out, so that a kill at any moment repeats an attempt and skips none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

MOST: Final = 3  # attempts of a trial
PARTS: Final = 2  # times as many parts of a batch in the last of them

_NOTES: Final = (
    "",
    "the card's memory ran out beside other trials; measured with the card to itself",
    "the card's memory ran out, also with the card to itself; measured with half a batch at a time, whose gradients "
    "add up: batch normalization saw halves",
)


class Remembers(Protocol):
    """What keeps texts by name: the table."""

    def remember(self, name: str, text: str) -> None:
        """Keep a text."""

    def recall(self, name: str) -> str | None:
        """A text that was kept; None: there is none of that name."""


@dataclass(frozen=True)
class Attempt:
    """An attempt at a trial.

    Args:
        ran_out: How often the card's memory has run out before: 0, 1 or 2.
    """

    ran_out: int = 0

    @property
    def is_alone(self) -> bool:
        """Whether the trial has the card to itself."""
        return self.ran_out > 0

    @property
    def is_in_parts(self) -> bool:
        """Whether each batch is worked through in `PARTS` times as many parts."""
        return self.ran_out > 1

    @property
    def next(self) -> Attempt | None:
        """What follows when memory runs out once more; None: the trial has failed."""
        return Attempt(self.ran_out + 1) if self.ran_out + 1 < MOST else None

    def noted(self, message: str) -> str:
        """The message of a result of this attempt, which says how it came about."""
        return "; ".join(filter(None, (_NOTES[self.ran_out], message)))


def of(facts: Remembers, trial_id: int) -> Attempt:
    """The attempt that a trial is at."""
    text = facts.recall(_name(trial_id))
    return Attempt(min(int(text), MOST - 1)) if text is not None and text.isdecimal() else Attempt()


def note(facts: Remembers, trial_id: int, attempt: Attempt) -> None:
    """Have the table remember which attempt comes next."""
    facts.remember(_name(trial_id), str(attempt.ran_out))


def _name(trial_id: int) -> str:
    return f"memory ran out {trial_id}"
