"""What is said while a training goes on, and how often."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType

from netwright.core.protocols import Context
from netwright.training.loop import At

WITHIN_PASS = 5.0  # seconds between reports within a pass, which may take hours

_NOTHING: Mapping[str, float] = MappingProxyType({})


class Alarm:
    """Rings when so many seconds have passed since it last did."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, time.monotonic()

    def rings(self) -> bool:
        """Whether it is time; it then begins to wait anew."""
        is_due = time.monotonic() - self._last >= self._seconds
        if is_due:
            self._last = time.monotonic()
        return is_due


class Reports:
    """Tells whoever lent the work that one training goes on.

    Args:
        context: Is told; None: this is not the first process of its team, which says nothing.
        before: Steps of earlier trainings of the same trial.
    """

    def __init__(self, context: Context | None, before: int) -> None:
        self._context, self._before, self._alarm = context, before, Alarm(WITHIN_PASS)

    def of(self, at: At) -> bool:
        """Report the loss after each pass, and now and then within one; whether to go on."""
        if self._context is None or not (at.ends_pass or self._alarm.rings()):
            return True
        return self.say(at.step, {"train_loss": at.loss})

    def say(self, step: int, metrics: Mapping[str, float] = _NOTHING) -> bool:
        """Report a step; whether to go on."""
        return self._context is None or self._context.report(self._before + step, metrics)
