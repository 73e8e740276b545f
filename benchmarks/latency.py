"""Whether `netwright latency` says the same twice, and how far off its table of operations is.

Claims: the medians of five networks of the zoo, each measured twice, differ by at most 10 %; over 50 random cells of
the NATS space, which the table was not fitted to, the median error of `latency_ms` is under 15 %.

The networks are small (16 channels, 2 cells per stack), one image at a time, with one thread. `--cpu` counts the
processor's time instead of the clock's: on a machine that others use, a clock says how busy they are. Both claims hold
for a clock on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import results
import torch

from netwright.cli import architecture
from netwright.core.choosing import Which
from netwright.core.latency import LatencySettings
from netwright.core.records import IO
from netwright.spaces.nats import NatsTopology
from netwright.training.latency import whole
from netwright.training.latency.blocks import OF_NETWORKS, Effort
from netwright.training.latency.table import LatencyTable

ZOO = ("hierarchical", "nasnet-a", "amoebanet-a", "amoebanet-d", "naonet")
SMALL = {"channels": 16, "repeats": 2}
IMAGES = IO(3, 32, 32, 10)
QUICK = Effort(blocks=3, least=0.01, most=1.0)

Clock = Callable[[], float]


def measure_twice(effort: Effort, clock: Clock, unit: str) -> list[results.Row]:
    """Each network once, and then all of them again, so that what changes in between is seen."""
    found: dict[str, list[float]] = {}
    for _ in range(2):
        for name in ZOO:
            network = architecture.find(f"zoo:{name}", None, Which(), None, None, dict(SMALL), False)
            made = network.space.build(network.genotype, IMAGES, np.random.default_rng(0))
            both = whole.latency(made, IMAGES, batch=1, effort=effort, clock=clock)
            found.setdefault(f"{name}, forward", []).append(both.forward.median)
            if both.training is not None:
                found.setdefault(f"{name}, training step", []).append(both.training.median)
            print(f"{name:14s} forward {both.forward}, training {both.training}", flush=True)
    return [
        results.Row(f"{what}, twice", 2, statistics.median(each), min(each), max(each), unit, f"{off(each):.3f} apart")
        for what, each in found.items()
    ]


def off(pair: list[float]) -> float:
    """By how much the larger of two numbers is larger, relative to the smaller."""
    return max(pair) / min(pair) - 1


def measure_table(networks: int, clock: Clock) -> results.Row:
    """Relative errors of the estimates, over other cells than the table was fitted to."""
    table = LatencyTable(NatsTopology(), IMAGES, LatencySettings(), clock=clock)
    errors = [abs(each) for each in table.error_over(networks, np.random.default_rng(1))]
    print(table.remark(), flush=True)
    subject = f"table of operations, {len(errors)} cells of nats"
    return results.Row(subject, len(errors), statistics.median(errors), min(errors), max(errors), "relative error")


def main() -> None:
    """Measure, print and note both."""
    parser = argparse.ArgumentParser(description="Repeatability of latencies, and the error of their table.")
    parser.add_argument("--cpu", action="store_true", help="the processor's time, where others use the machine")
    parser.add_argument("--cells", type=int, default=50, help="cells that the table is checked on")
    arguments = results.options(parser)
    torch.set_num_threads(1)
    clock, unit = (time.process_time, "ms (CPU)") if arguments.cpu else (time.perf_counter, "ms")
    rows = [measure_table(5 if arguments.quick else arguments.cells, clock)]
    rows += measure_twice(QUICK if arguments.quick else OF_NETWORKS, clock, unit)
    for row in rows:
        print(f"{row.subject:45s} {row.median:8.4g} {row.unit} ({row.min:.4g} to {row.max:.4g}) {row.ratio_to}")
    results.append(arguments.out, rows)


if __name__ == "__main__":
    main()
