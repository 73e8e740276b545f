"""Hypervolume on NATS-Bench with parameters as second objective: `mobo` and `nsga2` beside Optuna's NSGA-II and TPE.

Claim: `mobo` covers the largest share of the exact front's hypervolume of all, after 100 trials and after 300.

A search sees the validation accuracy after 12 epochs and the parameters of the real cell, which are counted without
the edges that lead nowhere (the benchmark's own numbers count those too). The share is that of the front of all 15,625
cells, from a reference point a tenth of that front's range behind its worst. Whatever is proposed counts as a trial,
repeats too. All have their default settings, one worker, and the same seeds.

It takes minutes of one core; in pieces, too: `--minutes 3` stops then, and the same command goes on. Our own
searches lie in `--folder` as tables of runs and go on in the middle, also after they were killed; of Optuna's, which
cannot go on, what was finished. `--csv results.csv` adds the rows of what is there; nothing is played then.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import optuna
import optuna_strategy
import results
import torch

from netwright.comparison.tables import table_search
from netwright.comparison.tables.exact_front import ExactFront, exact_front, lookup_of
from netwright.controller import Search
from netwright.core import refs
from netwright.core.protocols import Store, Strategy
from netwright.core.records import Trial
from netwright.core.run_file import Limits
from netwright.core.table import Table
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore
from netwright.stores.sqlite import SqliteStore
from netwright.tables.nats_tss import nats_tss

OBJECTIVES = ("signal", "-params")
SHORT, LONG = 100, 300  # trials
THEIRS = {
    f"optuna {optuna.__version__} NSGA-II": optuna_strategy.NSGA2,
    f"optuna {optuna.__version__} TPE": optuna_strategy.TPE,
}
OURS = ("random", "nsga2", "mobo")


def made(name: str, table: Table) -> Strategy:
    if name in THEIRS:
        return THEIRS[name](table.space, OBJECTIVES)
    return table_search.strategy_of(refs.parse(name), table, OBJECTIVES)


def played(name: str, seed: int, trials: int, table: Table, folder: Path, until: float) -> Sequence[Trial]:
    """The trials of a search from its beginning or from where it stood; fewer where the time is over."""
    is_ours = name not in THEIRS
    store: Store = SqliteStore(str(folder / f"{name}-{seed}.sqlite")) if is_ours else MemoryStore()
    executor = Inline(lookup_of(table, OBJECTIVES))
    search = Search(table.space, made(name, table), store, executor, OBJECTIVES, Limits(trials=trials), seed)
    clock = threading.Timer(max(until - time.monotonic(), 0.1), search.drain) if is_ours else None
    if clock:
        clock.daemon = True
        clock.start()
    try:
        search.run()
        return store.finished()
    finally:
        if clock:
            clock.cancel()


def share(trials: Sequence[Trial], after: int, exact: ExactFront) -> float:
    """The share of the exact front's hypervolume after so many trials."""
    found = [trial.result.metrics for trial in trials[:after] if trial.result]
    values = np.array([[metrics["signal"], metrics["params"]] for metrics in found])
    return float(exact.shares(values)[-1])


def cells(short_seeds: int, long_seeds: int) -> list[tuple[str, int, int]]:
    """Strategy, seed and trials of each search, in the order in which they are played: the cheap ones first."""
    names = (*(name for name in OURS if name != "mobo"), *THEIRS)
    cheap = [(name, seed, LONG if seed < long_seeds else SHORT) for name in names for seed in range(short_seeds)]
    short = [("mobo", seed, SHORT) for seed in range(short_seeds)]
    return [*cheap, *short[:long_seeds], *(("mobo", seed, LONG) for seed in range(long_seeds)), *short[long_seeds:]]


