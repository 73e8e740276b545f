"""Reports of a training while it goes on, and how often they are made."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from netwright.core.activity import STEPS
from netwright.core.protocols import Context
from netwright.training.loop import At

WITHIN_PASS = 5.0  # seconds between reports within a pass, which may take hours

_NOTHING: Mapping[str, float] = MappingProxyType({})


class Alarm:
    """Rings when `seconds` seconds have passed since it last rang."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, time.monotonic()

    def rings(self) -> bool:
        """Whether it is time; if so, the alarm begins to wait anew."""
        is_due = time.monotonic() - self._last >= self._seconds
        if is_due:
            self._last = time.monotonic()
        return is_due


class Reports:
    """Tells the worker that a training goes on.

    Args:
        context: Context of the trial, which is told; None: this is not the first process of its team and says nothing.
        before: Number of steps of earlier trainings of the same trial.
        planned: Gives the number of steps that all trainings of the trial are to come to, as far as is known now.
        found: What is known from these earlier trainings, by name, which is said with every loss.
    """

    def __init__(
        self,
        context: Context | None,
        before: int,
        planned: Callable[[], int],
        found: Mapping[str, float] = _NOTHING,
    ) -> None:
        self._context, self._before, self._planned, self._found = context, before, planned, found
        self._alarm = Alarm(WITHIN_PASS)

    def of(self, at: At) -> bool:
        """Report the loss after each pass, and every few seconds within one; returns whether to go on."""
        if self._context is None or not (at.ends_pass or self._alarm.rings()):
            return True
        return self.say(at.step, {**self._found, "train_loss": at.loss})

    def say(self, step: int, metrics: Mapping[str, float] = _NOTHING) -> bool:
        """Report a step, and how many there will be, as STEPS; returns whether to go on."""
        if self._context is None:
            return True
        return self._context.report(self._before + step, {**metrics, STEPS: self._planned()})
