"""The course of a training that may end before its planned last step: time runs out, or nothing is left to learn.

It then ends as one that was planned so: with a constant rate, a training of N steps and one that is shortened to N do
the same before the cooldown, so that N given as the number of steps repeats it bit for bit. A cooldown that becomes
late as the machine becomes slower leaves out every second of its steps from there on: numbers as well, which repeat it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from netwright.training.lengths import Length
from netwright.training.loop import At

LEAST_GAIN = 0.01  # share by which the loss of a pass must be below the least so far, to count as learning
SLACK = 0.02  # share of the time that is left unplanned
LAST_SLACK = 0.01  # of that, what a cooldown that is late must leave
FIRST = 0.5  # share of the time that the first step may take and still be left out of the speed
TRIED, TRIED_SHARE = 10, 0.2  # steps, or share of the time, before which the speed decides nothing
STRETCHES = 32  # of equal numbers of steps, at most, of which the speed is known
LATELY = 0.25  # share of them that tells the speed to come: about as long as a cooldown
REACH = 0.25  # share of a cooldown's steps by which it is told whether it is late
MOST_MARGIN = 0.25  # of a step's seconds, for their spread


class Cut(NamedTuple):
    """Where a training ends that was shortened.

    Args:
        steps: Steps in all.
        span: Steps that the schedule spans.
        why: "deadline" or "plateau"; "late": the deadline came within the cooldown, which broke off; "repeated": as
            another one was, which this one repeats.
        bends: Steps of the cooldown, ascending, from each of which on the rate falls twice as steeply as before.
    """

    steps: int
    span: int
    why: str
    bends: tuple[int, ...] = ()


def place_at(step: int, bends: Sequence[int]) -> int:
    """The step of the schedule whose rate a step has: behind each bend, half of the steps are left out."""
    place, since, stride = 0, 0, 1
    for bend in bends:
        if step <= bend:
            break
        place, since, stride = place + stride * (bend - since), bend, 2 * stride
    return place + stride * (step - since)


def end_of(span: int, bends: Sequence[int]) -> int:
    """Number of steps by which a schedule of `span` steps with these bends comes to its end."""
    if not bends:
        return span
    return bends[-1] + max(0, math.ceil((span - place_at(bends[-1], bends)) / 2 ** len(bends)))


def repeated(cuts: Sequence[Sequence[Sequence[int]]], trial_id: int, repeat: int, length: Length) -> Cut | None:
    """How a training ends that repeats another one which was shortened; None: it does not, or that one was not.

    Args:
        cuts: For each trial of a run, steps, span and bends of each of its trainings; some or all may be missing.
        trial_id: Number of the trial, from 1.
        repeat: Which of its trainings, from 0.
        length: Its length as planned.
    """
    ends = cuts[trial_id - 1][repeat : repeat + 1] if trial_id <= len(cuts) else ()
    if not ends or tuple(ends[0]) == length:
        return None
    steps, span, *bends = ends[0]
    is_late = length.steps == length.span and steps < end_of(span, bends)
    return Cut(steps, span, "late" if is_late else "repeated", tuple(bends))


class Stall(NamedTuple):
    """How long a training has learned nothing.

    Args:
        least: Least loss of a pass.
        passes: Passes since then.
        step: Step at the end of the last pass that was counted.
    """

    least: float = math.inf
    passes: int = 0
    step: int = 0

    def after(self, at: At) -> Stall:
        """The same after a pass; one that was counted before is not counted again."""
        if at.step == self.step:
            return self
        is_gain = at.loss < (1 - LEAST_GAIN) * self.least
        return Stall(at.loss, 0, at.step) if is_gain else Stall(self.least, self.passes + 1, at.step)


class FlexibleSchedule:
    """Length and rates of a training, as `loop.steps` asks for them; both change where it is shortened.

    Args:
        length: Its length as planned.
        rates: Gives the factor on the initial rate from a step and the span of the schedule.
        cooldown: Share of the schedule over which the rate falls at its end.
        cut: How an earlier worker has shortened it; None: it has not.
    """

    def __init__(self, length: Length, rates: Callable[[int, int], float], cooldown: float, cut: Cut | None) -> None:
        self.steps, self.span = length
        self.cut: Cut | None = None
        self._rates = rates
        self._cooldown = cooldown if self.steps == self.span else 0.0  # else it stops before
        self._fall = cooldown  # of the schedule, within which it may stop
        if cut:
            self._take(cut)

    def factor(self, step: int) -> float:
        """The factor on the initial learning rate at a step."""
        return self._rates(place_at(step, self._bends), self.span)

    def is_cooling(self, step: int) -> bool:
        """Whether the rate has begun to fall for the end."""
        return step > (1 - self._cooldown) * self.span

    def is_early(self, step: int) -> bool:
        """Whether a step comes before the cooldown of the schedule, which the training may not come to."""
        return step <= (1 - self._fall) * self.span

    def updates(self, step: int) -> int:
        """Number of earlier steps over which weights are averaged after a step: all, or those of the cooldown so far.

        While the rate falls, weights come closer to the best ones than any average with those from before the fall, so
        that the average begins anew. It then spans its share of the cooldown, whatever is right at a constant rate.
        """
        return step if self.is_early(step) else step - math.floor((1 - self._fall) * self.span) - 1

    def must_cool(self, step: int, possible: float) -> bool:
        """Whether the cooldown must begin after this step, if all steps that are possible are to be its last."""
        return possible < self.steps and step + 1 > (1 - self._cooldown) * possible

    def shorten(self, step: int, why: str) -> None:
        """Begin the cooldown after this step; end there, without one, if the course ends before its schedule does.

        A course that repeats another one goes on to where that one ended, which may have been shortened here as well.
        """
        if self.cut is not None:
            self.cut = self.cut._replace(why=why) if self.cut.why == "repeated" else self.cut
            return
        steps = min(self.steps, max(step, math.ceil(step / (1 - self._cooldown))))
        self._take(Cut(steps, steps if self.steps == self.span else self.span, why))

    def bend(self, step: int) -> None:
        """Let the rate fall twice as steeply after this step of the cooldown."""
        bends = (*self._bends, step)
        self._take(Cut(end_of(self.span, bends), self.span, self.cut.why if self.cut else "deadline", bends))

    def stop(self, step: int) -> None:
        """End at this step, in the middle of the cooldown."""
        self._take(Cut(step, self.span, "late", self._bends))

    @property
    def _bends(self) -> tuple[int, ...]:
        return self.cut.bends if self.cut else ()

    def _take(self, cut: Cut) -> None:
        self.cut, self.steps, self.span = cut, cut.steps, cut.span


class Deadline:
    """Tells from a training's own speed how many steps are possible in the time that is left.

    The first step of a worker may take many times as long as any other, as kernels are loaded and chosen then. It does
    not count, and the first few decide nothing: a training that goes on from a state would end at once by them. What
    the steps to come take is told from those done lately. Call it after each step.

    Args:
        seconds: Seconds from `elapsed` 0 within which the training has to be measured.
        elapsed: Gives the seconds so far, those of earlier workers among them.
        measuring: What the last measurement takes, in steps.
        start: Step at which this worker began.
        dearer: Seconds of a step of the cooldown that is to come, as a multiple of those of a step before it.
    """

    def __init__(
        self, seconds: float, elapsed: Callable[[], float], measuring: float, start: int, dearer: float = 1.0
    ) -> None:
        self._seconds, self._elapsed, self._measuring, self._dearer = seconds, elapsed, measuring, dearer
        self._start, self._began = start, elapsed()
        self._marks, self._stretch = [(self._start, self._began)], 1  # where stretches of so many steps begin
        self._cooling: tuple[int, float, float, float] | None = None  # step, time, seconds of a step, steps that count

    def possible(self, step: int) -> float:
        """Number of steps that a training can plan to come to, in all; infinite where too few were taken to tell.

        They are those that are left where its cooldown begins now. Some time stays unplanned, more of it where steps
        have taken now more, now less.
        """
        now = self._elapsed()
        each, spread = self._speed(step, now)
        left = (1 - SLACK) * self._seconds - now
        if each <= 0:
            return math.inf
        ahead = max(1.0, left / each / self._stretch)  # stretches, whose mean varies as that of those before does
        margin = min(MOST_MARGIN * each, spread * math.sqrt(1 / self._lately + 1 / ahead))
        return step + left / (self._dearer * (each + margin)) - self._measuring

    def left(self, step: int, planned: int) -> float:
        """Number of steps for which there is time left, of so many that a cooldown still has.

        Infinite where too few were taken to tell. Its own steps tell their speed more and more: the average forgets
        what lies further back than a part of the cooldown.
        """
        now = self._elapsed()
        if self._cooling is None:
            each = self._dearer * self._speed(step, now)[0]
            if each <= 0:
                return math.inf
            reach = max(1.0, REACH * planned)
        else:
            last, since, each, reach = self._cooling
            each += ((now - since) / max(1, step - last) - each) * (1 - math.exp((last - step) / reach))
        self._cooling = step, now, each, reach
        return ((1 - LAST_SLACK) * self._seconds - now) / each - self._measuring

    @property
    def _lately(self) -> int:
        return max(1, round(LATELY * (len(self._marks) - 1)))

    def _speed(self, step: int, now: float) -> tuple[float, float]:
        """Seconds of a step lately, 0 where too few were taken to tell; and their standard deviation by stretches."""
        taken, used = step - self._start, now - self._began
        given = (1 - SLACK) * self._seconds - self._began
        if taken == 1 and used < FIRST * given:
            self._marks = [(step, now)]
            return 0.0, 0.0
        if step - self._marks[-1][0] >= self._stretch:
            self._marks.append((step, now))
        if len(self._marks) > STRETCHES:
            self._marks, self._stretch = self._marks[::2], 2 * self._stretch
        if taken <= TRIED and used < TRIED_SHARE * given:
            return 0.0, 0.0
        count = self._lately
        first, since = self._marks[max(0, len(self._marks) - 1 - count)]
        known = self._marks[-1 - 2 * count :]
        own = [(b - a) / (to - at) for (at, a), (to, b) in pairwise(known)]
        return (now - since) / max(1, step - first), statistics.stdev(own) if len(own) > 1 else 0.0
