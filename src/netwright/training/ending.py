"""Ends a training before its planned last step, where its time runs out or nothing is left to learn."""

from __future__ import annotations

from netwright.training.course import Deadline, FlexibleSchedule
from netwright.training.loop import At
from netwright.training.parallel import Team
from netwright.training.standing import Standing


class Ending:
    """Watches a training and shortens its course.

    Args:
        course: What is shortened.
        state: Takes in how it was, for checkpoints to hold.
        team: The processes that train together; all of them make every call, and the first one decides.
        deadline: How many steps the time allows; None: there is no limit.
        plateau: Passes without a gain after which the training ends; 0: it goes on.
    """

    def __init__(
        self, course: FlexibleSchedule, state: Standing, team: Team, deadline: Deadline | None = None, plateau: int = 0
    ) -> None:
        self._course, self._state, self._team = course, state, team
        self._deadline, self._plateau = deadline, plateau

    def look(self, at: At) -> None:
        """Shorten the course, if it is time; to be called at every moment of the training."""
        if at.step >= self._course.steps:
            return
        if self._plateau and at.ends_pass:
            self._look_for_gain(at)
        if self._deadline and not at.ends_pass:
            self._look_at_clock(self._deadline, at.step)
        self._state.cut = self._course.cut

    def _look_for_gain(self, at: At) -> None:
        state, course = self._state, self._course
        state.stall = state.stall.after(at)
        if self._team.agree(state.stall.passes >= self._plateau) and not course.is_cooling(at.step):
            course.shorten(at.step, "plateau")

    def _look_at_clock(self, deadline: Deadline, step: int) -> None:
        course = self._course
        if course.is_cooling(step):
            planned = course.steps - step
            possible = deadline.left(step, planned)
            if planned > 1 and self._team.agree(possible <= 0):
                course.stop(step)
            elif planned > 1 and self._team.agree(2 * possible <= planned):  # the end shall come all the same
                course.bend(step)
        elif self._team.agree(course.must_cool(step, deadline.possible(step))):
            course.shorten(step, "deadline")
