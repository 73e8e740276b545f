"""One thing that is wrong with a run's folder: what it is, what to do, and what a repair would set aside."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

Kind = Literal[
    "no run",
    "comparison",
    "format",
    "table",
    "controller",
    "leases",
    "orphans",
    "unwritable",
    "room",
    "path",
    "network disk",
    "trial folders",
    "checkpoints",
    "weights",
    "export",
    "data",
    "drafts",
]
LISTED: Final = 5  # numbers or names in a sentence


@dataclass(frozen=True)
class Finding:
    """What is wrong.

    Args:
        kind: Which kind of thing.
        what: What is wrong, as a clause.
        remedy: What to do, as a clause.
        aside: Files and folders that a repair sets aside.
        is_in_table: Whether a repair sets right what stands in the table.
    """

    kind: Kind
    what: str
    remedy: str
    aside: tuple[Path, ...] = ()
    is_in_table: bool = False

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


def of_sentence(kind: Kind, sentence: str, remedy: str, *, is_in_table: bool = False) -> Finding:
    """A finding whose sentence may say behind a semicolon what to do; `remedy` stands in where it does not."""
    what, _, said = sentence.partition("; ")
    return Finding(kind, what, said or remedy, is_in_table=is_in_table)


def listed(things: Iterable[object]) -> str:
    """The first few of some things: "3, 4, 7 and 12 more"."""
    words = list(map(str, things))
    more = len(words) - LISTED
    return ", ".join(words[:LISTED]) + (f" and {more:,} more" if more > 0 else "")


def search(folder: Path) -> str:
    """The command that goes on with the run of a folder."""
    return f"`netwright search --out {folder}`"
