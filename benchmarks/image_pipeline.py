"""Batches of training images: how many a second, ours and plain, and what they cost beside a training step.

Both pad by 4, crop 32, flip, normalize and cut out a square of 16, in one process on one core; ours by the batch, the
plain one by the image. The step is that of the published hierarchical cell (64 crops of 24), as in `training_step.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "plain"))
import harness  # before numpy and torch: one numerical thread

harness.pin(max(harness.os.sched_getaffinity(0)))
import noise  # noqa: E402
import results  # noqa: E402
import training_step  # noqa: E402
from plain import image_pipeline as plain  # noqa: E402

from netwright.core import seeds  # noqa: E402
from netwright.data.images import Augmentation, ImageSplits  # noqa: E402

BATCH = 128
CROPS = Augmentation(crop=training_step.SIZE, flip=True)
LEAST_RATIO, MOST_SHARE = 6.0, 0.02


def one_pass(splits: ImageSplits, batch: int, how: Augmentation | None) -> Callable[[], None]:
    """A closure that makes every batch of the training images once; plain ones without `how`."""

    def run() -> None:
        rng = seeds.rng_for(0, seeds.TRAIN) if how else None
        for _images, _labels in splits.batches("train", batch, rng, how or Augmentation()):
            pass

    return run


def throughput(splits: ImageSplits, repeats: int) -> list[results.Row]:
    """Images a second."""
    array, count = splits.pixels.take(splits.positions["train"]), splits.examples("train")
    full = Augmentation(crop=32, padding=4, flip=True, cutout=16)
    found = harness.measure(
        {
            "plain: pad, crop, flip, cutout": plain.make_step(batch=BATCH, data=(array, splits.labels)),
            "netwright: pad, crop, flip, cutout": one_pass(splits, BATCH, full),
            "netwright: scaled crop, flip, light": one_pass(
                splits, BATCH, Augmentation(area=(0.08, 1.0), flip=True, brightness=0.4, contrast=0.4)
            ),
            "netwright: no augmentation": one_pass(splits, BATCH, None),
        },
        repeats=repeats,
    )
    return [
        results.Row(
            name,
            repeats,
            count / r["median"],
            count / r["max"],
            count / r["min"],
            "images/s",
            f"{1 / r['ratio']:.2f} to plain",
        )
        for name, r in found.items()
    ]


def share_of_step(splits: ImageSplits, repeats: int) -> list[results.Row]:
    """CPU seconds of a step and of the batch it needs."""
    images, labels = next(splits.batches("train", training_step.BATCH, seeds.rng_for(0, seeds.TRAIN), CROPS))
    batches = splits.examples("train") // training_step.BATCH
    step = "training step of the published cell"
    found = harness.measure(
        {step: training_step.our_step(images, labels), "its batch": one_pass(splits, training_step.BATCH, CROPS)},
        repeats=repeats,
    )
    rows = []
    for name, r in found.items():
        middle, least, most = (r[which] / (1 if name == step else batches) for which in ("median", "min", "max"))
        share = "" if name == step else f"{middle / found[step]['median']:.4f} to the step"
        rows.append(results.Row(name, repeats, middle, least, most, "CPU s/step", share))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Batches of training images, ours and plain, beside a training step.")
    parser.add_argument("--repeats", type=int, default=9)
    options = results.options(parser)
    count, repeats = (1_280, 2) if options.quick else (12_800, options.repeats)
    splits = noise.splits(count)
    images, steps = throughput(splits, repeats), share_of_step(splits, repeats)
    ratio, share = images[1].median / images[0].median, steps[1].median / steps[0].median
    verdict = "reached" if ratio >= LEAST_RATIO else "NOT reached"
    print(f"netwright makes {ratio:.1f} times as many images a second, at least {LEAST_RATIO}: {verdict}")
    verdict = "reached" if share <= MOST_SHARE else "NOT reached"
    print(f"a batch costs {share:.2%} of a training step, at most {MOST_SHARE:.0%}: {verdict}")
    results.append(options.out, [*images, *steps])


if __name__ == "__main__":
    main()
