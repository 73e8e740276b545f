"""A training step on one card: ours, a bare captured graph of the same module, and the plain network in eager mode.

    python benchmarks/gpu_step.py                        # all cases
    python benchmarks/gpu_step.py --cases hierarchical-16 --repeats 5
    python benchmarks/gpu_step.py --quick                # shows on any machine that it runs

For each case, in one process, in images a second:

* bare: forward, backward and fused SGD of our module as one CUDA graph in bfloat16, random images that never change;
* plain: the network of `plain/` (the module itself where there is none), eager, channels-last, TF32, the same images;
* ours: the evaluator with its own defaults on random images of CIFAR's size, crops and mirror images included. Two
  trainings of different lengths are timed from outside; the difference is steady steps, and what is left of the shorter
  one is the start and the end of a warm trial: build, capture, first step, measuring 500 images;
* data: the making of batches alone, as a share of our step;
* floor: what a step would take if it did nothing but the multiply-adds, or nothing but moving each layer's numbers in
  bfloat16, whichever is more, each three times that of the forward pass, at the rates of a large product and a copy.

Without a card there is no bare graph, and everything is float32.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import results
import torch
import torch.nn.functional as F
from gpu.cases import CLASSES, Case, cases, small
from torch import Tensor, nn

from netwright.core import protocols, seeds
from netwright.core.records import Genotype, Proposal, Trial
from netwright.evaluators.training import Training
from netwright.plans.plan import HasPlan
from netwright.stores.memory import MemoryStore
from netwright.tasks.arrays import arrays
from netwright.training import pace
from netwright.worker import WorkerContext

VALID = 500  # images that a trial measures
WARM, LEAST, MOST = 5, 20, 400  # steps: untimed, and bounds of the longer training beyond the shorter one
OF_BARE, DATA, START = 0.95, 0.03, 1.5  # targets: share of bare, share of a step, seconds


@dataclass(frozen=True)
class Found:
    """What was measured: images a second of each repetition, and seconds.

    Args:
        ours, plain, bare: Images a second; empty: not measured.
        start: Seconds of a warm trial besides its steady steps, of each repetition.
        data: Seconds in which a batch is made.
        floor: Images a second that the ceilings allow; None: no ceilings.
        memory: Largest memory of the card during our training, in 10**6 bytes; None: no card.
    """

    name: str
    batch: int
    of_plain: float
    ours: tuple[float, ...]
    plain: tuple[float, ...]
    bare: tuple[float, ...]
    start: tuple[float, ...]
    data: float
    floor: float | None
    memory: float | None


@dataclass(frozen=True)
class Ceilings:
    """What the card can do at most: multiply-adds and bytes a second, measured."""

    multiply_adds: float
    bytes: float


def ceilings(device: torch.device) -> Ceilings | None:
    """Of a large product in bfloat16 and of a large copy; None without a card."""
    if device.type != "cuda":
        return None
    side, count = 8192, 2**29
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    source, target = (torch.empty(count, dtype=torch.uint8, device=device) for _ in range(2))
    product = per_second(lambda: torch.mm(a, b), side**3, 0.5, device)
    return Ceilings(product, per_second(lambda: target.copy_(source), 2 * count, 0.5, device))


def floor(case: Case, limits: Ceilings | None) -> float | None:
    if limits is None:
        return None
    planned = protocols.unwrap(case.space, HasPlan)
    assert planned is not None, "every case is a space of plans"
    costs = pace.costs(planned.plan(case.genotype, case.io), 1)
    halved = costs.bytes / 2  # these are counted in float32
    return 1 / (3 * max((costs.dense + costs.grouped) / limits.multiply_adds, halved / limits.bytes))


def per_second(step: Callable[[], object], each: float, seconds: float, device: torch.device) -> float:
    """How much is done a second by a step that does `each`, over about so many seconds; it is warm before."""
    for _ in range(WARM):
        step()
    wait(device)
    begun, done = time.perf_counter(), 0
    while True:
        for _ in range(5):
            step()
        wait(device)
        done += 5
        taken = time.perf_counter() - begun
        if taken >= seconds:
            return each * done / taken


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def module(case: Case, device: torch.device) -> nn.Module:
    made = case.space.build(case.genotype, case.io, seeds.rng_for(0, seeds.BUILD))
    return made.to(device, memory_format=torch.channels_last).train()


def batch_of(case: Case, device: torch.device) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(case.batch, 3, case.side, case.side, generator=generator)
    labels = torch.randint(CLASSES, (case.batch,), generator=generator)
    return images.to(device).contiguous(memory_format=torch.channels_last), labels.to(device)


def step_of(network: nn.Module, images: Tensor, labels: Tensor, is_half: bool) -> Callable[[], Tensor]:
    """A plain training step, which waits for nothing."""
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9, weight_decay=3e-4, fused=True)
    kind = images.device.type

    def step() -> Tensor:
        optimizer.zero_grad()
        with torch.autocast(kind, torch.bfloat16, enabled=is_half, cache_enabled=False):
            outputs = network(images)
        loss = F.cross_entropy(outputs.float(), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def captured(step: Callable[[], Tensor]) -> Callable[[], None]:
    """The step as a CUDA graph, captured after a few that were not."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def task_of(case: Case, folder: Path, count: int) -> Any:
    """Random images of CIFAR's size, ready to train on: padded or cropped to the case's side, and mirrored."""
    rng = np.random.default_rng(0)
    path, side = folder / f"images-{case.side}.npz", 32 if case.side <= 32 else case.side
    if not path.exists():
        arrays_of: dict[str, Any] = {}
        for split, number in (("train", count), ("valid", VALID), ("test", VALID)):
            arrays_of[f"x_{split}"] = rng.integers(0, 256, (number, side, side, 3), np.uint8)
            arrays_of[f"y_{split}"] = np.arange(number) % CLASSES
        np.savez(path, **arrays_of)
    crop: dict[str, Any] = {"crop": case.side, "padding": 0} if case.side < side else {"padding": 4}
    task = arrays(path=str(path), flip=True, cache=str(folder / "cache"), **crop)
    for _ in task.prepare():
        pass
    return task


