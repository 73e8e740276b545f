"""What a timed run does to training images at first, and how classes count: on images that nothing is reported on.

    NETWRIGHT_DATA=... python benchmarks/augmentation.py        # 20 minutes of a core

A network that a timed run begins with is trained for the same steps under several settings of its task, with the other
settings of timed runs (`runs/timed/defaults.py`) and the end of their trainings, and tested: on 62 characters of fonts
that were not trained on, on four classes of CIFAR-10, and on two of them, gray, of which one has a tenth of the
training images.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import results
import torch
from tonight import data

from netwright.core import refs
from netwright.core.records import Proposal, Trial
from netwright.core.refs import Reference
from netwright.evaluators.training import Training
from netwright.runs.timed import defaults, probe, timetable
from netwright.spaces import macro
from netwright.stores.memory import MemoryStore
from netwright.worker import WorkerContext

NETWORK = macro.STARTS[1]
SOME, MORE, MOST = ({"rotation": each, "zoom": each / 100} for each in (10.0, 15.0, 25.0))
LOGITS, FLIP = {"class_weights": "logits"}, {"flip": True}
SETTINGS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "otherfonts": ({}, SOME, MORE, MOST),
    "cifar0to3small": (FLIP, FLIP | MORE),
    "gray0to1": ({}, {"class_weights": "balanced"}, LOGITS, FLIP, LOGITS | FLIP, LOGITS | FLIP | MORE),
}


def tested(name: str, path: Path, settings: Mapping[str, Any], steps: int, seed: int) -> float:
    """The share of the test images that are right, or of each class where classes are not of one size."""
    task = refs.load("task", Reference("arrays", {"path": str(path), **settings})).measuring(["balanced_accuracy"])
    space = macro.plugin()
    options = {**defaults.TRAINING, "cooldown": timetable.COOLDOWN, "warmup": 1.0, "precision": "bfloat16"}
    options["early_size"] = timetable.early_size_for(probe.side_of(task.io))
    evaluator = Training(space, task, steps=steps, split="test", **options)
    key = space.key(NETWORK)
    result = evaluator.evaluate(
        Trial(1, Proposal(NETWORK), key, seed, "running"), WorkerContext(MemoryStore(), None, 1)
    )
    metric = {"accuracy": "test_accuracy", "balanced": "test_balanced_accuracy"}[data.SETS[name].metric]
    if result.failure:
        raise SystemExit(f"{name}: {result.failure} {result.message}")
    return result.metrics[metric]


def main() -> None:
    """Train and print; the first line of each data set is what the others are compared with."""
    parser = argparse.ArgumentParser(description="Augmentations that timed runs may begin with.")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netwright-tonight"
    parser.add_argument("--data", type=Path, default=cache / "data", help="folder of the data sets, made where missing")
    parser.add_argument("--only", nargs="+", choices=tuple(SETTINGS), default=list(SETTINGS), help="these data sets")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=1)
    options = results.options(parser)
    if options.quick:
        options.only, options.steps, options.data = ["otherfonts"], 2, Path("data")
    torch.set_num_threads(1)
    rows = []
    for name in options.only:
        data.write(name, options.data)
        path = options.data / f"{name}-plain.npz"
        if not path.exists():
            np.savez(path, **data.arrays(data.read(name, options.data)))
        for settings in SETTINGS[name]:
            found = [tested(name, path, settings, options.steps, seed) for seed in range(options.seeds)]
            said = ", ".join(f"{key} {value}" for key, value in settings.items()) or "as the task has it"
            print(f"{name:<16} {100 * median(found):6.2f} %  {said}", flush=True)
            unit = "accuracy" if data.SETS[name].metric == "accuracy" else "balanced accuracy"
            rows.append(
                results.Row(
                    f"{name}: {said}; {options.steps} steps", len(found), median(found), min(found), max(found), unit
                )
            )
    results.append(options.out, rows)


if __name__ == "__main__":
    main()
