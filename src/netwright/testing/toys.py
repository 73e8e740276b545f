"""A space, a task and an evaluator that cost nothing and need no torch, to try strategies, stores and executors on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from netwright.core import files, genes, seeds
from netwright.core.bounds import check_sizes
from netwright.core.errors import MissingCapability, PutBack
from netwright.core.genes import Choice
from netwright.core.objectives import Objective
from netwright.core.protocols import Context, SearchSpace, Split, Task
from netwright.core.records import IO, Counts, Genotype, LabeledGraph, Result, Trial
from netwright.core.round_plan import PLACE, Rounds
from netwright.core.shapes import Image, Numbers


@dataclass(frozen=True)
class ToySpace:
    """`length` genes of `options` values; the best genotype is all of the highest value. Describes no network."""

    length: int = 12
    options: int = 4

    def __post_init__(self) -> None:
        check_sizes(length=self.length, options=self.options)

    @cached_property
    def genes(self) -> tuple[Choice, ...]:
        """`length` choices with the same options."""
        names = tuple(f"option {value}" for value in range(self.options))
        return tuple(Choice(f"gene {position}", names, kind="toy") for position in range(self.length))

    def trivial(self) -> Genotype:
        """The genotype of zeros."""
        return (0,) * self.length

    def sample(self, rng: np.random.Generator) -> Genotype:
        """Draw every gene uniformly."""
        return genes.sample(self.genes, rng)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Draw one gene anew."""
        return genes.mutate(self.genes, genotype, rng)

    def check(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype for a value out of range."""
        genes.check(self.genes, genotype)

    def build(self, genotype: Genotype, io: IO, rng: np.random.Generator) -> Any:  # noqa: ARG002
        """Raise MissingCapability: there is no network to build."""
        raise MissingCapability("the toy space describes no network; give a real space to build one")

    def count(self, genotype: Genotype, io: IO) -> Counts:  # noqa: ARG002
        """The sum of the values, as if it were a size."""
        total = int(sum(genotype))
        return Counts(total, 10 * total)

    def key(self, genotype: Genotype) -> str:
        """The digest of the genotype itself: no two are the same network."""
        return genes.digest(genes.to_json(genotype))

    def graph(self, genotype: Genotype) -> LabeledGraph:
        """A chain with an edge for each value."""
        nodes = ("input", *(str(n) for n in range(1, self.length)), "output")
        edges = tuple((n, n + 1, f"option {value}") for n, value in enumerate(genotype))
        return LabeledGraph("toy", nodes, edges)


@dataclass(frozen=True)
class ToyTask:
    """A task without data."""

    io: ClassVar[IO] = IO(Image(1, 1, 1), Numbers(1))
    measures: ClassVar[tuple[Objective, ...]] = (Objective("accuracy", shown="share"),)

    def examples(self, split: Split) -> int:  # noqa: ARG002
        """Zero examples, whatever the split."""
        return 0

    def batches(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[Any]:  # noqa: ARG002
        """No batches."""
        return iter(())

    def loss(self, outputs: Any, targets: Any) -> Any:  # noqa: ARG002
        """The loss, which is always 0."""
        return 0.0

    def metrics(self, outputs: Any, targets: Any) -> dict[str, Any]:  # noqa: ARG002
        """No metrics."""
        return {}


@dataclass(frozen=True)
class ToyEvaluator:
    """Scores a genotype by its share of the highest possible sum of genes, plus noise from the trial's seed.

    Args:
        space: A ToySpace.
        task: Not used; part of the protocol.
        seconds: Duration of an evaluation, in seconds.
        noise: Standard deviation of the noise.
        split: Split that the metric is named after.
    """

    space: SearchSpace
    task: Task
    seconds: float = 0.0
    noise: float = 0.01
    split: str = "valid"

    @property
    def measures(self) -> tuple[Objective, ...]:
        """The score, as an accuracy."""
        return (Objective(f"{self.split}_accuracy", shown="share"),)

    @property
    def metrics(self) -> tuple[Objective, ...]:
        """The score, and the sum of the genes as if it were a size."""
        return (*self.measures, Objective("params", -1))

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Take `seconds` seconds, with reports, and score the genes.

        Raises:
            PutBack: The worker asked to stop; nothing is written down, as there is nothing to keep.
        """
        self._wait(self.seconds, context)
        highest = sum(genes.size(gene) - 1 for gene in self.space.genes)
        total = sum(trial.proposal.genotype)
        noise = self.noise * float(seeds.rng_for(trial.seed, seeds.TRAIN).standard_normal())
        accuracy = total / highest + noise
        return Result({f"{self.split}_accuracy": accuracy, "params": total}, ((1, accuracy),))

    def _wait(self, seconds: float, context: Context) -> None:
        until = time.monotonic() + seconds
        step = 0
        while (left := until - time.monotonic()) > 0:
            step += 1
            context.report(step, {"left": left})
            if context.should_stop():
                raise PutBack(f"stopped at step {step}")
            time.sleep(min(left, 0.02))


@dataclass(frozen=True)
class ToySharedEvaluator(ToyEvaluator):
    """Scores genotypes in rounds, by what all members of a round have left in a file that they share.

    Args:
        rounds_played: Number of rounds.
        pool: Number of genotypes in the first round.
        new: Number of genotypes that the strategy brings to each later round.
        fresh: Number of random ones that come besides.
        keeps: Who stays for the next round.
        ready_seconds: Duration of what is made ready for a round, in seconds.
    """

    rounds_played: int = 3
    pool: int = 12
    new: int = 5
    fresh: int = 2
    keeps: Literal["best", "all"] = "best"
    ready_seconds: float = 0.0
    max_workers: ClassVar[int] = 1

    @property
    def rounds(self) -> Rounds:
        """The rounds of the options."""
        return Rounds(self.rounds_played, self.pool, self.new, self.fresh, self.keeps)

    def make_ready(self, trial: Trial, context: Context) -> None:
        """Leave a digest of the members of the trial's round, and of what the round before left.

        Raises:
            PutBack: The worker asked to stop.
        """
        path, number = self._path(trial, context), trial.proposal.budget or 0
        if path.exists():
            return
        members = context.members(number)
        self._wait(self.ready_seconds, context)
        earlier = self._path(replace(trial, proposal=replace(trial.proposal, budget=number - 1)), context)
        before = earlier.read_text() if number > 1 else ""
        files.write(path, genes.digest(before + repr([row.proposal.genotype for row in members])).encode())

    def evaluate(self, trial: Trial, context: Context) -> Result:
        """Score the genes, with noise from the digest and the place in the round.

        Raises:
            PutBack: The worker asked to stop; nothing is written down, as there is nothing to keep.
        """
        left = self._path(trial, context).read_text()
        notes = trial.proposal.notes
        drawn = seeds.trial_seed(0, f"{left} {trial.key} {notes[PLACE]}", 0)
        return super().evaluate(replace(trial, seed=drawn), context)

    def _path(self, trial: Trial, context: Context) -> Path:
        return context.shared / f"round-{trial.proposal.budget:04d}.txt"
