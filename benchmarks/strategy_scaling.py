"""What a strategy costs: microseconds per ask + tell after 100, 10,000 and 1,000,000 told trials, in the NASNet space.

Claims: aging evolution takes at most 25 us, NSGA-II with two objectives 60 us, and no strategy without a model grows:
after 1,000,000 trials it takes at most 1.3 times as long as after 100. Beside them stand, where they are installed, the
evolution of DEAP, Syne Tune and NePS and the NSGA-II of Optuna, asked and told one trial at a time in the same process.
All populations have 100 members, all tournaments but NSGA-II's 25, as in Real et al. 2019; who has no such option is
taken as it is. They get the 40 genes of the space as numbers of the same ranges, and mutate them as they do.

Nothing but the strategy runs: no table, no controller, no evaluation. The score is a sum over the genes, so that
climbs climb; scoring and making the row count, and what they cost is the line "nothing", which always asks the same.
Every strategy makes all its trials itself. After 100 trials each repetition starts anew; later ones go on. Processor's
time is judged, as other programs of the machine do not count; garbage collection comes as it comes.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import itertools
import logging
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import results

from netwright.core import genes, refs, seeds
from netwright.core.protocols import Strategy
from netwright.core.records import Proposal, Result, Trial
from netwright.spaces.nasnet import NasnetSpace

REPETITIONS = 5
FEW = 100  # told trials that others are compared to
POPULATION, SAMPLE = 100, 25  # Real et al. 2019
TARGETS, GROWTH_TARGET = {"aging": 25.0, "nsga2": 60.0}, 1.3
PATIENCE = 150.0  # seconds that making a peer's trials may take, judged as they are made
SPACE = NasnetSpace()
OPTIONS = {
    "aging": {"population": POPULATION, "sample": SAMPLE},
    "non_aging": {"population": POPULATION},
    "nsga2": {"population": POPULATION},
}
STRATEGIES = ("random", "tournament", "aging", "non_aging", "local_search", "nsga2")

_seeds = itertools.count()

Play = Callable[[int], None]  # asks and tells so many further trials


@dataclass
class Line:
    """One line of the table: microseconds per trial of each repetition, or why there are none."""

    what: str
    strategy: str
    told: int
    times: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def subject(self) -> str:
        return f"{self.what}: {self.strategy}; {self.told} told trials"

    @property
    def median(self) -> float:
        return statistics.median(self.times)


class Nothing:
    """Asks for the same genotype each time: what is left is the cost of the loop."""

    def __init__(self) -> None:
        self._proposal = Proposal(SPACE.sample(seeds.rng_for(0, seeds.ASK)))

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal:  # noqa: ARG002
        return self._proposal

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        pass


def ours(name: str) -> Play:
    """A fresh strategy of the package; each has a seed of its own, so that none finds the space's caches filled."""
    strategy: Strategy = Nothing()
    if name != "nothing":
        strategy = refs.load("strategy", refs.Reference(name, OPTIONS.get(name, {})), space=SPACE)
    streams, numbers = seeds.Streams(next(_seeds)), itertools.count(1)
    result, needs_key = Result({"valid_accuracy": 0.5}), name == "local_search"

    def play(trials: int) -> None:
        for n in itertools.islice(numbers, trials):
            proposal = strategy.ask(streams.rng(seeds.ASK, n), ())
            assert proposal is not None
            key = SPACE.key(proposal.genotype) if needs_key else str(n)
            scores: tuple[float, ...] = (float(sum(proposal.genotype)),)
            if name == "nsga2":  # a second objective, which the first contradicts
                scores = (*scores, -float(sum(value * value for value in proposal.genotype)))
            strategy.tell(Trial(n, proposal, key, n, "done", result, scores, n), streams.rng(seeds.TELL, n))

    return play


