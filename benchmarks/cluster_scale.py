"""What 1,000 workers with one-minute trials cost the process that serves a durable table of a million rows.

The process is `netwright serve`, going on with aging evolution behind the rows that table_scale.py writes. The workers
are simulated, their connections are not: each has two, as a real one, by the first of which its parent gives a sign of
life and asks what to do every 5 s, and by the second of which trials are claimed and finished, a minute after they
began. Nothing is evaluated. The first trial of each worker is cut at a random place, so that they end 17 a second.

Claims: under 20 % of one core once all are at work, `status` in 2 s of CPU, replay in 40 s of CPU. The share is that of
the pace that so many workers keep: where other programs leave the process too little of the processor for that, it is
what it took for each request, times the requests of that pace.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, Popen

import psutil
import results
import table_scale

from netwright.core import liveness
from netwright.core.records import Result
from netwright.executors import orders
from netwright.stores import served_file, sqlite_rows, wire
from netwright.stores.served_file import Served
from netwright.stores.wire import Endpoint

SHARE, STATUS, REPLAY = 0.20, 2.0, 40.0
PATIENCE = 1800.0  # seconds that the table has for being served
AT_ONCE = 20  # connections that are being opened
SETTLING = 10.0  # seconds after the last worker has come


@dataclass
class Crew:
    """Simulated workers, and what they went through.

    Args:
        served: Where they work.
        workers: How many there are.
        trial_seconds: How long each trial takes.
    """

    served: Served
    workers: int
    trial_seconds: float
    begun: int = 0  # workers that have had a trial
    finished: int = 0
    waited: list[float] = field(default_factory=list)  # seconds from a result to the next trial
    asked: int = 0  # requests that were answered
    beats: list[float] = field(default_factory=list)  # seconds until a sign of life was answered
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    doors: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def work(self) -> None:
        """Work until it is over."""
        loads = [load for number in range(self.workers) for load in (self._parent(number), self._child(number))]
        tasks = [asyncio.create_task(load) for load in loads]
        await self.is_over.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _parent(self, number: int) -> None:
        line = await _Line.to(self)
        await asyncio.sleep(random.uniform(0, orders.BEAT))
        while True:
            begun = time.perf_counter()
            await line.ask("beat", f"s{number}", "step 100")
            await line.ask(orders.ORDERS, f"s{number}")
            self.asked += 2
            self.beats.append(time.perf_counter() - begun)
            await asyncio.sleep(orders.BEAT)

    async def _child(self, number: int) -> None:
        line, name, cut = await _Line.to(self), f"s{number}", random.random()
        await line.ask("beat", name, "starting")
        ended: float | None = None
        while True:
            row = await line.ask("claim", name, 1.0)
            if row is None:
                continue
            if ended is None:
                self.begun += 1
            else:
                self.waited.append(time.perf_counter() - ended)
            await asyncio.sleep(self.trial_seconds * (1.0 if ended is not None else cut))
            result = Result({"valid_accuracy": random.random(), "params": 1.0}, seconds=self.trial_seconds)
            ended = time.perf_counter()
            trial_id = row[0]
            assert await line.ask("finish", trial_id, sqlite_rows.result_row(trial_id, result), name)
            self.finished += 1
            self.asked += 2


class _Line:
    """A connection of a simulated worker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer, self._number = reader, writer, 0

    @classmethod
    async def to(cls, crew: Crew) -> _Line:
        """Connect, and be let in, some at a time: one that cannot say who it is within 10 s is cut off."""
        at = Endpoint.of(crew.served.address)
        who = {"client": os.urandom(8).hex(), "host": "simulated", "pid": os.getpid(), "born": liveness.birth()}
        greeting = {"netwright": wire.PROTOCOL, "token": crew.served.token, "run": crew.served.run, **who}
        while True:
            async with crew.doors:
                with suppress(OSError, wire.Garbled):
                    line = cls(*await asyncio.open_connection(at.host, at.port))
                    await line._said(greeting)
                    return line

    async def ask(self, do: str, *values: object) -> list[int] | None:
        """The answer to a request."""
        self._number += 1
        return await self._said({"n": self._number, "do": do, "with": values})  # type: ignore[return-value]

    async def _said(self, message: dict[str, object]) -> object:
        self._writer.write(wire.line(message))
        return wire.message(await self._reader.readline(), wire.MAX_ANSWER)["ok"]


@dataclass(frozen=True)
class Found:
    """What was measured.

    Args:
        replay: Seconds of CPU until the table is served.
        status: Seconds of CPU of `status` meanwhile.
        taken: Share of a core that the process took.
        share: The same at the pace of all workers.
        rate: Results a second.
        asked: Requests a second.
        waited: Mean seconds from a result to the next trial.
        beat: Longest time of a sign of life, seconds.
        load: Processes that wanted a core.
    """

    replay: float
    status: float
    taken: float
    share: float
    rate: float
    asked: float
    waited: float
    beat: float
    load: float


