"""The table that all benchmarks share: one row per measurement, with everything needed to repeat it."""

from __future__ import annotations

import argparse
import csv
import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
FILE = HERE / "results.csv"
HEADER = (
    "benchmark",
    "commit",
    "command",
    "hardware",
    "date",
    "subject",
    "n",
    "median",
    "min",
    "max",
    "unit",
    "ratio_to",
)


@dataclass(frozen=True)
class Row:
    """A measurement of `subject`: median, smallest and largest of `n` repetitions.

    Args:
        ratio_to: The median divided by that of another row, and which: "1.04 to 100 rows"; "" for none.
    """

    subject: str
    n: int
    median: float
    min: float
    max: float
    unit: str
    ratio_to: str = ""


def options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What the command line says, by this parser with the two options of all benchmarks, `quick` and `out`."""
    parser.add_argument("--quick", action="store_true", help="as small as it can be: whether it runs; in no table")
    parser.add_argument("--out", type=Path, help="CSV file that rows are appended to, in place of results.csv")
    given = parser.parse_args()
    given.out = given.out or (None if given.quick else FILE)
    return given


def append(path: Path | None, rows: Sequence[Row], card: str = "") -> None:
    """Write rows to the table; a new table starts with the header.

    Args:
        path: The table; None: none, so that nothing is written.
        rows: Measurements of the script that runs.
        card: Name of the GPU that was measured.
    """
    if path is None:
        return
    name = Path(sys.argv[0])
    command = " ".join(["python", f"benchmarks/{name.name}", *sys.argv[1:]])
    machine = f"{card}; {hardware()}" if card else hardware()
    start = (name.stem, commit(), command, machine, datetime.date.today().isoformat())
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(HEADER)
        for row in rows:
            numbers = (f"{value:.4g}" for value in (row.median, row.min, row.max))
            writer.writerow((*start, row.subject, row.n, *numbers, row.unit, row.ratio_to))


def commit() -> str:
    """The commit that is measured, "+dirty" when the code differs from it.

    A copy of the files without their history has what the variable NETWRIGHT_COMMIT says, else "unknown".
    """
    if given := os.environ.get("NETWRIGHT_COMMIT"):
        return given
    measured = (":(exclude,top)benchmarks/*.csv", ":(exclude,top)benchmarks/*.jsonl")
    try:
        changed = _git("status", "--porcelain", "--", ":/src", ":/benchmarks", *measured)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return _git("rev-parse", "--short", "HEAD") + ("+dirty" if changed else "")


def hardware() -> str:
    """Model and number of the processor's cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.processor() or platform.machine()}; {os.cpu_count()} cores"


def _git(*arguments: str) -> str:
    done = subprocess.run(("git", "-C", str(HERE), *arguments), capture_output=True, text=True, check=True)
    return done.stdout.strip()
