"""Whether a model that knows where noise is large predicts better: NAGO's comparison of its two surrogates.

The networks of `surrogates.noisy_network`, with noise that is equal everywhere (homoscedastic) and noise that depends
on the genes (heteroscedastic), learn from 50 trials and are tested on 100 others, and the other way round: the paper
says "50 / 100" and not which is which. The first objective is scaled by the mean and the deviation of those learned
from; negative log-likelihood (NLL, in nats per trial) and error (RMSE) are given in its own units, accuracies in
[0, 1].

Trials of: NATS-Bench (validation accuracy after 12 epochs, mean of several trainings: little noise), a made-up
landscape over the genes of `hnag` with known noise that depends on them, and any run of yours (`--run FOLDER`), such
as random generators of networks trained on digits, each with one of its networks:

    netwright search --space hnag --space.n_top '[3,6]' --space.n_mid '[1,3]' --space.n_bottom '[3,5]' \
        --space.limit 20000 --task digits --strategy random --trials 150 --objectives valid_accuracy,-memory_per_sample
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import harness  # noqa: F401 - before numpy and torch: one numerical thread
import numpy as np
import results

from netwright.core import building
from netwright.core.genes import to_vector
from netwright.core.records import Genotype
from netwright.runs.run import Run
from netwright.spaces.hnag import HnagSpace
from netwright.surrogates import noisy_network
from netwright.surrogates.features import Encoder
from netwright.surrogates.hamiltonian import Chains
from netwright.tables.nats_tss import nats_tss

TRIALS = 150
SIZES = (50, 100)  # trials to learn from; the others are tested on
KINDS = ("homoscedastic", "heteroscedastic")
LEVEL = 0.8  # share of trials that should be within the interval


@dataclass(frozen=True)
class World:
    """Trials to learn from and to test on.

    Args:
        name: For the table.
        draw: Inputs, shape (TRIALS, D), and measured values, shape (TRIALS,), in an order that the generator draws.
    """

    name: str
    draw: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


class Measured(NamedTuple):
    """What one model comes to: NLL, RMSE, and the share of trials within their intervals of 80 %."""

    nll: float
    rmse: float
    covered: float


UNITS = ("NLL, nats per trial", "RMSE", "share within 80 %")


def nats(path: Path, dataset: str) -> World:
    table = nats_tss(str(path), dataset)  # type: ignore[arg-type]
    cells, scores, encoder = list(table.rows), table.scores("signal"), Encoder(table.space.genes)

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        chosen = [cells[n] for n in rng.choice(len(cells), TRIALS, replace=False)]
        values = np.array([scores[table.rows[cell]] for cell in chosen]) / 100
        return noisy_network.inputs(encoder, chosen), values

    return World(f"NATS-Bench, {dataset}", draw)


def made_up() -> World:
    """Accuracies that fall with the distance from a good generator, and scatter more the more random its graphs are."""
    space = HnagSpace()

    def value(genotype: Genotype, rng: np.random.Generator) -> float:
        x = to_vector(space.genes, genotype)
        scatter = 0.002 + 0.04 * float(x[2] * x[7]) ** 2
        return 0.95 - 0.15 * float(((x - 0.3) ** 2).sum()) ** 0.5 + scatter * float(rng.standard_normal())

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        chosen = [space.sample(rng) for _ in range(TRIALS)]
        values = np.array([value(genotype, rng) for genotype in chosen])
        return noisy_network.inputs(Encoder(space.genes), chosen), values

    return World("made-up landscape", draw)


def run(folder: Path) -> World:
    """The finished trials of a run, by its first objective."""
    found = Run(folder)
    trials = [trial for trial in found.trials if trial.scores]
    if len(trials) < TRIALS:
        raise SystemExit(f"{folder} has {len(trials)} finished trials; {TRIALS} are needed")
    encoder = Encoder(building.load_space(found.settings.space).genes)
    x = noisy_network.inputs(encoder, [trial.proposal.genotype for trial in trials])
    y = np.array([trial.scores[0] for trial in trials if trial.scores])

    def draw(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        order = rng.permutation(len(trials))[:TRIALS]
        return x[order], y[order]

    return World(f"run {folder.name}", draw)


def measure(world: World, size: int, kind: str, steps: int, seed: int) -> Measured:
    """Learn from the first `size` trials and test on the others; both kinds see the same ones."""
    x, y = world.draw(np.random.default_rng(seed))
    mean, scale = float(y[:size].mean()), max(float(y[:size].std()), 1e-9)
    targets = ((y[:size] - mean) / scale)[:, None]
    networks = noisy_network.learn(x[:size], targets, kind == "heteroscedastic", Chains(steps=steps), seed)
    belief = networks.predict(x[size:])
    error = y[size:] - (mean + scale * belief.mean[:, 0])
    variance = scale**2 * belief.variance[:, 0]
    nll = 0.5 * np.log(2 * np.pi * variance) + 0.5 * error**2 / variance
    covered = np.abs(error) < 1.2816 * np.sqrt(variance)
    return Measured(float(nll.mean()), float(np.sqrt((error**2).mean())), float(covered.mean()))


def shown(values: Sequence[float]) -> str:
    """The mean, with its standard error where there are several."""
    error = f" ± {np.std(values, ddof=1) / len(values) ** 0.5:.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{error}"


def main() -> None:
    """Print the table, and append its rows."""
    data = Path(os.environ.get("NETWRIGHT_DATA", "data")) / "nats-tss" / "nats_tss.csv"
    parser = argparse.ArgumentParser(description="NAGO's surrogate with noise that depends on the genes, and without.")
    parser.add_argument("--path", type=Path, default=data, help="CSV of NATS-Bench; left out where there is none")
    parser.add_argument("--run", type=Path, nargs="*", default=[], help=f"folders of runs with {TRIALS} trials or more")
    parser.add_argument("--only-runs", action="store_true", help="neither NATS-Bench nor the made-up landscape")
    parser.add_argument("--steps", type=int, default=1000, help="of each chain of the sampler")
    parser.add_argument("--seeds", type=int, default=5, help="draws of trials, and samplings")
    options = results.options(parser)
    if options.quick:
        options.steps, options.seeds = 20, 2
    worlds = [] if options.only_runs else [made_up()]
    if options.path.is_file() and not options.only_runs:
        worlds += [nats(options.path, dataset) for dataset in ("cifar10", "cifar100")]
    worlds += [run(folder) for folder in options.run]
    print("| trials of | learned from | noise | NLL | RMSE | within 80 % | NLL less than homoscedastic |")
    print("|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for world in worlds:
        for size in SIZES:
            equal: list[Measured] = []
            for kind in KINDS:
                found = [measure(world, size, kind, options.steps, seed) for seed in range(options.seeds)]
                equal = equal or found
                gain = "" if found is equal else shown([a.nll - b.nll for a, b in zip(equal, found, strict=True)])
                means = " | ".join(shown(values) for values in zip(*found, strict=True))
                print(f"| {world.name} | {size} | {kind} | {means} | {gain} |", flush=True)
                subject = f"{world.name}; {kind}; learned from {size}, tested on {TRIALS - size}"
                rows += [
                    results.Row(subject, options.seeds, float(np.median(v)), float(min(v)), float(max(v)), unit)
                    for v, unit in zip(zip(*found, strict=True), UNITS, strict=True)
                ]
    results.append(options.out, rows)


if __name__ == "__main__":
    main()
