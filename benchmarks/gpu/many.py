"""Trials a minute of a random search of hierarchical cells at search size: one at a time, and several on one card.

    python benchmarks/gpu/many.py CIFAR_FOLDER --folder FOLDER --at-once 1 4 8 16

The same trials in the same order, 300 steps of 256 each unless told otherwise. What is timed lies between two ends of
trials: as many trials as run side by side are left out at the start. The best number is compared with one at a time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
import results

from netwright.core.errors import NetwrightError
from netwright.executors.processes import Processes
from netwright.runs import run_folder

TARGET = 2.5
LOOK = 0.1  # seconds


class Rate(NamedTuple):
    """Trials a minute; how many ran side by side, of how many trials, of which so many failed."""

    a_minute: float
    at_once: int
    trials: int
    failed: int


def rate(moments: Sequence[float], at_once: int) -> float:
    """Trials a minute from the moments, in seconds, at which trials ended, without the first of each worker."""
    ends = sorted(moments)
    skipped = min(at_once, len(ends) - 1)
    if skipped < 1 or ends[-1] <= ends[skipped - 1]:
        return 0.0
    return 60 * (len(ends) - skipped) / (ends[-1] - ends[skipped - 1])


def played(words: Sequence[str], folder: Path) -> Rate:
    """Play the search and watch its table."""
    shutil.rmtree(folder, ignore_errors=True)
    with Path(f"{folder}.log").open("w") as log:
        search = subprocess.Popen(words, stdout=log, stderr=log)
        moments: list[float] = []
        at_once = failed = 0
        try:
            while True:
                is_over = search.poll() is not None
                tally = None
                if run_folder.holds_run(folder):
                    try:
                        with closing(run_folder.open_table(folder, "read")) as store:
                            tally = store.tally()
                    except NetwrightError:  # just being made
                        pass
                if tally:
                    moments += [time.perf_counter()] * (tally.finished - len(moments))
                    at_once, failed = max(at_once, tally.running), tally.failed
                if is_over:
                    break
                time.sleep(LOOK)
        finally:
            if search.poll() is None:
                search.terminate()
                search.wait()
    if search.returncode:
        raise SystemExit(f"the search ended with exit code {search.returncode}; its output is in {folder}.log")
    return Rate(rate(moments, at_once), at_once, len(moments), failed)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trials a minute, one at a time and several side by side.")
    parser.add_argument("data", type=Path, help="folder of CIFAR-10's parquet files")
    parser.add_argument("--folder", type=Path, required=True, help="folder that the searches write to")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 4, 8, 16], help="the first is compared with")
    parser.add_argument("--each", type=int, default=3, help="trials of each worker that are timed, on average")
    parser.add_argument("--least", type=int, default=5, help="trials that are timed at least")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--card", default="", help="its name, for the table; without one there is nothing to compare")
    given = results.options(parser)
    common = [
        *(sys.executable, "-m", "netwright.cli.main", "search", "cifar10", "--space", "hierarchical"),
        *("--strategy", "random", "--space.channels", "4" if given.quick else "16", "--space.repeats", "1"),
        *("--evaluator.steps", str(given.steps), "--evaluator.batch", "16" if given.quick else "256"),
        *("--task.path", str(given.data), "--task.crop", "24", "--task.flip", "true"),
    ]
    if given.quick:
        common += ["--task.train_limit", "200", "--task.valid", "50"]
    can_share = "trials_per_gpu" in {field.name for field in fields(Processes)}
    given.folder.mkdir(parents=True, exist_ok=True)
    found: list[Rate] = []
    for count in given.at_once:
        words = ["--workers", str(count), *(["--executor.trials_per_gpu", str(count)] if can_share else [])]
        trials = count + max(given.least, given.each * count)
        place = given.folder / f"at-once-{count}"
        found.append(played([*common, *words, "--trials", str(trials), "--out", str(place)], place))
        each = found[-1]
        print(
            f"{count} at once: {each.a_minute:.2f} trials a minute, {each.at_once} were seen side by side, "
            f"{each.failed} of {each.trials} failed",
            flush=True,
        )
        ratio = each.a_minute / found[0].a_minute if found[0].a_minute else 0.0
        compared = f"{ratio:.3f} to {given.at_once[0]} at once" if len(found) > 1 else ""
        subject = f"{count} at once; {given.steps} steps; {each.failed} failed"
        pace = each.a_minute
        row = results.Row(subject, each.trials, pace, pace, pace, "trials/min", compared)
        results.append(given.out, [row], given.card)
    print(json.dumps({"found": verdict(given.at_once, found, is_card=bool(given.card))}))


def verdict(counts: Sequence[int], found: Sequence[Rate], *, is_card: bool) -> str:
    """What the rates come to; the ratio says something where a card is shared."""
    listed = ", ".join(f"{count} at once {each.a_minute:.1f}" for count, each in zip(counts, found, strict=True))
    if not is_card or not found[0].a_minute:
        return f"trials a minute: {listed}"
    times = max(each.a_minute for each in found) / found[0].a_minute
    return f"trials a minute: {listed}; {times:.2f} times, target {TARGET}: {'ok' if times >= TARGET else 'MISSED'}"


if __name__ == "__main__":
    main()
