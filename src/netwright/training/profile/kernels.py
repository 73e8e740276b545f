"""What torch's profiler recorded of a few steps, added up: kernels or operators by time, launches, waits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from torch.autograd import DeviceType

# calls of the CUDA runtime and driver, by their beginnings
_LAUNCHES: Final = ("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")
_WAITS: Final = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize", "cudaMemcpy")
_OPERATOR: Final = re.compile(r"(?!autograd::)\w+::\w|\w+Backward\d*$")


class Event(NamedTuple):
    """What was recorded of one call or kernel.

    Args:
        name: Name of the operator, the call of the runtime or the kernel.
        is_on_gpu: Whether it ran on the GPU: a kernel or a copy.
        start: Microseconds at which it began.
        end: Microseconds at which it ended.
        own: Microseconds within it and in nothing that it called.
        is_annotation: Whether it is a name for a stretch of time and no work.
    """

    name: str
    is_on_gpu: bool
    start: float
    end: float
    own: float
    is_annotation: bool


@dataclass(frozen=True)
class Kernel:
    """Kernels, or operators of a CPU, of one name.

    Args:
        name: The name, without what a compiler adds to it.
        seconds: Seconds in a step.
        calls: Number in a step.
    """

    name: str
    seconds: float
    calls: float


@dataclass(frozen=True)
class Work:
    """What a step gives the device to do.

    Args:
        kernels: Kernels of a GPU, operators of a CPU, those that took most first.
        launches: How many times in a step the host gave the GPU something to do; on a CPU, operators called.
        launch_seconds: What that took the host in a step; on a CPU, time of a step outside of all operators:
            Python, and what prepares the calls. While it is recorded it takes longer.
        wait_seconds: How long the host waited for the GPU in a step.
        busy_seconds: How long in a step at least one kernel, or one operator, was running; None: the profiler saw no
            kernels of the GPU, as where a container does not let it.
    """

    kernels: tuple[Kernel, ...]
    launches: float
    launch_seconds: float
    wait_seconds: float
    busy_seconds: float | None


def recorded(profiler: Any) -> list[Event]:
    """The events of a `torch.profiler.profile` that has stopped."""
    return [
        Event(
            found.name,
            found.device_type == DeviceType.CUDA,
            found.time_range.start,
            found.time_range.end,
            found.self_cpu_time_total,
            bool(getattr(found, "is_user_annotation", False)),
        )
        for found in profiler.events()
    ]


def of_gpu(events: Iterable[Event], steps: int) -> Work:
    """The work of steps on a GPU."""
    events = [event for event in events if not event.is_annotation and not event.name.startswith("Optimizer.")]
    ran = [event for event in events if event.is_on_gpu]
    calls = [event for event in events if not event.is_on_gpu]
    launches = [call for call in calls if call.name.startswith(_LAUNCHES)]
    waits = [call for call in calls if call.name.startswith(_WAITS) and not call.name.startswith(_LAUNCHES)]
    return Work(
        _by_name(((short(event.name), event.end - event.start) for event in ran), steps),
        len(launches) / steps,
        sum(call.end - call.start for call in launches) / steps / 1e6,
        sum(call.end - call.start for call in waits) / steps / 1e6,
        _covered([(event.start, event.end) for event in ran]) / steps / 1e6 if ran else None,
    )


def of_cpu(events: Iterable[Event], steps: int, seconds: float) -> Work:
    """The work of steps on a CPU, which took so many seconds while they were recorded."""
    ran = [event for event in events if not event.is_annotation and _OPERATOR.match(event.name)]
    busy = sum(event.own for event in ran) / 1e6
    kernels = _by_name(((event.name.removeprefix("aten::"), event.own) for event in ran), steps)
    return Work(kernels, len(ran) / steps, max(0.0, seconds - busy) / steps, 0.0, busy / steps)


def short(name: str) -> str:
    """A kernel's name without namespaces, parameters and return type; of what it was made for, the first functor."""
    made_for = re.search(r"(\w*Functor\w*|\w+_kernel_cuda\w*)", name)
    bare = re.split(r"[<(]", re.sub(r"\(anonymous namespace\)|^void ", "", name), maxsplit=1)[0]
    bare = bare.rpartition("::")[2].strip() or name
    return f"{bare} {made_for[1]}" if made_for and made_for[1] not in bare else bare


def _by_name(timed: Iterable[tuple[str, float]], steps: int) -> tuple[Kernel, ...]:
    found: defaultdict[str, list[float]] = defaultdict(list)
    for name, microseconds in timed:
        found[name].append(microseconds)
    kernels = [Kernel(name, sum(each) / steps / 1e6, len(each) / steps) for name, each in found.items()]
    return tuple(sorted(kernels, key=lambda kernel: (-kernel.seconds, kernel.name)))


def _covered(stretches: Sequence[tuple[float, float]]) -> float:
    """Length of what stretches cover together: kernels of several streams run at the same time."""
    total, until = 0.0, float("-inf")
    for start, end in sorted(stretches):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
