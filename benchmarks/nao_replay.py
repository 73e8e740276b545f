"""How long a search with NAO takes to go on after 1,000 trials: at most 10 s with what it learned in the run's folder.

A first search in this process fills a table and the folder: the published 600 + 200 + 200 architectures of 40 tokens,
a synthetic score, few epochs, which change nothing about what is kept. Then new processes open the table, replay it and
measure one trial more, each on a copy.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import results

from netwright.controller import Search
from netwright.core.protocols import Context
from netwright.core.records import Result, Trial
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.spaces.nao import NaoSpace
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.nao import Nao

TRIALS, EPOCHS, LIMIT = 1000, 3, 10.0
QUICK_TRIALS = 45  # in the midst of a round


@dataclass(frozen=True)
class Scored:
    """The share of separable convolutions among the operations."""

    def evaluate(self, trial: Trial, _context: Context) -> Result:
        operations = trial.proposal.genotype[1::2]
        return Result({"valid_accuracy": sum(value < 2 for value in operations) / len(operations)})


def search(folder: Path, trials: int, is_quick: bool = False) -> None:
    """Search, or go on; a quick one learns from a few architectures."""
    space, store = NaoSpace(operations="small"), SqliteStore(str(folder / "trials.sqlite"))
    strategy = Nao(space, seeds=30, new=10, top=5, epochs=1) if is_quick else Nao(space, epochs=EPOCHS)
    Search(space, strategy, store, Inline(Scored()), limits=Limits(trials=trials), folder=folder).run()
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Start of a search with NAO behind 1,000 trials.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    options = results.options(parser)
    trials = QUICK_TRIALS if options.quick else TRIALS
    if options.replay:
        search(options.replay, trials + 1, options.quick)
        return
    options.repeats = 1 if options.quick else options.repeats
    times, quick = [], ["--quick"] if options.quick else []
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept) / "run"
        folder.mkdir()
        search(folder, trials, options.quick)
        files = sorted((folder / "strategy").iterdir())
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        for repeat in range(options.repeats):
            copy = Path(kept) / f"copy {repeat}"
            shutil.copytree(folder, copy)
            start = time.perf_counter()
            subprocess.run([sys.executable, __file__, "--replay", str(copy), *quick], check=True)
            times.append(time.perf_counter() - start)
            if sorted(path.name for path in (copy / "strategy").iterdir()) != [path.name for path in files]:
                raise SystemExit("the replay learned something anew, so the time is not that of a start")
    median = statistics.median(times)
    row = results.Row(
        f"start, replay of {trials} trials with {megabytes:.1f} MB kept, one trial more",
        options.repeats,
        median,
        min(times),
        max(times),
        "s (elapsed)",
    )
    results.append(options.out, [row])
    print(f"{median:.2f} s ({'at most' if median <= LIMIT else 'ABOVE'} {LIMIT:.0f} s)")


if __name__ == "__main__":
    main()