def by_deap() -> Play:
    """Steady-state evolution put together from DEAP's parts, as it has none of its own."""
    from deap import base, creator, tools

    if not hasattr(creator, "Genotype"):
        creator.create("Fitness", base.Fitness, weights=(1.0,))
        creator.create("Genotype", list, fitness=creator.Fitness)
    toolbox, rng = base.Toolbox(), np.random.default_rng(0)
    highest = [genes.size(gene) - 1 for gene in SPACE.genes]
    toolbox.register("select", tools.selTournament, k=1, tournsize=SAMPLE)
    toolbox.register("mutate", tools.mutUniformInt, low=0, up=highest, indpb=1 / len(highest))
    population: deque[Any] = deque(maxlen=POPULATION)

    def play(trials: int) -> None:
        for _ in range(trials):
            if len(population) < POPULATION:
                child = creator.Genotype(SPACE.sample(rng))
            else:
                (child,) = toolbox.mutate(toolbox.clone(toolbox.select(population)[0]))
            child.fitness.values = (float(sum(child)),)
            population.append(child)

    return play


def by_syne_tune() -> Play:
    """Its regularized evolution, without the scheduler around it."""
    from syne_tune.config_space import randint
    from syne_tune.optimizer.schedulers.searchers.regularized_evolution import RegularizedEvolution

    options = {f"gene {n}": randint(0, genes.size(gene) - 1) for n, gene in enumerate(SPACE.genes)}
    searcher = RegularizedEvolution(options, population_size=POPULATION, sample_size=SAMPLE, random_seed=0)
    numbers = itertools.count()

    def play(trials: int) -> None:
        for n in itertools.islice(numbers, trials):
            config = searcher.suggest()
            searcher.on_trial_complete(str(n), config, -float(sum(config.values())))

    return play


def by_neps() -> Play:
    """Its regularized evolution with one mutation per child."""
    import neps
    from neps.optimizers.neps_regularized_evolution import NePSRegularizedEvolution

    named = {f"gene{n}": neps.Integer(0, genes.size(gene) - 1) for n, gene in enumerate(SPACE.genes)}
    space = type("Space", (neps.PipelineSpace,), named)()
    optimizer = neps.AskAndTell(
        NePSRegularizedEvolution(space, POPULATION, SAMPLE, mutation_type="mutate_best", n_mutations=1)
    )

    def play(trials: int) -> None:
        for _ in range(trials):
            trial = optimizer.ask()
            optimizer.tell(trial, -float(sum(trial.config.values())))

    return play


def by_optuna() -> Play:
    """NSGA-II with its study in memory."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=0)
    )
    sizes = {f"gene {n}": genes.size(gene) for n, gene in enumerate(SPACE.genes)}

    def play(trials: int) -> None:
        for _ in range(trials):
            trial = study.ask()
            study.tell(trial, float(sum(trial.suggest_int(name, 0, size - 1) for name, size in sizes.items())))

    return play


PEERS = {
    "deap": ("evolution", by_deap),
    "syne-tune": ("regularized evolution", by_syne_tune),
    "neural-pipeline-search": ("regularized evolution", by_neps),
    "optuna": ("NSGA-II", by_optuna),
}


def measure(what: str, strategy: str, make: Callable[[], Play], sizes: Sequence[int], trials: int) -> Iterator[Line]:
    """A line per size."""
    yield (line := Line(what, strategy, FEW))
    for _ in range(REPETITIONS):
        play = make()
        play(FEW)
        line.times.append(timed(play, trials))
    told, patience = FEW + trials, time.monotonic() + (PATIENCE if what != "netwright" else float("inf"))
    for size in sizes:
        line = Line(what, strategy, size)
        start, first = time.monotonic(), told
        while told < size and not line.note:
            play(chunk := min(trials, size - told))
            told += chunk
            expected = (time.monotonic() - start) / (told - first) * (size - told)
            if time.monotonic() + expected > patience:
                line.note = f"not measured: {size - told:,} more trials would take {expected:,.0f} s or longer"
        yield line
        if line.note:
            return
        line.times.extend(timed(play, trials) for _ in range(REPETITIONS))
        told += REPETITIONS * trials


def timed(play: Play, trials: int) -> float:
    """Microseconds of the processor per trial."""
    start = time.process_time()
    play(trials)
    return (time.process_time() - start) / trials * 1e6


def peer_lines(sizes: Sequence[int], trials: int) -> Iterator[Line]:
    """Lines of the other libraries, with a note for those that are not installed."""
    for package, (strategy, make) in PEERS.items():
        try:
            what = f"{package} {importlib.metadata.version(package)}"
            make()
        except ImportError as error:  # of the package, or of what it needs
            yield Line(package, strategy, FEW, note=f"not installed ({error})")
            continue
        yield from measure(what, strategy, make, sizes, trials)


def growth(line: Line, lines: Sequence[Line]) -> float | None:
    """The line's median divided by that of the same at 100 trials."""
    named = (line.what, line.strategy, FEW)
    few = next(other for other in lines if (other.what, other.strategy, other.told) == named)
    return line.median / few.median if line is not few and line.times else None


