"""What is noted of a contest of a timed run in its table: who entered, for how long, who ships, and the verdict."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final, Literal

from netwright.core.finals import Candidate

FACT: Final = "contest"  # its name in the table of the run
Shipped = Literal["searched", "reference"]


@dataclass(frozen=True)
class Entrant:
    """A network in a contest.

    Args:
        candidate: The network; `is_reference` says whether it is the one to beat.
        space: Reference of its space, as text; "": the space of the run.
        teachers: Folder of the networks that it is distilled from, as seen from its trainings; "": from none.
    """

    candidate: Candidate
    space: str = ""
    teachers: str = ""


@dataclass(frozen=True)
class Heat:
    """Trainings that are compared, and made alike.

    Args:
        name: "rank": on training data, ranked by validation; "distill": as that, from averaged outputs; "final": on
            both, tested; "instead": as that, where no training of the final succeeded.
        entrants: The networks.
        seconds: Wall-clock seconds of each training; 0: no limit.
        budget: Budget of each training in seconds of the pace; None: as long as its options say.
        repeats: Number of trainings of each network, from different seeds.
        begin: Folder of the states that they go on from, as seen from the trainings; "": they begin anew.
        deadlines: Wall-clock seconds of each training of each network, where what they go on from differs; empty: all
            have `seconds`.
        total: Seconds that each training comes to, with those that what it goes on from would take by its threads.
        ends: Where the trainings are to end, as `core.timetable.PlayedHeat` has it; empty: by the clock.
        threads: Threads of each training; None: those of the run.
        gain: How many times as many steps they do in a second as those of the run.
        early_size: Share of their sides that images have until rates fall.
    """

    name: Literal["rank", "distill", "final", "instead"]
    entrants: tuple[Entrant, ...]
    seconds: float = 0.0
    budget: int | None = None
    repeats: int = 1
    begin: str = ""
    deadlines: tuple[float, ...] = ()
    total: float = 0.0
    ends: tuple[tuple[tuple[tuple[int, ...], ...], ...], ...] = ()
    threads: int | None = None
    gain: float = 1.0
    early_size: float = 1.0


@dataclass(frozen=True)
class ContestRecord:
    """How far a contest has come.

    Args:
        reference: The reference that the user gave; "": the plain one.
        heats: Those that have begun, in order.
        shipped: Whether what ships is a network of the search; None: not decided.
        reason: Why, in a sentence.
        trainings: Name of the folder, within the run's, of the trainings of what ships; "": it is not tested yet.
        genotype: Genotype of what ships, in the space of these trainings.
        verdict: How it does beside the reference, in a sentence.
    """

    reference: str = ""
    heats: tuple[Heat, ...] = ()
    shipped: Shipped | None = None
    reason: str = ""
    trainings: str = ""
    genotype: tuple[int | float, ...] = ()
    verdict: str = ""

    def heat(self, name: str) -> Heat | None:
        """The heat of that name; None: it has not begun."""
        return next((heat for heat in self.heats if heat.name == name), None)


def to_json(record: ContestRecord) -> str:
    """The record as the table keeps it."""
    return json.dumps(asdict(record))
