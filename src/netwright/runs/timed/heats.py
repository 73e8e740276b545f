"""A heat of a contest: networks that are trained alike, for the same seconds each, and what became of each of them."""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import Parameter
from pathlib import Path
from typing import Any, Protocol

from netwright.core import building, contest, in_full, refs
from netwright.core.contest import ContestRecord, Entrant, Heat
from netwright.core.errors import InvalidGenotype
from netwright.core.finals import Final
from netwright.core.objectives import Objective
from netwright.core.protocols import ClassifiesImages, SearchSpace, Task, TrainsToBudgets, of_any_seed
from netwright.core.records import Trial
from netwright.core.run_file import RunFile
from netwright.core.shapes import positions
from netwright.core.timetable import PlayedHeat
from netwright.data.images import ImageClassification
from netwright.runs import retraining, run_folder
from netwright.runs.session import Session
from netwright.runs.timed import probe, states
from netwright.runs.timed import timetable as plans
from netwright.runs.timed.states import Begun
from netwright.training import resizing
from netwright.training.standing import ends_in

# of a set of trainings before its first step: processes that start, each about as long as the command did, and data
# that is read
START_SECONDS, STARTS = 1.5, 1.3
# budgets in seconds of the pace are so much larger than what should fit: the deadline ends a training, and no time is
# left over where the machine is faster than its pace said
ROOM = 2.0
BEYOND = 10  # times the budget: the horizon of trainings whose rate stays, so that the last ones can go on from them
LEAST_SECONDS = 0.1  # of a training where no time is left, or that goes on from more than the others come to
DISTILLED = 0.5  # share of the loss
SPLITS = {"rank": "valid", "distill": "valid", "final": "test", "instead": "test"}

Standings = list[tuple[Entrant, Final]]


class Times(Protocol):
    """What a contest asks of a timetable (`core.timetable`)."""

    @property
    def finalists(self) -> int:
        """Networks of the search that enter, beside the reference."""

    @property
    def rank_seconds(self) -> float:
        """Planned seconds of each training that ranks them."""

    @property
    def final_seconds(self) -> float:
        """Planned seconds of each of the last trainings."""

    @property
    def heats(self) -> tuple[PlayedHeat, ...]:
        """Those that are to be repeated; empty: the clock decides."""


