"""What a trial costs beyond its evaluation where workers are other processes and other hosts, Ray Tune beside it.

The same no-op trials, six genes and a score at once, by the real controller on a durable table: inline, processes, a
served table with 2 and with 50 clients, actors of Ray on one node and on two; and Ray Tune, two at once, whose actors
are made anew for each trial or used again. Claims: at least 20 times the rate of Ray Tune with actors that are used
again; at least 1,500 durable trials a second through the served table; at least 97 % utilization by one-second trials.

A rate is that of trials told after the first quarter, so that the start of processes is no part of it, from the first
told then to the last. CPU is what the search's own process took for each, its server of the table included. The clients
of a served table are threads of two processes that play `netwright.worker.run_once`, each with a connection of its own.
Ray Tune writes no files for each trial (TUNE_DISABLE_AUTO_CALLBACK_LOGGERS), which is what is fastest. Every line has
its own bound in trials and in seconds, and what others do on this machine (the load) stands beside it: where cores are
scarce, the rates of one run compare with each other, and the processor's time says what an idle machine would reach.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, Final

import results

from netwright import worker
from netwright.controller import Search
from netwright.core import refs, run_file
from netwright.core.errors import OutOfReach, WorkerError
from netwright.core.protocols import Context
from netwright.core.records import Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.executors import orders
from netwright.stores import served_file
from netwright.stores.remote import RemoteStore
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask

TUNE_TIMES, DURABLE, UTILIZATION = 20.0, 1500.0, 0.97
SPACE: Final = ToySpace(6, 5)
TOYS: Final = "netwright.testing.toys"
PATIENCE: Final = 120.0  # seconds
TRIES: Final = 5  # to start Ray, which gives up after 30 s where cores are scarce
START_QUARTER: Final = 4  # the first of so many parts is not measured
MANY: Final = 50  # clients by which the table's rate is judged
TWO_NODES: Final = "Ray, two nodes"


@dataclass
class Times:
    """When trials were told, and how much of the processor this process had taken by then; a watcher of a search.

    Args:
        limit: Seconds from the first one told after which the search is to end.
    """

    limit: float
    at: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)  # of the trials
    search: Search | None = None

    def asked(self, trial: Trial) -> None:
        """Nothing."""

    def told(self, trial: Trial) -> None:
        """Note the time."""
        assert trial.result is not None and not trial.result.failure, trial.result
        self.note(trial.result.seconds)

    def tick(self) -> None:
        """End the search in time."""
        if self.search is not None and self.is_over:
            self.search.drain()

    def note(self, seconds: float = 0.0) -> None:
        """Note the time."""
        self.at.append(time.perf_counter())
        self.cpu.append(time.process_time())
        self.seconds.append(seconds)

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return bool(self.at) and time.perf_counter() - self.at[0] > self.limit

    def found(self) -> Found:
        """Trials a second, and microseconds of the processor for each."""
        first = len(self.at) // START_QUARTER
        number = len(self.at) - 1 - first
        rate, cpu = number / (self.at[-1] - self.at[first]), (self.cpu[-1] - self.cpu[first]) / number
        return Found(rate, 1e6 * cpu, os.getloadavg()[0])

    def utilization(self, workers: int) -> float:
        """The share of the workers' time that trials took, from the end of the first round to the last trial."""
        return sum(self.seconds[workers:]) / (workers * (self.at[-1] - self.at[workers - 1]))


@dataclass(frozen=True)
class Found:
    """A repetition: trials a second, microseconds of CPU for each, and how many processes wanted a core."""

    rate: float
    cpu: float
    load: float


@dataclass
class Line:
    """A way to evaluate, and what was measured of it.

    Args:
        what: Its name.
        workers: How many evaluate at a time.
        trials: Most no-op trials of a repetition.
        executor: Reference of the executor; None: it is Ray Tune.
        options: Of the executor; of Ray Tune, whether actors are used again.
        has_clients: Whether clients are started beside it.
        note: Why there is nothing to measure.
    """

    what: str
    workers: int
    trials: int
    executor: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    has_clients: bool = False
    note: str = ""
    found: list[Found] = field(default_factory=list)
    utilization: float | None = None

    @property
    def rate(self) -> float:
        """The median of its rates."""
        return statistics.median(each.rate for each in self.found)

    @property
    def cpu(self) -> float:
        """The median of its times of the processor."""
        return statistics.median(each.cpu for each in self.found)


