"""Trials per second on a table of published results: everything a trial costs when its evaluation costs nothing.

The cells of NATS-Bench's topology space, with random search and aging evolution (population 10, sample 3), 100, 1,000
and 10,000 trials: netwright whole (controller, table of trials in memory, look-up) and other libraries (peers.py) asked
and told as a user would, their measure a dictionary. One process, one thread; the processor's time counts, that of
making the search included, that of reading the table and of imports not. What the space remembers of its cells is
forgotten before each line's search, so that netwright pays for it as a new process does. Repetitions of the lines of
one size alternate.

Claims: 500 searches of 100 trials of aging evolution in under 3 s; its ask and tell alone under 20 us, with 1,000,000
told trials at most 1.3 times as much as with 100; with --predictor, an ask of `predictor` under 20 ms with 100 told
trials and under 250 ms with 2,000.
"""

from __future__ import annotations

import argparse
import gc
import logging
import math
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import peers
import results
import threadpoolctl
import torch
from peers import PEERS, POPULATION, SAMPLE

from netwright.controller import Search
from netwright.core import refs
from netwright.core.protocols import Strategy
from netwright.core.records import Genotype, Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Limits
from netwright.core.table import Table
from netwright.evaluators.lookup import Lookup
from netwright.executors.inline import Inline
from netwright.spaces import nats
from netwright.stores.memory import MemoryStore
from netwright.strategies.aging import AgingEvolution
from netwright.strategies.random import RandomSearch
from netwright.tables.nats_tss import nats_tss

SIZES = (100, 1_000, 10_000)
LARGEST = {"TPE": 1_000}  # beyond that it takes minutes
REPETITIONS = 3
ENOUGH = 10.0  # seconds after which a line is not repeated
LIMIT = 45.0  # seconds after which a search is given up
SEARCHES, SEARCHES_TARGET = 500, 3.0
TOLD = (100, 10_000, 1_000_000)
ASK_TELL_TARGET, GROWTH_TARGET = 20.0, 1.3
ASKS_TARGETS = {100: 20.0, 2_000: 250.0}  # milliseconds by told trials
NETWRIGHT = "netwright"
CPU = "us/trial (CPU)"


class TooSlow(Exception):
    """A search was given up."""


@dataclass
class Line:
    """One search that is measured: who, what, how many trials, and what came out."""

    who: str
    what: str
    trials: int
    play: Callable[[int], None]  # seed
    seconds: list[float] = field(default_factory=list)
    note: str = ""  # why there is nothing measured

    @property
    def micros(self) -> list[float]:
        """Microseconds per trial."""
        return [each / self.trials * 1e6 for each in self.seconds]

    @property
    def subject(self) -> str:
        return f"{self.who}: {self.what}, {self.trials} trials"


def cost(work: Callable[[], None]) -> float:
    """Seconds of the processor."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def search_on(table: Table, what: str, trials: int, seed: int) -> None:
    """One search of netwright's, as `netwright search` wires it but for the disk."""
    strategy: Strategy = RandomSearch(table.space)
    if what == "aging":
        strategy = AgingEvolution(table.space, population=POPULATION, sample=SAMPLE)
    search = Search(
        table.space,
        strategy,
        MemoryStore(),
        Inline(Lookup(table)),
        objectives=(table.objective,),
        limits=Limits(trials=trials),
        seed=seed,
    )
    search.run()


def search_anew(table: Table, what: str, trials: int, seed: int) -> None:
    """The same with nothing known of the cells, as in a new process."""
    nats._key.cache_clear()
    search_on(table, what, trials, seed)


def play_peer(play: peers.Play, trials: int, signals: Mapping[Genotype, float], seed: int) -> None:
    """One search of another library's. Raises TooSlow, saying how far it came."""
    asked, end = count(1), time.process_time() + LIMIT

    def measure(genotype: Sequence[int]) -> float:
        number = next(asked)
        if time.process_time() > end:
            raise TooSlow(f"not measured: given up after {LIMIT:.0f} s at trial {number:,}")
        return signals[tuple(genotype)]

    play(trials, seed, measure)


def lines_of(table: Table, trials: int) -> Iterator[Line]:
    """Everyone who can play so many trials."""
    signals = dict(zip(table.rows, table.scores("signal").tolist(), strict=True))
    for what in ("random", "aging"):
        yield Line(NETWRIGHT, what, trials, partial(search_anew, table, what, trials))
    for peer in PEERS:
        fault = peer.fault()
        for what, play in peer.searches.items():
            who = peer.name if fault else peer.label
            line = Line(who, what, trials, partial(play_peer, play, trials, signals), note=fault)
            if not fault and trials > LARGEST.get(what, trials):
                line.note = "not measured: it takes minutes"
            yield line