@dataclass(frozen=True)
class Floor:
    """What all heats of a contest share.

    Args:
        session: Plays the trainings and says what happens.
        folder: Folder of the run.
        run: Its run file.
        task: Its task.
        timetable: How many enter, and the planned lengths of trainings.
        until: `time.monotonic()` at which the contest must be over.
        start_up: Seconds that a process took to start in this run.
        repeats: Heats that are to be repeated; empty: the clock decides.
    """

    session: Session
    folder: Path
    run: RunFile
    task: Task
    timetable: Times
    until: float
    start_up: float = 0.0
    repeats: tuple[PlayedHeat, ...] = ()

    @cached_property
    def space(self) -> SearchSpace:
        """The space of the run, with its constraints."""
        return building.build_space(self.run, self.task)

    @property
    def objective(self) -> Objective:
        """What the search maximizes or minimizes first; without a name where nobody said what."""
        return Objective.read((self.run.objectives or ("",))[0])

    @property
    def left(self) -> float:
        """Seconds until the contest must be over."""
        return self.until - time.monotonic()

    @property
    def start(self) -> float:
        """Seconds of a set of trainings before its first step."""
        return START_SECONDS + STARTS * self.start_up

    @property
    def workers(self) -> int:
        """Trainings that run side by side."""
        return self.run.workers or 1

    @property
    def on_a_card(self) -> int:
        """Trainings that share a card in the search, by which its pace is slower than one alone may be."""
        each = self.run.executor.options.get("trials_per_gpu")
        return each if isinstance(each, int) else 1

    @property
    def example(self) -> str:
        """What people call an example of the task."""
        return "image" if isinstance(self.task, ClassifiesImages) else "example"

    @cached_property
    def counts_seconds(self) -> bool:
        """Whether budgets of trainings are seconds."""
        evaluator = refs.load("evaluator", self.run.evaluator, space=self.space, task=self.task)
        return isinstance(evaluator, TrainsToBudgets) and evaluator.budget_unit == "seconds"

    @cached_property
    def pass_seconds(self) -> float:
        """Seconds of a pass of the plain network over training and validation images; 0: there is no pace to tell."""
        numbers, batch = self.option("pace"), self.option("batch")
        if not (isinstance(self.task, ImageClassification) and isinstance(numbers, list | tuple) and numbers and batch):
            return 0.0
        images = self.task.examples("train") + self.task.examples("valid")
        return probe.pass_seconds(self.task.io, numbers, batch, images, self.early_size)

    @property
    def keeps_rate(self) -> bool:
        """Whether the rate of a training stays, until it falls at the end: it can then end at any step."""
        return self.option("schedule") in (None, "constant")

    @property
    def is_limited(self) -> bool:
        """Whether trainings end by a deadline: those whose rates were laid out to a last step could not."""
        return self.takes("deadline") and self.keeps_rate

    @property
    def leaves_states(self) -> bool:
        """Whether trainings that rank networks keep their rate: averaged weights compare without its fall."""
        return self.counts_seconds and self.keeps_rate and bool(self.option("averaging") or self.option("ema"))

    def takes(self, option: str) -> bool:
        """Whether the evaluator of the run has an option of that name."""
        return option in self._options

    def option(self, name: str) -> Any:
        """What an option of the evaluator is in the search; None: there is no such option."""
        given = self.run.evaluator.options
        return given[name] if name in given else self._options[name].default if name in self._options else None

    @cached_property
    def _options(self) -> dict[str, Parameter]:
        return refs.options_of(refs.locate("evaluator", self.run.evaluator.name))

    @property
    def early_size(self) -> float:
        """Share of their sides that images have in the search until rates fall."""
        return self.option("early_size") or 1.0

    def early_size_of(self, entrants: Sequence[Entrant]) -> float:
        """The same in a heat: that of the search if all networks take such images, else all of it.

        Else some would be measured by whole images and some by smaller ones.
        """
        share, io = self.early_size, self.task.io
        if share == 1:
            return 1.0

        def takes(each: Entrant) -> bool:
            genotype = each.candidate.genotype
            with suppress(InvalidGenotype):
                space = self._space_of(each)
                return of_any_seed(space, lambda own: resizing.fitting(own, genotype, io, share)) is not None
            return False

        return share if all(map(takes, entrants)) else 1.0

    def dearer(self, heat: Heat) -> float:
        """How many times as long as in the search a step of a heat takes at most, on average over its schedule."""
        if self.early_size == 1:
            return 1.0
        most = positions(self.task.io.input) / positions(resizing.early(self.task.io, self.early_size).input)
        if heat.early_size == 1:
            return most
        late = self.option("cooldown") or plans.COOLDOWN
        return late * most + (1 - late)

    def key(self, entrant: Entrant) -> str:
        """Key of a network in its space."""
        return self._space_of(entrant).key(entrant.candidate.genotype)

    def _space_of(self, entrant: Entrant) -> SearchSpace:
        return building.load_space(refs.parse(entrant.space)) if entrant.space else self.space

    def repeated(self, heat: Heat) -> PlayedHeat | None:
        """What the clock decided in that heat, where it is to be repeated, with these networks; None: it is not."""
        keys = tuple(map(self.key, heat.entrants))
        return next((each for each in self.repeats if (each.name, each.keys) == (heat.name, keys)), None)

    def saved(self, record: ContestRecord) -> ContestRecord:
        """The record, once it stands in the table of the run."""
        with closing(run_folder.open_table(self.folder, "join")) as store:
            store.remember(contest.FACT, contest.to_json(record))
        return record