def trial_seconds(evaluator: Training, genotype: Genotype, folder: Path) -> float:
    """Wall-clock seconds of a trial."""
    context = WorkerContext(MemoryStore(), folder / "trials", 1, threads=torch.get_num_threads())
    trial = Trial(1, Proposal(genotype), "key", 0, "running")
    begun = time.perf_counter()
    found = evaluator.evaluate(trial, context)
    if found.failure:
        raise RuntimeError(f"the evaluator failed: {found.failure}: {found.message}")
    return time.perf_counter() - begun


def data_seconds(task: Any, batch: int, device: torch.device) -> float:
    """Seconds in which one batch is made, where the evaluator has it made: on the device if the task can."""
    on_device = getattr(protocols, "OnDevice", None)
    rng = np.random.default_rng(0)
    split = task.on_device("train", device) if on_device and isinstance(task, on_device) else None

    def batches() -> Iterator[object]:
        if split is None or device.type == "cpu":
            yield from task.batches("train", batch, rng)
        else:
            yield from map(split.batch, split.parts(batch, rng))

    for _ in batches():  # what is read once
        break
    wait(device)
    begun, made = time.perf_counter(), 0
    for _ in batches():
        made += 1
    wait(device)
    return (time.perf_counter() - begun) / made


def options_there(wanted: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that this version of the evaluator has."""
    known = {field.name for field in fields(Training)}
    return {name: value for name, value in wanted.items() if name in known}


def measured(
    name: str, case: Case, folder: Path, device: torch.device, limits: Ceilings | None, given: argparse.Namespace
) -> Found:
    images, labels = batch_of(case, device)
    plain = case.plain() if case.plain else module(case, device)
    plain = plain.to(device, memory_format=torch.channels_last).train()
    variants = {"plain": step_of(plain, images, labels, is_half=False)}
    if device.type == "cuda":
        variants["bare"] = captured(step_of(module(case, device), images, labels, is_half=True))
    rates: dict[str, list[float]] = {each: [] for each in variants}
    for _ in range(given.repeats):
        for each, step in variants.items():
            rates[each].append(per_second(step, case.batch, given.seconds, device))
    del variants, plain, step
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)

    task = task_of(case, folder, 1000 if given.quick else 50_000)
    few, least = (5, 10) if given.quick else (2 * LEAST, LEAST)
    at = max(statistics.median(each) for each in rates.values())
    more = few + int(min(MOST, max(least, 2 * given.seconds * at / case.batch)))
    chosen = options_there({"compile": "always" if given.compile else "never"})
    evaluator = Training(case.space, task, batch=case.batch, lr=0.01, **chosen)
    lengths = [replace(evaluator, steps=steps) for steps in (few, more)]
    trial_seconds(lengths[0], case.genotype, folder)  # kernels are loaded and chosen
    ours, start = [], []
    for _ in range(given.repeats):
        short, long = (trial_seconds(length, case.genotype, folder) for length in lengths)
        of_step = max((long - short) / (more - few), 1e-9)
        ours.append(case.batch / of_step)
        start.append(short - few * of_step)
    memory = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else None
    return Found(
        name,
        case.batch,
        case.of_plain,
        tuple(ours),
        tuple(rates["plain"]),
        tuple(rates.get("bare", ())),
        tuple(start),
        data_seconds(task, case.batch, device),
        floor(case, limits),
        memory,
    )


def rows_of(found: Found) -> list[results.Row]:
    ours, plain = statistics.median(found.ours), statistics.median(found.plain)

    def row(subject: str, values: Sequence[float], unit: str, ratio: str = "") -> results.Row:
        middle = statistics.median(values)
        return results.Row(f"{found.name}; {subject}", len(values), middle, min(values), max(values), unit, ratio)

    rows = [row("plain eager TF32", found.plain, "images/s")]
    ratio = f"{ours / plain:.3f} to plain"
    if found.memory is None:
        rows = [row("plain eager float32", found.plain, "images/s")]
    if found.bare:
        bare = statistics.median(found.bare)
        rows.append(row("bare graph bf16", found.bare, "images/s", f"{bare / plain:.3f} to plain"))
        ratio += f"; {ours / bare:.3f} to bare"
    rows.append(row("netwright", found.ours, "images/s", ratio))
    rows.append(row("data of a step", [found.data], "s", f"{share(found):.4f} to a step"))
    rows.append(row("start and end of a warm trial", found.start, "s"))
    if found.floor:
        rows.append(row("floor", [found.floor], "images/s", f"{ours / found.floor:.3f} of it reached"))
    if found.memory:
        rows.append(row("memory of the card", [found.memory], "10**6 bytes"))
    return rows


def share(found: Found) -> float:
    """Share of our step that the making of its batch takes."""
    return found.data * statistics.median(found.ours) / found.batch


def table(all_found: Sequence[Found]) -> str:
    """One line per case; behind each ratio, on a card, whether its target is reached."""
    head = f"{'images a second':18}{'plain':>9}{'bare':>9}{'ours':>9}{'floor':>9}{'of bare':>14}{'of plain':>14}"
    lines = [f"{head}{'data':>14}{'start':>14}"]
    for found in all_found:
        plain, ours, start = (statistics.median(each) for each in (found.plain, found.ours, found.start))
        bare = statistics.median(found.bare) if found.bare else None
        checked = (
            ("-" if bare is None else f"{ours / bare:.2f}", bare is not None and ours / bare >= OF_BARE),
            (f"{ours / plain:.2f}x", ours / plain >= found.of_plain),
            (f"{100 * share(found):.1f} %", share(found) < DATA),
            (f"{start:.2f} s", start < START),
        )
        is_card = found.memory is not None  # the targets are for one
        ratios = [f"{text} {'ok' if good else 'MISSED'}" if is_card else text for text, good in checked]
        rates = (f"{plain:,.0f}", "-" if bare is None else f"{bare:,.0f}", f"{ours:,.0f}")
        numbers = (*rates, "-" if found.floor is None else f"{found.floor:,.0f}")
        lines.append(f"{found.name:18}" + "".join(f"{n:>9}" for n in numbers) + "".join(f"{r:>14}" for r in ratios))
    return "\n".join(lines)


def main() -> None:
    known = cases()
    parser = argparse.ArgumentParser(description="A training step on one card.")
    parser.add_argument("--cases", nargs="+", choices=tuple(known), help="these cases")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--compile", action="store_true", help='ours with compile = "always"; compiling is not timed')
    parser.add_argument("--json", type=Path, help="file that what was measured is written to as well")
    given = results.options(parser)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    print(f"{card or 'no card: the bare graph and the floor are skipped'}; torch {torch.__version__}")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    limits = ceilings(device)
    if limits:
        print(f"ceilings: {limits.multiply_adds / 5e11:,.0f} TFLOP/s in bfloat16, {limits.bytes / 1e9:,.0f} GB/s")
    chosen = small() if given.quick else {name: known[name] for name in given.cases or known}
    all_found, missing = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for name, case in chosen.items():
            try:
                found = measured(name, case, Path(folder), device, limits, given)
            except RuntimeError as error:  # out of memory among them: the other cases can still be measured
                print(f"{name}: not measured: {str(error).strip().splitlines()[0]}", flush=True)
                missing += 1
                continue
            all_found.append(found)
            results.append(given.out, rows_of(found), card)
            print(table([found]), flush=True)
    print(f"\n{table(all_found)}")
    if given.json:
        given.json.write_text(json.dumps([asdict(each) for each in all_found]), encoding="utf-8")
    if missing:
        raise SystemExit(f"{missing} of {len(chosen)} cases were not measured")


if __name__ == "__main__":
    main()
