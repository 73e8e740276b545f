"""Hierarchical evolution on a simulated cluster: how busy workers are, and what not waiting costs the search.

Liu et al. 2018: 7,000 evaluations of about one hour on 200 GPUs, tournaments of 5 % after a start population of 200, in
the hierarchical space. Controller, strategy and table are the real ones; the networks are not trained: a rugged
landscape over their genes answers at once, and an evaluation takes simulated time.

Claims: with one hour each, 35 simulated hours, in under a minute; with log-normal durations (sigma 0.5, mean one hour),
more than 98 % of the workers' time goes into evaluations, with 200 workers and with 450, also when the controller takes
a second from a finish to the next row. (With 450, the strategy itself lets the first 250 wait: no mutant before the
first of the start population is told.) Beside them stands the same search by generations, in which all wait for the
slowest. The share is taken up to the start of the last row; the end, where there is nothing left to ask, is shown too.

The loss against one worker: how much worse the best network is that W workers find with the same number of trials, by
its true fitness, as a share of what one worker gains over the best of its start population. One worker needs W times
as long.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import results
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from netwright.controller import Search
from netwright.core import genes, seeds
from netwright.core.protocols import Context
from netwright.core.records import Genotype, Result, Trial
from netwright.core.run_file import Limits
from netwright.executors.simulated import Simulated, busy, utilization
from netwright.report.figures import INK, PALETTE, SIZE, TEXT_SIZE
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.stores.memory import MemoryStore
from netwright.strategies.tournament import Tournament

FIGURE = Path(__file__).parent.parent / "docs" / "images" / "simulated-cluster.png"
HOUR = 3600.0
TRIALS, INITIAL, SHARE = 7000, 200, 0.05  # Liu et al. 2018, sections 3.2 and 4.2
SPACE = HierarchicalSpace(diversification=50)  # the paper's 1000 mutations of a sample make no difference here
NEIGHBORS = 3  # genes that the worth of a gene's value depends on
NOISE = 0.005  # standard deviation of the measured fitness
REAL_LIMIT, UTILIZATION_TARGET = 60.0, 0.98


class Landscape:
    """A rugged function of the genes in [0, 1], after Kauffman's NK model: a gene's worth depends on other genes."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        count, options = len(SPACE.genes), max(genes.size(gene) for gene in SPACE.genes)
        self._genes = np.stack(
            [np.arange(count), *(rng.permutation(count) for _ in range(NEIGHBORS))]
        )  # (K + 1, genes)
        self._weights = options ** np.arange(NEIGHBORS + 1)[:, None]
        self._worth = rng.random((count, options ** (NEIGHBORS + 1)), dtype=np.float32)
        self._rows = np.arange(count)

    def fitness(self, genotype: Genotype) -> float:
        """Without noise."""
        values = np.asarray(genotype)[self._genes]  # (K + 1, genes)
        return float(self._worth[self._rows, (values * self._weights).sum(0)].mean())

    def evaluate(self, trial: Trial, context: Context) -> Result:  # noqa: ARG002
        """At once; the noise is the trial's."""
        noise = NOISE * float(seeds.rng_for(trial.seed, seeds.TRAIN).standard_normal())
        true = self.fitness(trial.proposal.genotype)
        return Result({"valid_accuracy": true + noise, "true": true})


@dataclass(frozen=True)
class Cluster:
    """A way of working, and what it is called."""

    name: str
    workers: int
    sigma: float = 0.0
    synchronous: bool = False
    controller_seconds: float = 0.0
    straggler_share: float = 0.0
    failure_share: float = 0.0
    loss_share: float = 0.0
    prefetch: int | None = None


@dataclass(frozen=True)
class Played:
    """A search that was played to its end."""

    executor: Simulated
    trials: Sequence[Trial]  # in order of finishing
    real_seconds: float

    @property
    def hours(self) -> float:
        """Simulated."""
        return self.executor.elapsed_seconds / HOUR

    @property
    def overall(self) -> float:
        """Utilization to the very end."""
        return utilization(self.executor.spells, self.executor.workers, self.executor.elapsed_seconds)

    @property
    def found(self) -> float:
        """True fitness of the trial that was measured to be the best."""
        return best_so_far(self.trials)[-1]


