"""Batches that a GPU makes of images that lie there, beside those that the CPU makes and copies: how many a second.

All pad by 4, crop 32, flip, normalize and cut out a square of 16, and have their batches on the device at the end. The
plain pipeline works by the image, `netwright on the host` by the batch with numpy; the device's own come from pixels
that lie there as bytes, or that the host hands over as bytes. Time is wall clock, with the device's work waited for.
Without a GPU, a line says that this was skipped.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import noise
import results
import torch
from plain import image_pipeline as plain

from netwright.core import seeds
from netwright.core.protocols import Split
from netwright.core.records import IO
from netwright.data.images import Augmentation, ImageClassification
from netwright.data.on_device import DeviceImages
from netwright.training.feeding import BatchesBy, fed

BATCH = 256
FULL = Augmentation(crop=32, padding=4, flip=True, cutout=16)
AREAS = Augmentation(area=(0.08, 1.0), flip=True, brightness=0.4, contrast=0.4)
LEAST_RATIO = 20.0  # to the plain pipeline, which has one core


class Handed(ImageClassification):
    """Images of which none lie on the device, as where there is no room."""

    def on_device(self, split: Split, device: torch.device) -> DeviceImages:
        return replace(super().on_device(split, device), block=None)


def plain_pass(task: ImageClassification, device: torch.device) -> Callable[[], None]:
    array = task.data.pixels.take(task.data.positions["train"])
    loader = plain.make_step(batch=BATCH, data=(array, task.data.labels)).loader

    def run() -> None:
        for images, labels in loader:
            images.to(device)
            labels.to(device)

    return run


def one_pass(task: ImageClassification, device: torch.device, batches_by: BatchesBy) -> Callable[[], None]:
    """A closure that has every batch of a pass made and brought to the device."""

    def run() -> None:
        rng = seeds.rng_for(0, seeds.TRAIN)
        with fed(task, "train", BATCH, rng, device, batches_by=batches_by) as coming:
            for images, labels, _ in coming:
                images.to(device, non_blocking=True)
                labels.to(device, non_blocking=True)

    return run


def seconds(run: Callable[[], None], device: torch.device, repeats: int) -> list[float]:
    """Wall clock of each of so many runs, after one that warms up."""
    found = []
    for _ in range(repeats + 1):
        _wait(device)
        begun = time.perf_counter()
        run()
        _wait(device)
        found.append(time.perf_counter() - begun)
    return found[1:]


def measured(device: torch.device, count: int, repeats: int) -> list[results.Row]:
    """Images a second of each way."""
    splits = noise.splits(count)
    io, classes = IO(3, 32, 32, 10), tuple(map(str, range(10)))
    task, areas = (ImageClassification(io, lambda: splits, classes, how) for how in (FULL, AREAS))
    handed = Handed(io, lambda: splits, classes, FULL)
    ways = {
        "plain": plain_pass(task, device),
        "netwright on the host": one_pass(task, device, "host"),
        "handed over as bytes": one_pass(handed, device, "device"),
        "on the device": one_pass(task, device, "device"),
        "on the device, scaled crop, flip, light": one_pass(areas, device, "device"),
    }
    rows, first = [], 0.0
    for name, run in ways.items():
        times = seconds(run, device, 1 if name == "plain" else repeats)
        rates = [count // BATCH * BATCH / each for each in times]
        median = statistics.median(rates)
        first = first or median
        rows.append(
            results.Row(name, len(rates), median, min(rates), max(rates), "images/s", f"{median / first:.2f} to plain")
        )
        print(f"{name:42} {median:12,.0f} images/s  {1e3 * BATCH / median:8.3f} ms a batch  {median / first:7.1f} x")
    return rows


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def main() -> None:
    parser = argparse.ArgumentParser(description="Batches that a GPU makes itself, beside those that the CPU makes.")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--device", default="cuda", help='"cpu" tries the same code without a GPU')
    options = results.options(parser)
    options.device = "cpu" if options.quick and not torch.cuda.is_available() else options.device
    if options.device != "cpu" and not torch.cuda.is_available():
        print("device_data: skipped, as there is no GPU")
        return
    device = torch.device(options.device)
    count, repeats = (2_560, 2) if options.quick else (51_200, options.repeats)
    rows = measured(device, count, repeats)
    if device.type == "cpu":
        print("tried on the CPU, where no rate counts")
        return
    ratio = rows[3].median / rows[0].median
    verdict = "reached" if ratio >= LEAST_RATIO else "NOT reached"
    print(
        f"the device makes {ratio:.0f} times as many images a second as the plain pipeline, at least {LEAST_RATIO:g}: "
        f"{verdict}"
    )
    if not options.quick:
        card = torch.cuda.get_device_name(device)
        results.append(options.out, [replace(row, subject=f"{row.subject} ({card})") for row in rows])


if __name__ == "__main__":
    main()
