"""What evolution gains from answers of its table, at equal numbers of trainings, on a made-up landscape of cells.

A trial that repeats an earlier one can be answered from the table where the genotype is identical (as in Liu et al.
2018), where the network is, whatever its genotype (mutations of motifs that a cell does not use change nothing), or not
at all: then it is trained again, and its new score stands beside the old one or, averaged, in its place. Each search
ends with the same number of trainings, or at ten times as many trials, where it asks for hardly anything new. What it
found best is judged by its true value, which is the measured one without noise. Everything is in standard deviations of
random cells.

The value of a cell is a sum over its edges of a weight times the value of the motif there, which is one over its own
edges, each bent by a hyperbolic tangent, plus a part of its own that no neighbor shares: equal networks have equal
values, and half of the variance is rugged.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b

import numpy as np
from sortedcontainers import SortedList

from netwright.cells.motif_graphs import Motif
from netwright.controller import Search
from netwright.core.objectives import score_of
from netwright.core.protocols import Context, SearchSpace, Strategy
from netwright.core.records import Genotype, Proposal, Result, Trial
from netwright.core.run_file import Limits, Reuse
from netwright.executors.inline import Inline
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.stores.memory import MemoryStore
from netwright.strategies.novelty import nth_sample
from netwright.strategies.tournament import Tournament, tournament_size, winning_rank

SPACE = HierarchicalSpace()
INITIAL, SHARE = 200, 0.05  # as in the paper
RANDOM = 500  # cells by which the landscape is scaled
NOISES = (0.1, 0.3, 1.0)
MOST = 10  # trials for each training, at which a search ends that asks for nothing new any more
WAYS: dict[str, tuple[Reuse, bool]] = {
    "answered by network": ("network", False),
    "answered by genotype": ("genotype", False),
    "trained again": (False, False),
    "trained again, averaged": (False, True),
}


def draw(*what: object) -> float:
    """A standard normal number that these values determine."""
    digest = blake2b(repr(what).encode(), digest_size=8).digest()
    return float(np.random.default_rng(int.from_bytes(digest, "big")).standard_normal())


@cache
def drawn(*what: object) -> float:
    """The same, kept: the weight of a place in a graph is asked for with every cell."""
    return draw(*what)


def height(seed: int, graph: Motif, level: int = 3) -> float:
    """The value of a graph in the landscape of that seed, before it is scaled."""
    total = 0.0
    for source, target, operation in graph.edges:
        place = (graph.numbers[source], graph.numbers[target])
        if isinstance(operation, Motif):
            total += drawn(seed, level, place) * (1 + motif_height(seed, operation))
        else:
            total += drawn(seed, level, place, operation)
    own = draw(seed, "own", graph.text)
    return (total / max(1, len(graph.edges)) ** 0.5 + own) / 2**0.5


@cache
def motif_height(seed: int, motif: Motif) -> float:
    """The value of a motif, bent into (-1, 1)."""
    return float(np.tanh(height(seed, motif, 2)))


@dataclass
class Landscape:
    """True values of cells, in standard deviations of random ones around their mean."""

    seed: int
    mean: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        sampled = np.array([self.value(SPACE.sample(rng)) for _ in range(RANDOM)])
        self.mean, self.sd = float(sampled.mean()), float(sampled.std())

    def value(self, genotype: Genotype) -> float:
        """The true value of a cell."""
        cell = SPACE.cell(genotype)
        assert cell is not None, "the space lets no cell without a path pass"
        return (height(self.seed, cell) - self.mean) / self.sd


@dataclass(frozen=True)
class Noisy:
    """Measures a cell with an error that the trial's seed draws; every training costs one second of the table."""

    landscape: Landscape
    noise: float

    def evaluate(self, trial: Trial, context: Context) -> Result:  # noqa: ARG002
        error = self.noise * float(np.random.default_rng(trial.seed).standard_normal())
        return Result({"valid_accuracy": self.landscape.value(trial.proposal.genotype) + error}, seconds=1.0)


