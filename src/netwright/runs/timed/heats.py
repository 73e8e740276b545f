"""A heat of a contest: networks that are trained alike, for the same seconds each, and what became of each of them."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import Parameter
from pathlib import Path
from typing import Any, Protocol

from netwright.core import contest, in_full, refs, run_file
from netwright.core.contest import ContestRecord, Entrant, Heat
from netwright.core.finals import Final
from netwright.core.protocols import ClassifiesImages, SearchSpace, Task, TrainsToBudgets
from netwright.core.run_file import RunFile
from netwright.runs import retraining, run_folder
from netwright.runs.session import Session
from netwright.runs.timed import states

START_SECONDS = 5.0  # of a set of trainings before its first step: processes that start, data that is read
# budgets in seconds of the pace are so much larger than what should fit: the deadline ends a training, and no time is
# left over where the machine is faster than its pace said
ROOM = 2.0
BEYOND = 10  # times the budget: the horizon of trainings whose rate stays, so that the last ones can go on from them
COOLDOWN = 0.2  # share of a training, where the rate is constant and nothing else is said
DISTILLED = 0.5  # share of the loss
SPLITS = {"rank": "valid", "distill": "valid", "final": "test"}

Begun = Mapping[str, tuple[Path, float]]  # by key of a network: where its state lies, and the seconds of pace it had
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
    """

    session: Session
    folder: Path
    run: RunFile
    task: Task
    timetable: Times
    until: float

    @cached_property
    def space(self) -> SearchSpace:
        """The space of the run, with its constraints."""
        return run_file.build_space(self.run, self.task)

    @property
    def left(self) -> float:
        """Seconds until the contest must be over."""
        return self.until - time.monotonic()

    @property
    def workers(self) -> int:
        """Trainings that run side by side."""
        return self.run.workers or 1

    @property
    def example(self) -> str:
        """What people call an example of the task."""
        return "image" if isinstance(self.task, ClassifiesImages) else "example"

    @cached_property
    def counts_seconds(self) -> bool:
        """Whether budgets of trainings are seconds."""
        evaluator = refs.load("evaluator", self.run.evaluator, space=self.space, task=self.task)
        return isinstance(evaluator, TrainsToBudgets) and evaluator.budget_unit == "seconds"

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

    def key(self, entrant: Entrant) -> str:
        """Key of a network in its space."""
        space = run_file.load_space(refs.parse(entrant.space)) if entrant.space else self.space
        return space.key(entrant.candidate.genotype)

    def saved(self, record: ContestRecord) -> ContestRecord:
        """The record, once it stands in the table of the run."""
        with closing(run_folder.open_table(self.folder, "join")) as store:
            store.remember(contest.FACT, contest.to_json(record))
        return record


def groups(entrants: Iterable[Entrant]) -> list[int]:
    """How many networks there are in each set of trainings: one set for each space and each way to train."""
    return list(Counter((each.space, each.teachers) for each in entrants).values())


def waves(counts: Sequence[int], workers: int) -> int:
    """How many trainings one after another the busiest worker has; each set of trainings waits for the one before."""
    return sum(math.ceil(count / workers) for count in counts)


def timed(floor: Floor, heat: Heat, begun: Begun) -> Heat:
    """The heat with the budget that fills its seconds, from the states that there are, which are gathered for it.

    All get the same budget, which counts what they had: so one that had less trains for longer, up to the deadline.
    Where no deadline ends them, the budget is no more than what fits by the pace.
    """
    if begun and floor.takes("begin"):
        states.gather(floor.folder, heat.name, {key: place for key, (place, _) in begun.items()})
        heat = replace(heat, begin=states.seen_from_trainings(heat.name))
    if not floor.counts_seconds:
        return heat
    had = [begun[key][1] if (key := floor.key(each)) in begun and heat.begin else 0.0 for each in heat.entrants]
    seconds = heat.seconds * (ROOM if floor.is_limited else 1.0)
    return replace(heat, budget=max(1, round(seconds + min(had)), math.ceil(max(had)) + 1))


def held(floor: Floor, heat: Heat) -> Standings:
    """Train and measure the networks of a heat; those whose trainings failed are left out.

    Raises:
        Drained: The trainings were stopped before their end.
    """
    found: Standings = []
    for space, teachers in dict.fromkeys((each.space, each.teachers) for each in heat.entrants):
        own = [each for each in heat.entrants if (each.space, each.teachers) == (space, teachers)]
        run = replace(floor.run, space=refs.parse(space)) if space else floor.run
        options = _options(floor, heat, teachers)
        if space:
            options |= in_full.of(run.evaluator).without_places(run.evaluator.options)
        finals = retraining.train(
            floor.session,
            floor.folder,
            run,
            [each.candidate for each in own],
            {"final": {"repeats": heat.repeats}},
            SPLITS[heat.name],
            budget=heat.budget,
            exactly=options,
        )
        by_genotype = {final.genotype: final for final in finals}
        found += [(each, final) for each in own if (final := by_genotype.get(each.candidate.genotype))]
    return found


def _options(floor: Floor, heat: Heat, teachers: str) -> dict[str, Any]:
    """Options of the evaluator that decide how long, and from where, the networks of a heat are trained."""
    found: dict[str, Any] = {"begin": heat.begin}
    if floor.is_limited:
        found["deadline"] = heat.seconds
    if heat.budget is not None:
        found["horizon"] = heat.budget * (BEYOND if floor.leaves_states and heat.name != "final" else 1)
    if floor.option("schedule") == "constant" and not floor.option("cooldown"):
        found["cooldown"] = COOLDOWN
    if teachers:
        found |= {"teachers": teachers, "distill": DISTILLED}
    splits = floor.option("splits") or 1
    if splits > 1 and heat.name != "final":
        found |= {"splits": splits, "repeats": splits}
    elif splits > 1:
        found["splits"] = 1
    return {name: value for name, value in found.items() if value != "" and floor.takes(name)}
