"""Images on disk: seconds until CIFAR-10 is ready, first and next time, and memory for more images than may stay there.

Every measurement is a process of its own, from its start to its end. CIFAR-10 is looked for in the folder that the
environment variable NETWRIGHT_DATA names. The folder of JPEG images is made up: smooth noise, 224 x 224, four classes.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import results
import torch
from PIL import Image

from netwright.core import seeds
from netwright.core.protocols import Task
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.tasks.cifar10 import cifar10
from netwright.tasks.image_folder import image_folder
from netwright.training import loop, memory
from netwright.training.loop import Schedule
from netwright.zoo.hierarchical import plugin as published

DECODE_LIMIT, NEXT_LIMIT = 60.0, 3.0  # seconds
MEMORY_LIMIT = 1500.0  # 10**6 bytes
CPU = torch.device("cpu")


def ready(task: Callable[[], Task]) -> list[float]:
    """Make the data ready and take a first batch; returns the peak of resident memory in 10**6 bytes."""
    made = task()
    for sentence in made.prepare():  # type: ignore[attr-defined]
        print(f"  {sentence}", flush=True)
    next(made.batches("train", 64, seeds.rng_for(0, seeds.TRAIN)))
    return [memory.peak_mb(CPU)]


def trained(task: Callable[[], Task], steps: int) -> list[float]:
    """Train the published cell, 4 channels wide, for some steps of 32 images, and validate; the peak after each."""
    made = task()
    torch.set_num_threads(1)
    space = HierarchicalSpace(skeleton="imagenet", channels=4, repeats=1)
    network = space.build(published.genotype, made.io, seeds.rng_for(0, seeds.BUILD))
    loop.train(
        network.to(memory_format=torch.channels_last),
        made,
        torch.optim.SGD(network.parameters(), 0.1, momentum=0.9),
        Schedule(steps),
        batch=32,
        memory_format=torch.channels_last,
    )
    peak = memory.peak_mb(CPU)
    loop.measure(network, made, "valid", torch.channels_last)
    return [peak, memory.peak_mb(CPU)]


@dataclasses.dataclass(frozen=True)
class Folder:
    """A task of `image_folder` whose images may not stay in memory, as a closure that another process can be sent."""

    path: Path
    cache: Path

    def __call__(self) -> Task:
        return image_folder(str(self.path), size=224, cache=str(self.cache), memory_share=0.0)


@dataclasses.dataclass(frozen=True)
class Cifar:
    """All 60,000 images of CIFAR-10, likewise."""

    path: Path
    cache: Path

    def __call__(self) -> Task:
        return cifar10(str(self.path), cache=str(self.cache))


def fresh(function: Callable[..., list[float]], *arguments: Any) -> tuple[float, list[float]]:
    """Run in a new process: wall-clock seconds of all of it, and what `function` returns."""
    start = time.perf_counter()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        value = pool.submit(function, *arguments).result()
    return time.perf_counter() - start, value


def make_folder(path: Path, count: int) -> None:
    """JPEG images of smooth noise, four classes that differ in color."""
    rng = np.random.default_rng(0)
    for number in range(count):
        pixels = rng.integers(0, 256, (7, 7, 3), np.uint8)
        pixels[..., :2] //= 1 + np.array([number % 2, number // 2 % 2], np.uint8)
        image = Image.fromarray(pixels).resize((224, 224), Image.Resampling.BICUBIC)
        place = path / f"class {number % 4}" / f"{number:05}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place, quality=75)


def measure_cifar(path: Path, folder: Path, repeats: int) -> list[tuple[results.Row, float]]:
    """Seconds until a first batch, without and with a cache, with the limits."""
    first, later = [], []
    for number in range(repeats):
        task = Cifar(path, folder / f"cifar{number}")
        first.append(fresh(ready, task)[0])
        later.append(fresh(ready, task)[0])
    return [
        (_row("CIFAR-10 decoded and cached", first, "s"), DECODE_LIMIT),
        (_row("CIFAR-10 at the next start", later, "s"), NEXT_LIMIT),
    ]


def measure_folder(folder: Path, count: int, steps: int) -> list[tuple[results.Row, float]]:
    """Peaks of memory in 10**6 bytes, with the limits."""
    make_folder(folder / "images", count)
    task = Folder(folder / "images", folder / "cache")
    seconds, [building] = fresh(ready, task)
    print(f"  {count} images were decoded, in {seconds:.0f} s")
    seconds, [training, validating] = fresh(trained, task, steps)
    print(f"  {steps} steps were trained and {count // 5} images validated, in {seconds:.0f} s")
    rows = []
    for what, peak in (("decoded", building), ("trained on", training), ("trained on, validated", validating)):
        ratio = f"{peak / (count * 224 * 224 * 3 / 1e6):.3f} to the decoded images"
        rows.append((_row(f"{count} JPEG images of 224 x 224 {what}", [peak], "MB (peak)", ratio), MEMORY_LIMIT))
    return rows


def _row(subject: str, values: list[float], unit: str, ratio: str = "") -> results.Row:
    return results.Row(subject, len(values), float(np.median(values)), min(values), max(values), unit, ratio)


def main() -> None:
    parser = argparse.ArgumentParser(description="Images on disk: time until they are ready, memory for many.")
    parser.add_argument("--repeats", type=int, default=3)
    options = results.options(parser)
    cifar = Path(os.environ.get("NETWRIGHT_DATA", "")) / "cifar10"
    count, steps, repeats = (400, 5, 1) if options.quick else (20_000, 100, options.repeats)
    found = []
    with tempfile.TemporaryDirectory() as name:
        if "NETWRIGHT_DATA" in os.environ and cifar.is_dir():
            found += measure_cifar(cifar, Path(name), repeats)
        else:
            print("CIFAR-10 left out: set NETWRIGHT_DATA to a folder that holds cifar10/")
        found += measure_folder(Path(name), count, steps)
    for row, limit in found:
        verdict = "reached" if row.median <= limit else "NOT reached"
        unit = row.unit.split()[0]
        print(f"{row.subject}: {row.median:.4g} {unit} ({row.min:.4g} to {row.max:.4g}), at most {limit:g}: {verdict}")
    results.append(options.out, [row for row, _limit in found])


if __name__ == "__main__":
    main()
