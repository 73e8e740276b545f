"""How good NAO's controllers are, as their authors report it: on 50 networks that they never saw.

Against the number of networks that a controller has learned from, with and without other spellings of them: pairwise
accuracy and Kendall's tau on the unseen, and how many tokens differ after encoding and decoding, of seen and of unseen
networks. Published are a pairwise accuracy of 78 to 80 % and a distance of 0.0 for CIFAR-10 (from files in which the 50
may have been trained on too).

On NATS-Bench's cells, whose score is the validation accuracy after 12 epochs and which have one spelling each, and on a
made-up landscape over the program's own space of cells: what each branch does and reads, how its two branches go
together, and noise of a third of the deviation of these.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import harness  # noqa: F401 - before numpy and torch: one numerical thread
import numpy as np
import results
import torch

from netwright.core.protocols import SearchSpace, Symmetric, unwrap
from netwright.core.records import Genotype
from netwright.spaces.nao import NaoSpace
from netwright.strategies.nao_programs import PROGRAMS, Program
from netwright.strategies.nao_rounds import spelled
from netwright.surrogates import joint_training
from netwright.surrogates.encoder_predictor_decoder import FLAVORS, EncoderPredictorDecoder, TokenChoices
from netwright.surrogates.joint_training import JointSettings
from netwright.tables.nats_tss import nats_tss

UNSEEN, NOISE = 50, 1 / 3
Draw = Callable[[int, np.random.Generator], tuple[list[Genotype], np.ndarray]]


@dataclass(frozen=True)
class World:
    """A space, and a way to draw so many different networks of it with their scores."""

    name: str
    space: SearchSpace
    draw: Draw


class Measured(NamedTuple):
    """A controller's quality; of the distances, how many tokens of a sequence differ."""

    pairwise: float
    tau: float
    seen: float
    unseen: float
    seen_pairwise: float


UNITS = (
    "pairwise accuracy on 50 unseen",
    "Kendall's tau on 50 unseen",
    "tokens that differ, of seen",
    "tokens that differ, of unseen",
    "pairwise accuracy on seen",
)


def nats(path: Path) -> World:
    """The cells of the published table."""
    table = nats_tss(str(path))
    cells, scores = list(table.rows), table.scores("signal")

    def draw(count: int, rng: np.random.Generator) -> tuple[list[Genotype], np.ndarray]:
        chosen = [cells[n] for n in rng.choice(len(cells), count, replace=False)]
        return chosen, np.array([scores[table.rows[cell]] for cell in chosen])

    return World("NATS-Bench", table.space, draw)


def made_up(space: NaoSpace) -> World:
    """A landscape over cells, in which exchanged branches are the same."""
    ranks = {name: n for n, name in enumerate(space.names)}
    drawn = np.random.default_rng(0)
    does = drawn.normal(size=(2, space.nodes, len(ranks)))
    reads = drawn.normal(size=(2, space.nodes, space.nodes + 2)) / 2
    together = drawn.normal(size=(2, len(ranks), len(ranks)))
    together = together + together.transpose(0, 2, 1)

    def score(genotype: Genotype) -> float:
        total = 0.0
        for kind, cell in enumerate(space.cells(genotype)):
            for node, branches in enumerate(cell.combinations):
                first, second = (ranks[operation] for operation, _ in branches)
                total += together[kind, first, second] / 2
                total += sum(
                    does[kind, node, ranks[operation]] + reads[kind, node, state] for operation, state in branches
                )
        return total

    def draw(count: int, rng: np.random.Generator) -> tuple[list[Genotype], np.ndarray]:
        found = {space.key(genotype): genotype for genotype in (space.sample(rng) for _ in range(2 * count))}
        chosen = list(found.values())[:count]
        scores = np.array([score(genotype) for genotype in chosen])
        return chosen, scores + NOISE * scores.std() * rng.normal(size=count)

    return World("made-up landscape", space, draw)