@contextmanager
def serving(folder: Path, trials: int, workers: int) -> Iterator[tuple[psutil.Process, Served]]:
    """The command that serves a run, once it does."""
    words = ["-m", "netwright", "serve", str(folder), "--trials", str(trials), "--workers", str(workers)]
    with Popen([sys.executable, *words, "--trust"], stdin=DEVNULL, stdout=DEVNULL) as process:
        try:
            until, served = time.monotonic() + PATIENCE, None
            while served is None and process.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
                served = served_file.read(folder / served_file.NAME)
            if served is None:
                raise SystemExit("the table was not served; see above")
            yield psutil.Process(process.pid), served
        finally:
            process.terminate()
            process.wait(60)


def cpu(process: psutil.Process) -> float:
    """Seconds of the processor that a process has taken."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def watched(process: psutil.Process, crew: Crew, seconds: float) -> tuple[float, float, float]:
    """Share of a core, results and requests a second, in so many seconds after all workers have come."""
    working = asyncio.create_task(crew.work())
    while crew.begun < crew.workers and not working.done():
        await asyncio.sleep(0.1)
    await asyncio.sleep(min(SETTLING, seconds))
    crew.waited.clear()
    crew.beats.clear()
    begun, spent, finished, asked = time.perf_counter(), cpu(process), crew.finished, crew.asked
    await asyncio.sleep(seconds)
    took = time.perf_counter() - begun
    found = (cpu(process) - spent) / took, (crew.finished - finished) / took, (crew.asked - asked) / took
    crew.is_over.set()
    await working
    return found


def measured(folder: Path, rows: int, workers: int, trial_seconds: float, seconds: float) -> Found:
    """Serve the table, work there and look at it."""
    with serving(folder, rows + 10**6, workers) as (process, served):
        replay = cpu(process)
        crew = Crew(served, workers, trial_seconds)
        taken, rate, asked = asyncio.run(watched(process, crew, seconds))
        status, _ = table_scale.measured(["status", str(folder)])
        waited = sum(crew.waited) / max(1, len(crew.waited))
        pace = workers * (2 / trial_seconds + 2 / orders.BEAT)
        slowest, load = max(crew.beats, default=0.0), os.getloadavg()[0]
        return Found(replay, status, taken, taken * max(1.0, pace / asked), rate, asked, waited, slowest, load)


def main() -> None:
    parser = argparse.ArgumentParser(description="What 1,000 workers cost who serves their table.")
    parser.add_argument("--csv", dest="table", type=Path, help="CSV file that rows are appended to; by default none")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the table")
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--trial-seconds", type=float, default=60.0)
    parser.add_argument("--seconds", type=float, default=60.0, help="for which is measured, once all are at work")
    parser.add_argument("--folder", type=Path, help="where the table stays, and is taken from where it is there")
    arguments = results.options(parser)
    if arguments.quick:
        arguments.rows, arguments.workers, arguments.trial_seconds, arguments.seconds = 500, 20, 0.5, 2.0
    with tempfile.TemporaryDirectory(prefix=".cluster-scale-", dir=Path.cwd()) as name:
        folder = arguments.folder or Path(name) / "run"
        if not folder.exists():
            table_scale.filled(folder, "aging", arguments.rows)
        found = measured(folder, arguments.rows, arguments.workers, arguments.trial_seconds, arguments.seconds)
    print(f"{results.hardware()}; commit {results.commit()}; load {found.load:.1f}\n")
    subject = f"{arguments.rows} rows, {arguments.workers} workers of {arguments.trial_seconds:g} s"
    each = 1e6 * found.taken / found.asked
    print(f"{subject}: {found.rate:.1f} results and {found.asked:.0f} requests a second took {found.taken:.1%}")
    print(f"of a core, {each:.0f} us each; the next trial came after {1e3 * found.waited:.0f} ms in the mean,")
    print(f"answers to signs of life within {1e3 * found.beat:.0f} ms\n")
    for what, value, most, unit in (
        ("share of a core at their pace", 100 * found.share, 100 * SHARE, "%"),
        ("CPU of status", found.status, STATUS, "s"),
        ("CPU until it is served, replay and all", found.replay, REPLAY, "s"),
    ):
        print(f"{'reached    ' if value < most else 'NOT reached'}  {what}: {value:.1f} {unit}, under {most:g} {unit}")
    values = (
        ("share of a core", found.share, ""),
        ("status", found.status, "s (CPU)"),
        ("replay", found.replay, "s (CPU)"),
    )
    rows = [results.Row(f"{what}; {subject}", 1, value, value, value, unit) for what, value, unit in values]
    results.append(arguments.table, rows)


if __name__ == "__main__":
    main()