def measure(lines: Sequence[Line], smaller: Sequence[Line]) -> None:
    """Repetition by repetition, each line in turn; what would take too long by its cost with fewer trials is not."""
    for line in lines:
        before = [each for each in smaller if (each.who, each.what) == (line.who, line.what)]
        if line.note or not before:
            continue
        if not before[-1].seconds:
            line.note = "not measured: too slow with fewer trials"
        elif (expected := min(before[-1].micros) * line.trials / 1e6) > LIMIT:
            line.note = f"not measured: it would take {expected:.0f} s"
    for seed in range(REPETITIONS):
        for line in lines:
            if line.note or sum(line.seconds) > ENOUGH:
                continue
            try:
                line.seconds.append(cost(partial(line.play, seed)))
            except TooSlow as slow:
                line.note = str(slow)


def told(strategy: Strategy, table: Table, trials: int) -> None:
    """Tell a strategy so many cells drawn at random, with their signals."""
    cells = list(table.rows)
    signals, rng = table.scores("signal").tolist(), np.random.default_rng(0)
    for number, row in enumerate(rng.integers(0, len(cells), trials).tolist(), start=1):
        strategy.tell(_trial(number, Proposal(cells[row]), signals[row]), rng)


def ask_tell_block(strategy: Strategy, table: Table, trials: int, numbers: Iterator[int]) -> float:
    """Microseconds of an ask, a trial made of it, and a tell."""
    signals, rng = table.scores("signal").tolist(), np.random.default_rng(1)

    def go_on() -> None:
        for _ in range(trials):
            proposal = strategy.ask(rng, ())
            assert proposal is not None
            strategy.tell(_trial(next(numbers), proposal, signals[table.rows[proposal.genotype]]), rng)

    return cost(go_on) / trials * 1e6


def ask_tell_rows(table: Table, sizes: Sequence[int], trials: int) -> list[results.Row]:
    """Ask and tell of aging evolution alone, by how many trials it was told before."""
    strategies = {}
    for size in sizes:
        strategies[size] = AgingEvolution(table.space, population=POPULATION, sample=SAMPLE)
        told(strategies[size], table, size)
    numbers = count(1)
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(2 * REPETITIONS - 1):
        for size in sizes:
            found[size].append(ask_tell_block(strategies[size], table, trials, numbers))
    few = statistics.median(found[sizes[0]])
    rows = []
    for size in sizes:
        ratio = statistics.median(found[size]) / few
        against = f"{ratio:.3f} to {sizes[0]} told" if size > sizes[0] else ""
        rows.append(row(f"aging alone: ask and tell after {size} told", found[size], CPU, against))
        say(rows[-1].median < ASK_TELL_TARGET, f"{rows[-1].subject}: {rows[-1].median:.1f} us, under 20")
        if against:
            say(
                ratio <= GROWTH_TARGET,
                f"{rows[-1].subject}: {ratio:.2f} times as much as after {sizes[0]}, at most 1.3",
            )
    return rows


def searches_row(table: Table, searches: int) -> results.Row:
    """How long many short searches take together, on one core."""

    def play() -> None:
        nats._key.cache_clear()
        for seed in range(searches):
            search_on(table, "aging", 100, seed)

    seconds = [cost(play) for _ in range(REPETITIONS)]
    found = row(f"{searches} searches of 100 trials: aging", seconds, "s (CPU)")
    target = SEARCHES_TARGET * searches / SEARCHES
    say(found.median < target, f"{found.subject}: {found.median:.2f} s, under {target:.3g}")
    return found


def predictor_rows(table: Table, asks: int) -> list[results.Row]:
    """An ask of the model-guided strategy, each after one more trial was told."""
    rows = []
    for size, target in ASKS_TARGETS.items():
        strategy = refs.load("strategy", Reference("predictor"), space=table.space, objectives=(table.objective,))
        told(strategy, table, size)
        signals, rng, found = table.scores("signal").tolist(), np.random.default_rng(1), []
        for number in range(size + 1, size + asks + 1):
            proposals: list[Proposal] = []
            found.append(1e3 * cost(lambda: proposals.append(strategy.ask(rng, ()))))  # noqa: B023 - called at once
            signal = signals[table.rows[proposals[0].genotype]]
            found[-1] += 1e3 * cost(partial(strategy.tell, _trial(number, proposals[0], signal), rng))
        rows.append(row(f"predictor: ask and tell after {size} told", found, "ms (CPU)"))
        say(rows[-1].median < target, f"{rows[-1].subject}: {rows[-1].median:.1f} ms, under {target:.0f}")
    return rows


