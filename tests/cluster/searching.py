"""Searches of toys on a cluster: begun, waited for, and looked at, whatever executor plays them."""

import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from netwright.runs import run_folder

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 600.0  # seconds
RECIPE = """
[space]
ref = "netwright.testing.toys:ToySpace"
[task]
ref = "netwright.testing.toys:ToyTask"
[evaluator]
ref = "netwright.testing.toys:ToyEvaluator"
seconds = {seconds}
[strategy]
ref = "random"
[limits]
trials = {trials}
"""


def search(folder: Path, executor: str, options: Mapping[str, object], trials: int, seconds: float) -> list[str]:
    """The words of a search in a folder, whose recipe is written there."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE.format(trials=trials, seconds=seconds))
    given = [word for name, value in options.items() for word in (f"--executor.{name}", str(value))]
    program = [sys.executable, "-m", "netwright", "search", str(recipe), "--trust", "--out", str(folder / "run")]
    return [*program, "--executor", executor, *given]


def begun(
    words: list[str], variables: Mapping[str, str], folder: Path, after: int = 2, *, leads: bool = True
) -> "subprocess.Popen[str]":
    """A search of which so many trials have finished; with `leads`, of a process group of its own."""
    program = subprocess.Popen(
        words, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=leads
    )
    try:
        wait_until(lambda: finished(folder) >= after or program.poll() is not None)
        assert program.stdout is not None
        assert program.poll() is None, program.stdout.read()
    except BaseException:
        program.kill()
        program.wait()
        raise
    return program


def ended(program: "subprocess.Popen[str]", seconds: float = PATIENCE) -> tuple[int, str]:
    """The exit code of a search, and what it printed."""
    said = program.communicate(timeout=seconds)[0]
    return program.returncode, said


def wait_until(
    is_so: Callable[[], bool], seconds: float = PATIENCE, there: Callable[[], object] = lambda: "nothing more"
) -> None:
    """Wait for something; `there` gives what a failure says."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, there()
        time.sleep(0.2)


def finished(folder: Path) -> int:
    """How many trials have finished in a run."""
    if not run_folder.holds_run(folder / "run"):
        return 0
    with closing(run_folder.open_table(folder / "run", "read")) as store:
        return store.tally().finished


def assert_exact(folder: Path, trials: int) -> None:
    """Each trial has one final row, in one order without gaps, and the table is served no more."""
    with closing(run_folder.open_table(folder / "run", "read")) as store:
        assert not store.unfinished() and not store.missing() and not store.faults()
        rows = store.finished()
    assert sorted(row.id for row in rows) == list(range(1, trials + 1))
    assert {row.status for row in rows} == {"done"}
    assert sorted(row.finish or 0 for row in rows) == list(range(1, trials + 1))
    assert not (folder / "run" / "served.json").exists()


class Ran(NamedTuple):
    """What came of a search.

    Args:
        by_place: Rows by the job or actor that finished them.
        summary: What became of the rows, in two lines.
    """

    by_place: Counter[str]
    summary: list[str]


def ran(folder: Path) -> Ran:
    """Who ran what in a run, and what became of its rows."""
    with closing(sqlite3.connect(folder / "run" / "trials.sqlite")) as table:
        rows = table.execute("SELECT worker, status, losses FROM trials").fetchall()
    status = ", ".join(f"{number} {word}" for word, number in sorted(Counter(row[1] for row in rows).items()))
    again = sum(losses > 0 for _, _, losses in rows)
    return Ran(
        Counter(re.sub(r"-\d+-[0-9a-f]+$", "", worker or "nobody") for worker, _, _ in rows),
        [f"rows: {len(rows)}; {status}", f"rows that were lost at least once and measured again: {again}"],
    )
