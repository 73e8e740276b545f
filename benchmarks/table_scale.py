"""What tables of up to a million rows cost: `status`, and going on with a search by random and by aging evolution.

Targets, for a million rows: status under 2 s of CPU and 200 MB; going on under 40 s and 1.5 GB. Every measurement is a
process of its own; CPU is that of user and system together, memory the highest resident size. The rows are as those of
a search over the cells of NAS-Bench-201: 6 genes, an accuracy, a loss and two sizes. Going on asks one more trial, and
is all that `netwright search` does but for its report.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import results
from rich.console import Console

from netwright.core import building
from netwright.core.records import Proposal, Result
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.runs import ownership, run_folder
from netwright.runs.session import Session
from netwright.stores import sqlite_rows
from netwright.stores.sqlite_rows import MIX
from netwright.testing.toys import ToySpace

SIZES = (1_000, 100_000, 1_000_000)
MOST = 1_000_000
TARGETS = {"status": (2.0, 200.0), "random": (40.0, 1500.0), "aging": (40.0, 1500.0)}
SPACE = ToySpace(6, 5)
TOYS = "netwright.testing.toys"
# runs the command, then says the processor's seconds and the peak size of this process alone: the system's own count
# begins with the size of the process that started it
PROGRAM = """
import atexit, os, re, runpy, sys, time
def say():
    peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
    print(time.process_time(), peak, file=sys.stderr)
atexit.register(say)
if sys.argv[1] == "status":
    from netwright.cli.main import main
    main(sys.argv[1:])
else:
    sys.argv = sys.argv[1:]
    sys.path.insert(0, os.path.dirname(sys.argv[0]))
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
COLUMNS = ("id", *sqlite_rows.ASKED, "asked_sum", *sqlite_rows.CAME, "result_sum", "worker")


def run_of(strategy: str, trials: int) -> RunFile:
    """The run that is gone on with."""
    return RunFile(
        space=Reference(f"{TOYS}:ToySpace", {"length": SPACE.length, "options": SPACE.options}),
        strategy=Reference(strategy),
        task=Reference(f"{TOYS}:ToyTask"),
        evaluator=Reference(f"{TOYS}:ToyEvaluator"),
        executor=Reference("inline"),
        objectives=("valid_accuracy",),
        limits=Limits(trials=trials),
        threads_per_trial=1,
    )


def filled(folder: Path, strategy: str, rows: int) -> Path:
    """A run with so many finished rows, written past the store, with the checksums that it would have written."""
    with ownership.opened(folder, run_of(strategy, rows)) as run, run.table():
        pass
    marks = ", ".join("?" * len(COLUMNS))
    with closing(sqlite3.connect(folder / run_folder.TABLE)) as db, db:
        db.execute("PRAGMA synchronous = OFF")
        db.executemany(f"INSERT INTO trials ({', '.join(COLUMNS)}) VALUES ({marks})", made(rows))
    run_folder.open_table(folder, "write").close()  # notes the number of rows beside it
    return folder


def made(rows: int) -> Iterator[tuple[Any, ...]]:
    rng = np.random.default_rng(0)
    keys: dict[tuple[int, ...], str] = {}
    for number in range(1, rows + 1):
        genotype = SPACE.sample(rng)
        key = keys.setdefault(genotype, SPACE.key(genotype))  # type: ignore[arg-type]
        accuracy, size = float(rng.random()), int(rng.integers(10**6))
        metrics = {"valid_accuracy": accuracy, "valid_loss": 3 * (1 - accuracy), "params": size}
        result = Result(metrics | {"multiply_adds": 90 * size}, seconds=accuracy)
        *asked, asked_sum = sqlite_rows.asked_row(Proposal(genotype), key, int(rng.integers(2**63)))
        status, *came, result_sum = sqlite_rows.result_row(number, result)
        yield (
            *(number, *asked, asked_sum + MIX * number),
            *(status, number, *came, result_sum + MIX * number, "w1"),
        )


def go_on(folder: Path, strategy: str, trials: int) -> None:
    """Go on until there are so many trials."""
    settings = run_of(strategy, trials)
    with ownership.opened(folder, settings) as run:
        session = Session(Console(), lambda _controller, _say: nullcontext(), "")
        ended = session.play(run, building.build(replace(settings)), title="going on", facts={})
    assert ended.progress.finished == trials


def measured(arguments: list[str]) -> tuple[float, float]:
    """Seconds of CPU and peak megabytes of a process."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} ended with {done.returncode}: {done.stderr}")
    seconds, kilobytes = done.stderr.split()[-2:]
    return float(seconds), float(kilobytes) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="What a table of many rows costs.")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="numbers of rows")
    parser.add_argument("--go-on", nargs=3, metavar=("FOLDER", "STRATEGY", "TRIALS"), help=argparse.SUPPRESS)
    arguments = results.options(parser)
    if arguments.go_on:
        folder, strategy, trials = arguments.go_on
        go_on(Path(folder), strategy, int(trials))
        return
    if arguments.quick:
        arguments.rows = (500,)
    found = []
    print(f"{results.hardware()}; commit {results.commit()}\n")
    print(f"{'rows':>9} {'command':<9} {'CPU s':>8} {'peak MB':>8}")
    with tempfile.TemporaryDirectory(prefix="table-scale-") as name:
        for rows in arguments.rows:
            for command, (seconds, megabytes) in TARGETS.items():
                folder = Path(name) / f"{command}-{rows}"
                filled(folder, "random" if command == "status" else command, rows)
                program = ["status", str(folder)]
                if command != "status":
                    program = [__file__, "--go-on", str(folder), command, str(rows + 1)]
                spent, peak = measured(program)
                for path in folder.iterdir():
                    path.unlink()
                verdict = "" if rows < MOST else "reached" if spent <= seconds and peak <= megabytes else "NOT reached"
                print(f"{rows:>9,} {command:<9} {spent:>8.2f} {peak:>8.0f}  {verdict}".rstrip(), flush=True)
                found.append(results.Row(f"{command}; {rows} rows", 1, spent, spent, spent, "s (CPU)"))
                found.append(results.Row(f"{command}; {rows} rows", 1, peak, peak, peak, "MB (peak)"))
    results.append(arguments.out, found)


if __name__ == "__main__":
    main()
