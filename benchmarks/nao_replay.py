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


@dataclass(frozen=True)
class Scored:
    """The share of separable convolutions among the operations."""

    def evaluate(self, trial: Trial, _context: Context) -> Result:
        operations = trial.proposal.genotype[1::2]
        return Result({"valid_accuracy": sum(value < 2 for value in operations) / len(operations)})


def search(folder: Path, trials: int) -> None:
    """Search, or go on."""
    space, store = NaoSpace(operations="small"), SqliteStore(str(folder / "trials.sqlite"))
    strategy, executor = Nao(space, epochs=EPOCHS), Inline(Scored())
    Search(space, strategy, store, executor, limits=Limits(trials=trials), folder=folder).run()
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="Start of a search with NAO behind 1,000 trials.")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=results.FILE, help="CSV file that rows are appended to")
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.replay:
        search(options.replay, TRIALS + 1)
        return
    times = []
    with tempfile.TemporaryDirectory() as kept:
        folder = Path(kept) / "run"
        folder.mkdir()
        search(folder, TRIALS)
        files = sorted((folder / "strategy").iterdir())
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        for repeat in range(options.repeats):
            copy = Path(kept) / f"copy {repeat}"
            shutil.copytree(folder, copy)
            start = time.perf_counter()
            subprocess.run([sys.executable, __file__, "--replay", str(copy)], check=True)
            times.append(time.perf_counter() - start)
            if sorted(path.name for path in (copy / "strategy").iterdir()) != [path.name for path in files]:
                raise SystemExit("the replay learned something anew, so the time is not that of a start")
    median = statistics.median(times)
    row = results.Row(
        f"start, replay of {TRIALS} trials with {megabytes:.1f} MB kept, one trial more",
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
