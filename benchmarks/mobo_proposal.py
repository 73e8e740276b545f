"""What a proposal for several objectives costs and is worth, beside Optuna's NSGA-II and GP samplers, in one run.

Claims: `mobo` proposes in under 3 s at 100 observations and in under 10 s at 300, parameters learned anew included, on
the 8 genes of a generator of networks, with two objectives and with three.

Cost: a history of random genotypes is told, then one proposal is asked, from a fresh strategy each time, so that it
learns its parameters within it. Repetitions of ours and of Optuna's alternate; the processor's time is judged, as
others use the machine. Optuna keeps its samplers' defaults, and its own copy of the same history.

Worth: the hypervolume after `--trials` evaluations, over seeds, of two noisy objectives on the same genes.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optuna
import results
import torch

from netwright.core import front, seeds
from netwright.core.genes import Choice, Gene, Integer, to_vector
from netwright.core.protocols import Strategy
from netwright.core.records import Genotype, Proposal, Result, Trial
from netwright.spaces.hnag import HnagSpace
from netwright.strategies.mobo import Mobo
from netwright.strategies.nsga2 import Nsga2
from netwright.strategies.random import RandomSearch

SPACE = HnagSpace()
CLAIMS = {100: 3.0, 300: 10.0}  # seconds per proposal of mobo by observations
REFERENCE = np.array([-2.5, -2.5])
NOISE = 0.02
OBJECTIVES = ("first", "second", "third")
CENTERS = (0.2, 0.8, 0.5)  # what each objective is close to

OURS: dict[str, Callable[[int], Strategy]] = {
    "mobo": lambda count: Mobo(SPACE, OBJECTIVES[:count]),
    "nsga2": lambda count: Nsga2(SPACE, OBJECTIVES[:count]),
    "random": lambda _count: RandomSearch(SPACE),
}
THEIRS: dict[str, Callable[[int], optuna.samplers.BaseSampler]] = {
    f"optuna {optuna.__version__} GPSampler": lambda seed: optuna.samplers.GPSampler(seed=seed),
    f"optuna {optuna.__version__} NSGAIISampler": lambda seed: optuna.samplers.NSGAIISampler(seed=seed),
    f"optuna {optuna.__version__} TPESampler": lambda seed: optuna.samplers.TPESampler(seed=seed),
}


def score(genotype: Genotype, objectives: int = 2) -> tuple[float, ...]:
    """Closeness to as many points of the unit cube, with waves, so that the front bends."""
    x = to_vector(SPACE.genes, genotype)
    bent = 0.03 * float(np.sin(9 * x).sum())
    return tuple(
        -float(((x - center) ** 2).sum()) - bent * (-1) ** place for place, center in enumerate(CENTERS[:objectives])
    )


def noisy(genotype: Genotype, rng: np.random.Generator, objectives: int = 2) -> tuple[float, ...]:
    return tuple(value + NOISE * float(rng.standard_normal()) for value in score(genotype, objectives))


def trial(number: int, genotype: Genotype, scores: tuple[float, ...]) -> Trial:
    return Trial(number, Proposal(genotype), SPACE.key(genotype), 0, "done", Result({"first": 0.0}), scores, number)


def distribution(gene: Gene) -> optuna.distributions.BaseDistribution:
    if isinstance(gene, Choice):
        return optuna.distributions.CategoricalDistribution(tuple(range(len(gene.options))))
    if isinstance(gene, Integer):
        return optuna.distributions.IntDistribution(gene.low, gene.high)
    return optuna.distributions.FloatDistribution(gene.low, gene.high)


DISTRIBUTIONS = {gene.name: distribution(gene) for gene in SPACE.genes}


def study_of(make: Callable[[int], optuna.samplers.BaseSampler], seed: int, objectives: int = 2) -> optuna.Study:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return optuna.create_study(directions=["maximize"] * objectives, sampler=make(seed))


def asked_of_ours(name: str, history: Sequence[tuple[Genotype, tuple[float, ...]]]) -> float:
    """Processor seconds of one proposal."""
    strategy = OURS[name](len(history[0][1]))
    for number, (genotype, scores) in enumerate(history, 1):
        strategy.tell(trial(number, genotype, scores), seeds.rng_for(0, seeds.TELL, number))
    start = time.process_time()
    strategy.ask(seeds.rng_for(0, seeds.ASK, len(history) + 1), ())
    return time.process_time() - start


def asked_of_theirs(name: str, history: Sequence[tuple[Genotype, tuple[float, ...]]]) -> float:
    """Processor seconds of one proposal."""
    study = study_of(THEIRS[name], 0, len(history[0][1]))
    for genotype, scores in history:
        params = dict(zip(DISTRIBUTIONS, genotype, strict=True))
        study.add_trial(optuna.trial.create_trial(params=params, distributions=DISTRIBUTIONS, values=scores))
    start = time.process_time()
    study.ask(DISTRIBUTIONS)
    return time.process_time() - start


def measure_cost(counts: Sequence[int], objectives: int, repetitions: int) -> list[results.Row]:
    rows = []
    for count in counts:
        times: dict[str, list[float]] = {name: [] for name in ("mobo", *THEIRS)}
        for repetition in range(repetitions):
            rng = np.random.default_rng(repetition)
            drawn = [SPACE.sample(rng) for _ in range(count)]
            history = [(genotype, noisy(genotype, rng, objectives)) for genotype in drawn]
            for name, found in times.items():
                found.append((asked_of_ours if name in OURS else asked_of_theirs)(name, history))
        for name, found in times.items():
            middle = statistics.median(found)
            against = ""
            if name != "mobo":
                against = f"mobo takes {statistics.median(times['mobo']) / middle:.3f} of it"
            subject = f"{name}, hnag, {objectives} objectives, {count} observations"
            rows.append(results.Row(subject, repetitions, middle, min(found), max(found), "s/proposal (CPU)", against))
            claim = CLAIMS.get(count) if name == "mobo" else None
            verdict = "" if claim is None else f"; {'reached' if middle < claim else 'NOT reached'}: under {claim} s"
            print(f"{subject}: {middle:.3f} s{verdict}", flush=True)
    return rows


def played(name: str, trials: int, seed: int) -> float:
    """The hypervolume of what `trials` evaluations found, without their noise."""
    noise, found = np.random.default_rng(seed), []
    if name in THEIRS:
        study = study_of(THEIRS[name], seed)
        for _ in range(trials):
            asked = study.ask(DISTRIBUTIONS)
            found.append(tuple(asked.params[key] for key in DISTRIBUTIONS))
            study.tell(asked, noisy(found[-1], noise))
    else:
        strategy: Any = OURS[name](2)
        for number in range(1, trials + 1):
            proposal = strategy.ask(seeds.rng_for(seed, seeds.ASK, number), ())
            found.append(proposal.genotype)
            told = trial(number, proposal.genotype, noisy(proposal.genotype, noise))
            strategy.tell(told, seeds.rng_for(seed, seeds.TELL, number))
    return front.hypervolume(np.array([score(genotype) for genotype in found]), REFERENCE)


def measure_worth(trials: int, seeds_tried: int) -> list[results.Row]:
    rows = []
    for name in (*OURS, *THEIRS):
        start = time.process_time()
        found = [played(name, trials, seed) for seed in range(seeds_tried)]
        seconds = (time.process_time() - start) / (trials * seeds_tried)
        mean, error = statistics.fmean(found), (statistics.stdev(found) if len(found) > 1 else 0.0) / len(found) ** 0.5
        print(f"{name}, {trials} trials: hypervolume {mean:.4f} ± {error:.4f}; {seconds:.3f} s per trial", flush=True)
        subject = f"{name}, hnag, 2 objectives, {trials} trials, mean {mean:.4f}"
        rows.append(results.Row(subject, seeds_tried, statistics.median(found), min(found), max(found), "hypervolume"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Cost and worth of a proposal for several objectives, beside Optuna.")
    parser.add_argument("--repetitions", type=int, default=3, help="proposals of each sampler")
    parser.add_argument("--trials", type=int, default=60, help="evaluations of a search; 0: only what a proposal costs")
    parser.add_argument("--seeds", type=int, default=10, help="searches of each strategy")
    arguments = results.options(parser)
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    measure_cost((20,), 2, 1)  # warms up: libraries are imported
    if arguments.quick:
        results.append(arguments.out, measure_cost((20,), 3, 1) + measure_worth(15, 1))
        return
    for count in CLAIMS:
        for objectives in (2, 3):
            results.append(arguments.out, measure_cost((count,), objectives, arguments.repetitions))
    if arguments.trials:
        results.append(arguments.out, measure_worth(arguments.trials, arguments.seeds))


if __name__ == "__main__":
    main()
