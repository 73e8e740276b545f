"""What every command that puts workers to work needs: a place to say things, data made ready, a watched controller."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path

import psutil
from rich.console import Console
from threadpoolctl import threadpool_limits

from netwright.core import objectives
from netwright.core.errors import StoreError
from netwright.core.protocols import EstimatesMemory, HasCaveats, HasFingerprint, Prepares, Store, Task
from netwright.core.records import Genotype
from netwright.core.refs import Reference
from netwright.core.run_file import Parts, RunFile
from netwright.core.shapes import contents
from netwright.runs import beforehand
from netwright.runs.display import Display
from netwright.search import Search

PACKAGES = ("netwright", "torch", "numpy", "pillow", "scikit-learn")

# lends a controller, and a way to say so, to someone who may drain it: signals
Attended = Callable[[Search, Callable[[str], None]], AbstractContextManager[None]]


class Drained(Exception):
    """Whoever attends the run asked it to stop; what was running has finished, and the same call goes on."""


class Session:
    """One process's work on runs.

    Args:
        console: Where progress is shown.
        attended: Lends each controller to someone who may stop it.
        command: What the user typed; "": this is no command.
    """

    def __init__(self, console: Console, attended: Attended, command: str) -> None:
        self._console, self._attended, self.command = console, attended, command
        self._prepared: Reference | None = None

    def say(self, text: str) -> None:
        """A line for the user."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def prepare(self, task: Reference, parts: Parts) -> None:
        """Make the data ready, once, and say what it takes. Raises NetwrightError for data that cannot be used."""
        if task == self._prepared:
            return
        self._prepared = task
        if isinstance(parts.task, Prepares):
            for line in parts.task.prepare():
                self.say(line)

    def note(self, store: Store, command: str, parts: Parts) -> None:
        """Write down what is needed to repeat the run, and to show it: the user's last command, or this one; versions
        at its start; what is measured.

        Raises:
            StoreError: The task's data is not that with which the run began.
        """
        task = parts.task
        refuse_other_data(store, task)  # first: a command that is refused is not the run's
        store.remember("command", self.command or command)
        if store.recall("versions") is None:
            store.remember("versions", json.dumps(versions()))
        store.remember("measures", objectives.to_json(parts.measures))
        if isinstance(task, HasCaveats):
            store.remember("caveats", json.dumps(task.caveats()))
        if isinstance(task, HasFingerprint) and store.recall("data") is None:
            store.remember("data", task.fingerprint())

    def control(self, store: Store, settings: RunFile, parts: Parts, folder: Path, title: str) -> None:
        """Run one controller with a display until its limits are met. Raises Drained when it was stopped before.

        What a strategy learns is small algebra: one thread does it, since more would wait for cores that workers use.
        """
        finished = objectives.with_scores(store.finished(), settings.objectives)
        first, limit = objectives.first(settings.objectives, parts.measures), settings.limits.trials
        display = Display(self._console, store, title=title, trials=limit, objective=first)
        controller = Search(
            parts.space,
            parts.strategy,
            store,
            parts.executor,
            objectives=settings.objectives,
            limits=settings.limits,
            seed=settings.seed,
            reuse=settings.reuse,
            folder=folder,
            threads=settings.threads_per_trial or 1,
            keep=settings.keep == "all",
            io=parts.task.io,
            observers=(display,),
        )
        with threadpool_limits(1, user_api="blas"), display, self._attended(controller, display.say):
            display.replayed(finished)
            if controller.run() == "drained":
                raise Drained(short(folder))


def refuse_other_data(store: Store, task: Task) -> None:
    """Raise StoreError when a table was made with other data than the task has now."""
    known, consists_of = store.recall("data"), contents(task.io)
    if known is not None and isinstance(task, HasFingerprint) and task.fingerprint() != known:
        raise StoreError(
            f"the {consists_of} or splits of the task have changed since this run began, so its results would not "
            "compare; restore them, or begin another run with --out"
        )


def memory_estimate(parts: Parts, genotypes: Sequence[Genotype]) -> str:
    """About how much memory the workers take, as a sentence; "" where the evaluator cannot tell.

    Raises:
        InvalidGenotype: None of the genotypes fits; one alone is left out.
    """
    if not isinstance(parts.evaluator, EstimatesMemory):
        return ""
    estimates = beforehand.of_those_that_fit(genotypes, parts.evaluator.memory_mb)
    known = [estimate for estimate in estimates if estimate is not None]
    if not known:
        return ""
    largest, workers = max(known) / 1000, parts.executor.workers
    free = psutil.virtual_memory().available / 1e9
    text = f"memory: up to about {largest:.1f} GB a worker, {workers} at a time; {free:.1f} GB are free"
    if largest * workers <= free:
        return text
    return f"{text}: give fewer --workers, a smaller --evaluator.batch or --space.channels"


def versions() -> dict[str, str]:
    """What this process runs on: Python, system, packages."""
    found = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    return found | {name: metadata.version(name) for name in PACKAGES}


def short(path: Path) -> str:
    """The path as seen from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
