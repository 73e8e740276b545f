"""What NAO's controller has learned of NATS-Bench: a map of cells colored by score, and whether its steps lead upwards.

A controller is trained on random cells of the published table. Each of the best is then moved by a multiple of the
gradient and decoded; where another cell comes out, the table says whether its TRUE score is higher: by default the one
that the controller was trained on, the validation accuracy after 12 epochs; with `--score final` the test accuracy
after 200, by which the parent too is judged. Compared with moves of the same parents that change as many tokens, drawn
at random; the standard error is that of the mean over seeds, each with pool and controller of its own. The map shows
the pooled embeddings of random cells, nearly all of which the controller never saw, along their two main directions.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import harness  # noqa: F401 - before numpy and torch: one numerical thread
import numpy as np
import results
import torch

from netwright.core import genes
from netwright.core.table import Table
from netwright.report import figures
from netwright.surrogates import joint_training
from netwright.surrogates.decoders import pool
from netwright.surrogates.encoder_predictor_decoder import FLAVORS, EncoderPredictorDecoder, TokenChoices
from netwright.surrogates.joint_training import JointSettings
from netwright.tables.nats_tss import nats_tss

Score = Literal["signal", "final"]

STEPS = (1, 2, 5, 10, 20, 50)
TWINS = 20  # random moves per move


def sequences_of(table: Table, cells: list[tuple[float, ...]]) -> torch.Tensor:
    return torch.tensor([genes.to_tokens(table.space.genes, cell) for cell in cells])


def scores_of(table: Table, sequences: torch.Tensor, kind: Score = "signal") -> np.ndarray:
    cells = [genes.from_tokens(table.space.genes, sequence) for sequence in sequences.tolist()]
    return table.scores(kind)[[table.rows[cell] for cell in cells]]


def random_twins(sequences: torch.Tensor, distances: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """For each sequence, TWINS others that differ from it in as many tokens; all genes have the same options here."""
    options = int(sequences.max())
    repeated = sequences.repeat_interleave(TWINS, 0).numpy()
    order = np.argsort(rng.random(repeated.shape), 1)
    is_changed = order < distances.repeat_interleave(TWINS).numpy()[:, None]
    shifted = (repeated - 1 + rng.integers(1, options, repeated.shape)) % options + 1
    return torch.from_numpy(np.where(is_changed, shifted, repeated))


def measure(
    table: Table, controller: EncoderPredictorDecoder, best: torch.Tensor, rng: np.random.Generator, kind: Score
) -> dict[int, tuple[int, float, float]]:
    """By step: how many cells changed, the share of them that improved, and that of their random twins."""
    with torch.no_grad():
        states = controller.encode(best)
    before, found = scores_of(table, best, kind), {}
    for step in STEPS:
        moved = controller.decode(controller.move(states, float(step)))
        distances = (moved != best).sum(1)
        changed = distances > 0
        if not changed.any():
            found[step] = (0, float("nan"), float("nan"))
            continue
        start = before[changed.numpy()]
        improved = scores_of(table, moved[changed], kind) > start
        twins = scores_of(table, random_twins(best[changed], distances[changed], rng), kind)
        found[step] = (int(changed.sum()), improved.mean(), (twins > np.repeat(start, TWINS)).mean())
    return found


def draw(table: Table, controller: EncoderPredictorDecoder, count: int, rng: np.random.Generator, path: Path) -> None:
    """The map of `count` cells, colored by the rank of their score."""
    cells = list(table.rows)
    sequences = sequences_of(table, [cells[n] for n in rng.choice(len(cells), count, replace=False)])
    with torch.no_grad():
        points = pool(controller.encode(sequences)).numpy()
    centered = points - points.mean(0)
    _, _, directions = np.linalg.svd(centered, full_matrices=False)
    x, y = (centered @ directions[:2].T).T
    ranks = joint_training.normalized(scores_of(table, sequences).tolist(), "ranks")
    figure, axes = figures.start(f"{count:,} random cells, as the encoder places them")
    figure.set_size_inches(6, 4.6)
    bar = figure.colorbar(axes.scatter(x, y, c=ranks, s=6, cmap="viridis"))
    bar.set_label("rank of the validation accuracy (1: best)", size=figures.TEXT_SIZE)
    bar.ax.tick_params(labelsize=figures.TEXT_SIZE - 0.5)
    axes.set_xlabel("first main direction", size=figures.TEXT_SIZE)
    axes.set_ylabel("second main direction", size=figures.TEXT_SIZE)
    figure.savefig(path, dpi=150)


def told(found: list[tuple[int, float, float]]) -> tuple[str, str]:
    """What became of the moves of one step over the seeds, for people, and the end of its row in the table."""
    moved, improved, at_random = (np.array(column, dtype=float) for column in zip(*found, strict=True))
    (up, up_error), (random, random_error) = mean_and_error(improved), mean_and_error(at_random)
    gain, error = mean_and_error(improved - at_random)
    text = f"{np.mean(moved):.0f} changed; improved {up:.3f} +- {up_error:.3f}, at random {random:.3f} +- "
    text += f"{random_error:.3f}; difference {gain:.3f} +- {error:.3f}"
    return text, f"{up / random:.2f} to random moves of the same distance; means differ by {gain:.3f} +- {error:.3f}"


def mean_and_error(values: np.ndarray) -> tuple[float, float]:
    """Mean over the seeds at which something moved, and its standard error."""
    known = values[~np.isnan(values)]
    if len(known) < 2:
        return float(known.mean()) if len(known) else float("nan"), float("nan")
    return float(known.mean()), float(known.std(ddof=1) / len(known) ** 0.5)


def main() -> None:
    data = Path(os.environ.get("NETWRIGHT_DATA", "data")) / "nats-tss" / "nats_tss.csv"
    parser = argparse.ArgumentParser(description="Where NAO's steps lead on NATS-Bench.")
    parser.add_argument("--path", type=Path, default=data, help="CSV of the table")
    parser.add_argument("--pools", type=int, nargs="+", default=[50, 300], help="random cells trained on")
    parser.add_argument("--top", type=int, default=25, help="best cells that are moved")
    parser.add_argument("--steps", type=int, default=1000, help="steps of training, about")
    parser.add_argument("--flavor", choices=list(FLAVORS), default="pt2")
    parser.add_argument("--scale", choices=("minmax", "ranks"), default="ranks")
    parser.add_argument("--score", choices=("signal", "final"), default="signal", help="that moves are to improve")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--plot", type=Path, help="PNG to draw the map into")
    options = results.options(parser)
    if not options.path.is_file():
        print("left out: give --path, or set NETWRIGHT_DATA to a folder that holds nats-tss/nats_tss.csv")
        return
    if options.quick:
        options.pools, options.steps, options.seeds = [50], 20, 2
    table = nats_tss(str(options.path))
    cells, rows = list(table.rows), []
    for size in options.pools:
        shares: dict[int, list[tuple[int, float, float]]] = {step: [] for step in STEPS}
        for seed in range(options.seeds):
            rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
            sequences = sequences_of(table, [cells[n] for n in rng.choice(len(cells), size, replace=False)])
            scores = scores_of(table, sequences)
            controller = EncoderPredictorDecoder(TokenChoices.of(table.space.genes), FLAVORS[options.flavor], generator)
            targets = torch.from_numpy(joint_training.normalized(scores.tolist(), options.scale))
            settings = JointSettings(epochs=max(1, options.steps // -(-size // 100)))
            joint_training.train(controller, sequences.unsqueeze(1), targets, settings, generator)
            best = sequences[torch.from_numpy(np.argsort(-scores, kind="stable")[: options.top].copy())]
            for step, found in measure(table, controller, best, rng, options.score).items():
                shares[step].append(found)
        for step, moves in shares.items():
            text, ratio = told(moves)
            print(f"{size} cells, step {step}: of the best {min(size, options.top)} {text}", flush=True)
            values = [share for _, share, _ in moves]
            rows.append(
                results.Row(
                    f"{options.flavor} {options.scale}: {size} cells; step {step}",
                    options.seeds,
                    float(np.nanmedian(values)),
                    float(np.nanmin(values)),
                    float(np.nanmax(values)),
                    f"share of moves that improved the true score ({options.score})",
                    ratio,
                )
            )
        if options.plot and size == options.pools[-1]:
            draw(table, controller, 2000, rng, options.plot)
    results.append(options.out, rows)


if __name__ == "__main__":
    main()