def play(asked: Sequence[tuple[str, int, int]], table: Table, folder: Path, minutes: float) -> None:
    """Plays what is not there yet, until the time is over."""
    until = time.monotonic() + 60 * minutes
    folder.mkdir(parents=True, exist_ok=True)
    exact = exact_front(table, OBJECTIVES)
    have = known(folder)
    for name, seed, trials in asked:
        if time.monotonic() >= until:
            return
        if (name, seed, trials) in have:
            continue
        start = time.process_time()
        found = played(name, seed, trials, table, folder, until)
        seconds = time.process_time() - start
        with (folder / "shares.jsonl").open("a", encoding="utf-8") as file:
            for after in (SHORT, LONG):
                if after <= min(trials, len(found)) and (name, seed, after) not in have:
                    line = {"strategy": name, "seed": seed, "trials": after, "share": share(found, after, exact)}
                    line |= {"seconds": round(seconds, 3), "commit": results.commit()}
                    file.write(json.dumps(line) + "\n")
                    print(line, flush=True)


def known(folder: Path) -> Mapping[tuple[str, int, int], float]:
    """The shares that are there, by strategy, seed and trials."""
    file = folder / "shares.jsonl"
    lines = map(json.loads, file.read_text(encoding="utf-8").splitlines()) if file.exists() else ()
    return {(line["strategy"], line["seed"], line["trials"]): line["share"] for line in lines}


def summed_up(have: Mapping[tuple[str, int, int], float]) -> list[results.Row]:
    """A row for each strategy and number of trials, with the mean gain of `mobo` over it on the seeds of both."""
    rows = []
    for after in (SHORT, LONG):
        ours = {seed: value for (name, seed, trials), value in have.items() if (name, trials) == ("mobo", after)}
        for name in (*OURS, *THEIRS):
            found = {seed: value for (who, seed, trials), value in have.items() if (who, trials) == (name, after)}
            if not found:
                continue
            values = sorted(found.values())
            gains = [ours[seed] - found[seed] for seed in sorted(ours.keys() & found.keys())]
            against = ""
            if name != "mobo" and len(gains) > 1:
                low, high = interval(gains)
                against = f"mobo gains {statistics.fmean(gains):.4f} [{low:.4f}, {high:.4f}] on {len(gains)} seeds"
            mean = statistics.fmean(values)
            subject = f"{name}, nats_tss cifar10 by {', '.join(OBJECTIVES)}, {after} trials, mean {mean:.4f}"
            row = results.Row(subject, len(values), statistics.median(values), values[0], values[-1], SHARE, against)
            rows.append(row)
            print(f"{subject} of {len(values)} seeds; {against}", flush=True)
    return rows


SHARE = "share of the exact front's hypervolume"


def interval(gains: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of the means of gains drawn anew."""
    drawn = np.random.default_rng(0).choice(np.array(gains), (10_000, len(gains))).mean(1)
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return low, high


def main() -> None:
    parser = argparse.ArgumentParser(description="Shares of the exact front's hypervolume on NATS-Bench.")
    data = os.environ.get("NETWRIGHT_DATA", "")
    parser.add_argument("--path", type=Path, default=Path(data, "nats-tss", "nats_tss.csv"), help="the table")
    parser.add_argument("--folder", type=Path, default=Path("table_fronts"), help="where searches lie")
    parser.add_argument("--minutes", type=float, default=60.0, help="when to stop; the same command goes on")
    parser.add_argument("--seeds", type=int, nargs=2, default=(20, 5), help=f"of {SHORT} and of {LONG} trials")
    parser.add_argument("--csv", type=Path, help="CSV file that rows are appended to")
    parser.add_argument("--quick", action="store_true", help="no search with a model: whether it runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if arguments.csv is None:
        asked = cells(*((1, 0) if arguments.quick else arguments.seeds))
        asked = [cell for cell in asked if cell[0] != "mobo"] if arguments.quick else asked
        play(asked, nats_tss(str(arguments.path)), arguments.folder, arguments.minutes)
    rows = summed_up(known(arguments.folder))
    if arguments.csv is not None:
        results.append(arguments.csv, rows)


if __name__ == "__main__":
    main()
