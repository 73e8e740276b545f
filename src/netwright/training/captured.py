"""Training steps without launches: a step is recorded as a CUDA graph once, and played with a single call thereafter.

A network of search size has thousands of small kernels in a step, and starting them takes the host longer than
running them takes the card. Whatever changes from step to step, the batch, what is dropped, how examples are mixed, the
learning rate, lies in buffers on the device that are filled before the step is played; all else is frozen in it.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Final, Literal, Protocol, TypeVar

import torch
from torch import Tensor

from netwright.core import reading
from netwright.training.host_side import HostSide

WARM_UP: Final = 3  # steps of one form in a row before it is recorded: in them kernels are chosen and states made

T = TypeVar("T")
Step = Callable[[], Tensor]  # gives the loss, shape ()


class Graphs(Protocol):
    """What records steps and plays them."""

    @property
    def device(self) -> torch.device:
        """Where the steps run."""

    def buffer(self, value: Tensor | float) -> Tensor:
        """An undefined tensor on the device of the form of a value; of a number, one of shape ()."""

    def fill(self, buffer: Tensor, value: Tensor | float) -> None:
        """Write a value into its buffer, in the order of the steps and without waiting for the device."""

    def warm(self, step: Step) -> Tensor:
        """Take a step as it is, where it is to be recorded."""

    def waits(self, step: Step) -> tuple[Tensor, bool]:
        """Take a step as it is; also whether the host waited for the device in it, which no recorded step can."""

    def record(self, step: Step) -> Step:
        """Record a step, which is not taken; what is returned takes it. RuntimeError: that is impossible."""

    def release(self) -> None:
        """Let go what was recorded last, and its memory."""


class CapturedStep:
    """Takes steps, in a recorded form where they come in the form that was recorded, else plainly.

    The first form, of inputs' shapes and of what is drawn, that comes `WARM_UP` times in a row is recorded, once. These
    are steps of the training like any others. The last and smaller batch of a pass is a plain step.

    Args:
        compute: Takes a step from what it receives: tensors, numbers and None in (named) tuples. It gives the loss,
            shape (), and must read nothing else that changes from step to step.
        graphs: What records.
        host: Compares what the host does in two steps before one is recorded; None: it is known to do the same.
        undo: Undoes what a recording that failed has left on the host.
    """

    def __init__(
        self,
        compute: Callable[[Any], Tensor],
        graphs: Graphs,
        host: HostSide | None = None,
        undo: Callable[[], object] = lambda: None,
    ) -> None:
        self.why_plain = ""  # a reason, for after "as"; "": steps are recorded
        self._compute, self._graphs, self._host, self._undo = compute, graphs, host, undo
        self._form: tuple[object, ...] = ()
        self._buffers: Any = None
        self._warm = 0
        self._recorded: Step | None = None

    def __call__(self, received: Any) -> Tensor:
        """Take a step; the loss, shape (), stays what it is when others follow."""
        form = tuple(_form(leaf) for leaf in _leaves(received))
        if self.why_plain or (self._recorded and form != self._form):
            # in buffers too, so that steps round alike, recorded or not
            return self._compute(self._filled(mapped(self._graphs.buffer, received), received))
        if form != self._form:
            self._form, self._warm = form, 0
            if self._host:
                self._host.forget()
            self._buffers = mapped(self._graphs.buffer, received)
        self._filled(self._buffers, received)
        if self._recorded is None:
            if self._warm < WARM_UP:
                return self._warmed()
            self._recorded = self._record()
        return self._recorded().clone() if self._recorded else self._step()

    def release(self) -> None:
        """Let go what was recorded, with its memory; steps that follow are recorded anew."""
        if self._recorded:
            self._graphs.release()
        self._recorded, self._buffers, self._form = None, None, ()

    def _filled(self, buffers: Any, received: Any) -> Any:
        for buffer, value in zip(_leaves(buffers), _leaves(received), strict=True):
            if value is not None:
                self._graphs.fill(buffer, value)
        return buffers

    def _step(self) -> Tensor:
        return self._compute(self._buffers)

    def _warmed(self) -> Tensor:
        self._warm += 1
        # the first one of a training makes states, so that the last two are to be alike
        step = self._host.noted(self._step) if self._host and self._warm > WARM_UP - 2 else self._step
        if self._warm < WARM_UP:
            return self._graphs.warm(step)
        loss, waits = self._graphs.waits(step)
        if waits:
            self.why_plain = "the host waits for the device in them"
        elif self._host:
            self.why_plain = self._host.changes
        return loss

    def _record(self) -> Step | None:
        """What plays a step of the present form; None: it cannot be recorded."""
        try:
            return self._graphs.record(self._step)
        except RuntimeError as error:
            self.why_plain = f"recording one failed: {_first_line(error)}"
        self._graphs.release()  # here, since the error held what the step had made
        self._undo()
        return None


class CudaGraphs:
    """Records steps on a GPU, in a stream and a pool of memory of their own.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = _stream_of(device)
        self._graph: torch.cuda.CUDAGraph | None = None

    def buffer(self, value: Tensor | float) -> Tensor:
        """See `Graphs`."""
        return buffer(value, self.device)

    def fill(self, buffer: Tensor, value: Tensor | float) -> None:
        """See `Graphs`."""
        if not isinstance(value, Tensor):
            buffer.fill_(value)
            return
        if value.device.type == "cpu" and not value.is_pinned():
            value = value.pin_memory()  # from other memory, a copy would wait for the steps before it
        buffer.copy_(value, non_blocking=True)

    def warm(self, step: Step) -> Tensor:
        """See `Graphs`; on a side stream, as torch asks for."""
        with self._aside():
            return step()

    def waits(self, step: Step) -> tuple[Tensor, bool]:
        """See `Graphs`."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings(), self._aside():
            warnings.simplefilter("always")
            seen = _noted_in_this_thread("synchronizing CUDA operation")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                loss = step()
            finally:
                torch.cuda.set_sync_debug_mode(before)
        return loss, bool(seen)

    def record(self, step: Step) -> Step:
        """See `Graphs`. Other threads, which make batches, may use the device meanwhile."""
        graph = self._graph = torch.cuda.CUDAGraph()
        pool = torch.cuda.graph_pool_handle()
        try:
            with self._aside(), torch.cuda.graph(graph, pool, self._stream, capture_error_mode="thread_local"):
                loss = step()
        except RuntimeError:
            _leave_recording(self.device.index or 0, pool)
            raise

        def play() -> Tensor:
            graph.replay()
            return loss

        return play

    def release(self) -> None:
        """See `Graphs`. The memory goes back to the device, for other processes."""
        graph, self._graph = self._graph, None
        if graph:
            with suppress(RuntimeError):  # a device that is lost says so at the next step
                torch.cuda.synchronize(self.device)
                graph.reset()
                torch.cuda.empty_cache()

    @contextmanager
    def _aside(self) -> Iterator[None]:
        """Within the block work goes to the side stream, after what was given before and before what is given next."""
        with torch.cuda.device(self.device):
            main = torch.cuda.current_stream()
            self._stream.wait_stream(main)
            with torch.cuda.stream(self._stream):  # which a capture that fails does not leave by itself
                yield
            main.wait_stream(self._stream)


@cache
def _stream_of(device: torch.device) -> torch.cuda.Stream:
    """The side stream of a GPU, one for all trainings of a process: cuBLAS keeps memory for each that it saw."""
    return torch.cuda.Stream(device)


def _leave_recording(index: int, pool: tuple[int, int]) -> None:
    """Undo on a GPU what torch leaves of a recording that failed; later versions of it do so themselves.

    Its allocator still fills the pool and would hold it for ever, and its generator draws no number outside.
    """
    with suppress(RuntimeError, AttributeError):
        torch._C._cuda_endAllocateToPool(index, pool)
        torch._C._cuda_releasePool(index, pool)
    with suppress(RuntimeError, AttributeError):
        generator = torch.cuda.default_generators[index]
        generator.graphsafe_set_state(generator.clone_state())


def graphs_of(device: torch.device, wanted: Literal["auto", "never"] = "auto") -> Graphs | None:
    """What records steps on a device; None: they are not recorded there."""
    return CudaGraphs(device) if device.type == "cuda" and wanted == "auto" else None


def buffer(value: Tensor | float, device: torch.device) -> Tensor:
    """An undefined tensor on a device of the form of a value; of a number, one of shape ()."""
    return torch.empty_like(value, device=device) if isinstance(value, Tensor) else torch.empty((), device=device)


def mapped(function: Callable[[Any], object], value: Any) -> Any:
    """The same (named) tuples, with what a function gives for each tensor and number in them; None stays."""
    if isinstance(value, tuple):
        found = [mapped(function, each) for each in value]
        return type(value)(*found) if hasattr(value, "_fields") else tuple(found)
    return None if value is None else function(value)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for each in value:
            yield from _leaves(each)
    else:
        yield value


def _form(leaf: Tensor | float | None) -> object:
    """What of a leaf is frozen in a recorded step."""
    return (leaf.shape, leaf.dtype) if isinstance(leaf, Tensor) else type(leaf)


def _first_line(error: RuntimeError) -> str:
    cause = error.__context__ or error  # ending the recording fails as well, which says less
    return reading.line(str(cause).partition("\n")[0])


def _noted_in_this_thread(text: str) -> list[str]:
    """The warnings with this text that this thread is given from now on, within `warnings.catch_warnings`."""
    seen: list[str] = []
    own = threading.get_ident()

    def note(message: Warning | str, *_where: object, **_more: object) -> None:
        if threading.get_ident() == own and text in str(message):
            seen.append(str(message))

    warnings.showwarning = note
    return seen
