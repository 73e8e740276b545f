"""Cells played side by side by processes of this machine, each started anew and never forked.

A process gets a group of cells that it plays in about a second, so that slow strategies spread over all processes and
fast ones cost few messages. When a process dies, the cell that it was playing has failed, and a new process goes on
with the rest of the group.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from netwright.comparison import courses
from netwright.comparison.courses import Course, SearchCell
from netwright.core import room
from netwright.core.errors import WorkerError
from netwright.core.protocols import STOP_SECONDS
from netwright.executors import deaths, descendants

SECONDS = 1.0  # about the time that a group of cells should take
PROCESS_MB = 300.0  # a process with what it imports, torch included, before it plays anything
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Group = tuple[str, str]  # strategy, problem


@dataclass(frozen=True)
class Played:
    """What became of a cell: its course, or the sentence that says why there is none."""

    cell: SearchCell
    course: Course | None
    fault: str = ""


def play(
    order: Mapping[str, object], cells: Sequence[SearchCell], workers: int, logs: Path, program: str
) -> Generator[Played, None, None]:
    """Plays every cell once, in the order in which they finish. Closing the iterator ends the processes.

    Args:
        order: What there is to play, as `program` reads it.
        cells: The cells to play of it.
        workers: Number of processes at a time.
        logs: Folder for what strategies print, made when missing.
        program: Module that a process runs, which calls `player.main`.

    Raises:
        WorkerError: A process dies before it can begin, or memory does not hold so many.
    """
    if not cells:
        return
    check_workers(workers, len(cells))
    logs.mkdir(parents=True, exist_ok=True)
    pool = _Pool(order, _Waiting(cells, workers), logs, program)
    try:
        for index in range(min(workers, len(cells))):
            pool.start(index)
        left = len(cells)
        while left:
            for played in pool.take():
                left -= 1
                yield played
    finally:
        pool.stop()


class _Waiting:
    """Cells that no process plays yet, by group, and how long a cell of each group takes."""

    def __init__(self, cells: Sequence[SearchCell], workers: int) -> None:
        self._workers = workers
        self._groups: dict[Group, list[int]] = {}
        self._seconds: dict[Group, float] = {}
        for cell in cells:
            self._groups.setdefault((cell.strategy, cell.problem), []).append(cell.seed)

    def next(self) -> list[SearchCell]:
        """Cells of the group that would take longest, one of a group never played; empty when nothing waits."""
        waiting = {group: seeds for group, seeds in self._groups.items() if seeds}
        if not waiting:
            return []
        group = max(waiting, key=lambda group: self._seconds.get(group, float("inf")) * len(waiting[group]))
        seeds = waiting[group]
        count = 1
        if group in self._seconds:
            share = -(-len(seeds) // (2 * self._workers))  # fewer towards the end, which all reach together
            count = max(1, min(int(SECONDS / max(self._seconds[group], 1e-9)), share))
        self._groups[group] = seeds[count:]
        return [SearchCell(*group, seed) for seed in seeds[:count]]

    def learn(self, cell: SearchCell, course: Course) -> None:
        """Take in how long a cell took."""
        self._seconds[cell.strategy, cell.problem] = course.elapsed[-1] / 1e6 if len(course) else 0.0

    def put_back(self, cells: Sequence[SearchCell]) -> None:
        """Takes back cells of one group that were given out and not played."""
        for cell in cells:
            self._groups[cell.strategy, cell.problem].append(cell.seed)


@dataclass
class _Process:
    process: Popen[str]
    at: list[SearchCell] = field(default_factory=list)  # cells it was given and has not answered
    is_ready: bool = False


def _is_there(one: _Process) -> bool:
    """Whether a process has not ended yet, which is left to be collected, so that its group keeps its number."""
    try:
        return os.waitid(os.P_PID, one.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:  # it was collected before
        return False


class _Pool:
    def __init__(self, order: Mapping[str, object], waiting: _Waiting, logs: Path, program: str) -> None:
        self._order, self._waiting, self._logs, self._program = order, waiting, logs, program
        self._processes: dict[int, _Process] = {}
        # (index, process id, line; None: it is gone)
        self._answers: queue.SimpleQueue[tuple[int, int, str | None]] = queue.SimpleQueue()

    def start(self, index: int) -> None:
        """Starts a process; it is ready when it says so."""
        with self._log(index).open("ab") as log:
            process = Popen(
                [sys.executable, "-m", self._program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env={**os.environ, **dict.fromkeys(ONE_THREAD, "1"), descendants.MARK: self._mark(index)},
                start_new_session=True,  # Ctrl-C reaches this process alone
            )
        self._processes[index] = _Process(process)
        threading.Thread(target=self._listen, args=(index, process), daemon=True).start()
        self._tell(index, self._order)

    def take(self) -> Iterator[Played]:
        """Waits for the next answer of any process, gives the cells that it ends, and hands out new ones."""
        index, pid, line = self._answers.get()
        one = self._processes.get(index)
        if one is None or one.process.pid != pid:
            return
        if line is None:
            yield from self._bury(index, one)
            return
        if not one.is_ready:
            if line.strip() != "ready":  # whatever writes there besides
                return
            one.is_ready = True
        elif one.at and (played := self._played(one.at[0], line)) is not None:
            one.at.pop(0)
            yield played
        if not one.at:
            self._give(index, one)

    def stop(self) -> None:
        """Ends all processes, whatever they are doing; trainings first write down where they stand."""
        try:
            for one in self._processes.values():
                with suppress(ProcessLookupError):
                    os.kill(one.process.pid, signal.SIGTERM)
            until = time.monotonic() + STOP_SECONDS
            while any(map(_is_there, self._processes.values())) and time.monotonic() < until:
                time.sleep(0.01)
        finally:  # also when Ctrl-C comes again meanwhile
            self._kill()

    def _kill(self) -> None:
        for one in self._processes.values():
            with suppress(ProcessLookupError):
                os.killpg(one.process.pid, signal.SIGKILL)  # with whatever a strategy has started
        for one in self._processes.values():
            one.process.wait()
            if one.process.stdin is not None:
                with suppress(OSError):  # an order that it never read
                    one.process.stdin.close()
        self._processes = {}
        descendants.end_marked(self._mark())

    def _mark(self, index: int | None = None) -> str:
        """What stands in the environment of whatever a process, or any of them, has started."""
        return f"{self._logs.absolute()}|" + ("" if index is None else f"p{index}|")

    def _played(self, cell: SearchCell, line: str) -> Played | None:
        """What a line says of the cell that is played now; None: it answers for another one, and is dropped."""
        try:
            of, course = courses.from_line(line)
        except ValueError:
            return Played(cell, None, _fault_in(line))
        if of != cell:
            return None
        self._waiting.learn(cell, course)
        return Played(cell, course)

    def _give(self, index: int, one: _Process) -> None:
        one.at = self._waiting.next()
        if one.at:
            strategy, problem = one.at[0].strategy, one.at[0].problem
            self._tell(index, {"strategy": strategy, "problem": problem, "seeds": [cell.seed for cell in one.at]})

    def _bury(self, index: int, one: _Process) -> Iterator[Played]:
        """After a process has died: the cell that it was playing has failed, and a new process takes its place."""
        code = one.process.wait()
        said = _last_line(self._log(index))
        if not one.is_ready:
            raise WorkerError(f"a process that plays searches cannot start: {said}")
        del self._processes[index]
        descendants.end_marked(self._mark(index))
        if not one.at:
            return
        died, *left = one.at
        self._waiting.put_back(left)
        self.start(index)
        yield Played(died, None, f"its process {deaths.cause(code)}: {said}")

    def _tell(self, index: int, order: Mapping[str, object]) -> None:
        pipe = self._processes[index].process.stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(dict(order)) + "\n")
            pipe.flush()
        except OSError:  # it is gone; the end of its answers says so
            return

    def _listen(self, index: int, process: Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):  # else it died while it wrote
                self._answers.put((index, process.pid, line))
        self._answers.put((index, process.pid, None))

    def _log(self, index: int) -> Path:
        return self._logs / f"p{index}.log"


def check_workers(workers: int, cells: int) -> None:
    """Raise WorkerError where the machine's memory does not hold the processes that play so many cells side by side."""
    room.refuse_crowd("--workers", workers, min(workers, cells), PROCESS_MB)


def _fault_in(line: str) -> str:
    """The fault that a line of JSON tells of, or that the line is, as when a strategy writes among the answers."""
    with suppress(ValueError, RecursionError):
        found = json.loads(line)
        if isinstance(found, dict) and isinstance(found.get("fault"), str):
            return str(found["fault"])
    return f"its process answered what is no course: {line.strip()[:80]!r}"


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1][:500]} (all of it in {path})" if lines else f"it said nothing in {path}"