@dataclass
class Averaging:
    """The tournament, with the mean of all measurements of a network as the score of each of its trials."""

    space: SearchSpace
    ranking: SortedList = field(default_factory=SortedList)  # (-mean, finish, trial's number, genotype)
    scores: dict[str, list[float]] = field(default_factory=dict)
    rows: dict[str, list[tuple[int, int, Genotype]]] = field(default_factory=dict)
    told: int = 0

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        asked = self.told + len(pending)
        if asked < INITIAL:
            return Proposal(nth_sample(self.space, asked, rng))
        count = len(self.ranking)
        _, _, parent, genotype = self.ranking[winning_rank(count, tournament_size(count, SHARE), 1.0, rng)]
        return Proposal(self.space.mutate(genotype, rng), (parent,))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:  # noqa: ARG002
        self.told += 1
        scores, rows = self.scores.setdefault(trial.key, []), self.rows.setdefault(trial.key, [])
        for row in rows:
            self.ranking.remove((-float(np.mean(scores)), *row))
        scores.append(score_of(trial) or 0.0)
        rows.append((trial.finish or 0, trial.id, trial.proposal.genotype))
        self.ranking.update((-float(np.mean(scores)), *row) for row in rows)


@dataclass(frozen=True)
class Found:
    """What a search came to: the true value of what it found best, its trials, and how many of them were answered."""

    value: float
    trials: int
    answers: int


def searched(landscape: Landscape, noise: float, way: str, seed: int, limits: Limits) -> Found:
    """One search."""
    reuse, is_averaged = WAYS[way]
    strategy: Strategy = Averaging(SPACE) if is_averaged else Tournament(SPACE, initial=INITIAL, share=SHARE)
    store = MemoryStore()
    Search(SPACE, strategy, store, Inline(Noisy(landscape, noise)), limits=limits, seed=seed, reuse=reuse).run()
    if isinstance(strategy, Averaging):
        best = strategy.ranking[0][3]
    else:
        measured = ((trial.result.metrics["valid_accuracy"], trial) for trial in store.finished() if trial.result)
        best = max(measured, key=lambda pair: pair[0])[1].proposal.genotype
    tally = store.tally()
    return Found(landscape.value(best), tally.finished, tally.reused)


def interval(values: Sequence[float], draws: int = 2_000) -> tuple[float, float]:
    """95 % of the means of samples drawn anew from these values."""
    given = np.array(values)
    means = given[np.random.default_rng(0).integers(len(given), size=(draws, len(given)))].mean(1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def table(trainings: int, seeds: int, noises: Sequence[float]) -> list[str]:
    """The lines of the table: all ways at every noise, on the same landscapes."""
    landscapes = [Landscape(seed) for seed in range(seeds)]
    lines = [
        "| noise | way | trainings | trials | answered | true value of the best | less than by network |",
        "|---" * 7 + "|",
    ]
    for noise in noises:
        by_network: list[float] = []
        for way in WAYS:
            limits = Limits(table_seconds=trainings, trials=MOST * trainings)
            found = [searched(each, noise, way, seed, limits) for seed, each in enumerate(landscapes)]
            values = [each.value for each in found]
            by_network = by_network or values
            low, high = interval(values)
            lost = [own - other for own, other in zip(by_network, values, strict=True)]
            beside = (
                ""
                if values is by_network
                else "{:+.2f} ({:+.2f} to {:+.2f})".format(float(np.mean(lost)), *interval(lost))
            )
            trials = float(np.mean([each.trials for each in found]))
            trained = float(np.mean([each.trials - each.answers for each in found]))
            share = float(np.mean([each.answers / each.trials for each in found]))
            lines.append(
                f"| {noise:g} | {way} | {trained:,.0f} | {trials:,.0f} | {share:.0%} | "
                f"{np.mean(values):.2f} ({low:.2f} to {high:.2f}) | {beside} |"
            )
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    """Print the table, and what 7,000 trials are in trainings."""
    parser = argparse.ArgumentParser(description="Evolution with and without answers from its table.")
    parser.add_argument("--trainings", type=int, default=1_000, help="of each search")
    parser.add_argument("--seeds", type=int, default=20, help="landscapes, and searches of each kind")
    parser.add_argument("--trials", type=int, default=7_000, help="of which trainings are counted at last; 0: none")
    parser.add_argument("--quick", action="store_true", help="one short search of each kind: whether it runs")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.trainings, arguments.seeds, arguments.trials = 210, 2, 220
    begun = time.perf_counter()
    lines = table(arguments.trainings, arguments.seeds, NOISES)
    print("\n".join(("", *lines, "")))
    if arguments.trials:
        for way in list(WAYS)[:2]:
            limits = Limits(trials=arguments.trials)
            found = [searched(Landscape(seed), NOISES[1], way, seed, limits) for seed in range(3)]
            answers = float(np.mean([each.answers for each in found]))
            print(f"{way}: {arguments.trials:,} trials are {arguments.trials - answers:,.0f} trainings")
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
