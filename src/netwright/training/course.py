"""The course of a training that may end before its planned last step: time runs out, or nothing is left to learn.

It then ends as one that was planned so: with a constant rate, a training of N steps and one that is shortened to N do
the same before the cooldown, so that N given as the number of steps repeats it bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from netwright.training.lengths import Length
from netwright.training.loop import At

LEAST_GAIN = 0.01  # share by which the loss of a pass must be below the least so far, to count as learning
SLACK = 0.02  # share of the time that is left unplanned
FIRST = 0.5  # share of the time that the first step may take and still be left out of the speed
TRIED, TRIED_SHARE = 10, 0.2  # steps, or share of the time, before which the speed decides nothing


class Cut(NamedTuple):
    """Where a training ends that was shortened.

    Args:
        steps: Steps in all.
        span: Steps that the schedule spans.
        why: "deadline" or "plateau"; "late": the deadline came within the cooldown, which broke off; "repeated": as
            another one was, which this one repeats.
    """

    steps: int
    span: int
    why: str


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
        if cut:
            self._take(cut)

    def factor(self, step: int) -> float:
        """The factor on the initial learning rate at a step."""
        return self._rates(step, self.span)

    def is_cooling(self, step: int) -> bool:
        """Whether the rate has begun to fall for the end."""
        return step > (1 - self._cooldown) * self.steps

    def updates(self, step: int) -> int:
        """Number of earlier steps over which weights are averaged after a step: all, or those of the cooldown so far.

        While the rate falls, weights come closer to the best ones than any average with those from before the fall, so
        that the average begins anew. It then spans its share of the cooldown, whatever is right at a constant rate.
        """
        falls_from = math.floor((1 - self._cooldown) * self.span) + 1
        return step - falls_from if self._cooldown and step >= falls_from else step

    def must_cool(self, step: int, possible: float) -> bool:
        """Whether the cooldown must begin after this step, if all steps that are possible are to be its last."""
        return possible < self.steps and step + 1 > (1 - self._cooldown) * possible

    def shorten(self, step: int, why: str) -> None:
        """Begin the cooldown after this step; end there, without one, if the course ends before its schedule does."""
        steps = min(self.steps, max(step, math.ceil(step / (1 - self._cooldown))))
        self._take(Cut(steps, steps if self.steps == self.span else self.span, why))

    def stop(self, step: int) -> None:
        """End at this step, in the middle of the cooldown."""
        self._take(Cut(step, self.span, "late"))

    def _take(self, cut: Cut) -> None:
        self.cut, (self.steps, self.span, _) = cut, cut


class Deadline:
    """Tells from a training's own speed how many steps are possible in the time that is left.

    The first step of a worker may take many times as long as any other, as kernels are loaded and chosen then. It does
    not count, and the first few decide nothing: a training that goes on from a state would end at once by them.

    Args:
        seconds: Seconds from `elapsed` 0 within which the training has to be measured.
        elapsed: Gives the seconds so far, those of earlier workers among them.
        measuring: What the last measurement takes, in steps.
        start: Step at which this worker began.
    """

    def __init__(self, seconds: float, elapsed: Callable[[], float], measuring: float, start: int) -> None:
        self._seconds, self._elapsed, self._measuring = (1 - SLACK) * seconds, elapsed, measuring
        self._start, self._began = start, elapsed()
        self._measured_from = self._start, self._began

    def possible(self, step: int) -> float:
        """Number of steps that the training can come to, in all; infinite where too few were taken to tell."""
        now, taken = self._elapsed(), step - self._start
        used, given = now - self._began, self._seconds - self._began
        if taken == 1 and used < FIRST * given:
            self._measured_from = step, now
            return math.inf
        if taken <= TRIED and used < TRIED_SHARE * given:
            return math.inf
        first, since = self._measured_from
        each = (now - since) / max(1, step - first)
        return step + (self._seconds - now) / each - self._measuring if each > 0 else math.inf

    def is_over(self, step: int) -> bool:
        """Whether there is no time left for another step."""
        return self.possible(step) < step + 1
