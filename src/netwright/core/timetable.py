"""The timetable of a run that is played against the clock: all that was planned, as numbers that can be given again.

`runs/timed/timetable.py` decides them; here they are written and read. A timetable that was played also says what came
of it, in counts, so that one worker can repeat exactly what the clock once decided.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

import tomli_w
from pydantic import ConfigDict, TypeAdapter, ValidationError

from netwright.core import misfits, reading
from netwright.core.errors import BadRunFile
from netwright.core.reading import BadText, shown
from netwright.core.run_file import MOST_THREADS

FILE: Final = "timetable.toml"  # in the folder of a run that has one
MOST_HOURS: Final = 10_000.0
MOST_COUNT: Final = 10**9
MOST_SECONDS: Final = 3600 * MOST_HOURS
Precision = Literal["float32", "bfloat16"]

_COUNTS: Final = ("workers", "threads", "side", "batch", "trials", "splits", "finalists", "seeds")
_DURATIONS: Final = ("search_seconds", "contest_seconds", "rank_seconds", "final_seconds")


@dataclass(frozen=True, kw_only=True)
class PlayedHeat:
    """What the clock decided in a heat of the contest, in counts, by which it is repeated without one.

    Args:
        name: Name of the heat, as in `core.contest`.
        keys: Keys of its networks.
        repeats: Trainings of each network, from different seeds.
        budget: Budget of each, in seconds of the pace; 0: as long as its options say.
        ends: For each network, each of its `repeats` and each division of the images, where the training ended: its
            steps, its span, and the steps at which its cooldown bent, as `evaluator.cuts` has them; empty: not noted,
            as where it failed.
        threads: Threads of each training; 0: those of the timetable.

    Raises:
        ValueError: A number is out of range, or does not go with the others.
    """

    name: str
    keys: tuple[str, ...]
    repeats: int
    budget: int
    ends: tuple[tuple[tuple[tuple[int, ...], ...], ...], ...]
    threads: int = 0

    __pydantic_config__ = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        if len(self.keys) != len(self.ends) or any(len(each) != self.repeats for each in self.ends):
            raise ValueError(f"the heat {shown(self.name)} must have ends for each of its keys and repeats")
        if not 0 <= self.budget <= MOST_COUNT or not 1 <= self.repeats <= MOST_COUNT:
            raise ValueError(f"the heat {shown(self.name)} must have a budget of at least 0 and repeats of at least 1")
        if not 0 <= self.threads <= MOST_THREADS:
            raise ValueError(f"the heat {shown(self.name)} must have threads from 0 to {MOST_THREADS:,}")
        if not all(is_end(end) for each in self.ends for repeat in each for end in repeat):
            raise ValueError(f"the heat {shown(self.name)} must have ends of steps, span and bends, from 1 on")


def is_end(numbers: Sequence[int]) -> bool:
    """Whether numbers say where a training ended: its steps, its span, and ascending steps at which its rate bent."""
    bends = list(numbers[2:])
    return len(numbers) >= 2 and min(numbers) >= 1 and bends == sorted(set(bends))


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """What a timed run does when, in numbers.

    Args:
        hours: Wall-clock hours of the whole, from the first measurement to the report.
        workers: Trainings that run side by side.
        threads: Threads of each.
        side: Height and width of the images, in pixels; the larger one where they differ.
        batch: Images per step.
        precision: Number format of the forward pass.
        pace: Factors from what a network does to the seconds of a step on the machine, as `training.pace` fits them.
        rungs: Budgets of trials in seconds of the pace, ascending.
        trials: Rows of the search that are expected to fit, over all rungs.
        splits: Divisions into training and validation images that each trial is measured on.
        finalists: Networks of the search that enter the contest, beside the reference.
        search_seconds: Wall-clock seconds of the search.
        contest_seconds: Wall-clock seconds of the contest.
        rank_seconds: Seconds of each training by which the finalists and the reference are ranked.
        final_seconds: Seconds of the last trainings of what ships, and of those of the reference.
        seeds: Last trainings of each of the two that are expected to share these seconds, from different seeds.
        reference: The network that the user names to be the one to beat; "": the plain one; None: not noted, as by
            earlier releases.
        played: What the clock decided when this was played, by name, such as the finished "trials"; empty: it was not
            played to its end.
        heats: What the clock decided in the contest, or is to be repeated of another one; empty: none is known.

    Raises:
        ValueError: A number is out of range.
    """

    hours: float
    workers: int
    threads: int
    side: int
    batch: int
    precision: Precision
    pace: tuple[float, ...]
    rungs: tuple[int, ...]
    trials: int
    splits: int
    finalists: int
    search_seconds: float
    contest_seconds: float
    rank_seconds: float
    final_seconds: float
    seeds: int = 1
    reference: str | None = None
    played: Mapping[str, int] = field(default_factory=dict)
    heats: tuple[PlayedHeat, ...] = ()

    __pydantic_config__ = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        if not 0 < self.hours <= MOST_HOURS:
            raise ValueError(f"hours must be above 0 and at most {MOST_HOURS:,.0f}, got {self.hours}")
        for name in _COUNTS:
            if not 1 <= getattr(self, name) <= MOST_COUNT:
                raise ValueError(f"{name} must be from 1 to {MOST_COUNT:,}, got {getattr(self, name)}")
        for name in _DURATIONS:
            if not 0 < getattr(self, name) <= MOST_SECONDS:
                raise ValueError(f"{name} must be above 0 and no more than the hours, got {getattr(self, name)}")
        if self.search_seconds + self.contest_seconds > 3600 * self.hours * (1 + 1e-9):
            raise ValueError("search_seconds and contest_seconds must be no more than the hours together")
        if not self.rungs or list(self.rungs) != sorted(set(self.rungs)) or self.rungs[0] < 1:
            raise ValueError(f"rungs must be whole seconds from 1, ascending, got {list(self.rungs)}")
        if not all(0 <= factor < math.inf for factor in self.pace):
            raise ValueError(f"pace must be numbers of at least 0, got {list(self.pace)}")
        if any(count < 0 for count in self.played.values()):
            raise ValueError(f"played must be counts of at least 0, got {dict(self.played)}")


def to_toml(timetable: Timetable) -> str:
    """The timetable as text; `from_toml` gives it back."""
    values = {each.name: getattr(timetable, each.name) for each in fields(timetable)}
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    played, heats = dict(listed.pop("played")), listed.pop("heats")
    came = {"played": played, "heats": [asdict(heat) for heat in heats]}
    noted = {name: value for name, value in listed.items() if value is not None}
    return tomli_w.dumps(noted | {name: value for name, value in came.items() if value})


def from_toml(text: str, name: str) -> Timetable:
    """Inverse of `to_toml`.

    Args:
        text: The text.
        name: What it is called in messages.

    Raises:
        BadRunFile: It is no TOML, or no timetable; names the number at fault.
    """
    try:
        return _checked(reading.toml(text))
    except BadText as error:
        raise BadRunFile(f"{name} {error}") from None
    except ValidationError as error:
        misfit = misfits.first(error)
        where, reason = misfit.where, misfit.why
        at_fault = f"its {shown(where)} is {shown(misfit.value)}: " if where else ""
        if misfit.kind == "missing":
            at_fault, reason = f"it has no {where}: ", "a timetable has one"
        raise BadRunFile(
            f"{name} is no timetable: {at_fault}{reason}; give the {FILE} of a run as it was written"
        ) from None


def read(path: Path) -> Timetable:
    """The timetable in a file. Raises BadRunFile for a file that is missing, or holds none."""
    name = f"the timetable {reading.line(str(path))}"
    try:
        text = reading.file(path)
    except BadText as error:
        raise BadRunFile(f"{name} {error}") from None
    return from_toml(text, name)


def _checked(tables: Mapping[str, Any]) -> Timetable:
    """The timetable of TOML tables, by way of JSON, of which alone pydantic takes no "64" for a number."""
    return TypeAdapter(Timetable).validate_json(json.dumps(tables, default=str), strict=True)