def _trial(number: int, proposal: Proposal, signal: float) -> Trial:
    return Trial(number, proposal, "", number, "done", Result({"signal": signal}), (signal,), number)


def row(subject: str, values: Sequence[float], unit: str, ratio_to: str = "") -> results.Row:
    return results.Row(subject, len(values), statistics.median(values), min(values), max(values), unit, ratio_to)


def say(is_reached: bool, text: str) -> None:
    print(f"{'reached    ' if is_reached else 'NOT reached'}  {text}", flush=True)


def ratio(line: Line, lines: Sequence[Line]) -> float:
    """Its median over that of netwright's same search; NaN where there is none."""
    ours = [each for each in lines if (each.who, each.what, each.trials) == (NETWRIGHT, line.what, line.trials)]
    if not (ours and ours[0].seconds and line.seconds):
        return math.nan
    return statistics.median(line.micros) / statistics.median(ours[0].micros)


def print_table(lines: Sequence[Line]) -> None:
    shape = "{:<22} {:<12} {:>7} {:>11} {:>11} {:>11} {:>10} {:>8}"
    print(shape.format("who", "what", "trials", "us/trial", "min", "max", "trials/s", "to ours"))
    for line in lines:
        start = (line.who, line.what, f"{line.trials:,}")
        if not line.seconds:
            print(shape.format(*start, *("",) * 5).rstrip() + f" {line.note}")
            continue
        micros, times = sorted(line.micros), ratio(line, lines)
        cells = [f"{number:,.1f}" for number in (statistics.median(micros), micros[0], micros[-1])]
        against = "" if math.isnan(times) or line.who == NETWRIGHT else f"{times:.2f}"
        print(shape.format(*start, *cells, f"{1e6 / statistics.median(micros):,.0f}", against).rstrip())


def rows_of(lines: Sequence[Line]) -> Iterator[results.Row]:
    """What goes into the shared table."""
    for line in lines:
        if line.seconds:
            times = ratio(line, lines)
            against = "" if math.isnan(times) or line.who == NETWRIGHT else f"{times:.3g} to netwright"
            yield row(line.subject, line.micros, CPU, against)


def main() -> None:
    beside = Path(os.environ.get("NETWRIGHT_DATA", "")) / "nats-tss" / "nats_tss.csv"
    parser = argparse.ArgumentParser(description="Trials per second on a table, beside other libraries.")
    parser.add_argument("--table", type=Path, default=beside, help="CSV or Parquet; by default that of NETWRIGHT_DATA")
    parser.add_argument("--predictor", action="store_true", help="the model-guided strategy's asks too")
    arguments = results.options(parser)
    if not arguments.table.is_file():
        print("left out: give --table, or set NETWRIGHT_DATA to a folder that holds nats-tss/nats_tss.csv")
        return
    torch.set_num_threads(1)
    threadpoolctl.threadpool_limits(1)
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")  # of other libraries
    table = nats_tss(str(arguments.table))
    sizes: Sequence[int] = SIZES[:1] if arguments.quick else SIZES
    told_sizes: Sequence[int] = TOLD[:2] if arguments.quick else TOLD
    trials, searches, asks = (500, SEARCHES // 10, 2) if arguments.quick else (5_000, SEARCHES, 20)
    for line in lines_of(table, 20):  # imports libraries and warms up: what a process does once
        if not line.note:
            line.play(0)
    gc.freeze()  # so that nobody pays for collecting what others imported
    start = time.perf_counter()
    measured: list[Line] = []
    for size in sizes:
        lines = list(lines_of(table, size))
        measure(lines, measured)
        measured += lines
        print(f"[{time.perf_counter() - start:.0f} s] measured {size:,} trials", flush=True)
    measured.sort(key=lambda line: (("random", "aging", "generations", "TPE").index(line.what), line.trials))
    print(f"\n{results.hardware()}; commit {results.commit()}; median of at most {REPETITIONS}; processor's time\n")
    print_table(measured)
    print()
    rows = [*rows_of(measured), searches_row(table, searches), *ask_tell_rows(table, told_sizes, trials)]
    if arguments.predictor:
        rows += predictor_rows(table, asks)
    print(f"[{time.perf_counter() - start:.0f} s]")
    results.append(arguments.out, rows)


if __name__ == "__main__":
    main()
