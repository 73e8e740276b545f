"""Plays P1: the plain residual network of the default space, with our own final settings, for all the time.

    python -m tonight.reference choose|train NAME --data FOLDER --seconds 600 --seed 0 --out FOLDER [--choice JSON]

The settings are those of timed runs (`runs/timed/defaults.py`, `suited.py`) and their contests, with the faster of both
precisions; `--final FILE.toml` gives others, or `--constraint` the starts within it. `choose` takes the
size of images that a timed run would take, and finds, on the validation images of seed 0, how many times their rate and
the width of the network are best: as they are, half and twice the rate, 0.7 and 1.4 times the width, and the better of
both together, a third of the time each. It is done once for a data set, off the clock, which favors P1. `train` trains
with that choice on training and validation images, with as many steps as fit, and tests.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import data

PRECISIONS = ("float32", "bfloat16")
RATES, WIDTHS = (0.5, 2.0), (0.7, 1.4)
TRAININGS = 6  # of `choose`
PROBE, RESERVE = 30, 0.04  # steps that are timed; share of the time for what is no step
ROOM = 1.2  # times as many steps as should fit, where a deadline ends the training: no time is left over
Choice = dict[str, float]  # "rate" and "width", as factors; "side", of the images, where it is not their own


@dataclass(frozen=True)
class Alone:
    """A context of an evaluation that belongs to no search."""

    folder: Path
    threads: int = 1
    worker_index: int = 0
    run: str | None = None

    def report(self, _step: int, _metrics: Mapping[str, float]) -> bool:
        return True

    def should_stop(self) -> bool:
        return False

    def checkpoint_of(self, _trial: int) -> Path | None:
        return None

    @property
    def shared(self) -> Path:
        return self.folder

    def members(self, _budget: int) -> Sequence[Any]:
        return ()


def of_timed_runs(images: int, constraints: Sequence[str] = ()) -> dict[str, Any]:
    """Space and settings with which a timed run within constraints trains on so many images, as a run file has them.

    Images that are large enough for it are smaller at first.
    """
    from netwright.runs.timed import defaults, timetable

    training = {"cooldown": timetable.COOLDOWN, "batch": timetable.batch_for(images), **defaults.TRAINING}
    training["early_size"] = timetable.EARLY_SIZE
    return {"space": {"ref": defaults.SPACE}, "evaluator": training, "constraints": list(constraints)}


def choose(
    measured: Callable[[Choice], float], sizes: Mapping[str, int] | None = None
) -> tuple[Choice, list[tuple[Choice, float]]]:
    """The choice that does best by `measured`, the first of equals, and what all did; `sizes` is part of each."""
    found: list[tuple[Choice, float]] = []

    def add(rate: float, width: float) -> float:
        choice = {"rate": rate, "width": width, **(sizes or {})}
        found.append((choice, measured(choice)))
        return found[-1][1]

    fixed = add(1.0, 1.0)
    rates = {1.0: fixed} | {rate: add(rate, 1.0) for rate in RATES}
    widths = {1.0: fixed} | {width: add(1.0, width) for width in WIDTHS}
    both = max(rates, key=lambda rate: rates[rate]), max(widths, key=lambda width: widths[width])
    if 1.0 not in both:
        add(*both)
    return max(found, key=lambda each: each[1])[0], found


def scaled(genes: Sequence[Any], genotype: Sequence[Any], factor: float) -> tuple[Any, ...]:
    """The genotype with its genes whose names have "width" in them at about `factor` times their value."""
    values = list(genotype)
    for place, gene in enumerate(genes):
        if "width" not in gene.name:
            continue
        if hasattr(gene, "options"):
            numbers = [float(option) for option in gene.options]
            wanted = factor * numbers[values[place]]
            values[place] = min(range(len(numbers)), key=lambda index: abs(numbers[index] - wanted))
        else:
            values[place] = min(max(round(factor * values[place]), gene.low), gene.high)
    return tuple(values)


def play(
    final: Mapping[str, Any],
    name: str,
    folder: Path,
    split: str,
    choice: Choice,
    seconds: float,
    seed: int,
    out: Path,
    whole: float = 0.0,
) -> dict[str, Any]:
    """Train for the time there is and measure on `split`: accuracies, size, steps, and which images were right.

    Images are turned as in a run of `whole` seconds, else of these: as often as the plain network, which is the first
    start of the space whatever is trained, would see them in all of its steps.
    """
    from netwright.core import refs, seeds
    from netwright.core.constraints import constrain
    from netwright.core.protocols import starts_of
    from netwright.core.records import Proposal, Trial
    from netwright.core.refs import Reference
    from netwright.data import outcome
    from netwright.runs.timed import probe, suited, timetable

    start = time.perf_counter()
    given = data.SETS[name]
    size = {"size": int(choice["side"])} if "side" in choice else {}
    named = _task(name, folder, size | final.get("task", {}))
    metric = {"accuracy": "valid_accuracy", "balanced": "valid_balanced_accuracy"}[given.metric]
    loaded = refs.load("task", named)
    _, task = suited.suited(named, loaded, metric, lambda _: None)
    space = refs.load("space", _reference(final["space"]))
    within = constrain(space, task.io, tuple(final.get("constraints", ())))
    genotype = tuple(final["genotype"]) if "genotype" in final else starts_of(within)[final.get("start", 0)]
    genotype = scaled(space.genes, genotype, choice["width"])
    within.check(genotype)
    takes = refs.options_of(refs.locate("evaluator", "training"))
    settings = {name: value for name, value in final["evaluator"].items() if name != "early_size"}
    share = final["evaluator"].get("early_size", 1.0)
    if share < 1 and timetable.early_size_for(probe.side_of(task.io)) < 1:  # a timed run has smaller images whole
        settings["early_size"] = share
    settings["lr"] = choice["rate"] * settings.get("lr", takes["lr"].default)

    def trained(network: Any, options: Mapping[str, Any], into: Path) -> Any:
        listed = Reference("training", {**settings, **options})
        evaluator = refs.load("evaluator", listed, space=space, task=task)
        own = seeds.trial_seed(seed, space.key(network), 0)
        into.mkdir(parents=True, exist_ok=True)
        result = evaluator.evaluate(Trial(1, Proposal(network), space.key(network), own, "running"), Alone(into))
        if result.failure:
            raise SystemExit(f"P1 on {name}: {result.failure} {result.message}")
        return result

    def probed(network: Any, precision: str) -> float:
        return _seconds_of_step(lambda steps: trained(network, {"steps": steps, "precision": precision}, out / "probe"))

    precisions = [settings["precision"]] if "precision" in settings else PRECISIONS
    speeds = {each: probed(genotype, each) for each in precisions}
    precision = min(speeds, key=lambda each: speeds[each])
    plain = next(iter(starts_of(space)), genotype)
    step = speeds[precision] if plain == genotype else min(probed(plain, each) for each in precisions)
    steps_of_a_pass = (task.examples("train") + task.examples("valid")) / settings.get("batch", takes["batch"].default)
    passes = (1 - RESERVE) * (whole or seconds) / (step * steps_of_a_pass)
    _, task = suited.suited(named, loaded, metric, lambda _: None, passes)
    left = (1 - RESERVE) * seconds - (time.perf_counter() - start)
    deadline = {"deadline": left} if "deadline" in takes and left > 0 else {}
    steps = max(60, int((ROOM if deadline else 1) * left / speeds[precision]))
    result = trained(genotype, {"steps": steps, "precision": precision, "split": split, "save": True, **deadline}, out)
    found = outcome.read(out / outcome.OUTCOME)
    right = found.predictions == found.targets
    kinds = [right[found.targets == kind].mean() for kind in np.unique(found.targets)]
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float(np.mean(kinds)),
        "params": int(result.metrics["params"]),
        "steps": int(result.metrics.get("steps", steps)),
        "precision": precision,
        "seconds": time.perf_counter() - start,
        "right": right,
    }


def sizes_of_timed_runs(name: str, folder: Path, seconds: float) -> dict[str, int]:
    """The side of images that a timed run of one worker takes, as a part of a choice; empty where it is their own."""
    from netwright.core import refs
    from netwright.runs.timed import probe, suited, timetable

    named = _task(name, folder, {})
    task = refs.load("task", named)
    sides, (train, valid) = task.candidate_sizes(), [sum(task.expected_counts(split)) for split in ("train", "valid")]
    if len(sides) == 1:
        return {}
    patience = probe.Patience(timetable.probe_seconds(seconds / 3600))
    found = probe.speeds(suited.distorted(named, task), sides, timetable.batch_for(train), 1, patience)
    side = timetable.chosen_speed(found, seconds / 3600, 1, train, valid, is_divisible=task.is_divisible).side
    return {} if side == sides[-1] else {"side": side}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("choose", "train"))
    parser.add_argument("name", choices=tuple(data.SETS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--choice", type=json.loads, default={"rate": 1.0, "width": 1.0})
    parser.add_argument("--final", type=Path)
    parser.add_argument("--size", type=int, help="side of the images, in place of that of the final settings")
    parser.add_argument(
        "--early-size", type=float, help="share of their sides that images of 24 pixels or more have at first"
    )
    parser.add_argument("--turned", type=float, help="degrees by which images are turned, and hundredths of a zoom")
    parser.add_argument("--start", type=int, default=0, help="number of the start of the space that is trained")
    parser.add_argument("--constraint", action="append", default=[], help="what that start is within")
    given = parser.parse_args()
    if given.constraint and given.what == "choose":
        parser.error("--constraint goes with train: networks of other widths may lie beyond it")
    if given.constraint and given.final:
        parser.error("--constraint goes without --final: write constraints into that file")
    count = int((data.read(given.name, given.data).split != data.TEST).sum())
    final = (
        tomllib.loads(given.final.read_text(encoding="utf-8"))
        if given.final
        else of_timed_runs(count, given.constraint)
    )
    final["start"] = given.start
    if given.early_size is not None:
        final["evaluator"] = {**final["evaluator"], "early_size": given.early_size}
    sizes = {"size": given.size} if given.size else {}
    turns = {} if given.turned is None else {"rotation": given.turned, "zoom": given.turned / 100}
    final["task"] = final.get("task", {}) | sizes | turns
    metric = {"accuracy": "accuracy", "balanced": "balanced_accuracy"}[data.SETS[given.name].metric]
    if given.what == "train":
        facts = play(final, given.name, given.data, "test", given.choice, given.seconds, given.seed, given.out)
        np.save(given.out / "right.npy", facts.pop("right"))
        print(json.dumps({"test_accuracy": facts.pop("accuracy"), **facts}))
        return

    def measured(choice: Choice) -> float:
        place = given.out / f"rate{choice['rate']:g}-width{choice['width']:g}"
        part = given.seconds * 2 / TRAININGS
        return play(final, given.name, given.data, "valid", choice, part, given.seed, place, given.seconds)[metric]

    is_sized = "size" in final.get("task", {})
    best, found = choose(measured, {} if is_sized else sizes_of_timed_runs(given.name, given.data, given.seconds))
    print(json.dumps({"choice": best, "tried": [{**choice, "valid": value} for choice, value in found]}))


def _task(name: str, folder: Path, options: dict[str, Any]) -> Any:
    from netwright.core.refs import Reference

    given = data.SETS[name]
    path: dict[str, Any] = {} if given.given == "digits" else {"path": given.argument(name, folder)}
    if given.given == "folder":
        path |= {"size": data.read(name, folder).images.shape[1]}
    kind = {"digits": "digits", "arrays": "arrays", "folder": "image_folder"}[given.given]
    return Reference(kind, path | options)


def _reference(options: Mapping[str, Any]) -> Any:
    from netwright.core.refs import Reference

    return Reference(options["ref"], {name: value for name, value in options.items() if name != "ref"})


def _seconds_of_step(probe: Callable[[int], Any]) -> float:
    """Seconds of a training step: those that a longer training takes beyond a short one."""
    times = []
    for steps in (2, 2, PROBE + 2):  # the first also warms up
        begun = time.perf_counter()
        probe(steps)
        times.append(time.perf_counter() - begun)
    return max(times[2] - times[1], 1e-4) / PROBE


if __name__ == "__main__":
    main()
