"""What shared weights cost beside a network by itself: steps, scores and memory, in one run on one core.

Claims: a step of a path through shared weights, made anew for each step as every step draws another architecture, takes
at most 1.25 times the step of the network by itself, of the same layers; scoring 1,000 architectures on a batch of 500
is at least 20 times cheaper than an epoch of each of them; and the most memory that a step takes is at most 1.2 times
that of the network by itself, and the shared weights.

Steps are those of `evaluators.training`: channels last, a fused optimizer, in single precision. The network by itself
is made beforehand; the path's step includes making it. The processor's time is judged, as others use the machine, and
ratios are those of pairs of steps that follow one another. Memory is that of a process for each, over what it had.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import harness  # before numpy and torch: one numerical thread

harness.pin(max(harness.os.sched_getaffinity(0)))
import numpy as np  # noqa: E402
import results  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from netwright.core.records import IO, Genotype  # noqa: E402
from netwright.plans import network  # noqa: E402
from netwright.spaces.hierarchical import HierarchicalSpace  # noqa: E402
from netwright.spaces.nao import NaoSpace  # noqa: E402
from netwright.spaces.nasnet import NasnetSpace  # noqa: E402
from netwright.spaces.nats import NatsTopology  # noqa: E402
from netwright.training.supernet import SharedWeights  # noqa: E402

CIFAR = IO(3, 32, 32, 10)
SCORED, ROWS = 1000, 500  # architectures, and examples that each is scored on
EXAMPLES = 10_000  # of an epoch at laptop scale
STEP, SCORING, MEMORY = 1.25, 20.0, 1.2  # what is claimed


@dataclass(frozen=True)
class Case:
    """A space at the scale of a laptop, and the number of examples of a batch."""

    space: Any
    batch: int = 64


CASES = {
    "nats, 8 channels": Case(NatsTopology(8, 1)),
    "nao, 8 channels": Case(NaoSpace(operations="small", channels=8, repeats=1)),
    "nasnet, 8 channels": Case(NasnetSpace(channels=8, repeats=1)),
    "hierarchical, 8 channels": Case(HierarchicalSpace(channels=8)),
}
LAST = torch.channels_last


def images(rows: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(rows, 3, 32, 32, generator=generator).contiguous(memory_format=LAST)
    return drawn, torch.randint(10, (rows,), generator=generator)


def optimizer_of(parameters: list[nn.Parameter]) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, 0.025, momentum=0.9, nesterov=True, weight_decay=3e-4, fused=True)


def genotypes_of(space: Any, count: int) -> list[Genotype]:
    rng = np.random.default_rng(1)
    return [space.sample(rng) for _ in range(count)]


def step(model: nn.Module, optimizer: torch.optim.SGD, batch: tuple[Tensor, Tensor]) -> None:
    optimizer.zero_grad()
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    for tensor in optimizer.param_groups[0]["params"]:
        if tensor.grad is not None and tensor not in optimizer.state:  # fused steps take momentum of all or of none
            optimizer.state[tensor]["momentum_buffer"] = torch.zeros_like(tensor)
    optimizer.step()


def alone_of(case: Case, weights: SharedWeights, genotype: Genotype) -> nn.Module:
    """The network by itself, of the layers and with the weights of the path."""
    alone = network.made(case.space.shared_plan(genotype, CIFAR))
    alone.load_state_dict(weights.copied(genotype))
    return alone.to(memory_format=LAST)


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def steps(case: Case, count: int) -> tuple[list[float], list[float]]:
    """Seconds of steps by themselves and of paths, of the same architectures one after another."""
    weights, batch = SharedWeights(case.space, CIFAR, 0, layout=LAST), images(case.batch)
    optimizer = optimizer_of(list(weights.tensors.values()))
    alone_seconds, path_seconds = [], []
    for number, genotype in enumerate(genotypes_of(case.space, count + 2)):
        alone = alone_of(case, weights, genotype)
        own = optimizer_of(list(alone.parameters()))
        step(alone, own, batch)  # the optimizer makes its momentum
        one = seconds(lambda: step(alone, own, batch))  # noqa: B023 - called at once
        two = seconds(lambda: step(weights.child(genotype), optimizer, batch))  # noqa: B023
        if number > 1:
            alone_seconds.append(one)
            path_seconds.append(two)
    return alone_seconds, path_seconds


def scores(case: Case, count: int) -> list[float]:
    """Seconds of scores of architectures, each made for it."""
    weights, (drawn, labels) = SharedWeights(case.space, CIFAR, 0, layout=LAST), images(ROWS)

    def score(genotype: Genotype) -> float:
        with torch.no_grad():
            return float((weights.child(genotype)(drawn).argmax(1) == labels).float().mean())

    return [seconds(lambda: score(genotype)) for genotype in genotypes_of(case.space, count + 1)][1:]  # noqa: B023


def peak(case: Case, is_shared: bool, sender: Any) -> None:
    """Send the most bytes that a step takes in this process, over what is there before anything is made."""
    genotype, batch = genotypes_of(case.space, 1)[0], images(case.batch)
    step(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)), optimizer_of([nn.Parameter(torch.zeros(1))]), batch)
    before = _resident("VmRSS")
    weights = SharedWeights(case.space, CIFAR, 0, layout=LAST) if is_shared else None
    drawn = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    model = (
        weights.child(genotype)
        if weights
        else network.made(case.space.shared_plan(genotype, CIFAR)).to(memory_format=LAST)
    )
    step(model, optimizer_of(list(weights.tensors.values() if weights else model.parameters())), batch)
    sender.send((drawn - before, _resident("VmHWM") - drawn, 4 * weights.params if weights else 0))


def _resident(entry: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(entry)))


def memory(case: Case, is_shared: bool) -> tuple[int, int, int]:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=peak, args=(case, is_shared, sender))
    process.start()
    found: tuple[int, int, int] = receiver.recv()
    process.join()
    return found


def row(subject: str, values: list[float], unit: str, ratio: str = "") -> results.Row:
    return results.Row(subject, len(values), statistics.median(values), min(values), max(values), unit, ratio)


def judged(name: str, value: float, text: str, is_reached: bool) -> None:
    print(f"{name}: {value:.3f} {text}: {'reached' if is_reached else 'MISSED'}", flush=True)


def measure(name: str, case: Case, count: int) -> list[results.Row]:
    alone, path = steps(case, count)
    ratio = statistics.median(two / one for one, two in zip(alone, path, strict=True))
    judged(name, ratio, f"a path's step to one alone, at most {STEP}", ratio <= STEP)
    scored = scores(case, count)
    epoch = statistics.median(alone) * -(-EXAMPLES // case.batch)
    gain = epoch / statistics.median(scored)
    judged(name, gain, f"an epoch to a score, at least {SCORING:.0f}", gain >= SCORING)
    (_, by_itself, _), (drawn, in_all, weights) = memory(case, False), memory(case, True)
    more = in_all / by_itself
    judged(name, more, f"memory of a path's step to one alone, at most {MEMORY}", more <= MEMORY)
    return [
        row(f"{name}: step alone", alone, "CPU s/step"),
        row(f"{name}: step of a path", path, "CPU s/step", f"{ratio:.3f} to the step alone"),
        row(
            f"{name}: {SCORED} scores on {ROWS} examples, of {count}",
            [SCORED * each for each in scored],
            "CPU s",
            f"{1 / gain:.4f} to an epoch of {EXAMPLES} examples each",
        ),
        row(f"{name}: memory of a step alone", [by_itself / 2**20], "MiB"),
        row(
            f"{name}: memory of a path's step; shared weights {weights / 2**20:.1f} MiB, drawn in {drawn / 2**20:.1f}",
            [in_all / 2**20],
            "MiB",
            f"{more:.3f} to the step alone",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Shared weights beside networks by themselves.")
    parser.add_argument("--count", type=int, default=15, help="architectures of each space")
    parser.add_argument(
        "--quick", action="store_true", help="three architectures of one space, only to show that it runs"
    )
    parser.add_argument("--out", type=Path, default=results.FILE, help="CSV file that rows are appended to")
    options = parser.parse_args()
    cases = dict(list(CASES.items())[:1]) if options.quick else CASES
    rows = [each for name, case in cases.items() for each in measure(name, case, 3 if options.quick else options.count)]
    if not options.quick:
        results.append(options.out, rows)


if __name__ == "__main__":
    main()
