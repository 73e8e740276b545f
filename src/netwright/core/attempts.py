"""How a trial is tried again when memory runs out, of a card or of the machine: alone there, then in halves, no more.

The table remembers how often it ran out, so that a kill at any moment repeats an attempt and skips none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Final, Literal, Protocol, get_args

Memory = Literal["card", "machine"]

MOST: Final = 3  # attempts of a trial
PARTS: Final = 2  # times as many parts of a batch in the last of them
MOST_CHARACTERS: Final = 500  # of what is said of sizes

_WHOSE: Final[Mapping[Memory, str]] = MappingProxyType({"card": "the card's", "machine": "the machine's"})
_NOTES: Final = (
    "",
    "{whose} memory ran out beside other trials{sizes}; measured with the {place} to itself",
    "{whose} memory ran out, also with the {place} to itself{sizes}; measured with half a batch at a time, whose "
    "gradients add up: batch normalization saw halves",
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
        ran_out: How often memory has run out before: 0, 1 or 2.
        place: Whose memory ran out last.
        sizes: What is known of that: what was free and what the trial needs, in words; "": nothing.
    """

    ran_out: int = 0
    place: Memory = "card"
    sizes: str = ""

    @property
    def is_alone(self) -> bool:
        """Whether the trial has to itself what ran out of memory."""
        return self.ran_out > 0

    @property
    def is_in_parts(self) -> bool:
        """Whether each batch is worked through in `PARTS` times as many parts."""
        return self.ran_out > 1

    def next(self, place: Memory, sizes: str = "") -> Attempt | None:
        """What follows when memory runs out once more, there and so; None: the trial has failed."""
        return Attempt(self.ran_out + 1, place, sizes[:MOST_CHARACTERS]) if self.ran_out + 1 < MOST else None

    def noted(self, message: str) -> str:
        """The message of a result of this attempt, which says how it came about."""
        sizes = f" ({self.sizes})" if self.sizes else ""
        note = _NOTES[self.ran_out].format(whose=_WHOSE[self.place], place=self.place, sizes=sizes)
        return "; ".join(filter(None, (note, message)))

    def failed(self, message: str, place: Memory, estimate: str = "", refusal: str = "") -> str:
        """The message of a trial whose memory ran out once more at this attempt, which was the last.

        Args:
            message: What was said of that.
            place: Whose memory ran out.
            estimate: What the trial was estimated to take, in words; "": it is not known.
            refusal: Why there is no further attempt, in words; "": there are no more.
        """
        how = f"with the {place} to itself" if self.is_alone else ""
        how += f"{' and ' if how else ''}half a batch at a time" if self.is_in_parts else ""
        said = f"that was {how}{estimate}" if how else estimate.removeprefix(", ")
        return "; ".join(filter(None, (message.rstrip(), said, refusal)))


def of(facts: Remembers, trial_id: int) -> Attempt:
    """The attempt that a trial is at."""
    text = facts.recall(_name(trial_id)) or ""
    if text.isdecimal():  # as earlier releases wrote it, of cards alone
        return Attempt(min(int(text), MOST - 1))
    try:
        found = Attempt(**json.loads(text))
    except (ValueError, TypeError, RecursionError):
        return Attempt()
    is_one = type(found.ran_out) is int and found.ran_out >= 0 and isinstance(found.sizes, str)
    if not is_one or found.place not in get_args(Memory):
        return Attempt()
    return replace(found, ran_out=min(found.ran_out, MOST - 1), sizes=found.sizes[:MOST_CHARACTERS])


def note(facts: Remembers, trial_id: int, attempt: Attempt) -> None:
    """Have the table remember which attempt comes next."""
    facts.remember(_name(trial_id), json.dumps(asdict(attempt)))


def _name(trial_id: int) -> str:
    return f"memory ran out {trial_id}"
