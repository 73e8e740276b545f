"""Takes real steps of a training and says where their time goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.profiler import ProfilerActivity

from netwright.core.protocols import Task
from netwright.core.records import Counts
from netwright.plans.plan import Plan
from netwright.training import device as devices
from netwright.training import loop
from netwright.training import settings as step_settings
from netwright.training.descent import Descent
from netwright.training.feeding import BatchesBy
from netwright.training.loop import Passes, Schedule
from netwright.training.pace import RATE
from netwright.training.profile import floors, kernels, laps
from netwright.training.profile.floors import Bound, Ceilings, LeastTime
from netwright.training.profile.kernels import Event, Work
from netwright.training.profile.laps import Laps
from netwright.training.settings import StepSettings

DISCARDED = 3  # steps before those that are measured: the first ones choose algorithms and take memory
TRACED = 5  # steps of which every kernel is recorded, at most


@dataclass(frozen=True)
class Phase:
    """One phase of a step.

    Args:
        name: A key of `laps.PHASES`.
        seconds: Seconds of the device, mean over the steps.
        host_seconds: Seconds of the host; on a CPU, the same.
        floor: The least seconds that it could take, layer by layer; 0: nothing is counted.
        bound: The ceiling under which most of that floor is.
    """

    name: str
    seconds: float
    host_seconds: float
    floor: float
    bound: Bound


@dataclass(frozen=True)
class StepProfile:
    """Where the time of a step goes.

    Args:
        device: The device: name of the card, or "cpu" and how many threads.
        is_gpu: Whether the host only issues the work.
        precision: Precision of the forward pass.
        batch: Examples in a step.
        steps: Number of measured steps.
        seconds: Mean seconds of a step.
        quickest: Seconds of the quickest step.
        slowest: Seconds of the slowest step.
        examples_per_second: Examples trained on in a second.
        phases: All phases, in order; their seconds add up to those of a step.
        work: Kernels or operators, launches and waits.
        ceilings: What the device was measured to reach.
        fused: The least seconds of forward and backward pass if layers were joined; None: the layers are not known.
    """

    device: str
    is_gpu: bool
    precision: str
    batch: int
    steps: int
    seconds: float
    quickest: float
    slowest: float
    examples_per_second: float
    phases: tuple[Phase, ...]
    work: Work
    ceilings: Ceilings
    fused: float | None

    @property
    def floor(self) -> float:
        """The least seconds of a step, layer by layer."""
        return sum(phase.floor for phase in self.phases)

    @property
    def idle_seconds(self) -> float | None:
        """How long in a step the GPU had nothing to do; on a CPU, time outside of all operators; None: not seen."""
        if not self.is_gpu:
            return self.work.launch_seconds
        busy = self.work.busy_seconds
        return None if busy is None else max(0.0, self.seconds - busy)


def step_profile(
    network: nn.Module,
    task: Task,
    settings: StepSettings = StepSettings(),
    *,
    plan: Plan | None = None,
    counts: Counts = Counts(0, 0),
    memory_format: torch.memory_format = torch.channels_last,
    device: torch.device = torch.device("cpu"),
    threads: int = 1,
    steps: int = 20,
    batches_by: BatchesBy = "auto",
    clock: Callable[[], float] = time.perf_counter,
) -> StepProfile:
    """Train a network for a few steps at next to no learning rate, timed from outside; then record a few more.

    Args:
        network: The network; it is moved to the device.
        task: Task whose batches and loss are taken, or `pace.Noise`.
        settings: Settings of a step.
        plan: Layers of the network, for the floor; None: `counts` tell its operations.
        counts: Size of the network, where there is no plan.
        memory_format: Memory format of weights and images.
        device: Where to train: a CPU, or a GPU by CUDA.
        threads: Threads of the host.
        steps: Number of steps to measure, after DISCARDED that are not.
        batches_by: What makes the batches; see `feeding.fed`.
        clock: Gives the seconds of the host.
    """
    precision = settings.precision_on(device)
    settings = replace(settings, batch=min(settings.batch, task.examples("train")))
    demands = floors.of_counts(counts, settings) if plan is None else floors.of_plan(plan, settings, precision)
    with devices.working(device, threads, settings.deterministic):
        network = network.to(device, memory_format=memory_format)
        optimizer = step_settings.optimizer(settings, network)
        descent = Descent(network, task, optimizer, settings, steps=2**31, memory_format=memory_format)
        passes = Passes(
            task,
            "train",
            settings.batch,
            np.random.default_rng,
            accumulate=settings.accumulate,
            batches_by=batches_by,
        )
        times = Laps(device, clock)
        with laps.marked(network, optimizer, times.mark):
            examples = _train(passes, descent, DISCARDED + steps, times, lambda: None)
        work = _recorded(passes, descent, min(steps, TRACED), clock)
        ceilings = floors.measured(device, precision, floors.usual_bytes(demands["forward"]), clock)
    found = laps.of_steps(times.marks)[DISCARDED:]
    each = [sum(lap.device for lap in step.values()) for step in found]
    least = {name: floors.floor(listed, ceilings) for name, listed in demands.items()}
    nothing = LeastTime(0.0, "")
    return StepProfile(
        _called(device, threads),
        device.type == "cuda",
        precision,
        settings.batch,
        steps,
        fmean(each),
        min(each),
        max(each),
        examples / sum(each),
        tuple(
            Phase(
                name,
                fmean(step[name].device for step in found),
                fmean(step[name].host for step in found),
                least.get(name, nothing).seconds,
                least.get(name, nothing).bound,
            )
            for name in laps.PHASES
        ),
        work,
        ceilings,
        None if plan is None else floors.fused(plan, settings, precision, ceilings),
    )


def _train(passes: Passes, descent: Descent, steps: int, times: Laps, begin: Callable[[], None]) -> int:
    """Take steps, with a mark where each begins and where its batch is there.

    `begin` is called when DISCARDED steps are done. Returns the number of examples of the others.
    """

    def factor(_step: int) -> float:
        times.mark("inputs")  # the loop asks for the rate when it has the batch
        return RATE

    before = examples = 0
    times.mark("data")
    for at in loop.steps(passes, descent, Schedule(steps, factor)):
        if at.ends_pass:
            continue
        examples = at.examples
        if at.step == DISCARDED:
            floors.finish(descent.device)
            before = examples
            begin()
        times.mark("data")
    floors.finish(descent.device)
    return examples - before


def _recorded(passes: Passes, descent: Descent, steps: int, clock: Callable[[], float]) -> Work:
    """What torch's profiler sees of a few steps."""
    is_gpu = descent.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_gpu else [])]
    profiler: Any = torch.profiler.profile(activities=activities)
    began: float | None = None

    def begin() -> None:
        nonlocal began
        profiler.start()
        began = clock()

    try:
        _train(passes, descent, DISCARDED + steps, Laps(torch.device("cpu"), clock), begin)
        seconds = clock() - (began or 0.0)
    finally:
        if began is not None:
            profiler.stop()
    events: list[Event] = kernels.recorded(profiler)
    return kernels.of_gpu(events, steps) if is_gpu else kernels.of_cpu(events, steps, seconds)


def _called(device: torch.device, threads: int) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type}, {threads} thread{'s' if threads > 1 else ''}"
