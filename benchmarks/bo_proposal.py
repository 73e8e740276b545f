"""What a proposal of Bayesian optimization costs and is worth, beside Optuna's Gaussian process sampler, in one run.

Claims: `bayes` proposes in under 0.5 s at 50 observations and in under 3 s at 500, parameters learned anew included, on
the 8 genes of a generator of networks and on the 6 reals of Hartmann's function; and what it finds is as good.

Cost: a history of random genotypes is told, then one proposal is asked, from a fresh strategy each time, so that it
learns its parameters within it. Repetitions of ours and Optuna's alternate; the processor's time is judged, as others
use the machine. Optuna keeps its samplers' defaults, and its own copy of the same history.

Quality: the best value after `--trials` evaluations, over seeds: Hartmann's function, by its regret (3.32237 less the
best), and cells of NATS-Bench on CIFAR-10 by their validation accuracy after 12 epochs (percent), where the data is
found through NETWRIGHT_DATA.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import results
import torch

from netwright.core import genes as encodings
from netwright.core import seeds
from netwright.core.genes import Choice, Gene, Integer, Real
from netwright.core.records import Genotype, Proposal, Result, Trial
from netwright.spaces.hnag import HnagSpace
from netwright.strategies.bayes import Bayes
from netwright.strategies.random import RandomSearch
from netwright.tables.nats_tss import nats_tss

Score = Callable[[Genotype], float]

OURS, THEIRS, RANDOM = "bayes", f"optuna {optuna.__version__} GPSampler", "random"
CLAIMS = {50: 0.5, 500: 3.0}  # seconds per proposal by observations
BEST_OF_HARTMANN = 3.32237

# Surjanovic and Bingham, Virtual Library of Simulation Experiments: Hartmann 6-dimensional function
ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


@dataclass(frozen=True)
class Problem:
    """A space and a score to maximize; `regret_to`: what the best value is subtracted from, where it is known."""

    name: str
    space: Any
    score: Score
    regret_to: float | None = None


@dataclass(frozen=True)
class Plain:
    """Any genes; no network."""

    genes: tuple[Gene, ...]

    def sample(self, rng: np.random.Generator) -> Genotype:
        return encodings.sample(self.genes, rng)

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        return encodings.mutate(self.genes, genotype, rng)

    def check(self, genotype: Genotype) -> None:
        encodings.check(self.genes, genotype)

    def key(self, genotype: Genotype) -> str:
        return encodings.to_json(genotype)


def hartmann(genotype: Genotype) -> float:
    return float(ALPHA @ np.exp(-(A * (np.array(genotype) - P) ** 2).sum(1)))


def of_cube(space: Any) -> Score:
    """A smooth score over any genes, for what a proposal costs."""
    return lambda genotype: float(-((encodings.to_vector(space.genes, genotype) - 0.4) ** 2).sum())


def problems() -> list[Problem]:
    reals = Plain(tuple(Real(f"x{n}", 0.0, 1.0) for n in range(6)))
    found = [Problem("Hartmann 6", reals, hartmann, BEST_OF_HARTMANN)]
    data = os.environ.get("NETWRIGHT_DATA")
    path = Path(data or ".") / "nats-tss" / "nats_tss.csv"
    if data and path.is_file():
        table = nats_tss(str(path))
        found.append(Problem("NATS cells", table.space, lambda genotype: table.lookup(genotype)["signal"]))
    return found


def trial(space: Any, number: int, genotype: Genotype, score: float) -> Trial:
    done = Result({"valid_accuracy": score})
    return Trial(number, Proposal(genotype), space.key(genotype), 0, "done", done, (score,), number)


def distribution(gene: Gene) -> optuna.distributions.BaseDistribution:
    if isinstance(gene, Choice):
        return optuna.distributions.CategoricalDistribution(tuple(range(len(gene.options))))
    if isinstance(gene, Integer):
        return optuna.distributions.IntDistribution(gene.low, gene.high)
    return optuna.distributions.FloatDistribution(gene.low, gene.high)


def study_of(problem: Problem, seed: int) -> tuple[optuna.Study, dict[str, optuna.distributions.BaseDistribution]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampler = optuna.samplers.GPSampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    return study, {gene.name: distribution(gene) for gene in problem.space.genes}


def asked_of_ours(problem: Problem, history: Sequence[Genotype]) -> float:
    """Processor seconds of one proposal."""
    strategy = Bayes(problem.space)
    for number, genotype in enumerate(history, start=1):
        strategy.tell(trial(problem.space, number, genotype, problem.score(genotype)), seeds.rng_for(0, seeds.TELL, 1))
    start = time.process_time()
    strategy.ask(seeds.rng_for(0, seeds.ASK, len(history) + 1), ())
    return time.process_time() - start


def asked_of_theirs(problem: Problem, history: Sequence[Genotype]) -> float:
    """Processor seconds of one proposal."""
    study, distributions = study_of(problem, 0)
    for genotype in history:
        params = dict(zip(distributions, genotype, strict=True))
        value = problem.score(genotype)
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value))
    start = time.process_time()
    study.ask(distributions)
    return time.process_time() - start


def measure_cost(counts: Sequence[int], repetitions: int) -> list[results.Row]:
    hnag = HnagSpace()
    rows = []
    for problem in (problems()[0], Problem("hnag", hnag, of_cube(hnag))):
        for count in counts:
            times: dict[str, list[float]] = {OURS: [], THEIRS: []}
            for repetition in range(repetitions):
                rng = np.random.default_rng(repetition)
                history = [problem.space.sample(rng) for _ in range(count)]
                times[OURS].append(asked_of_ours(problem, history))
                times[THEIRS].append(asked_of_theirs(problem, history))
            theirs = statistics.median(times[THEIRS])
            for name, found in times.items():
                middle = statistics.median(found)
                against = f"{middle / theirs:.3f} to {THEIRS}" if name == OURS else ""
                subject = f"{name}, {problem.name}, {count} observations"
                rows.append(
                    results.Row(subject, repetitions, middle, min(found), max(found), "s/proposal (CPU)", against)
                )
            ours, claim = statistics.median(times[OURS]), CLAIMS.get(count)
            verdict = "" if claim is None else f"; {'reached' if ours < claim else 'NOT reached'}: under {claim} s"
            print(f"{problem.name}, {count} observations: {ours:.3f} s, Optuna {theirs:.3f} s{verdict}", flush=True)
    return rows


def played(problem: Problem, name: str, trials: int, seed: int) -> float:
    """The best score of `trials` evaluations."""
    if name == THEIRS:
        study, distributions = study_of(problem, seed)
        for _ in range(trials):
            asked = study.ask(distributions)
            study.tell(asked, problem.score(tuple(asked.params[key] for key in distributions)))
        return float(study.best_value)
    strategy = Bayes(problem.space) if name == OURS else RandomSearch(problem.space)
    best = -np.inf
    for number in range(1, trials + 1):
        proposal = strategy.ask(seeds.rng_for(seed, seeds.ASK, number), ())
        assert proposal is not None
        score = problem.score(proposal.genotype)
        best = max(best, score)
        strategy.tell(trial(problem.space, number, proposal.genotype, score), seeds.rng_for(seed, seeds.TELL, number))
    return best


def measure_quality(trials: int, seeds_tried: int) -> list[results.Row]:
    rows = []
    for problem in problems():
        for name in (OURS, THEIRS, RANDOM):
            start = time.process_time()
            found = [played(problem, name, trials, seed) for seed in range(seeds_tried)]
            if problem.regret_to is not None:
                found = [problem.regret_to - best for best in found]
            unit = "regret" if problem.regret_to is not None else "best score"
            seconds = (time.process_time() - start) / (trials * seeds_tried)
            middle, mean = statistics.median(found), statistics.fmean(found)
            print(
                f"{problem.name}, {trials} trials, {name}: {unit} {mean:.4g} on average, median {middle:.4g}, "
                f"{min(found):.4g} to {max(found):.4g}; {seconds:.3f} s per trial",
                flush=True,
            )
            subject = f"{name}, {problem.name}, {trials} trials, mean {mean:.4g}"
            rows.append(results.Row(subject, seeds_tried, middle, min(found), max(found), unit))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost and worth of a proposal, beside Optuna's GP sampler.")
    parser.add_argument("--trials", type=int, default=50, help="evaluations of a search")
    parser.add_argument("--seeds", type=int, default=20, help="searches of each strategy")
    arguments = results.options(parser)
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if arguments.quick:
        rows = measure_cost((20,), 1) + measure_quality(15, 1)
    else:
        rows = measure_cost(tuple(CLAIMS), 3) + measure_quality(arguments.trials, arguments.seeds)
    results.append(arguments.out, rows)


if __name__ == "__main__":
    main()
