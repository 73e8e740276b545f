"""What a trial costs beyond its evaluation: ask, add, claim, a no-op evaluation, finish, tell, by the real controller.

Claims, on the 46 genes of the hierarchical space: at most 60 us per trial in memory, at most 250 us in a durable table
(SQLite, synchronous=NORMAL), and at 100,000 finished rows at most 1.3 times the cost at 100. They are held against
tournament and, with a cheap sample, random search; a full sample makes 1000 mutations and is shown only. SQLite with
synchronous=FULL is held to the growth alone: its cost is the disk's. Optuna, asked and told the same way, samples 46
categorical parameters of 7 values at random.

Every table is filled by a tournament search, then replayed into a fresh search, which goes on: the next trials are
timed as they come, garbage collection and write-ahead log included. Tables of 100 rows are made anew for each
repetition; larger ones go on growing. Repetitions of the lines of one group alternate. In memory the processor's time
is judged, as other programs of the machine do not count; with a file the elapsed time is, as waiting for the disk does.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path

import results
import torch

from netwright.controller import Search
from netwright.core.protocols import Context, SearchSpace, Store, Strategy
from netwright.core.records import Result, Trial
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.stores.memory import MemoryStore
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.random import RandomSearch
from netwright.strategies.tournament import Tournament

REPETITIONS = 5
FEW = 100  # rows of the table that others are compared to
FILLING = 75.0  # seconds that filling one of Optuna's tables may take, judged by its first rows
MEMORY_TARGET, DURABLE_TARGET, GROWTH_TARGET = 60.0, 250.0, 1.3

SPACE = HierarchicalSpace()
CHEAP_SPACE = HierarchicalSpace(diversification=1)  # a sample is one mutation instead of 1000
MUTANTS, SAMPLES, CHEAP_SAMPLES = "tournament", "random", "random, cheap sample"
STRATEGIES = (MUTANTS, CHEAP_SAMPLES, SAMPLES)

CLOCKS = ("elapsed", "CPU")
_seeds = count()

Times = tuple[float, float]  # microseconds per trial: elapsed, of the processor
Block = Callable[[], Times]


@dataclass
class Line:
    """One line of the table: what is measured and what came out."""

    what: str
    store: str
    strategy: str
    rows: int
    trials: int  # per repetition
    block: Block | None = None  # measures one repetition
    note: str = ""  # why there is nothing to measure
    times: list[Times] = field(default_factory=list)

    @property
    def judged(self) -> int:
        """Which time counts: of the processor in memory, elapsed where a disk is waited for."""
        return int(self.store == "memory")

    def sorted(self, clock: int) -> list[float]:
        """Microseconds per trial by elapsed (0) or processor's time (1), smallest first."""
        return sorted(times[clock] for times in self.times)

    @property
    def subject(self) -> str:
        return f"{self.what}: {self.store}; {self.strategy}; {self.rows} rows"


class NoEvaluation:
    """Answers at once: a score that depends on the trial's seed, and a size."""

    def evaluate(self, trial: Trial, context: Context) -> Result:  # noqa: ARG002
        return Result({"valid_accuracy": trial.seed / 2**63, "params": 1.0})


def strategy_of(name: str) -> tuple[SearchSpace, Strategy]:
    """The space and the strategy of a line; the start population ends where the measurement begins."""
    if name == MUTANTS:
        return SPACE, Tournament(SPACE, initial=FEW)
    space = SPACE if name == SAMPLES else CHEAP_SPACE
    return space, RandomSearch(space)


def search_on(store: Store, strategy: str) -> Search:
    """A fresh search that has replayed the table; each has a seed of its own, so that none finds caches filled."""
    space, chosen = strategy_of(strategy)
    search = Search(space, chosen, store, Inline(NoEvaluation()), seed=next(_seeds))
    search.replay()
    return search


def go_on(search: Search, trials: int) -> None:
    """Run so many further trials."""
    search.limits = Limits(trials=len(search.store.finished()) + trials)
    search.run()