def play(cluster: Cluster, seed: int, trials: int = TRIALS) -> Played:
    """One search; the landscape, the durations and all draws are the seed's."""
    executor = Simulated(
        Landscape(seed),
        workers=cluster.workers,
        seconds=HOUR,
        sigma=cluster.sigma,
        straggler_share=cluster.straggler_share,
        failure_share=cluster.failure_share,
        loss_share=cluster.loss_share,
        seed=seed,
        synchronous=cluster.synchronous,
        controller_seconds=cluster.controller_seconds,
    )
    start = time.perf_counter()
    search = Search(
        SPACE,
        Tournament(SPACE, initial=INITIAL, share=SHARE),
        MemoryStore(),
        executor,
        limits=Limits(trials=trials, failures_in_a_row=0),
        seed=seed,
        prefetch=0 if cluster.synchronous else cluster.prefetch,
    )
    search.run()
    return Played(executor, search.store.finished(), time.perf_counter() - start)


def best_so_far(trials: Sequence[Trial]) -> list[float]:
    """True fitness of the incumbent after each trial; the incumbent is the best as measured."""
    found, best, true = [], -math.inf, math.nan
    for trial in trials:
        metrics = trial.result.metrics if trial.result else {}
        if metrics and metrics["valid_accuracy"] > best:
            best, true = metrics["valid_accuracy"], metrics["true"]
        found.append(true)
    return found


def spread(subject: str, values: Sequence[float], unit: str, ratio_to: str = "") -> results.Row:
    return results.Row(subject, len(values), statistics.median(values), min(values), max(values), unit, ratio_to)


def busy_rows(clusters: Sequence[Cluster], repeats: int, trials: int) -> tuple[list[results.Row], dict[str, Played]]:
    """How busy workers are, over seeds; and the first search of each cluster."""
    rows, first = [], {}
    print(f"{'cluster':<52} {'utilization':>12} {'to the end':>11} {'hours':>9} {'real s':>7}")
    for cluster in clusters:
        played = [play(cluster, seed, trials) for seed in range(repeats)]
        first[cluster.name] = played[0]
        shares, overall = [p.executor.utilization for p in played], [p.overall for p in played]
        hours, real = [p.hours for p in played], [p.real_seconds for p in played]
        rows += [
            spread(f"{cluster.name}: utilization", shares, "share"),
            spread(f"{cluster.name}: utilization to the end", overall, "share"),
            spread(f"{cluster.name}: elapsed", hours, "simulated h"),
            spread(f"{cluster.name}: played in", real, "s"),
        ]
        numbers = [statistics.median(values) for values in (shares, overall, hours, real)]
        print("{:<52} {:>12.4f} {:>11.4f} {:>9.2f} {:>7.1f}".format(cluster.name, *numbers), flush=True)
    return rows, first


def loss_rows(workers: Sequence[int], repeats: int, trials: int) -> list[results.Row]:
    """How much worse W workers' best is than one worker's: same landscapes, same number of trials."""
    print(f"\n{'workers':>7} {'by generations':<15} {'best':>8} {'loss':>9} {'s.e.':>8}   of one worker's gain")
    alone = [play(Cluster("", 1, sigma=0.5), seed, trials) for seed in range(repeats)]
    starts = [max(t.result.metrics["true"] for t in p.trials if t.id <= INITIAL and t.result) for p in alone]
    gain = statistics.mean(p.found - start for p, start in zip(alone, starts, strict=True))
    rows = [spread("1 worker: best found", [p.found for p in alone], "fitness")]
    for count in workers:
        for synchronous in (False, True):
            cluster = Cluster("", count, sigma=0.5, synchronous=synchronous)
            found = [play(cluster, seed, trials).found for seed in range(repeats)]
            losses = [(p.found - value) / gain for p, value in zip(alone, found, strict=True)]
            loss, error = statistics.mean(losses), statistics.stdev(losses) / math.sqrt(repeats)
            name = f"{count} workers{' by generations' if synchronous else ''}"
            against = f"{loss:.4f} +- {error:.4f} (mean, s.e.) of 1 worker's gain lost"
            rows.append(spread(f"{name}: best found", found, "fitness", against))
            mode = "yes" if synchronous else "no"
            print(f"{count:>7} {mode:<15} {statistics.mean(found):>8.4f} {loss:>9.2%} {error:>8.2%}", flush=True)
    return rows