def measure(world: World, program: Program, size: int, scale: joint_training.Scale, seed: int) -> Measured:
    """Train a controller on `size` networks and measure it on these and on others."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    genotypes, scores = world.draw(UNSEEN + size, rng)
    flavor = FLAVORS[program.flavor]
    controller = EncoderPredictorDecoder(TokenChoices.of(world.space.genes, flavor.group), flavor, generator)
    symmetric = unwrap(world.space, Symmetric) if program.symmetry else None
    spellings = spelled(world.space, symmetric, flavor, genotypes[UNSEEN:], rng)
    targets = torch.from_numpy(joint_training.normalized(scores[UNSEEN:].tolist(), scale))
    settings = JointSettings(program.epochs, program.batch, trade_off=program.trade_off)
    joint_training.train(controller, spellings, targets, settings, generator)
    sequences = spelled(world.space, None, flavor, genotypes).squeeze(1)
    unseen = joint_training.quality(controller, sequences[:UNSEEN], scores[:UNSEEN])
    seen = joint_training.quality(controller, sequences[UNSEEN:], scores[UNSEEN:])
    return Measured(
        known(unseen.pairwise_accuracy),
        known(unseen.kendall_tau),
        seen.hamming,
        unseen.hamming,
        known(seen.pairwise_accuracy),
    )


def known(value: float | None) -> float:
    """The number, NaN where there is none."""
    return float("nan") if value is None else value


def shown(found: list[Measured]) -> str:
    """Means over the seeds, with their standard errors where there are several."""
    cells = []
    for values in zip(*found, strict=True):
        error = f" ± {np.std(values, ddof=1) / len(values) ** 0.5:.3f}" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.3f}{error}")
    return " | ".join(cells)


def main() -> None:
    data = Path(os.environ.get("NETWRIGHT_DATA", "data")) / "nats-tss" / "nats_tss.csv"
    parser = argparse.ArgumentParser(description="How good NAO's controllers are on networks that they never saw.")
    parser.add_argument("--path", type=Path, default=data, help="CSV of NATS-Bench; left out where there is none")
    parser.add_argument("--world", choices=("nats", "made-up", "both"), default="both")
    parser.add_argument("--program", choices=[name for name in PROGRAMS if "rnn" not in name], default="pt1")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 200, 300, 400, 500, 600], help="networks seen")
    parser.add_argument("--epochs", type=int, help="of training; by default the program's 1,000")
    parser.add_argument("--steps", type=int, help="of training, about, whatever the size: instead of --epochs")
    parser.add_argument("--scale", choices=("minmax", "ranks"), default="minmax")
    parser.add_argument("--seeds", type=int, default=3)
    options = results.options(parser)
    if options.quick:
        options.sizes, options.epochs, options.seeds = [50], 2, 2
    program = PROGRAMS[options.program]
    large = NaoSpace(operations="large", genes_per_branch=3)
    worlds = [made_up(large if options.program == "tf" else NaoSpace(operations="small"))]
    if options.world == "nats" or (options.world == "both" and options.path.is_file()):
        if not options.path.is_file():
            raise SystemExit("give --path, or set NETWRIGHT_DATA to a folder that holds nats-tss/nats_tss.csv")
        worlds = [nats(options.path), *(worlds if options.world == "both" else ())]
    print("| of | spellings | seen | pairwise, unseen | tau, unseen | distance, seen | unseen | pairwise, seen |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for world in worlds:
        for symmetry in (True, False) if isinstance(world.space, Symmetric) else (False,):
            for size in options.sizes:
                epochs = options.epochs or program.epochs
                if options.steps:
                    epochs = max(1, options.steps // -(-size // program.batch))
                settings = replace(program, symmetry=symmetry, epochs=epochs)
                found = [measure(world, settings, size, options.scale, seed) for seed in range(options.seeds)]
                what = "exchanged" if symmetry else "one"
                print(f"| {world.name} | {what} | {size} | {shown(found)} |", flush=True)
                subject = f"{options.program} {options.scale}: {world.name}; {what}; {size} seen; {epochs} epochs"
                rows += [
                    results.Row(subject, options.seeds, float(np.median(v)), float(min(v)), float(max(v)), unit)
                    for v, unit in zip(zip(*found, strict=True), UNITS, strict=True)
                ]
    results.append(options.out, rows)


if __name__ == "__main__":
    main()