def timed(work: Callable[[], None], trials: int) -> Times:
    """Microseconds per trial that `work` took."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) / trials * 1e6, (time.process_time() - processor) / trials * 1e6


def search_block(search: Search, trials: int) -> Times:
    """Time the next trials of a search."""
    search.limits = Limits(trials=(search.limits.trials or 0) + trials)

    def run() -> None:
        search.run()

    return timed(run, trials)


def fresh_block(make_store: Callable[[], Store], strategy: str, rows: int, trials: int) -> Times:
    """Time trials that follow `rows` rows, in a table of its own."""
    store = make_store()
    search = search_on(store, strategy)
    search.limits = Limits(trials=rows)
    times = search_block(search, trials)
    store.close()
    return times


def netwright_line(name: str, make_store: Callable[[], Store], strategy: str, rows: int, trials: int) -> Line:
    """A line over tables with `rows` rows that `make_store` gives."""
    line = Line("netwright", name, strategy, rows, trials)
    if rows == FEW:
        line.block = partial(fresh_block, make_store, strategy, rows, trials)
        return line
    search = search_on(make_store(), strategy)
    search.limits = Limits(trials=rows)
    line.block = partial(search_block, search, trials)
    return line


def filled_memory(rows: int) -> MemoryStore:
    """A table in memory with the first rows of a tournament search."""
    store = MemoryStore()
    fill(store, "memory", rows)
    return store


def fill(store: Store, name: str, rows: int) -> None:
    """Run a tournament search, and say how long it took when that is worth knowing."""
    wall, processor = timed(partial(go_on, search_on(store, MUTANTS), rows), rows)
    if rows > FEW:
        print(f"filled {name} with {rows:,} rows: {wall:.0f} us/trial elapsed, {processor:.0f} CPU", flush=True)


def memory_lines(sizes: Sequence[int], trials: int) -> Iterator[list[Line]]:
    """A group per strategy: random samples would push a tournament's motifs out of the space's cache."""
    for strategy in STRATEGIES:
        yield [netwright_line("memory", partial(filled_memory, rows), strategy, rows, trials) for rows in sizes]


def million_lines(rows: int, trials: int) -> Iterator[list[Line]]:
    """Groups of one line each, one after another on one table: a million rows fit memory only once."""
    store = filled_memory(rows)
    for number, strategy in enumerate(STRATEGIES):
        line = Line("netwright", "memory", strategy, rows, trials)
        search = search_on(store, strategy)
        search.limits = Limits(trials=rows + number * REPETITIONS * trials)
        line.block = partial(search_block, search, trials)
        yield [line]


def sqlite_lines(folder: Path, sizes: Sequence[int], trials: int) -> list[Line]:
    """Lines over copies of one file per size; FULL with a quarter of the trials."""
    copies = count()

    def copied(rows: int, synchronous: str) -> SqliteStore:
        path = folder / f"{next(copies)}.db"
        shutil.copyfile(folder / f"filled-{rows}.db", path)
        return SqliteStore(str(path), synchronous=synchronous)  # type: ignore[arg-type]

    for rows in sizes:
        store = SqliteStore(str(folder / f"filled-{rows}.db"))
        fill(store, "sqlite NORMAL", rows)
        store.close()
    lines = []
    for rows in sizes:
        for strategy in STRATEGIES:
            lines.append(netwright_line("sqlite NORMAL", partial(copied, rows, "NORMAL"), strategy, rows, trials))
        lines.append(netwright_line("sqlite FULL", partial(copied, rows, "FULL"), MUTANTS, rows, trials // 4))
    return lines


def optuna_line(folder: Path, name: str, rows: int, trials: int, filling: float) -> Line:
    """A line of Optuna's, its table filled with finished trials when that takes at most `filling` seconds."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    line = Line(f"optuna {optuna.__version__}", name, "random", rows, trials)
    path = folder / f"optuna-{name}-{rows}"
    storage: optuna.storages.BaseStorage = optuna.storages.InMemoryStorage()
    if name == "journal file":
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(path)))
    elif name == "SQLite":
        storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler(seed=0))
    names = [f"gene {number}" for number in range(len(SPACE.genes))]
    options = tuple(range(7))

    def run() -> None:
        for _ in range(trials):
            trial = study.ask()
            values = [trial.suggest_categorical(name, options) for name in names]
            study.tell(trial, values[0] / 7)

    distributions = {name: optuna.distributions.CategoricalDistribution(options) for name in names}
    done = optuna.trial.create_trial(params=dict.fromkeys(names, 3), distributions=distributions, value=0.5)
    start = time.perf_counter()
    for added in range(FEW, rows + 1, FEW):
        study.add_trials([done] * FEW)
        spent = time.perf_counter() - start
        expected = spent * rows / added
        if spent > filling / 25 and expected > filling:
            line.note = f"not measured (filling would take {expected:.0f} s, more than {filling:.0f} s)"
            return line
    line.block = partial(timed, run, trials)
    return line


def measure(lines: Sequence[Line]) -> None:
    """Repetition by repetition, one block of every line in turn."""
    for _ in range(REPETITIONS):
        for line in lines:
            if line.block is not None:
                line.times.append(line.block())
    for line in lines:
        line.block = None  # its table is not needed any more


def growth(line: Line, lines: Sequence[Line], clock: int) -> float | None:
    """The line's median divided by that of the same at 100 rows."""
    named = (line.what, line.store, line.strategy, FEW)
    few = [other for other in lines if (other.what, other.store, other.strategy, other.rows) == named]
    if not few or not few[0].times or not line.times:
        return None
    return statistics.median(line.sorted(clock)) / statistics.median(few[0].sorted(clock))


