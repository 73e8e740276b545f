"""`netwright profile`: where the time of a training step goes, and the least that it could take."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from netwright.cli import architecture, damage, options
from netwright.cli.architecture import Architecture
from netwright.core.choosing import Which
from netwright.core.errors import BadRunFile, WorkerError

if TYPE_CHECKING:
    from netwright.evaluators.training import Training
    from netwright.training.profile.measure import StepProfile

MOST_ROWS = 12  # kernels in the table


def profile(
    context: typer.Context,
    target: str = architecture.TARGET,
    named: str = architecture.NAMED,
    trial: int = architecture.TRIAL,
    knee: bool = architecture.KNEE,
    at: list[str] = architecture.AT,
    genes: str = architecture.GENES,
    seed: int = architecture.SEED,
    task: str = typer.Option(None, help="Task to train on; by default the run's, else random examples."),
    io: str = typer.Option(None, help="Of random examples: what goes in and comes out, as 3x32x32:10."),
    skeleton: str = architecture.SKELETON,
    batch: int = typer.Option(None, help="Examples per step; short for --evaluator.batch."),
    steps: int = typer.Option(20, help="Steps to measure."),
    device: str = typer.Option(None, help="auto, cpu, cuda or cuda:0; short for --evaluator.device."),
    precision: str = typer.Option(None, help="Of the forward pass; short for --evaluator.precision."),
    threads: int = typer.Option(None, help="Threads of the host; by default the run's, else torch's."),
    out: Path = typer.Option(None, help="Folder to draw profile.svg and .png into, and both for narrow places."),
    trust: bool = architecture.TRUST,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Train one architecture for a few steps and say where their time goes, on a GPU or a CPU.

    --space.OPTION scales it, --evaluator.OPTION and --task.OPTION say how and on what it is trained.

    Damaged or missing trials of a run are named and left out, and the command then exits with 2.
    """
    for option, number in {"--steps": steps, "--threads": threads}.items():
        if number is not None and number < 1:
            raise BadRunFile(f"{option} is {number}; it must be at least 1")
    changes = options.tables(context.obj.pairs, options.SECTIONS_OF["profile"])
    for name, value in {"batch": batch, "device": device, "precision": precision}.items():
        if value is not None:
            changes.setdefault("evaluator", {})[name] = value
    which = Which(trial, knee, tuple(at or ()))
    found = architecture.find(target, named, which, genes, skeleton, changes.get("space", {}), trust, seed)
    evaluator = _evaluator(found, task, io, changes)
    measured = _measured(found, evaluator, steps, threads)
    drawn = _draw(measured, found.target, out) if out else []
    if as_json:
        facts = {**asdict(measured), "floor": measured.floor, "idle_seconds": measured.idle_seconds}
        typer.echo(json.dumps({"target": found.target, **facts}))
    else:
        for line in [*_lines(measured, found.target), *(f"drawn: {path}" for path in drawn)]:
            typer.echo(line)
    damage.leave({Path(found.target): found.faults})


def _evaluator(found: Architecture, named: str | None, io: str | None, changes: dict[str, dict[str, Any]]) -> Training:
    """What trains the architecture, as its run does or by default, on the task or on random examples."""
    from netwright.core import building, refs, run_file, settings
    from netwright.core.protocols import Prepares, check_accepts
    from netwright.core.run_file import RunFile
    from netwright.evaluators.training import Training
    from netwright.runs.timed import recognized
    from netwright.training.pace import Noise

    run = found.run or RunFile()
    if named is not None:
        run = replace(run, task=recognized.named(named))
    run = run_file.override(run, "task", run_file.with_absolute_path(changes.get("task", {})))
    if found.run is None and named is None:
        if "task" in changes:
            raise BadRunFile("--task.OPTION goes with --task, or with the folder of a run")
        task: Any = Noise(architecture.shape(found, io))
    elif io is not None:
        raise BadRunFile(f"--io {io} is for random examples; the task {run.task.name} has a shape of its own")
    else:
        task = building.build_task(run)
        check_accepts(found.space, task.io)
        for line in task.prepare() if isinstance(task, Prepares) else ():
            typer.echo(line, err=True)
    given = changes.get("evaluator", {})
    evaluator = refs.load("evaluator", run.evaluator, space=found.space, task=task)
    if isinstance(evaluator, Training):
        evaluator = refs.revise("evaluator", evaluator, given)
    else:  # one that looks results up, and trains nothing
        evaluator = refs.load("evaluator", refs.Reference("training", given), space=found.space, task=task)
    tuned = settings.values(found.space, found.genotype)
    evaluator = evaluator.tuned(tuned) if tuned else evaluator
    evaluator.check_settings(found.genotype, data_is_ready=True)
    return evaluator


