"""What became of the training before each round, as it is noted in the shared folder of a run for people to see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from netwright.core import files, reading

SHARED: Final = "shared"  # folder within a run's
ROUNDS: Final = "rounds.json"
_MOST: Final = 2**20  # characters


@dataclass(frozen=True)
class TrainedRound:
    """The training before the scores of a round.

    Args:
        round: Its number, from 1.
        steps: Steps of all rounds so far.
        seconds: Wall-clock seconds of the same.
        loss: Mean training loss of the last pass over the data, as far as it came.
        networks: Number of networks that the steps of the round were drawn from.
    """

    round: int
    steps: int
    seconds: float
    loss: float
    networks: int


def note(folder: Path, found: TrainedRound) -> None:
    """Note what became of a round in a shared folder; what was noted of it before, or of later ones, is replaced."""
    listed = [each for each in noted(folder) if each.round < found.round] + [found]
    text = json.dumps([asdict(each) for each in listed])
    files.write(folder / ROUNDS, f"{files.checksum(text)} {text}\n".encode())


def noted(folder: Path) -> list[TrainedRound]:
    """What was noted in a shared folder, in order of rounds; empty where there is nothing, or it was changed since."""
    with suppress(OSError, ValueError, TypeError, RecursionError, reading.BadText):
        checksum, _, text = reading.file(folder / ROUNDS, _MOST).strip().partition(" ")
        if int(checksum) == files.checksum(text):
            return [TrainedRound(**each) for each in json.loads(text)]
    return []


def sentence(rounds: Sequence[TrainedRound]) -> str:
    """What shared trainings took, in a sentence without a full stop; "": there were none."""
    if not rounds:
        return ""
    last = rounds[-1]
    plural = "s" if len(rounds) > 1 else ""
    return (
        f"shared weights were trained for {last.steps:,} steps in {len(rounds)} round{plural}, "
        f"{last.seconds / 60:,.1f} minutes besides the trials"
    )
