"""The best network of one evening: `netwright search DATA --hours H` against plain networks with equal time and core.

    python benchmarks/tonight.py --pieces-minutes 90      # again and again until it says that nothing is left

Columns: P0 is `plain/plain_tonight.py` unchanged (width 16, no mirror images of digits and characters); P1 the residual
network of our own default space with our own final settings and size of images, and the better of fixed and tuned rate
and width by validation (`tonight/reference.py`); `-50k` limited to 50,000 parameters; the others change one thing of
the default.
Each search or training has `--seconds` and one core, but searches of `two-cores`, which `--at-once 1` leaves out;
results are lines of `tonight/results.jsonl`, and a cell that was cut is played again from the start. `--table --csv
benchmarks/results.csv` adds what was found to the table of all benchmarks.
"""

from __future__ import annotations

import argparse
import datetime
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import results

from . import cells, data, table
from .cells import Cell, Column, Line, Playing

QUICK, QUICK_SECONDS = ("P0",), 15.0  # a search by the clock needs minutes; `tests/benchmarks` plays the other kinds
LINES = Path(__file__).with_name("results.jsonl")


def main() -> None:
    options = _options()
    columns = dict(cells.COLUMNS)
    for text in options.arguments:
        name, _, words = text.partition("=")
        if name not in columns:
            raise SystemExit(f"--arguments names the column {name!r}; there are {', '.join(columns)}")
        columns[name] = replace(columns[name], arguments=tuple(shlex.split(words)))
    if not options.table:
        _play(options, columns)
    there = [name for name in data.REPORTED if (options.data / f"{name}.npz").exists()]
    tests = {name: _targets(name, options.data) for name in there}
    every = cells.read(options.lines)
    lines = cells.latest(every, options.seconds, _digests(there, options.data))
    print(table.markdown(lines, columns, tests, options.seeds, cells.overran(every, options.seconds)))
    left = [cell for cell in cells.listed(columns, columns, data.REPORTED, options.seeds) if cell not in lines]
    print(f"\n{len(left)} cells are left" if left else "\nnothing is left")
    if options.quick and (failed := [line.cell.name for line in cells.read(options.lines) if line.failed]):
        raise SystemExit(f"failed: {', '.join(failed)}")
    if options.csv:
        results.append(options.csv, [results.Row(*row) for row in table.rows(lines, columns, tests)])


def _play(options: argparse.Namespace, columns: Mapping[str, Column]) -> None:
    """Play cells until nothing is left or the time is over."""
    until = time.monotonic() + 60 * options.pieces_minutes
    cores: list[int | None] = [None] * (os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        cores = [*sorted(os.sched_getaffinity(0))]
    if options.at_once > len(cores):
        raise SystemExit(f"--at-once is {options.at_once}, but there are {len(cores)} cores; each cell needs its own")
    asked = cells.listed(columns, options.columns or columns, options.only or data.REPORTED, options.seeds)
    asked = [cell for cell in asked if columns[cell.column].cores <= options.at_once]
    names = sorted({cell.data for cell in asked})
    for name in names:
        data.write(name, options.data)
    done = cells.latest(cells.read(options.lines), options.seconds, _digests(names, options.data))
    waiting = [cell for cell in asked if cell not in done]
    needed = sum(cells.expected(columns[cell.column], options.seconds) for cell in waiting)
    print(f"{len(waiting)} cells, at most {needed / options.at_once / 3600:.1f} hours", file=sys.stderr)
    free, playing = cores[: options.at_once], list[Playing]()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        while True:
            left = until - time.monotonic()
            while free and (cell := cells.upcoming(waiting, done, columns, options.seconds, left)):
                column = columns[cell.column]
                if column.cores > len(free):
                    break
                waiting.remove(cell)
                own, free = free[: column.cores], free[column.cores :]
                playing.append(_begun(cell, column, options, done, own))
            if not playing:
                return
            time.sleep(0.2)
            for each in [p for p in playing if p.ended(1.5 * cells.expected(columns[p.cell.column], options.seconds))]:
                playing.remove(each)
                free += each.cores
                line = each.line(options.seconds, options.data, _about())
                cells.append(options.lines, line)
                if not line.failed:
                    done[line.cell] = line
                _say(line)
    finally:
        for each in playing:
            each.stop()


def _begun(
    cell: Cell, column: Column, options: argparse.Namespace, done: Mapping[Cell, Line], cores: Sequence[int | None]
) -> Playing:
    out = options.folder / cell.name
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    before = done.get(needed) if (needed := column.needed(cell)) else None
    words = cells.command(cell, column, options.data, out, options.seconds, before, options.netwright)
    return Playing(cell, words, out, cores)


def _about() -> dict[str, str]:
    return {"commit": results.commit(), "hardware": results.hardware(), "date": datetime.date.today().isoformat()}


def _say(line: Line) -> None:
    value = "" if line.value is None else f"{100 * line.value:.2f} %"
    print(f"{line.cell.name}: {line.failed or value} in {line.wall:.0f} s", file=sys.stderr, flush=True)


def _targets(name: str, folder: Path) -> np.ndarray:
    known = data.read(name, folder)
    return known.labels[known.split == data.TEST]


def _options() -> argparse.Namespace:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netwright-tonight"
    beside = Path(sys.executable).with_name("netwright")
    command = str(beside) if beside.exists() else "netwright"
    parser = argparse.ArgumentParser(description="Searches of one evening against plain networks.")
    parser.add_argument("--data", type=Path, default=cache / "data", help="folder of the data sets, made where missing")
    parser.add_argument("--folder", type=Path, default=cache / "cells", help="folder that cells write to")
    parser.add_argument("--lines", type=Path, default=LINES, help="file of results that is gone on with")
    parser.add_argument("--seconds", type=float, default=600.0, help="of each search or training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--at-once", type=int, default=2, help="cells side by side, a core each")
    parser.add_argument("--pieces-minutes", type=float, default=90.0, help="no cell begins that would end later")
    parser.add_argument("--only", nargs="+", choices=data.REPORTED, help="these data sets")
    parser.add_argument("--columns", nargs="+", choices=tuple(cells.COLUMNS), help="these columns")
    parser.add_argument(
        "--arguments",
        action="append",
        default=[],
        metavar="COLUMN=WORDS",
        help="other arguments for a column's command",
    )
    parser.add_argument("--netwright", default=command, help="the command that is measured")
    parser.add_argument("--table", action="store_true", help="only print the table of what there is")
    parser.add_argument("--csv", type=Path, help="CSV file that rows are appended to")
    parser.add_argument("--quick", action="store_true", help=f"{', '.join(QUICK)} of digits, once: whether it runs")
    given = parser.parse_args()
    if given.quick:
        given.columns, given.only, given.seeds, given.at_once, given.pieces_minutes = QUICK, ("digits",), 1, 1, 10.0
        given.seconds, given.lines = QUICK_SECONDS, given.folder / "quick.jsonl"
    return given


def _digests(names: Iterable[str], folder: Path) -> dict[str, str]:
    return {name: data.read(name, folder).digest() for name in names}