def searched(line: Line, folder: Path, trials: int, trial_seconds: float, limit: float) -> Times:
    """Play a search of trials that take so long."""
    folder.mkdir()
    assert line.executor is not None
    evaluator = Reference(f"{TOYS}:ToyEvaluator", {"seconds": trial_seconds})
    space = Reference(f"{TOYS}:ToySpace", {"length": SPACE.length, "options": SPACE.options})
    executor = Reference(line.executor, line.options)
    run = RunFile(space, task=Reference(f"{TOYS}:ToyTask"), evaluator=evaluator, executor=executor)
    store = SqliteStore(str(folder / "trials.sqlite"))
    store.remember("run", run_file.to_toml(run))
    given = {"evaluator": ToyEvaluator(SPACE, ToyTask(), trial_seconds)} if line.executor == "inline" else {}
    times = Times(limit)
    times.search = Search(
        SPACE,
        RandomSearch(SPACE),
        store,
        refs.load("executor", executor, **given),
        limits=Limits(trials=trials),
        seed=1,
        folder=folder,
        watchers=[times],
    )
    with beside(line, folder, trial_seconds):
        times.search.run()
    store.close()
    return times


@contextmanager
def beside(line: Line, folder: Path, trial_seconds: float) -> Iterator[None]:
    """Two processes of clients, where a line has any."""
    halves = (line.workers // 2, line.workers - line.workers // 2) if line.has_clients else ()
    words = [sys.executable, __file__, "--clients"]
    started = [Popen([*words, str(half), str(folder), str(trial_seconds)]) for half in halves]
    try:
        yield
        for process in started:
            process.wait(PATIENCE)
    finally:
        for process in started:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Resting:
    """Takes so many seconds in one piece: fifty clients that report 50 times a second would measure that instead."""

    toy: ToyEvaluator
    seconds: float

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Sleep, then score as the toy does."""
        time.sleep(self.seconds)
        return self.toy.evaluate(trial, context)


def clients(number: int, folder: Path, trial_seconds: float) -> None:
    """Work in so many threads until the search is over."""
    until = time.monotonic() + PATIENCE
    while served_file.read(folder / served_file.NAME) is None and time.monotonic() < until:
        time.sleep(0.02)
    evaluator = Resting(ToyEvaluator(SPACE, ToyTask()), trial_seconds)
    threads = [threading.Thread(target=client, args=(folder, evaluator, f"c{os.getpid()}-{n}")) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def client(folder: Path, evaluator: Resting, name: str) -> None:
    """Claim, evaluate and finish as a worker does, with signs of life between trials."""
    store = RemoteStore(token_file=str(folder / served_file.NAME), patience=5.0)
    beaten = float("-inf")

    def lent(trial: Trial) -> worker.WorkerContext:
        return worker.WorkerContext(store, folder / "trials", trial.id, 1)

    with suppress(OutOfReach):  # the search has ended
        while True:
            if time.monotonic() - beaten > orders.BEAT:
                store.beat(name)
                beaten = time.monotonic()
            if worker.run_once(store, evaluator, name, lent) is None and orders.heard(store, name):
                orders.leave(store, name)
                break
    store.close()


def tuned(trials: int, limit: float, *, is_reused: bool) -> None:
    """Print what Ray Tune does with no-op trials, two at once."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    import ray
    from ray import tune

    class NoOp(tune.Trainable):  # type: ignore[misc, name-defined]
        def setup(self, config: dict[str, Any]) -> None:
            self.score = sum(config.values()) / 24

        def step(self) -> dict[str, Any]:
            return {"valid_accuracy": self.score, "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.score = sum(new_config.values()) / 24
            return True

    times = Times(limit)

    class Heard(tune.Callback):  # type: ignore[misc, name-defined]
        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
            times.note()

    class Ends(tune.Stopper):  # type: ignore[misc, name-defined]
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
            return True

        def stop_all(self) -> bool:
            return times.is_over

    with tempfile.TemporaryDirectory(prefix="cluster-overhead-tune-") as name:
        tried(lambda: ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR"))
        tuner = tune.Tuner(
            tune.with_resources(NoOp, {"cpu": 1}),
            param_space={f"gene {n}": tune.choice(list(range(SPACE.options))) for n in range(SPACE.length)},
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=2, reuse_actors=is_reused),
            run_config=tune.RunConfig(
                verbose=0,
                callbacks=[Heard()],
                storage_path=name,
                stop=Ends(),
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        found = tuner.fit()
        assert not found.errors
        ray.shutdown()
    print(json.dumps(asdict(times.found())))


def tried(start: Callable[[], Any]) -> Any:
    """What starts Ray, tried several times."""
    for left in reversed(range(TRIES)):
        try:
            return start()
        except Exception as error:
            if not left:
                raise
            print(f"Ray did not start ({error}); it is tried again", file=sys.stderr, flush=True)
    raise AssertionError


def of_tune(line: Line, limit: float) -> Found:
    """A repetition of Ray Tune, in a process of its own."""
    words = [sys.executable, __file__, "--tune", str(line.trials), str(limit), str(int(line.options["is_reused"]))]
    done = subprocess.run(words, stdout=PIPE, text=True, check=True)
    return Found(**json.loads(done.stdout.splitlines()[-1]))


@contextmanager
def two_nodes() -> Iterator[str]:
    """A cluster of two nodes with two processors each; yields its address."""
    with Popen([sys.executable, __file__, "--nodes"], stdin=PIPE, stdout=PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            address = next((line.split()[1] for line in process.stdout if line.startswith("address ")), "")
            if not address:
                raise WorkerError("no cluster of two nodes could be started; see above")
            yield address
        finally:
            process.stdin.close()
            process.wait(PATIENCE)


def nodes() -> None:
    """Be a cluster until the standard input ends."""
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 2, "object_store_memory": 80 * 2**20}
    cluster = tried(lambda: Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False}))
    tried(lambda: cluster.add_node(**small))
    print(f"address {cluster.address}", flush=True)
    sys.stdin.read()
    cluster.shutdown()


def lines_of(is_quick: bool) -> list[Line]:
    """What is measured, in the order in which it is; the trials take some seconds on a core of 2023."""
    missing = "" if importlib.util.find_spec("ray") else "Ray is not installed"
    missing_tune = missing or ("" if importlib.util.find_spec("pandas") else "ray[tune] is not installed")
    lines = [
        Line("inline", 1, 8000, "inline"),
        Line("processes", 2, 2000, "processes", {"workers": 2}),
        Line("served table", 2, 4000, "served", {"workers": 2}, has_clients=True),
        Line("served table", 50, 10000, "served", {"workers": 50}, has_clients=True),
        Line("Ray, one node", 2, 2000, "ray", {"workers": 2}, note=missing),
        Line(TWO_NODES, 4, 2000, "ray", {"workers": 4}, note=missing),
        Line("Ray Tune, actors used again", 2, 300, options={"is_reused": True}, note=missing_tune),
        Line("Ray Tune, actors made anew", 2, 24, options={"is_reused": False}, note=missing_tune),
    ]
    for line in lines:
        line.trials = (
            min(line.trials, 6 if line.executor is None else 3 * line.workers + 20) if is_quick else line.trials
        )
    return lines


def measure(line: Line, place: Path, limit: float, rounds: int) -> None:
    """A repetition of no-op trials or, with `rounds`, so many trials of a second for each worker."""
    if line.executor is None:
        line.found.append(of_tune(line, limit))
        return
    with two_nodes() if line.what == TWO_NODES else nullcontext("") as address:
        if address:
            line.options = {**line.options, "address": address}
        if rounds:
            line.utilization = searched(line, place, rounds * line.workers, 1.0, PATIENCE).utilization(line.workers)
        else:
            line.found.append(searched(line, place, line.trials, 0.0, limit).found())


def measured(lines: Sequence[Line], folder: Path, repetitions: int, limit: float, rounds: int) -> Iterator[Line]:
    """All lines in turn, once for each repetition, so that other programs meet all; yields what it was at."""
    for number in range(repetitions + (rounds > 0)):
        is_seconds = number == repetitions
        for line in lines:
            if line.note or (is_seconds and line.executor in (None, "inline")):
                continue
            place = folder / f"{line.executor}-{line.workers}-{number}"
            try:
                measure(line, place, limit, rounds if is_seconds else 0)
            except (WorkerError, subprocess.CalledProcessError) as error:  # as Ray, where cores are scarce
                line.note = f"not measured: {error}"
            yield line


def judge(lines: Sequence[Line]) -> Iterator[tuple[bool, str]]:
    """Whether each claim was reached, and what was found."""
    for line in lines:
        if line.executor == "served" and line.found:
            most = 1e6 / line.cpu
            text = f"{line.what}, {line.workers} clients: {line.rate:,.0f} trials a second, at least {DURABLE:,.0f}"
            if line.workers >= MANY:
                yield line.rate >= DURABLE, f"{text}; {line.cpu:.0f} us of CPU for each, so {most:,.0f} of a whole core"
        if line.utilization is not None:
            text = f"{line.what}, {line.workers} workers: {line.utilization:.1%} utilization by one-second trials"
            yield line.utilization >= UTILIZATION, f"{text}, at least {UTILIZATION:.0%}"
    for tune in lines:
        if tune.executor is None and tune.found and tune.options["is_reused"]:
            for line in lines:
                if line.executor == "ray" and line.found:
                    times = line.rate / tune.rate
                    text = f"{line.what}, {line.workers} actors: {times:.1f} times the rate of {tune.what}"
                    yield times >= TUNE_TIMES, f"{text}, at least {TUNE_TIMES:.0f}"


def rows_of(lines: Sequence[Line]) -> Iterator[results.Row]:
    """What goes into the shared table."""
    tune = next((line for line in lines if line.executor is None and line.found and line.options["is_reused"]), None)
    for line in lines:
        if line.found:
            subject = f"{line.what}, {line.workers}"
            rates, cpu = [each.rate for each in line.found], [each.cpu for each in line.found]
            ratio = f"{line.rate / tune.rate:.3g} to {tune.what}" if tune is not None else ""
            yield results.Row(subject, len(rates), line.rate, min(rates), max(rates), "trials/s", ratio)
            yield results.Row(subject, len(cpu), line.cpu, min(cpu), max(cpu), "us (CPU of the search)")
        if line.utilization is not None:
            share = line.utilization
            yield results.Row(f"{line.what}, {line.workers}; 1 s trials", 1, share, share, share, "utilization")


def print_table(lines: Sequence[Line]) -> None:
    shape = "{:<28} {:>7} {:>10} {:>9} {:>9} {:>10} {:>11} {:>6}"
    print("\n" + shape.format("what", "workers", "trials/s", "min", "max", "CPU us", "utilization", "load"))
    for line in lines:
        if not line.found:
            print(f"{line.what:<28} {line.workers:>7} {line.note}")
            continue
        rates = [each.rate for each in line.found]
        cells = [f"{number:,.1f}" for number in (line.rate, min(rates), max(rates))]
        used = "" if line.utilization is None else f"{line.utilization:.1%}"
        load = f"{statistics.median(each.load for each in line.found):.1f}"
        print(shape.format(line.what, line.workers, *cells, f"{line.cpu:,.0f}", used, load))


def main() -> None:
    parts = {"--clients": _clients, "--tune": _tune, "--nodes": nodes}  # what this script starts of itself
    if len(sys.argv) > 1 and sys.argv[1] in parts:
        parts[sys.argv[1]]()
        return
    parser = argparse.ArgumentParser(description="What a trial costs where workers are elsewhere.")
    parser.add_argument("--csv", dest="table", type=Path, help="CSV file that rows are appended to; by default none")
    parser.add_argument("--repetitions", type=int, default=3, help="of each line")
    parser.add_argument("--seconds", type=float, default=10.0, help="most seconds of a repetition")
    parser.add_argument("--rounds", type=int, default=8, help="one-second trials of each worker; 0: none")
    parser.add_argument("--only", nargs="+", help="names of lines, or how they begin", metavar="LINE")
    arguments = results.options(parser)
    repetitions, rounds = (1, 0) if arguments.quick else (arguments.repetitions, arguments.rounds)
    lines = lines_of(arguments.quick)
    if arguments.only:
        lines = [line for line in lines if line.what.startswith(tuple(arguments.only))]
    print(f"{results.hardware()}; commit {results.commit()}")
    with tempfile.TemporaryDirectory(prefix=".cluster-overhead-", dir=Path.cwd()) as name:
        for line in measured(lines, Path(name), repetitions, arguments.seconds, rounds):
            print(f"[load {os.getloadavg()[0]:.1f}] {line.what}, {line.workers}", file=sys.stderr, flush=True)
    print_table(lines)
    print()
    for is_reached, text in judge(lines):
        print(f"{'reached    ' if is_reached else 'NOT reached'}  {text}")
    results.append(arguments.table, list(rows_of(lines)))


def _clients() -> None:
    clients(int(sys.argv[2]), Path(sys.argv[3]), float(sys.argv[4]))


def _tune() -> None:
    tuned(int(sys.argv[2]), float(sys.argv[3]), is_reused=sys.argv[4] == "1")


if __name__ == "__main__":
    main()
