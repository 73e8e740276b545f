"""What is paid besides training: how long commands take to start, and a warm trial beyond its training loop.

The second is the wall-clock time of claim, evaluate and finish around the training loop and the validation: counting,
building and initializing the network, the optimizer, memory marks, the table. The published cell, digits, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import results
import torch

from netwright import worker
from netwright.core import run_file
from netwright.core.records import Proposal
from netwright.core.run_file import RunFile
from netwright.evaluators.training import Training
from netwright.stores.sqlite import SqliteStore
from netwright.tasks.digits import digits
from netwright.training import loop
from netwright.zoo.hierarchical import plugin as published

COMMAND_LIMIT, TRIAL_LIMIT = 0.5, 0.05  # seconds


def commands(folder: Path, repeats: int) -> list[results.Row]:
    """Wall-clock seconds of whole processes."""
    store = SqliteStore(str(folder / "trials.sqlite"))
    store.remember("run", run_file.to_toml(RunFile()))
    store.close()
    rows = []
    for words in (["--help"], ["status", str(folder)]):
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "netwright.cli.main", *words], check=True, capture_output=True)
            times.append(time.perf_counter() - start)
        rows.append(_row(f"netwright {words[0]}", times))
    return rows


def warm_trials(folder: Path, repeats: int) -> results.Row:
    """Seconds of a trial outside `loop.steps` and `loop.measure`, after one trial to warm up."""
    torch.set_num_threads(1)
    store = SqliteStore(str(folder / "warm.sqlite"))
    evaluator = Training(published.space, digits(), epochs=1)
    inside = 0.0
    steps, measure = loop.steps, loop.measure

    def timed_steps(*arguments: Any) -> Iterator[Any]:
        nonlocal inside
        start = time.perf_counter()
        yield from steps(*arguments)
        inside += time.perf_counter() - start

    def timed_measure(*arguments: Any) -> dict[str, float]:
        nonlocal inside
        start = time.perf_counter()
        found = measure(*arguments)
        inside += time.perf_counter() - start
        return found

    times = []
    with mock.patch.object(loop, "steps", timed_steps), mock.patch.object(loop, "measure", timed_measure):
        for number in range(repeats + 1):
            store.add(Proposal(published.genotype), "key", number)
            inside, start = 0.0, time.perf_counter()
            worker.run_once(store, evaluator, "w0", lambda trial: worker.WorkerContext(store, folder, trial.id))
            times.append(time.perf_counter() - start - inside)
    store.close()
    return _row("warm trial beyond its training loop", times[1:])


def _row(subject: str, times: list[float]) -> results.Row:
    return results.Row(subject, len(times), statistics.median(times), min(times), max(times), "s")


def main() -> None:
    parser = argparse.ArgumentParser(description="Start of commands and warm cost of a trial.")
    parser.add_argument("--repeats", type=int, default=9)
    options = results.options(parser)
    options.repeats = 1 if options.quick else options.repeats
    with tempfile.TemporaryDirectory() as folder:
        rows = [*commands(Path(folder), options.repeats), warm_trials(Path(folder), options.repeats)]
    for row, limit in zip(rows, (COMMAND_LIMIT, COMMAND_LIMIT, TRIAL_LIMIT), strict=True):
        verdict = "reached" if row.median <= limit else "NOT reached"
        print(f"{row.subject:36} {row.median:.3f} s ({row.min:.3f} to {row.max:.3f}), at most {limit} s: {verdict}")
    results.append(options.out, rows)


if __name__ == "__main__":
    main()
