"""One training step of the published hierarchical cell, ours and the plain one, in one process on one core.

The same architecture, batch, optimizer, precision and data; ours runs its layer plan channels-last with a fused SGD.
Both give the same function: `tests/layers/test_network.py` compares a network with a plain interpretation.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import harness  # before numpy and torch: one numerical thread

harness.pin(max(harness.os.sched_getaffinity(0)))
import hierarchical_step  # noqa: E402
import results  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402

from netwright.core import seeds  # noqa: E402
from netwright.zoo.hierarchical import plugin as published  # noqa: E402

BATCH, SIZE, CLASSES = 64, 24, 10


def our_step(images: torch.Tensor, labels: torch.Tensor) -> Callable[[], float]:
    """A closure that makes one step, as `evaluators.training` makes it."""
    network = published.space.build(published.genotype, published.io, seeds.rng_for(0, seeds.BUILD))
    network = network.to(memory_format=torch.channels_last)
    images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, weight_decay=3e-4, fused=True)

    def step() -> float:
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description="One training step, ours and the plain one.")
    parser.add_argument("--repeats", type=int, default=9)
    options = results.options(parser)
    options.repeats = 1 if options.quick else options.repeats
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, SIZE, SIZE, generator=generator)
    labels = torch.randint(CLASSES, (BATCH,), generator=generator)
    found = harness.measure(
        {"plain": hierarchical_step.make_step(data=(images, labels)), "netwright": our_step(images, labels)},
        repeats=options.repeats,
    )
    rows = [
        results.Row(name, options.repeats, r["median"], r["min"], r["max"], "CPU s/step", f"{r['ratio']:.3f} to plain")
        for name, r in found.items()
    ]
    results.append(options.out, rows)
    print(f"netwright makes {1 / found['netwright']['ratio']:.2f} times as many steps a second")


if __name__ == "__main__":
    main()
