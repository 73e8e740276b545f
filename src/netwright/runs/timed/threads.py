"""How many threads the trainings of a heat have, where fewer of them run side by side than the search had.

The search has a training for each core, which does most in all. A contest has two or one, beside which cores would do
nothing. Small networks gain little from threads, and lose by too many, so that it is measured how many are worth it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from netwright.core import refs
from netwright.core.contest import Heat
from netwright.core.protocols import SharesCards
from netwright.data.images import ImageClassification
from netwright.runs.timed import crew, heats, probe
from netwright.runs.timed.heats import Floor
from netwright.training import device, pace, resizing

WORTH: Final = 1.15  # times as many steps in a second as with half of the threads, from which on they are worth it
Steps = Callable[[int], float]  # seconds of a step by the number of threads
LEAST: Final = 30.0  # seconds that a contest must have for a few steps to be measured


def seconds_of_step(floor: Floor) -> Steps:
    """Gives the seconds of a step of the network by which machines are judged, on images of the run's size."""
    task, batch = floor.task, floor.option("batch")
    assert isinstance(task, ImageClassification)
    settings = probe.settings_of(batch, floor.option("precision"))
    side = probe.side_of(resizing.early(task.io, floor.early_size))  # of most steps
    noise = probe.noise_of(task, side, batch, probe.IMAGES)
    plan = probe.reference(noise.io)
    return lambda threads: pace.measure(plan, noise, settings, threads=threads).seconds


def with_threads(floor: Floor, heat: Heat, measure: Callable[[Floor], Steps] = seconds_of_step) -> Heat:
    """The heat with the threads of each of its trainings, alike for all, and what they gain.

    Those of the run, where it trains in a way for which nothing is measured here: on a GPU, on other machines, by
    several processes, what are no images, or to no deadline; and where the contest is to be repeated, or late.

    Args:
        floor: The contest.
        heat: Its heat, with entrants and repeats.
        measure: Makes ready what measures.
    """
    own = floor.run.threads_per_trial or 1
    beside = max(min(floor.workers, heat.repeats * len(each)) for each in heats.sets(heat.entrants))
    most = crew.cores() // beside
    if most <= own or floor.repeats or floor.left < LEAST or not _is_measurable(floor):
        return heat
    measured = measure(floor)
    best, first = own, measured(own)
    fastest = first
    for number in _doubled(own, most):
        seconds = measured(number)
        if fastest < WORTH * seconds:
            break
        best, fastest = number, seconds
    if best == own:
        return heat
    floor.session.say(f"{best} threads for each training, which are {first / fastest:.1f} times as fast as {own}")
    return replace(heat, threads=best, gain=first / fastest)


def _is_measurable(floor: Floor) -> bool:
    is_here = isinstance(refs.locate("executor", floor.run.executor.name), SharesCards)  # those of this machine
    is_usual = all(map(floor.takes, ("batch", "precision", "device", "processes")))
    is_by_clock = floor.is_limited and floor.counts_seconds
    if not (is_here and is_usual and is_by_clock and isinstance(floor.task, ImageClassification)):
        return False
    is_on_cpu = device.pick(floor.option("device"), 0).type == "cpu"
    return is_on_cpu and floor.option("processes") == 1


def _doubled(number: int, most: int) -> Iterator[int]:
    """Twice as many again and again, and as many as there may be."""
    while number < most:
        number = min(2 * number, most)
        yield number
