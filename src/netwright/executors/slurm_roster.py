"""Which tasks of Slurm work for a run, which are lost, and how many are to take their place: bookkeeping alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from netwright.executors.slurm_queue import ArrayTask

QUICK: Final = 60.0  # seconds within which a task that ended has done nothing, unless it has few minutes in all
FAULTLESS: Final = ("CANCELLED", "PREEMPTED", "NODE_FAIL", "REVOKED")  # states of what others did to a task
STRIKES: Final = 3  # tasks that ended so, one after another, after which no more are started
SHORTEST, LONGEST = 5.0, 600.0  # seconds until the place of one that ended so is filled


@dataclass
class Roster:
    """The tasks of a run.

    Args:
        quick: Seconds within which a task that ended has done nothing.
        members: Number and index of the tasks that run or will, with what was last seen of them.
        met: Those of them that have come to the table.
        strikes: How many have ended as soon as they began, or without coming to the table, since a trial finished last.
        gone: What ended last so.
        finished: How many trials had finished then.
        not_before: When the next ones may be started, on the monotonic clock.
        was_cancelled: Whether some were cancelled by somebody else, at the last look.
    """

    quick: float = QUICK
    members: dict[tuple[int, int], ArrayTask] = field(default_factory=dict)
    met: set[tuple[int, int]] = field(default_factory=set)
    strikes: int = 0
    gone: ArrayTask | None = None
    finished: int = 0
    not_before: float = 0.0
    was_cancelled: bool = False

    def add(self, array: int, number: int) -> None:
        """An array of so many tasks was submitted."""
        self.members.update({(array, index): ArrayTask(array, index, "PENDING") for index in range(number)})

    def adopt(self, listed: Iterable[ArrayTask], most: int) -> list[ArrayTask]:
        """Take in tasks that were not known, up to so many members, those that run first; returns those too many."""
        strangers = [task for task in listed if task.is_live and (task.array, task.index) not in self.members]
        strangers.sort(key=lambda task: not task.is_running)
        room = max(0, most - len(self.members))
        self.members.update({(task.array, task.index): task for task in strangers[:room]})
        return strangers[room:]

    def meet(self, places: Iterable[tuple[int, int]]) -> None:
        """Workers of these tasks have come to the table."""
        self.met.update(self.members.keys() & set(places))

    def look(self, listed: Iterable[ArrayTask], finished: int, now: float) -> list[ArrayTask]:
        """Take in the queue; returns the members that are lost, as last seen.

        Args:
            listed: All tasks that Slurm knows.
            finished: How many trials have finished.
            now: Seconds on the monotonic clock.
        """
        known = {(task.array, task.index): task for task in listed}
        if finished > self.finished:
            self.strikes, self.finished, self.not_before = 0, finished, 0.0
        lost = []
        for place, before in list(self.members.items()):
            # one that Slurm has forgotten ended a while ago, or its controller lost it
            task = known.get(place) or ArrayTask(*place, "FORGOTTEN", before.seconds, before.node)
            if task.is_live:
                self.members[place] = task
                continue
            del self.members[place]
            lost.append(task)
        self.was_cancelled = any(task.state == "CANCELLED" for task in lost)
        for task in lost:
            place = (task.array, task.index)
            if task.state not in FAULTLESS and (task.seconds < self.quick or place not in self.met):
                self.strikes, self.gone = self.strikes + 1, task
                self.not_before = now + min(LONGEST, SHORTEST * 2 ** min(self.strikes - 1, 10))
            self.met.discard(place)
        return lost

    @property
    def running(self) -> int:
        """How many run."""
        return sum(task.is_running for task in self.members.values())

    def counts(self) -> str:
        """How many run and how many wait for what, in words."""
        waiting = Counter(task.reason for task in self.members.values() if not task.is_running)
        reasons = ", ".join(f"{number} for {reason}" for reason, number in waiting.most_common(3))
        return f"{self.running} run, {waiting.total()} wait{f' ({reasons})' if reasons else ''}"

    def is_hopeless(self) -> bool:
        """Whether tasks end without having worked, one after another, and too few others do to speak against it."""
        others = [task for place, task in self.members.items() if place in self.met or task.seconds < self.quick]
        return self.strikes >= max(STRIKES, sum(task.is_running for task in others) + 1)

    def needed(self, wanted: int, now: float) -> int:
        """How many are to be started now, that so many may work."""
        # who cancels all of them may be at it still
        return 0 if self.was_cancelled or now < self.not_before else max(0, wanted - len(self.members))


def quick(minutes: int) -> float:
    """Seconds within which a task that ended has done nothing, by the limit of its time; 0: it has none."""
    return min(QUICK, 20.0 * minutes) if minutes else QUICK


def sizes(number: int, most: int) -> list[int]:
    """The sizes of the arrays that so many tasks take, with at most `most` in each."""
    return [min(most, number - start) for start in range(0, number, most)]
