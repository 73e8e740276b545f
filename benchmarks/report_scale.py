"""What `netwright report` of a long search costs: CPU seconds and peak memory of the whole command.

Claims, for 1,000,000 rows: at most 30 s of CPU and 500 MB. Tables are written through the store, each in a folder of
its own: "aging", networks of NATS-Bench's cells with parents, failures and equal networks; "random", without parents;
"budgets", a search in brackets, in which a third of the networks are promoted at each rung.

    python benchmarks/report_scale.py --rows 1000 100000 1000000 --kinds aging budgets
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import results

from netwright.core import run_file
from netwright.core.records import Genotype, Proposal, Result
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.runs import run_folder
from netwright.spaces.nats import plugin as NatsSpace

CPU_TARGET, MEMORY_TARGET = 30.0, 500.0  # seconds, MB
KINDS = ("aging", "random", "budgets")
POPULATION, BRACKET, LADDER = 100, 27, (1, 3, 9)


def main() -> None:
    """Write tables, report them, print what that cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--folder", type=Path, help="keep the runs here, and use those that are there")
    parser.add_argument("--command", default="report", choices=("report", "status", "show"))
    options = results.options(parser)
    with tempfile.TemporaryDirectory() as scratch:
        measured = []
        for kind in options.kinds:
            for rows in (200,) if options.quick else options.rows:
                place = (options.folder or Path(scratch)) / f"{kind}-{rows}"
                if not run_folder.holds_run(place):
                    write(place, kind, rows)
                subject = f"{options.command}, {kind}, {rows:,} rows"
                seconds, megabytes = cost([options.command, str(place)])
                is_met = rows > 1_000_000 or (seconds <= CPU_TARGET and megabytes <= MEMORY_TARGET)
                print(f"{subject:40} {seconds:7.1f} s CPU {megabytes:7.0f} MB {'' if is_met else 'MISSED'}", flush=True)
                measured.append(results.Row(subject, 1, seconds, seconds, seconds, "s CPU"))
                measured.append(results.Row(subject, 1, megabytes, megabytes, megabytes, "MB peak"))
        results.append(options.out, measured)


def cost(arguments: list[str]) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a command of netwright, which must succeed."""
    program = "import sys; from netwright.cli.main import main; sys.exit(main())"
    child = subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"netwright {' '.join(arguments)} failed")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def write(place: Path, kind: str, rows: int) -> None:
    """Write the table of a finished search with so many rows."""
    begun = time.perf_counter()
    place.mkdir(parents=True)
    store = run_folder.open_table(place, "write")
    store.remember("format", str(run_folder.FORMAT))
    run = RunFile(space=Reference("nats"), objectives=("valid_accuracy",))
    store.remember("run", run_file.to_toml(run))
    store.remember("hours", "100.0")
    for number, (proposal, result) in enumerate(trials(kind, rows), 1):
        store.add(proposal, "".join(map(str, proposal.genotype)), number, result)
    store.close()
    print(f"{place.name}: written in {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)


def trials(kind: str, rows: int) -> Iterator[tuple[Proposal, Result]]:
    """Proposals and results of a made-up search."""
    rng = np.random.default_rng(0)
    options = [len(gene.options) for gene in NatsSpace().genes]
    population: list[tuple[int, Genotype]] = []
    rung: list[tuple[int, Genotype, float]] = []
    bracket, step, asked = 0, 0, 0
    for number in range(1, rows + 1):
        draw, noise = rng.random(3), rng.normal()
        genotype: Genotype = tuple(rng.integers(0, options).tolist())
        proposal = Proposal(genotype)
        if kind == "aging":
            if len(population) == POPULATION:
                rivals = [population[int(place)] for place in rng.integers(0, POPULATION, 5)]
                parent, best = max(rivals, key=lambda rival: quality(rival[1]))
                gene = int(draw[0] * len(best))
                genotype = (*best[:gene], int(draw[1] * options[gene]), *best[gene + 1 :])
                proposal = Proposal(genotype, (parent,))
                population.pop(0)
            population.append((number, genotype))
        if kind == "budgets":
            notes = {"bracket": float(bracket)}
            if step == 0:
                proposal = Proposal(genotype, budget=LADDER[0], notes=notes)
            else:
                before, genotype, _ = rung[asked]
                proposal = Proposal(genotype, (before,), LADDER[step], before, notes)
        accuracy = quality(genotype) + 0.02 * noise
        metrics = {
            "valid_accuracy": accuracy,
            "valid_loss": 1 - accuracy,
            "params": float(100_000 * (1 + sum(genotype))),
            "multiply_adds": float(10_000_000 * (1 + sum(genotype))),
        }
        is_failed = draw[2] < 0.01
        message = f"Traceback\nloss is infinite at step {int(draw[0] * 50)}"
        yield proposal, Result({}, failure="diverged", message=message) if is_failed else Result(metrics, seconds=9.0)
        if kind == "budgets":
            asked += 1
            if step == 0:
                rung.append((number, genotype, -1.0 if is_failed else accuracy))
            else:
                rung[asked - 1] = (number, genotype, -1.0 if is_failed else accuracy)
            if asked == BRACKET // 3**step:
                rung = sorted(rung[:asked], key=lambda found: -found[2])[: asked // 3]
                step, asked = step + 1, 0
            if step == len(LADDER):
                bracket, step, rung = bracket + 1, 0, []


def quality(genotype: Genotype) -> float:
    """A made-up accuracy of a network."""
    return 0.6 + 0.3 * sum((position + 1) * int(value) for position, value in enumerate(genotype)) / 84


if __name__ == "__main__":
    main()
