"""Planning a timed run: from the hours and the speed of a machine to a timetable. Pure numbers, no clock.

The time is divided into the search, the contest and what both need around them. Of the contest, a part ranks the
finalists and the reference; the rest trains what ships and the reference once more. Rungs are geometric, and the
highest is about as long as a finalist's training, so that what a trial did is a part of what the contest goes on with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from netwright.core.errors import BadRunFile
from netwright.core.timetable import Precision, Timetable

# of the hours: what is left for start and end
AROUND: Final = 12.0  # seconds to start workers twice, to export and to write a report
AROUND_SHARE: Final = 0.04
CLOSING, CLOSING_SHARE, MOST_CLOSING = 8.0, 0.02, 180.0  # of these, at the end
# of what is then left: the search's share, between two lengths of a run, in a straight line over their logarithms
SHORT, LONG = 600.0, 4 * 3600.0  # seconds
SHARE_SHORT, SHARE_LONG = 0.2, 0.5
# of the contest, in the same way: trainings that rank the finalists and the reference, on several divisions of the
# images, of which the last trainings go on from one; in minutes, these are worth more than a surer ranking
DIVIDED_SHORT, DIVIDED_LONG = 0.25, 0.45
# and where they are on one division: the last trainings go on from all of it, so that only the validation images wait
RANKING = 0.5
# Passes over the images that the plain network would have in all of the time. While they are few, one more is worth
# more than a longer search and a surer ranking: up to the first number both have this part of their usual share, from
# the second on all of it. They are so far apart that more hours do not shorten the last trainings, but for a second.
# Where they are of smaller images, they are as many as 75 and 265 of whole ones were in the same time
FEW_PASSES, ENOUGH_PASSES = 105.0, 370.0
SPARED: Final = 0.5

# seconds that the machine is measured, at most, and share of the hours; with the longest trial of the lowest rung it is
# a minute, to which the start and reading the data add; of trials on several divisions, the first is seen when it ends
PROBE, PROBE_SHARE = 20.0, 0.05
# where hours are too few, those that are asked for suffice where a step, and all before the plan, takes so much longer
SLOWER, LATER = 1.25, 1.5

# Steps are those of the reference. What a search finds has two to four times as many in the same time, since most
# starts of the default space cost so much less.
ETA: Final = 3  # from rung to rung
MOST_RUNGS: Final = 8  # a week's search: the highest is bound by what a finalist's training takes
# seconds of a training on the lowest rung, at least and at most: there is a result within a minute. Trials on several
# divisions have so many on each
FIRST_RUNG: Final = (4.0, 40.0)
FIRST_STEPS: Final = 70  # of the reference, below which a rung says nothing
DIVIDED_STEPS: Final = 150  # on each of several divisions of the images, below which networks come first
TOPMOST: Final = 4  # a trial on the highest rung takes at most this part of the search
PLENTY: Final = 60  # trials of the lowest rung, were all the search spent on it, from which on they are made longer
SOON: Final = 25  # but no longer than the search divided by this: many workers bring results as soon as two
LONGEST: Final = 2  # the part of the search that a trial takes at most, or it would hardly end within
FIRST_PASSES: Final = 30.0  # nor than so many passes of the reference over the images, which say enough
FIRST_SHARE: Final = 1 / 60  # of the hours, which the reference may take on the lowest rung; else images are smaller
TRIAL_EXTRA: Final = 1.5  # seconds of a trial beside its steps and measurements: building, rows
MOST_FINALISTS: Final = 4  # fewer where one more would wait for workers alone
RANKED_STEPS: Final = 400  # of the reference on each of several divisions of the images
FINALIST_STEPS: Final = 2_800  # of the reference in a ranking, below which one more finalist is not admitted

RESPLIT_BELOW: Final = 3_000  # training and validation images together
SPLITS: Final = 3
FEW: Final = 12  # trials of the lowest rung, as above, below which images are smaller
FEWEST: Final = 8  # of them, below which several divisions would leave too few networks: most starts of the space
BATCH: Final = 64
STEPS_OF_A_PASS: Final = 8  # at least, for which the batch is made smaller
LEAST_BATCH: Final = 8

LEAST_STEPS: Final = 200  # of the reference, which a training in full must have
LEAST_FINAL: Final = 5.0  # seconds of it
# seconds of a last training, beyond which another seed says more than more of them, if it has `ENOUGH_PASSES` too
ENOUGH: Final = 1200.0
MOST_SEEDS: Final = 3
# of the reference in its last training, which decide how large images may be: `tonight.reference train cifar0to3small`
# with `--size` and `--start` compares sizes for the networks that a search begins from
WANTED_STEPS: Final = 1_200
WANTED_PASSES: Final = 15.0
COOLDOWN: Final = 0.2  # share of a training, where the rate is constant and nothing else is said
EARLY_SIZE: Final = 0.75  # of their sides: images while the rate stays, see `training.resizing`
EARLY_FROM: Final = 24  # pixels a side, from which on they are made smaller
ALIKE: Final = 1.1  # times the seconds of the cheapest size, that are as good where no size leaves enough steps


@dataclass(frozen=True)
class Speed:
    """How fast a machine trains images of one size.

    Args:
        side: Side of the images, in pixels.
        precision: Number format of the forward pass.
        pace: Factors of the fitted pace; see `training.pace`.
        image_seconds: Seconds per image of a step of the reference network, on average over a training.
    """

    side: int
    precision: Precision
    pace: tuple[float, ...]
    image_seconds: float


@dataclass(frozen=True)
class Circumstances:
    """What a plan is made for.

    Args:
        hours: Hours of the whole run.
        spent: Seconds of them that have passed.
        workers: Trainings that run side by side.
        threads: Threads of each.
        train: Number of training images.
        valid: Number of validation images.
        is_divisible: Whether training and validation images may change places.
    """

    hours: float
    spent: float
    workers: int
    threads: int
    train: int
    valid: int
    is_divisible: bool = True


def planned(given: Circumstances, speed: Speed) -> Timetable:
    """The timetable of a run.

    Raises:
        BadRunFile: The hours do not suffice for a training in full of what ships and of the reference; names hours that
            do.
    """
    left = 3600 * given.hours - given.spent
    usable = _usable(3600 * given.hours, given.spent)
    batch = batch_for(given.train)
    step = speed.image_seconds * batch
    if _final_seconds(usable, left, given.workers) < (needed := _needed(step)):
        least = _least_hours(given, needed)
        raise BadRunFile(
            f"{_hours(given.hours)} are too few for one training in full beside that of the reference on this machine; "
            f"give --hours {least:g} at least, fewer or smaller images, or more cores"
        )
    images = given.train + given.valid
    spared = _spared(usable / (speed.image_seconds * images))
    is_divided = given.is_divisible and _is_divided(usable, left, given.workers, step, images, spared)
    search = spared * usable * _search_share(left)
    contest = usable - search
    pass_seconds = speed.image_seconds * images
    lowest = _lowest(search, given.workers, step, pass_seconds, is_divided=is_divided)
    splits = SPLITS if is_divided else 1
    ranking = spared * contest * _ranking_share(left, splits)
    finalists, rank, final = _heats(contest, ranking, given.workers, step, splits)
    rungs = _rungs(search, rank, given.workers, lowest)
    return Timetable(
        hours=given.hours,
        workers=given.workers,
        threads=given.threads,
        side=speed.side,
        batch=batch,
        precision=speed.precision,
        pace=speed.pace,
        rungs=rungs,
        trials=_trials(rungs, search, given.workers, speed.image_seconds * given.valid / 3),
        splits=splits,
        finalists=finalists,
        search_seconds=_tenths(search),
        contest_seconds=_tenths(contest),
        rank_seconds=_tenths(rank),
        final_seconds=_tenths(final),
        seeds=seeds_for(final, pass_seconds),
    )


def chosen_speed(
    speeds: Sequence[Speed], hours: float, workers: int, train: int, valid: int, *, is_divisible: bool = True
) -> Speed:
    """Of the speeds at several sizes, the one to train at: the largest images that leave enough steps and trials.

    The last trainings must see them often enough, and trials on the lowest rung be many and short, were their share the
    usual one; few images are one size smaller where only that leaves time for several divisions of them. Of equal sizes
    the faster precision is taken.

    Args:
        speeds: Speeds at sizes and precisions, at least one.
        hours: Hours of the whole run.
        workers: Trainings that run side by side.
        train: Number of training images, about.
        valid: Number of validation images, about.
        is_divisible: Whether training and validation images may change places.
    """
    total = 3600 * hours
    usable = _usable(total, 0.0)
    seconds = _final_seconds(usable, total, workers)
    images, batch = train + valid, batch_for(train)
    wanted = max(WANTED_STEPS * batch, WANTED_PASSES * images)
    first = min(FIRST_RUNG[1], FIRST_SHARE * total, usable * _search_share(total) * workers / FEW)
    fastest = [min((s for s in speeds if s.side == side), key=_image_seconds) for side in {s.side for s in speeds}]
    fitting = [
        speed
        for speed in fastest
        if speed.image_seconds * wanted <= seconds and speed.image_seconds * batch * FIRST_STEPS <= first
    ]
    if not fitting:  # larger images may cost less: the stem of a network makes them smaller
        least = min(map(_image_seconds, fastest))
        return max((speed for speed in fastest if speed.image_seconds <= ALIKE * least), key=_side)
    sides = sorted(fastest, key=_side)
    place = sides.index(max(fitting, key=_side))
    largest = [speed for speed in sides[max(0, place - 1) : place + 1] if speed in fitting]

    def is_divided(speed: Speed) -> bool:
        spared = _spared(usable / (speed.image_seconds * images))
        return _is_divided(usable, total, workers, speed.image_seconds * batch, images, spared)

    divided = [speed for speed in largest if is_divided(speed)]
    return (divided if divided and is_divisible else largest)[-1]


def seeds_for(seconds: float, pass_seconds: float = 0.0) -> int:
    """How many last trainings of a network, from different seeds, so many seconds for it are divided into.

    Args:
        seconds: Seconds of all.
        pass_seconds: Seconds of a pass of the reference over the images; 0: not known, and time alone decides.
    """
    most = seconds // max(ENOUGH, ENOUGH_PASSES * pass_seconds)
    return max(1, min(MOST_SEEDS, int(most)))


def between(value: float, low: float, high: float) -> float:
    """Where a value lies between a lower one, 0, and a higher one, 1, in its logarithm; not beyond."""
    return min(1.0, math.log(max(value, low) / low) / math.log(high / low))


def passes(timetable: Timetable, pass_seconds: float) -> float:
    """Passes over the images that the reference would have in search and contest, of so many seconds each.

    They are those of one training with the threads of the search.
    """
    return (timetable.search_seconds + timetable.contest_seconds) / pass_seconds


def probe_seconds(hours: float) -> float:
    """Seconds for which the machine is measured, at most."""
    return min(PROBE, PROBE_SHARE * 3600 * hours)


def closing_seconds(hours: float, start_up: float = 0.0) -> float:
    """Seconds that are kept for the export and the report at the end of a run.

    Args:
        hours: Hours of the whole run.
        start_up: Seconds that a process takes to start; the export is checked in processes of its own.
    """
    return min(CLOSING + CLOSING_SHARE * 3600 * hours + 2 * start_up, MOST_CLOSING)


def early_size_for(side: int) -> float:
    """Share of their sides that images of a size have until rates fall, where nobody says otherwise."""
    return EARLY_SIZE if side >= EARLY_FROM else 1.0


def batch_for(images: int) -> int:
    """Images per step: the usual number, fewer where a pass would have next to no steps."""
    batch = BATCH
    while batch > LEAST_BATCH and images < STEPS_OF_A_PASS * batch:
        batch //= 2
    return max(1, min(batch, images))


def lines(timetable: Timetable, early: int | None = None) -> Mapping[str, str]:
    """The timetable for people: what there is to know by name.

    Args:
        timetable: The timetable.
        early: Side of images until the rate of a training falls; None: it is theirs.
    """
    plan = timetable
    count = plan.workers
    last = plan.final_seconds * math.ceil(2 / count) / math.ceil(2 * plan.seeds / count)
    rungs = ", ".join(str(rung) for rung in plan.rungs)
    several = f", on {plan.splits} divisions of the images" if plan.splits > 1 else ""
    beside = f", {count} at a time" if count > 1 else ""
    until = f" ({early} until the rate falls)" if early else ""
    each = f"{plan.seeds} each " if plan.seeds > 1 else ""
    return {
        "images": f"{plan.side} pixels a side{until}, {plan.batch} a step, {plan.precision}",
        "search": f"{_minutes(plan.search_seconds)}: about {plan.trials} trials of {rungs} s{several}{beside}",
        "ranking": f"{plan.finalists + 1} trainings of {_minutes(plan.rank_seconds)}: the {plan.finalists} best "
        "and the reference",
        "at last": f"{2 * plan.seeds} trainings of {_minutes(last)}, {each}of what ships "
        "and of the reference; then the test",
        "in all": f"{_minutes(3600 * plan.hours)}, with an export and a report",
    }


def _usable(total: float, spent: float) -> float:
    """Seconds for search and contest together, at least 0."""
    return max(0.0, total - spent - AROUND - AROUND_SHARE * total)


def _search_share(left: float) -> float:
    return SHARE_SHORT + (SHARE_LONG - SHARE_SHORT) * _length(left)


def _ranking_share(left: float, splits: int) -> float:
    return DIVIDED_SHORT + (DIVIDED_LONG - DIVIDED_SHORT) * _length(left) if splits > 1 else RANKING


def _spared(passes: float) -> float:
    """What the search and the ranking have of their usual shares, where the plain network would have so many passes."""
    return SPARED + (1 - SPARED) * between(passes, FEW_PASSES, ENOUGH_PASSES)


def _heats(contest: float, ranking: float, workers: int, step: float, splits: int) -> tuple[int, float, float]:
    """Finalists, the seconds of each of the trainings that rank them and the reference, and of each of the last ones.

    Args:
        contest: Seconds of all.
        ranking: Seconds of the first ones.
        workers: Trainings that run side by side.
        step: Seconds of a step of the reference.
        splits: Divisions of the images on which the first are.
    """
    finalists = _finalists(ranking, workers, step, splits * RANKED_STEPS if splits > 1 else FINALIST_STEPS)
    return finalists, ranking / math.ceil((finalists + 1) / workers), (contest - ranking) / math.ceil(2 / workers)


def _length(left: float) -> float:
    """Where so many seconds lie between a short run, 0, and a long one, 1."""
    return between(left, SHORT, LONG)


def _final_seconds(usable: float, left: float, workers: int) -> float:
    """Seconds of a training in full, about: of the last heat behind a ranking on several divisions of the images.

    Behind a ranking on one division the last heat is mostly shorter, and the training goes on from the ranking.
    """
    contest = usable * (1 - _search_share(left))
    return (1 - _ranking_share(left, SPLITS)) * contest / math.ceil(2 / workers)


def _needed(step: float) -> float:
    return max(LEAST_FINAL, LEAST_STEPS * step)


def _least_hours(given: Circumstances, needed: float) -> float:
    """The least hours with which the last trainings have the seconds needed, and some more, rounded up to two digits.

    With more hours the machine is measured for longer; and a second measurement never says quite the same.
    """
    needed *= SLOWER
    low, high = given.hours, 2 * given.hours
    while not _suffices(high, given, needed):
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if _suffices(middle, given, needed) else (middle, high)
    unit = 10.0 ** (math.floor(math.log10(high)) - 1)
    return math.ceil(high / unit - 1e-9) * unit


def _suffices(hours: float, given: Circumstances, needed: float) -> bool:
    total = 3600 * hours
    spent = LATER * given.spent + probe_seconds(hours) - probe_seconds(given.hours)
    return _final_seconds(_usable(total, spent), total - spent, given.workers) >= needed


def _finalists(ranking: float, workers: int, step: float, steps: int) -> int:
    """As many as each have a training worth ranking; one more than the workers' number must not double the time.

    Args:
        ranking: Seconds in which they are all trained, side by side.
        workers: Trainings that run side by side.
        step: Seconds of a step of the reference.
        steps: Steps of the reference that a training worth ranking has.
    """
    found = 1
    for count in range(2, MOST_FINALISTS + 1):
        each = ranking / math.ceil((count + 1) / workers)
        if each >= max(LEAST_FINAL, steps * step):
            found = count
    while found > 2 and workers > 1 and math.ceil((found + 1) / workers) > math.ceil(found / workers):
        found -= 1  # the last one would be trained alone, and double the time of all, or nearly
    return found


def _rungs(search: float, rank: float, workers: int, lowest: float) -> tuple[int, ...]:
    """Budgets in seconds: from a rung that says something, as far as a finalist's training and a part of the search."""
    highest = min(rank, search / LONGEST, search * workers / TOPMOST)
    count = 1
    while count < MOST_RUNGS and lowest * ETA**count <= highest:
        count += 1
    wanted = [round(lowest * ETA**rung) for rung in range(count)]
    return tuple(sorted({max(1, min(rung, round(search / LONGEST))) for rung in wanted}))