def draw(free: Played, together: Played) -> Figure:
    """Busy workers and the best fitness so far over simulated time, with and without a barrier."""
    figure = Figure(figsize=(SIZE[0], 2 * SIZE[1]), layout="constrained", facecolor="white")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for played, name, color in ((together, "generations", PALETTE[1]), (free, "asynchronous", PALETTE[0])):
        workers = played.executor.workers
        moments, counts = zip(*busy(played.executor.spells), strict=True)
        share = played.executor.utilization
        label = f"{name}: {share:.0%} busy, {played.hours:.1f} h"
        hours = np.array(moments) / HOUR
        upper.step(hours, np.array(counts) / workers, where="post", color=color, linewidth=1.0, label=label)
        ends = {spell.trial_id: spell.end / HOUR for spell in played.executor.spells}
        steps = [ends[trial.id] for trial in played.trials]
        lower.step(steps, best_so_far(played.trials), where="post", color=color, linewidth=1.5)
    upper.yaxis.set_major_formatter(PercentFormatter(1.0))
    style(upper, "busy workers")
    style(lower, "true fitness of the best so far")
    lower.set_xlabel("simulated hours", size=TEXT_SIZE)
    workers, trials = free.executor.workers, len(free.trials)
    title = f"{trials:,} evaluations on {workers} workers,\nlog-normal around one hour (sigma 0.5)"
    upper.set_title(title, loc="left", size=TEXT_SIZE, color="#555555")
    figure.legend(loc="outside upper left", frameon=False, fontsize=TEXT_SIZE)
    return figure


def save(free: Played, together: Played, path: Path | None) -> None:
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(free, together).savefig(path, dpi=150)


def style(axes: Axes, label: str) -> None:
    axes.set_ylabel(label, size=TEXT_SIZE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#777777")
    axes.grid(True, color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TEXT_SIZE - 0.5, color="#777777", labelcolor=INK)


def say(is_reached: bool, text: str) -> None:
    print(f"{'reached    ' if is_reached else 'NOT reached'}  {text}")


def main() -> None:
    parser = argparse.ArgumentParser(description="How busy the workers of a simulated cluster are.")
    parser.add_argument("--figure", type=Path, help="PNG file, in place of that of the documentation")
    parser.add_argument("--figure-only", action="store_true", help="play only the two searches of the figure: seconds")
    arguments = results.options(parser)
    figure = arguments.figure or (None if arguments.quick else FIGURE)
    repeats, seeds_of_loss, trials = (2, 2, TRIALS // 10) if arguments.quick else (5, 20, TRIALS)
    hour = Cluster("200 workers, one hour each", 200)
    judged = [
        Cluster("200 workers, sigma 0.5", 200, sigma=0.5),
        Cluster("200 workers, sigma 0.5, controller 1 s", 200, sigma=0.5, controller_seconds=1.0),
        Cluster("450 workers, sigma 0.5", 450, sigma=0.5),
        Cluster("450 workers, sigma 0.5, controller 1 s", 450, sigma=0.5, controller_seconds=1.0),
    ]
    shown = [
        Cluster("200 workers, sigma 0.5, by generations", 200, sigma=0.5, synchronous=True),
        Cluster("450 workers, sigma 0.5, by generations", 450, sigma=0.5, synchronous=True),
        Cluster("200 workers, sigma 0.5, controller 60 s", 200, sigma=0.5, controller_seconds=60.0),
        Cluster(
            "200 workers, sigma 0.5, controller 60 s, none ahead", 200, sigma=0.5, controller_seconds=60.0, prefetch=0
        ),
        Cluster(
            "200 workers, sigma 0.5, 5 % fail, 5 % lost, 1 % slow",
            200,
            sigma=0.5,
            failure_share=0.05,
            loss_share=0.05,
            straggler_share=0.01,
        ),
    ]
    if arguments.figure_only:
        save(play(judged[0], 0, trials), play(shown[0], 0, trials), figure)
        return
    rows, first = busy_rows([hour, *judged, *shown], repeats, trials)
    rows += loss_rows((10, 50, 200, 450), seeds_of_loss, trials)
    print(f"\n{results.hardware()}; commit {results.commit()}; {repeats} seeds, {seeds_of_loss} for the loss")
    whole, expected = first[hour.name], math.ceil(trials / hour.workers)
    say(
        math.isclose(whole.hours, expected) and whole.real_seconds < REAL_LIMIT,
        f"{hour.name}: {whole.hours:.2f} simulated hours in {whole.real_seconds:.1f} s, "
        f"{expected} hours in at most {REAL_LIMIT:.0f} s",
    )
    for cluster in judged:
        row = next(row for row in rows if row.subject == f"{cluster.name}: utilization")
        target = f"more than {UTILIZATION_TARGET:.0%}"
        say(row.min > UTILIZATION_TARGET, f"{cluster.name}: at least {row.min:.2%} utilization, {target}")
    save(first[judged[0].name], first[shown[0].name], figure)
    results.append(arguments.out, rows)


if __name__ == "__main__":
    main()
