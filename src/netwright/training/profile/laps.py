"""The phases of a training step, timed from outside: marks at the borders of what the loop, network and optimizer do.

The steps are those of `training.loop`, unchanged. A mark is a moment on the host and, on a GPU, an event in its stream,
so that nothing waits for the device: the events tell afterwards when it got there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Final, NamedTuple, Protocol

import torch
from torch import Tensor, nn

PHASES: Final = {
    "data": "the next batch is made, or waited for",
    "inputs": "it is brought to the device, and mixed; drop path is drawn",
    "forward": "the network runs",
    "loss": "the loss and its gradient",
    "backward": "gradients of the network, and their clipping",
    "optimizer": "the weights are moved",
    "rest": "averages of the weights; now and then, a look at the loss",
}
_RUNS: Final = ("forward", "with_auxiliary")  # methods by which a training runs a network


class Moment(Protocol):
    """A place in the stream of a GPU, as `torch.cuda.Event` is one."""

    def elapsed_time(self, later: Any, /) -> float:
        """Milliseconds from here to a later one."""


class Mark(NamedTuple):
    """Where a phase begins, and the one before ends.

    Args:
        phase: A key of PHASES.
        seconds: The host's clock.
        moment: Where this is in the work of a GPU; None: the host does the work.
    """

    phase: str
    seconds: float
    moment: Moment | None


class Lap(NamedTuple):
    """Seconds of a phase of one step: of the device, and of the host that issues its work; on a CPU, the same."""

    device: float
    host: float


class Laps:
    """Marks of a training, in order.

    Args:
        device: What the training works on.
        clock: Gives the host's seconds.
    """

    def __init__(self, device: torch.device, clock: Callable[[], float]) -> None:
        self._device, self._clock = device, clock
        self.marks: list[Mark] = []

    def mark(self, phase: str) -> None:
        """From here on time belongs to the phase; "data" begins a new step.

        Where a CUDA graph is being recorded nothing runs, and nothing is marked.
        """
        moment = None
        if self._device.type == "cuda":
            if torch.cuda.is_current_stream_capturing():
                return
            moment = torch.cuda.Event(enable_timing=True)
            moment.record(torch.cuda.current_stream(self._device))
        self.marks.append(Mark(phase, self._clock(), moment))


def of_steps(marks: Sequence[Mark]) -> list[dict[str, Lap]]:
    """The phases of each whole step, from one mark "data" to the next; a phase may have come several times.

    On a GPU, all of its work has to be done.
    """
    steps: list[dict[str, Lap]] = []
    for mark, after in pairwise(marks):
        if mark.phase == "data":
            steps.append(dict.fromkeys(PHASES, Lap(0.0, 0.0)))
        host = after.seconds - mark.seconds
        device = host if mark.moment is None else mark.moment.elapsed_time(after.moment) / 1000
        before = steps[-1][mark.phase]
        steps[-1][mark.phase] = Lap(before.device + device, before.host + host)
    return steps


@contextmanager
def marked(network: nn.Module, optimizer: torch.optim.Optimizer, mark: Callable[[str], None]) -> Iterator[None]:
    """Within the block, steps of this network and optimizer make the marks from "forward" to "rest"."""
    names = [name for name in _RUNS if hasattr(network, name)]
    for name in names:
        setattr(network, name, _marking(getattr(network, name), mark))
    before = optimizer.register_step_pre_hook(lambda *_: mark("optimizer"))
    after = optimizer.register_step_post_hook(lambda *_: mark("rest"))
    try:
        yield
    finally:
        before.remove()
        after.remove()
        for name in names:
            delattr(network, name)  # what the class defines shows again


def _marking(run: Callable[..., Any], mark: Callable[[str], None]) -> Callable[..., Any]:
    def marking(*inputs: Tensor) -> Any:
        mark("forward")
        outputs = run(*inputs)
        mark("loss")
        for output in _tensors(outputs):
            if output.requires_grad:
                output.register_hook(lambda _gradient: mark("backward"))
        return outputs

    return marking


def _tensors(outputs: Any) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    else:
        for each in outputs:
            yield from _tensors(each)
