"""Those who watch a search: observers, which are plug-ins, and watchers, which the controller itself is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from netwright.core.records import Trial


@dataclass(frozen=True)
class Observed:
    """The search that an observer is shown.

    Args:
        folder: The run's own folder, where an observer may write files of its own.
        settings: The run file as tables of JSON values: {"space": {"ref": "flat", "nodes": 7}, "seed": 0, ...}.
        objectives: Names of the metrics searched by, the first first, without signs: ("valid_accuracy",).
        finished: How many trials finished before: 0 where the search begins, more where it goes on.
        earlier: Gives these trials, with scores, in order of finishing. They are not told again, so that an observer
            that keeps a list of its own can fill in what it missed, such as trials that finished while nobody watched.
    """

    folder: Path
    settings: Mapping[str, Any]
    objectives: tuple[str, ...]
    finished: int
    earlier: Callable[[], Iterable[Trial]]


class Observer(Protocol):
    """Someone who is told how a search goes: a logger, a table of experiments, a function of yours.

    Observers live in the controller's process alone, whatever the workers are, and are told one thing at a time, in
    the controller's thread. One that raises an exception is named once, told nothing more, and stops nothing.
    They see the search; trainings in full that follow it are no trials of it.
    """

    def on_begin(self, run: Observed) -> None:
        """The search begins or goes on; called once in each process that plays it."""

    def on_step(self, trial_id: int, step: int, total: int | None, values: Mapping[str, float]) -> None:
        """A trial has come to a step.

        Steps of other processes are seen about once a second, so that not each of them is told.

        Args:
            trial_id: Number of the trial, which is running.
            step: Number of steps done.
            total: Number of steps planned for the trial; None: it is not known.
            values: What was measured at the step, such as {"train_loss": 0.3}; empty where nothing was.
        """

    def on_trial(self, trial: Trial) -> None:
        """A trial has finished, with its result and scores; a failed one has no scores. In order of finishing."""

    def on_end(self, facts: Mapping[str, Any]) -> None:
        """Nothing more is told.

        Args:
            facts: JSON values: "ending" says which limit was met ("trials", "hours", "table_seconds", "exhausted"),
                or "drained" where the search was stopped and can go on, or "failed"; "trials" is the number of finished
                ones; "best" the number of the best trial, or None; a timed run adds what
                `netwright search --json` prints.
        """


class Watcher(Protocol):
    """Someone whom the controller tells of every row and every round of its loop: a live display, a claim, a test."""

    def asked(self, trial: Trial) -> None:
        """A row was added."""

    def told(self, trial: Trial) -> None:
        """The strategy was told a finished trial."""

    def tick(self) -> None:
        """The loop went round once more."""
