"""Tells observers how a search goes; what is wrong with one of them is said once and stops nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from netwright.core import activity, refs
from netwright.core.protocols import Observed, Observer, Store
from netwright.core.records import Trial

LOOK_EVERY: Final = 1.0  # seconds between looks at what workers in other processes do; they write it down as often

OnTrial = Callable[[Trial], object]
OnStep = Callable[[int, int, int | None, Mapping[str, float]], object]


@dataclass(frozen=True)
class Callbacks:
    """Functions as an observer; None: of such an event nobody wants to hear.

    Args:
        trial: Is given each finished trial.
        step: Is given the trial's number, the step, the steps planned or None, and what was measured.
    """

    trial: OnTrial | None = None
    step: OnStep | None = None

    def on_begin(self, run: Observed) -> None:
        """Nothing to do."""

    def on_step(self, trial_id: int, step: int, total: int | None, values: Mapping[str, float]) -> None:
        """Call the function for steps."""
        if self.step is not None:
            self.step(trial_id, step, total, values)

    def on_trial(self, trial: Trial) -> None:
        """Call the function for trials."""
        if self.trial is not None:
            self.trial(trial)

    def on_end(self, facts: Mapping[str, Any]) -> None:
        """Nothing to do."""


def loaded(
    observers: Sequence[str | Observer], on_trial: OnTrial | None = None, on_step: OnStep | None = None
) -> list[Observer]:
    """Observers given as references or as objects, and functions as one more.

    Raises:
        BadReference: A reference names none, or an option that it does not take.
    """
    found = [refs.load("observer", refs.parse(each)) if isinstance(each, str) else each for each in observers]
    return [*found, Callbacks(on_trial, on_step)] if on_trial or on_step else found


class Observing:
    """Tells observers of one search in this process; a watcher of the controller (`core.protocols.Watcher`).

    Args:
        observers: Whom to tell.
        say: Prints a line for the user.
        now: Gives the seconds of a clock that never goes back.
    """

    def __init__(
        self, observers: Sequence[Observer], say: Callable[[str], None], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._observers, self._say, self._now = list(observers), say, now
        self._store: Store | None = None
        self._looked = now()
        self._seen: dict[str, tuple[int, str]] = {}  # trial and activity of each worker when last looked at
        self._depth = 0
        self.facts: dict[str, Any] = {}  # what `on_end` is given

    def begin(self, run: Observed, store: Store) -> None:
        """The search begins or goes on; `store` is where workers write what they do."""
        self._store = store
        self._tell(lambda observer: observer.on_begin(run))

    @contextmanager
    def until_over(self, interruption: type[BaseException]) -> Iterator[None]:
        """Tell the end where this block, and one that it stands in, is left.

        Args:
            interruption: What is raised where the run was stopped and can go on, besides Ctrl-C and SIGTERM.
        """
        self._depth += 1
        try:
            yield
        except BaseException as error:
            is_stop = isinstance(error, (KeyboardInterrupt, SystemExit, interruption))
            self.facts["ending"] = "drained" if is_stop else "failed"
            raise
        finally:
            self._depth -= 1
            if not self._depth and self._store is not None:
                self._store = None
                self._tell(lambda observer: observer.on_end(dict(self.facts)))

    def reported(self, trial_id: int, step: int, metrics: Mapping[str, float]) -> None:
        """A trial in this process has reported."""
        at = activity.of_report(step, metrics)
        self._tell(lambda observer: observer.on_step(trial_id, at.step, at.total, at.values))

    def asked(self, trial: Trial) -> None:
        """Nothing to tell: what matters is what finishes."""

    def told(self, trial: Trial) -> None:
        """A trial has finished."""
        self._tell(lambda observer: observer.on_trial(trial))

    def tick(self) -> None:
        """Look now and then at what workers in other processes report.

        What a worker says may still be of the trial before: a line counts from the second look at the same trial on,
        and where it is another one than before.
        """
        if not self._observers or self._store is None or self._now() - self._looked < LOOK_EVERY:
            return
        self._looked = self._now()
        before, self._seen = self._seen, {}
        for worker in self._store.workers():
            if worker.trial_id is None:
                continue
            self._seen[worker.name] = worker.trial_id, worker.activity
            trial_id, line = before.get(worker.name, (None, ""))
            at = activity.read(worker.activity)
            if trial_id == worker.trial_id and line != worker.activity and at is not None:
                self._step(trial_id, at)

    def _step(self, trial_id: int, at: activity.Activity) -> None:
        self._tell(lambda observer: observer.on_step(trial_id, at.step, at.total, at.values))

    def _tell(self, event: Callable[[Observer], object]) -> None:
        for observer in tuple(self._observers):
            try:
                event(observer)
            except Exception as error:  # of whatever another program does; the search is worth more than its log
                self._observers.remove(observer)
                reason = " ".join(str(error).split())[:200]
                self._say(
                    f"the observer {type(observer).__name__} failed ({type(error).__name__}: {reason}); it is told "
                    "nothing more, and the search goes on"
                )
