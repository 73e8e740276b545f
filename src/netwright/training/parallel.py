"""Processes that train one network together, each a slice of every batch: torch's distributed data parallel.

Together they do what one process would do with the whole batch, up to rounding: batch normalization takes its
statistics over all of them, and every draw belongs to a place in the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from inspect import signature
from typing import Protocol, runtime_checkable

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from netwright.core.errors import BadReference
from netwright.core.protocols import Split, Task
from netwright.training import norms

PATIENCE = timedelta(days=1)  # the first process may measure for long; one that has died is noticed at once

_OPTIONS = signature(DistributedDataParallel).parameters
_SYNC_BUFFERS = (
    "forward_sync_buffers" if "forward_sync_buffers" in _OPTIONS else "broadcast_buffers"
)  # before torch 2.13


@runtime_checkable
class SharesBatches(Protocol):
    """Capability of a task: it makes parts of batches, so that processes need not each make the whole."""

    def shared_batches(
        self, split: Split, size: int, rng: np.random.Generator, shares: Callable[[int], Sequence[slice]]
    ) -> Iterator[tuple[Tensor, Tensor, int]]:
        """The pass of `Task.batches`: of each batch of B those samples in `shares(B)`, slice behind slice, and B."""


@dataclass(frozen=True)
class Team:
    """The processes of a training, seen from one of them; a training of one process is a team of its own.

    Args:
        rank: 0, 1, ...; the first one measures, saves and reports.
        size: How many they are.
        device: What this one works on.
        local: How many of them share this machine and its cores.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")
    local: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process that measures, saves and reports."""
        return self.rank == 0

    def shares(self, batch: int, accumulate: int = 1) -> list[slice]:
        """Which samples of a batch this process takes, one slice for each part whose gradients are accumulated.

        Raises:
            BadReference: The batch cannot be divided evenly.
        """
        check_divides(batch, self.size, accumulate)
        share = batch // (accumulate * self.size)
        starts = ((part * self.size + self.rank) * share for part in range(accumulate))
        return [slice(start, start + share) for start in starts]

    def batches(
        self, task: Task, split: Split, size: int, rng: np.random.Generator, accumulate: int = 1
    ) -> Iterator[tuple[Tensor, Tensor, int]]:
        """One pass over a split: what `shares` says of the inputs and targets of each batch, and the batch's size."""
        if self.size == 1:
            return map(_with_size, task.batches(split, size, rng))  # which keeps no batch from being freed
        shares = partial(self.shares, accumulate=accumulate)
        if isinstance(task, SharesBatches):
            return task.shared_batches(split, size, rng, shares)
        return (
            (*(torch.cat([x[rows] for rows in shares(len(targets))]) for x in (inputs, targets)), len(targets))
            for inputs, targets in task.batches(split, size, rng)
        )

    def mean(self, value: Tensor) -> Tensor:
        """Mean over the processes of a tensor, which all call this with."""
        if self.size == 1:
            return value
        total = value.clone()
        dist.all_reduce(total)
        return total / self.size

    def agree(self, answer: bool) -> bool:
        """What the first process answers; all call this."""
        if self.size == 1:
            return answer
        said = torch.tensor(answer, dtype=torch.int32, device=self.device)
        dist.broadcast(said, 0)
        return bool(said)

    def hand_out(self, data: bytes) -> bytes:
        """The bytes that the first process gives; all call this."""
        if self.size == 1:
            return data
        length = torch.tensor(len(data), device=self.device)
        dist.broadcast(length, 0)
        size = int(length)
        if not size:
            return b""
        content = torch.frombuffer(bytearray(data or bytes(size)), dtype=torch.uint8).to(self.device)
        dist.broadcast(content, 0)
        return content.cpu().numpy().tobytes()

    def join(self, network: nn.Module, outputs: nn.Module, inputs: Tensor) -> nn.Module:
        """`outputs`, which runs the network, with gradients that become their mean over the processes.

        Args:
            network: Its batch normalizations are changed in place to take statistics over all processes.
            outputs: Has the network for a part and gives logits and a tuple of others; all its calls in training go
                through what is returned.
            inputs: Some to try it with, on the device.
        """
        if self.size == 1:
            return outputs
        norms.share_statistics(network)
        devices = [self.device.index] if self.device.type == "cuda" else None
        options = {"device_ids": devices, "find_unused_parameters": _has_idle(outputs, inputs[:1])}
        return DistributedDataParallel(outputs, **options, **{_SYNC_BUFFERS: False})  # buffers are equal anyway


ALONE = Team()


def _with_size(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, int]:
    inputs, targets = batch
    return inputs, targets, len(targets)


def _has_idle(outputs: nn.Module, inputs: Tensor) -> bool:
    """Whether some parameters are without gradient: of an auxiliary head that is not run, a node that nobody reads."""
    outputs.eval()  # which draws nothing and changes no running statistics
    logits, others = outputs(inputs)
    total = sum((other.sum() for other in others), start=logits.sum())
    gradients = torch.autograd.grad(total, list(outputs.parameters()), allow_unused=True)
    outputs.train()
    return any(gradient is None for gradient in gradients)


def check_divides(
    batch: int,
    processes: int,
    accumulate: int,
    *,
    examples: int | None = None,
    needs_two: bool = False,
    called: str = "examples",
) -> None:
    """Refuse a batch that cannot be worked through as asked.

    Args:
        batch: Examples per step.
        processes: Among which each accumulated part is divided.
        accumulate: How many parts there are.
        examples: How many there are to train on, which are the batch where they are fewer; None: enough.
        needs_two: Whether batch normalization fails for a single example, over all processes.
        called: What the examples are, for messages.

    Raises:
        BadReference: The batch cannot be divided evenly, or a part has one example where it needs two.
    """
    parts = processes * accumulate
    whole = batch if examples is None else min(batch, examples)
    if whole % parts == 0:
        if needs_two and whole == accumulate:  # and so one process
            found = f"a batch has 1 {called.removesuffix('s')}"
            if accumulate > 1:
                found = f"a batch of {accumulate} {called} has 1 in each of {accumulate} accumulated parts"
            raise BadReference(
                f"{found}, and batch normalization of single pixels, as in this network, needs 2; give a batch of at "
                f"least {2 * accumulate}"
            )
        return
    into = f"{processes} processes" if processes > 1 else ""
    into += " times " if processes > 1 and accumulate > 1 else ""
    into += f"{accumulate} accumulated parts" if accumulate > 1 else ""
    if whole == batch:
        raise BadReference(f"a batch of {batch} {called} cannot be divided among {into}; give a multiple of {parts}")
    mend = f"a batch of {whole - whole % parts}" if whole > parts else "fewer of them"
    raise BadReference(
        f"there are only {whole} {called} to train on, so that they all are one batch, which cannot be divided among "
        f"{into}; give {mend}"
    )


@contextmanager
def joined(store: dist.Store, rank: int, size: int, device: torch.device, local: int) -> Iterator[Team]:
    """Be one of the processes that meet at a store: NCCL on GPUs, gloo elsewhere. Not within another such block."""
    backend = "nccl" if device.type == "cuda" else "gloo"
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Team(rank, size, device, local)
    finally:
        dist.destroy_process_group()
