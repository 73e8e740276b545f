"""How a search under bounds kept them: its estimates of the latency, and the same networks measured again.

    python benchmarks/latency_bounds.py RUN
    python benchmarks/latency_bounds.py --quick     # a run of its own, to show that it runs

No trained trial's estimate violates a constraint. How many networks violate a bound on `latency_ms` when they are
measured whole, and by how much more than the median error that the run states, is printed, not claimed. As the table of
a run does, a measurement takes the quickest of many blocks, so that other work on the machine disturbs it little.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import torch

from netwright.core import building, constraints
from netwright.core.latency import LATENCY, LatencySettings
from netwright.runs import run_folder
from netwright.training import device as devices
from netwright.training.latency.table import FACT, OF_WHOLE
from netwright.training.latency.whole import forward_seconds


def main() -> None:
    """Read a run, or play a short one, measure its networks again, print."""
    parser = argparse.ArgumentParser(description="Whether a search under bounds kept them.")
    parser.add_argument("run", type=Path, nargs="?", help="folder of the run")
    parser.add_argument("--quick", action="store_true", help="play a short run and look at it: whether it runs")
    given = parser.parse_args()
    if given.quick:
        with tempfile.TemporaryDirectory() as scratch:
            show(quick_run(Path(scratch) / "run"))
    elif given.run is None:
        parser.error("give the folder of a run under a bound on latency_ms, or --quick")
    else:
        show(given.run)


def quick_run(folder: Path) -> Path:
    """Search for three networks under a bound that all of them keep."""
    words = [
        *("search", "digits", "--space", "nats", "--space.channels", "4", "--space.repeats", "1"),
        *("--strategy", "random", "--evaluator.steps", "1", "--task.train_limit", "64"),
        *("--constraint", "latency_ms <= 1000", "--trials", "3", "--workers", "1", "--out", str(folder)),
    ]
    subprocess.run([sys.executable, "-m", "netwright.cli.main", *words], check=True, stdout=subprocess.DEVNULL)
    return folder


def show(folder: Path) -> None:
    """Measure the networks of a run again, and print what that says."""
    with closing(run_folder.open_table(folder, "read")) as table:
        settings = run_folder.recorded_run(table, folder)
        finished = [(trial, trial.result) for trial in table.finished()]
        trials = [(trial, result.metrics) for trial, result in finished if result is not None and not result.failure]
        fitted = json.loads(table.recall(FACT) or "{}")["fitted"]
    task, given = building.load_task(settings.task), settings.latency or LatencySettings()
    space, device = building.load_space(settings.space), torch.device(given.device)
    bounds = [constraints.parse(text) for text in settings.constraints]
    upper = min(each.bound for each in bounds if each.metric == LATENCY.name)
    broken = sum(not each.admits(metrics[each.metric]) for _, metrics in trials for each in bounds)
    print(f"{len(trials)} trained trials under {', '.join(map(str, bounds))}; estimates that violate one: {broken}")
    over, errors = [], []
    for trial, metrics in trials:
        network = space.build(trial.proposal.genotype, task.io, np.random.default_rng(0))
        with devices.working(device, given.threads, False), devices.in_single_precision(device):
            taken = forward_seconds(network, task.io, given.batch, device, OF_WHOLE, time.perf_counter)
        measured, estimate = 1000 * min(taken), metrics[LATENCY.name]
        errors.append(abs(estimate / measured - 1))
        over.append(measured / upper - 1)
        print(f"trial {trial.id:3d}: estimated {estimate:.4f} ms, measured {measured:.4f} ms, bound {upper:g} ms")
    beyond = [each for each in over if each > 0]
    far = [each for each in beyond if each > fitted["error"]]
    print(f"median error {statistics.median(errors):.1%}; the run states {fitted['error']:.1%}")
    print(
        f"{len(beyond)} of {len(over)} violate the bound when measured again, by at most {max([0, *beyond]):.1%}; "
        f"{len(far)} by more than the stated error, at most {max([0, *far]) - (fitted['error'] if far else 0):.1%} more"
    )


if __name__ == "__main__":
    main()
