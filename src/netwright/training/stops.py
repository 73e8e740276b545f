"""When a training stops before its end: the worker no longer wants it, or asks it to keep what it did."""

from __future__ import annotations

from netwright.core.protocols import Context
from netwright.training.loop import At, Stopped
from netwright.training.parallel import Team
from netwright.training.reports import Reports

ASK_EVERY = 1.0  # seconds, about, between questions of a team, whose processes must stop at the same step
MOST = 20  # steps between them, at most
UNWANTED, KEPT = -1, 0  # what a team agrees on; else the number of steps until it asks again


class Interrupted(Exception):
    """The worker asks to stop while a network is measured, which begins anew another time."""


class Stops:
    """Asks the worker whether to go on, for all processes of a team at the same steps.

    A training of one process asks after each step, and for each batch that is measured; a team about once a second.

    Args:
        context: Context of the trial, which is asked; None: this is not the first process of its team and follows it.
        team: The processes that train together.
        reports: What is said to the worker, whose answer may be that the result is no longer wanted.
    """

    def __init__(self, context: Context | None, team: Team, reports: Reports) -> None:
        self._context, self._team, self._reports = context, team, reports
        self._next, self._begun = 0, (0, 0.0)  # step of the next question; where the measure of speed began

    def at(self, at: At) -> bool:
        """Whether to keep what was done and stop, between two steps.

        Raises:
            Stopped: The result is no longer wanted.
        """
        if self._team.size == 1:
            if at.is_look and not self._reports.of(at):
                raise Stopped(f"stopped at step {at.step}")
            return self._is_asked()
        if not at.is_look and at.step < self._next:
            return False
        answer = self._team.agree(self._answer(at))
        if answer == UNWANTED:
            raise Stopped(f"stopped at step {at.step}")
        self._next = at.step + answer
        return answer == KEPT

    def during_measurement(self) -> None:
        """Raise Interrupted where the one process of a training is asked to stop; a team measures to the end."""
        if self._team.size == 1 and self._is_asked():
            raise Interrupted

    def _answer(self, at: At) -> int:
        if at.is_look and not self._reports.of(at):
            return UNWANTED
        if self._is_asked():
            return KEPT
        step, seconds = self._begun
        each = max(at.seconds - seconds, 1e-9) / max(at.step - step, 1)
        self._begun = at.step, at.seconds
        return max(1, min(MOST, int(ASK_EVERY / each)))

    def _is_asked(self) -> bool:
        return self._context is not None and self._context.should_stop()