def print_table(lines: Sequence[Line]) -> None:
    shape = "{:<30} {:<22} {:>9} {:>10} {:>9} {:>9} {:>8}"
    print(shape.format("what", "strategy", "told", "us/trial", "min", "max", f"to {FEW}"))
    for line in lines:
        start = (line.what, line.strategy, f"{line.told:,}")
        if line.note:
            print(shape.format(*start, "", "", "", "").rstrip() + f"  {line.note}")
            continue
        ratio = growth(line, lines)
        cells = [f"{number:,.1f}" for number in (line.median, min(line.times), max(line.times))]
        print(shape.format(*start, *cells, f"{ratio:.2f}" if ratio else ""))


def print_targets(lines: Sequence[Line]) -> None:
    """One line per claim."""

    def say(value: float, target: float, text: str) -> None:
        print(f"{'reached    ' if value <= target else 'NOT reached'}  {text}")

    print()
    for line in (line for line in lines if line.what == "netwright" and line.strategy != "nothing"):
        title, ratio = f"{line.strategy}, {line.told:,} told trials", growth(line, lines)
        if (target := TARGETS.get(line.strategy)) is not None:
            say(line.median, target, f"{title}: {line.median:.1f} us per ask + tell, at most {target:.0f}")
        if ratio is not None:
            say(ratio, GROWTH_TARGET, f"{title}: {ratio:.2f} times the cost at {FEW}, at most {GROWTH_TARGET}")


def rows_of(lines: Sequence[Line]) -> Iterator[results.Row]:
    """What goes into the shared table."""
    for line in lines:
        if line.times:
            ratio = growth(line, lines)
            against = f"{ratio:.3f} to {FEW} told trials" if ratio else ""
            extremes = (min(line.times), max(line.times))
            yield results.Row(line.subject, len(line.times), line.median, *extremes, "us/trial (CPU)", against)


def main() -> None:
    parser = argparse.ArgumentParser(description="The cost of a strategy as its history grows.")
    parser.add_argument("--no-peers", action="store_true", help="netwright alone")
    arguments = results.options(parser)
    logging.disable(logging.WARNING)
    sizes = (1_000,) if arguments.quick else (10_000, 1_000_000)
    trials, few = (200, 20) if arguments.quick else (2_000, 200)
    lines: list[Line] = []
    start = time.perf_counter()

    def take(found: Iterator[Line]) -> None:
        for line in found:
            lines.append(line)
            print(f"[{time.perf_counter() - start:.0f} s] {line.subject}", flush=True)
        gc.collect()  # what the next ones do not have to carry

    ours("aging")(trials)  # warms up
    for name in ("nothing", *STRATEGIES):
        take(measure("netwright", name, lambda name=name: ours(name), sizes, trials))  # type: ignore[misc]
    if not arguments.no_peers:
        take(peer_lines(sizes, few))
    print(f"\n{results.hardware()}; commit {results.commit()}; median of {REPETITIONS} repetitions\n")
    print_table(lines)
    print_targets(lines)
    results.append(arguments.out, list(rows_of(lines)))


if __name__ == "__main__":
    main()
