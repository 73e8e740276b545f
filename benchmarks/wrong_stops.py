"""How often the rule of `mobster` stops a trial that would have ended best, on real learning curves, and what it saves.

`--train` makes the curves, once (four minutes of one core): 64 plain residual networks with different widths, depths,
learning rates and weight decays, trained on 400 of the handwritten digits for 54 epochs, at a constant rate and with
averaged weights, and measured on the validation images after every sixth one. They stand in `wrong_stops.csv`, so that
all else takes no training. Where the folder NETWRIGHT_DATA has NATS-Bench, its trainings of 12 and of 200 epochs on
CIFAR-10 and CIFAR-100 are looked at in the same way.

The whole strategy is played on these curves over many seeds, by one worker, until it has tried so many fresh networks:
with the rule, and without it (`least_chance` 0) but with the same networks in the same order. Stopped is a trial that
the rule held back when it was next in line and that was never promoted later. A stop is wrong where the trial would
have ended as the best of all that were tried, or within half a point of it. A wrong stop may cost nothing, where others
are as good: the loss is what the best on the highest rung has less than that of the same search without the rule.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import results

from netwright.core import seeds
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Result, Trial
from netwright.core.table import Table
from netwright.evaluators.training import Training
from netwright.spaces.residual import ResidualSpace
from netwright.stores.memory import MemoryStore
from netwright.strategies.mobster import Mobster
from netwright.tables.csv import csv
from netwright.tables.nats_tss import nats_tss
from netwright.tasks.digits import digits
from netwright.worker import WorkerContext

CURVES = Path(__file__).parent / "wrong_stops.csv"
NETWORKS, EPOCHS, EVERY, RUNGS = 64, 54, 6, (6, 18, 54)
WIDTHS, BLOCKS, RATES, DECAYS = (4, 6, 8, 12, 16), (1, 2), (0.01, 0.03, 0.1, 0.3, 1.0), (1e-4, 1e-3, 5e-3)
GENES = ("width", "blocks", "lr", "weight_decay")
NEAR = 0.5  # points


def train(path: Path, networks: int = NETWORKS) -> None:
    """Train so many networks and write their curves, one row for each."""
    grid = list(itertools.product(WIDTHS, BLOCKS, RATES, DECAYS))
    chosen = seeds.rng_for(0, seeds.ASK).permutation(len(grid))[:networks]
    task, space = digits(train_limit=400), ResidualSpace()
    lines = [",".join((*GENES, *(f"epoch_{n}" for n in range(EVERY, EPOCHS + 1, EVERY))))]
    for number, place in enumerate(chosen.tolist(), 1):
        width, blocks, rate, decay = grid[place]
        steady = Training(space, task, epochs=EPOCHS, curve_every=EVERY, schedule="step", milestones=(), ema=0.97)
        evaluator = replace(steady, lr=rate, weight_decay=decay)
        trial = Trial(number, Proposal((width, blocks)), space.key((width, blocks)), number, "running")
        result = evaluator.evaluate(trial, WorkerContext(MemoryStore(), None, 1))
        lines.append(",".join([*map(str, grid[place]), *(f"{value:.4f}" for _, value in result.curve)]))
        print(f"{number} of {networks}: {grid[place]} ends at {result.curve[-1][1]:.4f}", flush=True)
    path.write_text("\n".join(lines) + "\n")


@dataclass(frozen=True)
class Curves:
    """Scores of networks at each budget, in points, and what the rungs cost."""

    name: str
    space: SearchSpace
    scores: dict[Genotype, tuple[float, ...]]
    rungs: tuple[int, ...]
    eta: int
    continues: bool  # whether a promotion pays for what is left only

    @staticmethod
    def of(name: str, table: Table, rungs: tuple[int, ...], eta: int, continues: bool, factor: float) -> Curves:
        columns = [table.columns[table.budgets[rung]] * factor for rung in rungs]
        scores = {genotype: tuple(float(each[row]) for each in columns) for genotype, row in table.rows.items()}
        return Curves(name, table.space, scores, rungs, eta, continues)

    def cost(self, rung: int) -> int:
        return self.rungs[rung] - (self.rungs[rung - 1] if rung and self.continues else 0)


@dataclass(frozen=True)
class Game:
    """What became of one search."""

    tried: tuple[Genotype, ...]
    stopped: tuple[Genotype, ...]
    best: float  # measured on the highest rung
    spent: int  # on promotions


def play(curves: Curves, fresh: int, seed: int, least_chance: float, random_fraction: float) -> Game:
    options = {"budgets": curves.rungs, "eta": curves.eta}
    strategy = Mobster(curves.space, least_chance=least_chance, random_fraction=random_fraction, **options)  # type: ignore[arg-type]
    tried: list[Genotype] = []
    held: dict[int, Genotype] = {}
    best, spent = -np.inf, 0
    for number in itertools.count(1):
        # the same numbers for the same number of fresh networks, so that these are the same with the rule and without
        proposal = strategy.ask(seeds.rng_for(seed, seeds.ASK, len(tried)), ())
        refused = strategy._halving.promoted(())
        if refused is not None and refused != proposal and refused.continues is not None:
            held[refused.continues] = refused.genotype
        if proposal is None or (proposal.continues is None and len(tried) == fresh):
            break
        genotype, rung = proposal.genotype, int(proposal.notes["rung"])
        if proposal.continues is None:
            tried.append(genotype)
        else:
            spent += curves.cost(rung)
            held.pop(proposal.continues, None)
        score = curves.scores[genotype][rung]
        best = max(best, score) if rung == len(curves.rungs) - 1 else best
        key, result = curves.space.key(genotype), Result({"score": score})
        strategy.tell(Trial(number, proposal, key, 0, "done", result, (score,), number), seeds.rng_for(seed, 2))
    return Game(tuple(tried), tuple(held.values()), best, spent)


def judge(curves: Curves, fresh: int, count: int, chances: Sequence[float], fraction: float) -> list[results.Row]:
    """Print a line for each `least_chance`."""
    plain = [play(curves, fresh, seed, 0.0, fraction) for seed in range(count)]
    found = []
    for least in chances:
        games = [play(curves, fresh, seed, least, fraction) for seed in range(count)]
        ends = [max(curves.scores[g][-1] for g in game.tried) for game in games]
        stops = sum(len(game.stopped) for game in games)
        behind = [[end - curves.scores[g][-1] for g in game.stopped] for game, end in zip(games, ends, strict=True)]
        top = sum(min(each, default=1.0) <= 0 for each in behind)
        near = sum(min(each, default=1e9) <= NEAR for each in behind)
        near_stops = sum(each <= NEAR for each in itertools.chain(*behind))
        saved = 1 - sum(game.spent for game in games) / sum(game.spent for game in plain)
        loss = np.array([a.best - b.best for a, b in zip(plain, games, strict=True)])
        print(
            f"{curves.name:<10} {fresh:>5} {fraction:>7.2f} {least:>7.2f} {stops / count:>7.2f} {top / count:>10.1%} "
            f"{near / count:>11.1%} {near_stops / max(stops, 1):>11.1%} {saved:>7.1%} "
            f"{loss.mean():>+7.3f} ± {loss.std() / np.sqrt(count):.3f}",
            flush=True,
        )
        subject = f"{curves.name}, {fresh} fresh networks, random {fraction}, least chance {least}"
        found.append(results.Row(f"{subject}: best stopped", count, top / count, 0, 1, "share of searches", ""))
        found.append(results.Row(f"{subject}: time of promotions saved", count, saved, 0, 1, "share", ""))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Wrong stops of mobster's rule, on real learning curves.")
    parser.add_argument("--train", action="store_true", help="train the networks and write their curves anew")
    parser.add_argument("--seeds", type=int, default=100, help="number of searches of each line")
    parser.add_argument("--chances", default="0.02,0.05,0.1,0.2", help="values of least_chance")
    parser.add_argument("--modeled", action="store_true", help="fresh networks by the model too, not only at random")
    arguments = results.options(parser)
    if arguments.quick:
        with tempfile.TemporaryDirectory() as folder:
            train(Path(folder) / "curves.csv", 1)
        arguments.seeds, arguments.chances, arguments.modeled = 2, "0.1", True
    elif arguments.train:
        train(CURVES)
    columns = {rung: f"epoch_{rung}" for rung in RUNGS}
    chosen = csv(str(CURVES), GENES, columns[RUNGS[-1]], budgets=columns)
    games = [(Curves.of("digits", chosen, RUNGS, 3, True, 100.0), (16, 30, 60))]
    path = Path(os.environ.get("NETWRIGHT_DATA", "")) / "nats-tss" / "nats_tss.csv"
    if path.is_file():
        for dataset in ("cifar10", "cifar100"):
            table = nats_tss(path=str(path), dataset=dataset, epochs=200)
            games.append((Curves.of(dataset, table, (12, 200), 4, False, 1.0), (16, 30, 60)))
    print("Of the searches: best, near: the best of all tried, or one within half a point of it, was stopped")
    print("curves     fresh  random   least   stops       best        near  near/stops   saved   loss in points")
    chances = [float(word) for word in arguments.chances.split(",")]
    rows: list[results.Row] = []
    for curves, sizes in games:
        for fraction in (1.0, 0.15) if arguments.modeled else (1.0,):
            for fresh in sizes:
                rows += judge(curves, fresh, arguments.seeds, chances, fraction)
    results.append(arguments.out, rows)


if __name__ == "__main__":
    main()