def print_table(lines: Sequence[Line]) -> None:
    shape = "{:<13} {:<14} {:<21} {:>9} {:<7} {:>10} {:>9} {:>9} {:>7}  {:>10} {:>7}"
    names = ("clock", "us/trial", "min", "max", "to 100", "other", "to 100")
    print(shape.format("what", "store", "strategy", "rows", *names))
    for line in lines:
        start = (line.what, line.store, line.strategy, f"{line.rows:,}")
        if not line.times:
            print(shape.format(*start, *("",) * 7).rstrip() + f" {line.note}")
            continue
        times, others = line.sorted(line.judged), line.sorted(1 - line.judged)
        ratios = [growth(line, lines, clock) for clock in (line.judged, 1 - line.judged)]
        cells = [f"{number:,.1f}" for number in (statistics.median(times), times[0], times[-1])]
        texts = [f"{ratio:.2f}" if ratio else "" for ratio in ratios]
        other = f"{statistics.median(others):,.1f}"
        print(shape.format(*start, CLOCKS[line.judged], *cells, texts[0], other, texts[1]))


def print_targets(lines: Sequence[Line]) -> None:
    """One line per claim and table."""

    def say(value: float, target: float, text: str) -> None:
        print(f"{'reached    ' if value <= target else 'NOT reached'}  {text}")

    print()
    for line in lines:
        if line.what != "netwright" or line.strategy == SAMPLES:
            continue
        title = f"{line.store}, {line.strategy}, {line.rows:,} rows"
        target = MEMORY_TARGET if line.store == "memory" else DURABLE_TARGET
        median = statistics.median(line.sorted(line.judged))
        if line.store != "sqlite FULL":
            say(median, target, f"{title}: {median:.1f} us per trial, at most {target:.0f}")
        ratio = growth(line, lines, line.judged)
        if line.rows > FEW and ratio is not None:
            say(ratio, GROWTH_TARGET, f"{title}: {ratio:.2f} times the cost at {FEW} rows, at most {GROWTH_TARGET}")


def rows_of(lines: Sequence[Line]) -> Iterator[results.Row]:
    """What goes into the shared table: two rows per line, one by each clock."""
    for line in lines:
        if not line.times:
            continue
        for clock, name in enumerate(CLOCKS):
            times, ratio = line.sorted(clock), growth(line, lines, clock)
            against = f"{ratio:.3f} to {FEW} rows" if ratio is not None and line.rows > FEW else ""
            middle = statistics.median(times)
            yield results.Row(line.subject, len(times), middle, times[0], times[-1], f"us/trial ({name})", against)


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of a trial beyond its evaluation.")
    parser.add_argument("--no-optuna", action="store_true", help="netwright alone")
    arguments = results.options(parser)
    torch.set_num_threads(1)
    logging.disable(logging.WARNING)
    sizes = (FEW, 1_000) if arguments.quick else (FEW, 10_000, 100_000)
    trials, few, filling = (200, 4, 5.0) if arguments.quick else (2_000, 20, FILLING)
    lines: list[Line] = []
    start = time.perf_counter()

    def measure_group(group: list[Line]) -> None:
        measure(group)
        lines.extend(group)
        print(f"[{time.perf_counter() - start:.0f} s] measured {group[0].what}, {group[0].store}", flush=True)

    with tempfile.TemporaryDirectory(prefix=".trial-overhead-", dir=Path.cwd()) as name:
        folder = Path(name)
        go_on(search_on(MemoryStore(), MUTANTS), trials)  # warms caches up
        # Optuna's small tables alternate with ours; its large ones would burden our garbage collection
        optuna = [] if arguments.no_optuna else [("memory", trials // 20), ("journal file", few), ("SQLite", few)]
        small = [optuna_line(folder, store, FEW, n, filling) for store, n in optuna]
        for number, group in enumerate(memory_lines(sizes, trials)):
            measure_group(group + (small[:1] if number == 0 else []))
        measure_group(sqlite_lines(folder, sizes, trials // 2) + small[1:])
        if not arguments.quick:
            for group in million_lines(1_000_000, trials):
                measure_group(group)
        for store, n in optuna:
            for rows in sizes[1:]:
                measure_group([optuna_line(folder, store, rows, n, filling)])
    lines.sort(key=lambda line: (line.what, line.store, line.strategy, line.rows))
    print(
        f"\n{results.hardware()}; commit {results.commit()}; median of {REPETITIONS} repetitions, nothing subtracted\n"
    )
    print_table(lines)
    print_targets(lines)
    results.append(arguments.out, list(rows_of(lines)))


if __name__ == "__main__":
    main()