def _measured(found: Architecture, evaluator: Training, steps: int, threads: int | None) -> StepProfile:
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else torch's profiler writes lines among ours
    import numpy as np
    import torch

    from netwright.core import room
    from netwright.core.protocols import unwrap
    from netwright.plans.plan import HasPlan
    from netwright.training import faults, layout
    from netwright.training.loop import Diverged
    from netwright.training.profile.measure import step_profile

    place, batch = evaluator.device_of(0), evaluator.batch
    if place.type not in ("cpu", "cuda"):
        raise BadRunFile(f"--device is {place}; steps can be profiled on cpu and on cuda")
    needed = evaluator.memory_mb(found.genotype)
    if place.type == "cpu" and needed is not None and needed > room.free_mb():
        raise WorkerError(
            f"a step of {batch:,} examples takes about {needed:,.0f} MB, and {room.free_mb():,.0f} MB are free; give a "
            "smaller --batch"
        )
    io = evaluator.task.io
    writer = unwrap(found.space, HasPlan)
    of_run = found.run.threads_per_trial if found.run else None
    try:
        network = found.space.build(found.genotype, io, np.random.default_rng(0))
        return step_profile(
            network,
            evaluator.task,
            evaluator,
            plan=writer.plan(found.genotype, io) if writer else None,
            counts=found.space.count(found.genotype, io),
            memory_format=layout.of(evaluator.channels_last, network, place, evaluator.precision_on(place)),
            device=place,
            threads=threads or of_run or torch.get_num_threads(),
            steps=steps,
            batches_by=evaluator.batches_by,
        )
    except Diverged as error:
        raise BadRunFile(f"{found.target} cannot be trained: {error}; give --precision float32") from None
    except RuntimeError as error:
        if (fault := faults.of(error, place)) is not None:
            raise WorkerError(fault.message) from None
        if "can't allocate memory" in str(error):
            raise WorkerError(f"a step of {batch:,} examples does not fit on {place}; give a smaller --batch") from None
        raise


def _draw(measured: StepProfile, title: str, out: Path) -> list[Path]:
    from netwright.report import files, step_time

    out.mkdir(parents=True, exist_ok=True)
    files.save(step_time.wide(measured, title), out / "profile")
    files.save(step_time.narrow(measured, title), out / "profile-narrow")
    return [out / f"{name}.{ending}" for name in ("profile", "profile-narrow") for ending in ("svg", "png")]


def _lines(measured: StepProfile, title: str) -> Iterator[str]:
    """The table, at most 72 letters wide."""
    step, work = measured.seconds, measured.work
    yield f"{title}: {_ms(step)} ms a step of {measured.batch}, {measured.examples_per_second:,.0f} examples/s"
    yield f"{measured.device}, {measured.precision}"
    yield f"{measured.steps} steps of {_ms(measured.quickest)} to {_ms(measured.slowest)} ms"
    yield ""
    host = f"{'host ms':>9}" if measured.is_gpu else ""
    yield f"{'phase':10}{'ms':>9}{'share':>8}{host}{'floor ms':>10}  bound by"
    for phase in measured.phases:
        hosts = f"{_ms(phase.host_seconds):>9}" if measured.is_gpu else ""
        floor = f"{_ms(phase.floor):>10}  {phase.bound}" if phase.floor else ""
        yield f"{phase.name:10}{_ms(phase.seconds):>9}{phase.seconds / step:>8.1%}{hosts}{floor}"
    share = f"{measured.floor / step:.1%} of the step"
    yield f"{'step':10}{_ms(step):>9}{'':{8 + len(host)}}{_ms(measured.floor):>10}  {share}"
    yield ""
    if measured.fused is not None:
        yield f"forward and backward with all layers joined: at least {_ms(measured.fused)} ms"
    ceilings = measured.ceilings
    yield f"ceilings: {ceilings.operations / 1e9:,.0f} billion operations/s in a matrix product,"
    yield f"          {ceilings.bytes / 1e9:,.0f} GB/s in a copy"
    if measured.is_gpu:
        yield f"launches: {work.launches:,.0f} a step, which take the host {_ms(work.launch_seconds)} ms"
        yield f"waits: the host waits {_ms(work.wait_seconds)} ms for the GPU,"
        idle = measured.idle_seconds
        yield f"       which is idle {'for a time unknown' if idle is None else f'for {_ms(idle)} ms'}"
    else:
        yield f"operators: {work.launches:,.0f} calls a step; {_ms(work.launch_seconds)} ms outside of them, recorded"
    yield ""
    if not work.kernels:
        yield "kernels: none were seen; the driver may not let a profiler see them here"
        return
    yield f"{'kernel' if measured.is_gpu else 'operator':42}{'ms':>9}{'share':>8}{'calls':>8}"
    busy = sum(kernel.seconds for kernel in work.kernels)
    for kernel in work.kernels[:MOST_ROWS]:
        name = kernel.name if len(kernel.name) <= 41 else f"{kernel.name[:40]}…"
        yield f"{name:42}{_ms(kernel.seconds):>9}{kernel.seconds / busy:>8.1%}{kernel.calls:>8,.0f}"
    if others := work.kernels[MOST_ROWS:]:
        seconds = sum(kernel.seconds for kernel in others)
        calls = sum(kernel.calls for kernel in others)
        yield f"{f'{len(others)} others':42}{_ms(seconds):>9}{seconds / busy:>8.1%}{calls:>8,.0f}"


def _ms(seconds: float) -> str:
    """Milliseconds in two to four digits."""
    value = 1000 * seconds
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