def waves(counts: Sequence[int], workers: int) -> int:
    """How many trainings one after another the busiest worker has; each set of trainings waits for the one before."""
    return sum(math.ceil(count / workers) for count in counts)


def last_seconds(floor: Floor, entrants: Sequence[Entrant], room: float, repeats: int = 0) -> tuple[int, float]:
    """How many last trainings of each network fit so many seconds, unless it is given, and the seconds of each."""
    counts = [len(own) for own in sets(entrants)]
    if not repeats:
        seconds = room / waves(counts, floor.workers)
        repeats = plans.seeds_for(seconds, floor.pass_seconds) if floor.is_limited else 1
    return repeats, room / waves([repeats * count for count in counts], floor.workers)


def total(seconds: float, had: Sequence[Sequence[float]], workers: int) -> float:
    """Seconds at which all networks are alike, with those that each had before, and fit the time of a heat.

    Args:
        seconds: Seconds of each training, if nobody had any before.
        had: For each set of trainings, the seconds that each network had before.
        workers: Trainings that run side by side.
    """
    room = seconds * waves([len(each) for each in had], workers)
    low, high = min(map(min, had)), max(map(max, had)) + room
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _busiest(middle, had, workers) <= room else (low, middle)
    return low


def _busiest(total: float, had: Sequence[Sequence[float]], workers: int) -> float:
    """Seconds of all sets of trainings one after another, each network of which comes to a total."""
    found = 0.0
    for each in had:
        busy = [0.0] * min(workers, len(each))
        for before in each:
            heapq.heapreplace(busy, busy[0] + max(0.0, total - before))
        found += max(busy)
    return found


def timed(floor: Floor, heat: Heat, begun: Mapping[str, Begun]) -> Heat:
    """The heat with what ends its trainings, from the states that there are, which are gathered for it.

    All come to the same seconds, those that their states had among them, so that none brings more from the search than
    the others; a budget, which counts these too, is beyond the deadlines. Where no deadline ends trainings, it is what
    fits by the pace. A heat that is to be repeated ends where it did.
    """
    heat = replace(heat, early_size=floor.early_size_of(heat.entrants))
    if begun and floor.takes("begin"):
        states.gather(floor.folder, heat.name, {key: each.place for key, each in begun.items()})
        heat = replace(heat, begin=states.seen_from_trainings(heat.name))
    if given := floor.repeated(heat):
        heat = replace(heat, threads=given.threads or None, gain=1.0)
        return replace(heat, budget=given.budget or None, repeats=given.repeats, ends=given.ends)
    if not floor.counts_seconds:
        return heat
    found = [begun.get(floor.key(each)) if heat.begin else None for each in heat.entrants]
    had = {e: state.seconds / heat.gain if state else 0.0 for e, state in zip(heat.entrants, found, strict=True)}
    most = floor.dearer(heat) * max(state.most if state else 0.0 for state in found)  # it took so many steps
    alike = total(heat.seconds, [[had[each] for each in own] for own in sets(heat.entrants)], floor.workers)
    if not floor.is_limited:
        return replace(heat, total=alike, budget=max(1, round(alike), math.ceil(most) + 1))
    deadlines = tuple(max(LEAST_SECONDS, alike - had[each]) for each in heat.entrants)
    budget = math.ceil(most + ROOM * floor.on_a_card * heat.gain * max(deadlines)) + 1
    own = deadlines if len(set(had.values())) > 1 and floor.takes("deadlines") else ()
    return replace(heat, total=alike, budget=budget, deadlines=own)


def held(floor: Floor, heat: Heat) -> Standings:
    """Train and measure the networks of a heat; those whose trainings failed are left out.

    Raises:
        Drained: The trainings were stopped before their end.
    """
    found: Standings = []
    for own in sets(heat.entrants):
        run, given = _trainings(floor, heat, own)
        finals = retraining.train(floor.session, floor.folder, run, [each.candidate for each in own], **given)
        by_genotype = {final.genotype: final for final in finals}
        found += [(each, final) for each in own if (final := by_genotype.get(each.candidate.genotype))]
    return found


