"""A real search, played by the real command in processes of its own, that faults are done to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import psutil

MARK: Final = "NETWRIGHT_CHAOS"  # environment variable by which all processes of a search are found, however started
TABLE: Final = "trials.sqlite"
SERVED: Final = "served.json"  # says where a table is served
PATIENCE: Final = 20  # seconds for which workers beside wait for a controller that is gone
TOYS: Final = "netwright.testing.toys"
STUCK: Final = 240.0  # seconds in which a search must get on, on a machine that does much else
GRACE: Final = 30.0  # seconds in which what a search has started must be gone after its end
ROLES: Final[Mapping[str, str]] = MappingProxyType(
    {"worker": "netwright.executors.child", "parent": "netwright.executors.supervisor"}
)


class Violated(Exception):
    """A fault led to what must not be; one sentence."""


@dataclass(frozen=True)
class Subject:
    """The search that faults are done to, but for its folder and its number of trials.

    Args:
        name: Name of the setting, for the table.
        executor: Reference of the executor.
        workers: Number of trials at a time, for executors that are told.
        strategy: Reference of the strategy.
        space: Reference of the space.
        task: Reference of the task.
        evaluator: Reference of the evaluator, which must be deterministic.
        quick: Reference of an evaluator with the same results in less time, to compare with; "": the same.
        seed: Seed of the search.
        crew: Number of workers that are started beside it by `netwright worker`, and again whenever one has ended.
        options: Further words of the command.
        roles: Part of the command line by which a kind of process is known; the controller is known anyway.
    """

    name: str
    executor: str = "processes"
    workers: int = 1
    strategy: str = "tournament(initial=8)"
    space: str = f"{TOYS}:ToySpace"
    task: str = f"{TOYS}:ToyTask"
    evaluator: str = "netwright.testing.stepped:SteppedEvaluator(seconds=0.1)"
    quick: str = "netwright.testing.stepped:SteppedEvaluator"
    seed: int = 3
    crew: int = 0
    options: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=lambda: ROLES)

    def words(self, folder: Path, trials: int) -> list[str]:
        """The command line, less the program."""
        parts = ("space", "task", "evaluator", "strategy", "executor")
        words = ["search", "--out", str(folder), "--seed", str(self.seed), "--trials", str(trials), "--json"]
        words += [word for part in parts for word in (f"--{part}", getattr(self, part))]
        is_told = self.executor.partition("(")[0] != "inline"
        return [*words, *(["--workers", str(self.workers)] if is_told else []), *self.options]


class Started(Protocol):
    """A process that was started, as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int:
        """Its id."""

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None: it runs."""


@dataclass(frozen=True)
class Scene:
    """Where one search lies, and what its processes are known by.

    Args:
        root: Folder of it all.
        mark: Value of MARK in the environment of its processes.
        environment: Further variables of its processes' environment, which a fault may set.
        started: Commands that were started for it.
        at: Where workers that are started beside find the table, if that is not the run's folder: the last of these.
    """

    root: Path
    mark: str
    environment: dict[str, str] = field(default_factory=dict)
    started: list[Started] = field(default_factory=list)
    at: list[str] = field(default_factory=list)

    @property
    def disk(self) -> Path:
        """Folder above that of the run: a file system of its own, where a fault needs one."""
        return self.root / "disk"

    @property
    def run(self) -> Path:
        """Folder of the run."""
        return self.disk / "run"

    @property
    def temporary(self) -> Path:
        """Folder for temporary files of all its processes."""
        return self.root / "tmp"

    @property
    def said(self) -> Path:
        """What all commands printed."""
        return self.root / "said.txt"

    def variables(self) -> dict[str, str]:
        """The environment of its processes."""
        own = {MARK: self.mark, "TMPDIR": str(self.temporary), "COLUMNS": "200"}
        return {**os.environ, **own, **self.environment}

    def processes(self) -> list[psutil.Process]:
        """Processes that were started for this place and are no zombies, whatever has become of their parents."""
        mark = f"{MARK}={self.mark}".encode()
        own = {each.pid for each in self.started if each.poll() is None}  # forks have the environment of their parent
        found = []
        for pid in psutil.pids():
            with suppress(OSError, psutil.Error):
                if pid in own or mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    process = psutil.Process(pid)
                    if process.status() != psutil.STATUS_ZOMBIE:
                        found.append(process)
        return found

    def count(self, what: str) -> int:
        """A number that SQL counts in the rows of the run; 0 where there is no table."""
        path = self.run / TABLE
        with (
            suppress(sqlite3.Error, OSError),
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.5)) as db,
        ):
            return int(db.execute(f"SELECT {what} FROM trials").fetchone()[0] or 0)
        return 0

    def owner(self) -> int:
        """Id of the process that has claimed the run; 0: none has, or there is no table."""
        path = self.run / TABLE
        with (
            suppress(sqlite3.Error, OSError, ValueError, TypeError, KeyError),
            closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=0.5)) as db,
        ):
            return int(json.loads(db.execute("SELECT text FROM facts WHERE name = 'controller'").fetchone()[0])["pid"])
        return 0

    def may_lose(self) -> bool:
        """Whether no row would fail, as it should, because its worker was lost too often."""
        return self.count("MAX(CASE WHEN finish IS NULL THEN losses END)") < 2


Starter = Callable[[list[str], Mapping[str, str], Path], Started]


def command(words: list[str], environment: Mapping[str, str], said: Path) -> Started:
    """Start `netwright` with these words in a session of its own."""
    with said.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "netwright", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )


class Play:
    """One play of the command.

    Args:
        subject: The search.
        place: Where it lies.
        trials: Its budget.
        starter: Starts the command.
        crew: Workers that were started beside it, also by sessions before this one.
    """

    def __init__(
        self,
        subject: Subject,
        place: Scene,
        trials: int,
        starter: Starter = command,
        crew: list[Started] | None = None,
    ) -> None:
        self.subject, self.place, self.trials = subject, place, trials
        self._from = place.said.stat().st_size if place.said.exists() else 0
        self._process = starter(subject.words(place.run, trials), place.variables(), place.said)
        place.started.append(self._process)
        self._moved, self._known = time.monotonic(), -1
        self._starter, self._crew = starter, crew if crew is not None else []

    @property
    def pid(self) -> int:
        """Id of the controller's process."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code of the command; None: it runs. Raises Violated where it has not got on for long."""
        code = self._process.poll()
        if code is None and time.monotonic() - self._moved > STUCK:
            now = self.finished()
            if now == self._known:
                raise Violated(f"no trial has finished in {STUCK:.0f} s ({now} of {self.trials}): {self.words()}")
            self._known, self._moved = now, time.monotonic()
        return code

    def started_beside(self, said: Path) -> Started:
        """The same command, started once more while this one runs."""
        made = self._starter(self.subject.words(self.place.run, self.trials), self.place.variables(), said)
        self.place.started.append(made)
        return made

    def tend(self) -> None:
        """Start workers that are to be there beside the search, as a scheduler does, once it has begun."""
        if self.subject.crew and not (self.place.run / SERVED).exists():
            return
        self._crew[:] = [each for each in self._crew if each.poll() is None]
        while len(self._crew) < self.subject.crew and self._process.poll() is None:
            token = str(self.place.run / SERVED)
            where = [self.place.at[-1], "--token-file", token] if self.place.at else [str(self.place.run)]
            words = ["worker", *where, "--patience", str(PATIENCE), "--trust"]
            made = self._starter(words, self.place.variables(), self.place.root / "crew.txt")
            self._crew.append(made)
            self.place.started.append(made)

    def sleep(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Wait, no longer than the command runs and until something is so; returns whether the command still runs."""
        end = time.monotonic() + seconds
        self.tend()
        while self._process.poll() is None and time.monotonic() < end and not until():
            time.sleep(min(0.02, seconds))
        return self._process.poll() is None

    def members(self, role: str) -> list[psutil.Process]:
        """Its living processes of a role: "controller", "all", or one of the subject's."""
        if role == "controller":
            with suppress(psutil.Error):
                return [psutil.Process(self.pid)]
            return []
        everyone = self.place.processes()
        if role == "all":
            return everyone
        if role == "parent" and self.subject.crew:
            own = {each.pid for each in self._crew}
            return [each for each in everyone if each.pid in own]
        found = []
        for process in everyone:
            with suppress(psutil.Error):
                if process.pid != self.pid and self.subject.roles[role] in process.cmdline():
                    found.append(process)
        return found

    def finished(self) -> int:
        """Number of finished rows; 0 where there is no table."""
        return self.place.count("COUNT(finish)")

    def words(self) -> str:
        """The last line that the command printed."""
        with suppress(OSError), self.place.said.open("rb") as file:
            file.seek(self._from)
            lines = file.read().decode(errors="replace").strip().splitlines()
            return lines[-1][:500] if lines else ""
        return ""


@contextmanager
def made(root: Path, mark: str) -> Iterator[Scene]:
    """A place for one search; all of its processes are killed and the folder is removed at the end of the block."""
    place = Scene(root, mark)
    for folder in (place.disk, place.temporary):
        folder.mkdir(parents=True)
    try:
        yield place
    finally:
        end(place)
        shutil.rmtree(root, ignore_errors=True)


def end_all(folder: Path) -> None:
    """Kill all processes of all places in a folder, release what is mounted there, and remove it."""
    mark = f"{MARK}={folder.name}/".encode()
    for pid in psutil.pids():
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes():
                os.kill(pid, signal.SIGKILL)
    for disk in folder.glob("*/disk"):
        if disk.is_mount():
            subprocess.run(["umount", "-l", str(disk)], capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


def end(place: Scene) -> None:
    """Kill all processes of a place, and wait until they are gone."""
    until = time.monotonic() + GRACE
    while (found := place.processes()) and time.monotonic() < until:
        for process in found:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        time.sleep(0.05)