def _lowest(search: float, workers: int, step: float, pass_seconds: float, *, is_divided: bool) -> float:
    """Seconds of a trial on the lowest rung: more where the search would otherwise have more than enough trials."""
    splits = SPLITS if is_divided else 1
    longer = min(search * workers / PLENTY, search / SOON, splits * FIRST_PASSES * pass_seconds)
    least = SPLITS * DIVIDED_STEPS * step if is_divided else FIRST_STEPS * step
    shortest, longest = FIRST_RUNG
    return min(splits * longest, max(shortest, least, longer))


def _is_divided(usable: float, left: float, workers: int, step: float, images: int, spared: float) -> bool:
    """Whether images are few, and time is enough, for trainings on several divisions of them."""
    search = spared * usable * _search_share(left)
    lowest = _lowest(search, workers, step, 0.0, is_divided=True)
    contest = usable - search
    _, rank, _ = _heats(contest, spared * contest * _ranking_share(left, SPLITS), workers, step, SPLITS)
    is_enough = lowest >= SPLITS * DIVIDED_STEPS * step and rank >= SPLITS * RANKED_STEPS * step
    is_time = lowest * FEWEST <= search * workers and lowest * LONGEST <= search
    return images < RESPLIT_BELOW and is_enough and is_time


def _trials(rungs: Sequence[int], search: float, workers: int, measuring: float) -> int:
    """Rows that fit, a third of each rung on the next one; each is measured for so many seconds."""
    counts = [ETA**-rung for rung in range(len(rungs))]
    cost = sum(share * (rung + TRIAL_EXTRA + measuring) for share, rung in zip(counts, rungs, strict=True))
    return max(1, int(search * workers / cost * sum(counts)))


def _tenths(seconds: float) -> float:
    """Seconds in whole tenths, no more of them than there are."""
    return max(1, math.floor(10 * seconds)) / 10


def _image_seconds(speed: Speed) -> float:
    return speed.image_seconds


def _side(speed: Speed) -> int:
    return speed.side


def _hours(hours: float) -> str:
    return f"{hours:g} hours ({_minutes(3600 * hours)})"


def _minutes(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.3g} min" if seconds < 6000 else f"{seconds / 3600:.3g} h"