def played(floor: Floor, heat: Heat) -> PlayedHeat:
    """What the clock decided in a heat that is over."""
    ends: dict[Entrant, list[tuple[tuple[int, ...], ...]]] = {}
    for own in sets(heat.entrants):
        run, given = _trainings(floor, heat, own)
        place = retraining.place_of(floor.folder, retraining.run_of(run, [each.candidate for each in own], **given))
        rows = {}
        if run_folder.holds_run(place):
            with closing(run_folder.open_table(place, "inspect")) as store:
                rows = {row.id: row for row in store.finished()}
        for number, each in enumerate(own, 1):
            ids = range(number, number + heat.repeats * len(own), len(own))
            ends[each] = [_ends_of(rows.get(row_id)) for row_id in ids]
    return PlayedHeat(
        name=heat.name,
        keys=tuple(map(floor.key, heat.entrants)),
        repeats=heat.repeats,
        budget=heat.budget or 0,
        ends=tuple(tuple(ends[each]) for each in heat.entrants),
        threads=heat.threads or 0,
    )


def _ends_of(row: Trial | None) -> tuple[tuple[int, ...], ...]:
    """Where each training of a trial ended; empty where that is not noted of all of them."""
    found = ends_in(row.result.metrics) if row and row.result else ()
    return found if all(min(end) > 0 for end in found) else ()  # 0: of a training that an earlier release began


def sets(entrants: Sequence[Entrant]) -> list[list[Entrant]]:
    """The networks in sets of trainings: one set for each space and each way to train."""
    ways = dict.fromkeys((each.space, each.teachers) for each in entrants)
    return [[each for each in entrants if (each.space, each.teachers) == way] for way in ways]


def _trainings(floor: Floor, heat: Heat, own: Sequence[Entrant]) -> tuple[RunFile, dict[str, Any]]:
    """The run file that a set of trainings of a heat begins with, and what `retraining` is told besides."""
    space = own[0].space
    run = replace(floor.run, space=refs.parse(space)) if space else floor.run
    options = _options(floor, heat, own)
    if space:
        options |= in_full.of(run.evaluator).without_places(run.evaluator.options)
    return run, {
        "changes": {"final": {"repeats": heat.repeats}},
        "split": SPLITS[heat.name],
        "budget": heat.budget,
        "exactly": options,
        "threads": heat.threads or floor.run.threads_per_trial,
    }


def _options(floor: Floor, heat: Heat, own: Sequence[Entrant]) -> dict[str, Any]:
    """Options of the evaluator that decide how long, and from where, a set of networks of a heat is trained."""
    teachers, places = own[0].teachers, [heat.entrants.index(each) for each in own]
    found: dict[str, Any] = {"begin": heat.begin}
    if heat.early_size < 1:
        found["early_size"] = heat.early_size
    if heat.ends:
        repeats = range(heat.repeats)
        cuts = [list(map(list, heat.ends[place][repeat])) for repeat in repeats for place in places]
        found["cuts"] = cuts if any(cuts) else []
    elif heat.deadlines:
        found["deadlines"] = [heat.deadlines[place] for _ in range(heat.repeats) for place in places]
    elif floor.is_limited:
        found["deadline"] = heat.seconds
    is_last = SPLITS[heat.name] == "test"
    if heat.budget is not None:
        found["horizon"] = heat.budget * (BEYOND if floor.leaves_states and not is_last else 1)
    if floor.option("schedule") == "constant" and not floor.option("cooldown"):
        found["cooldown"] = plans.COOLDOWN
    if teachers:
        found |= {"teachers": teachers, "distill": DISTILLED}
    splits = floor.option("splits") or 1
    if splits > 1:
        found |= {"splits": 1} if is_last else {"splits": splits, "repeats": splits}
    return {name: value for name, value in found.items() if value not in ("", []) and floor.takes(name)}
