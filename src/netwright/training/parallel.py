"""Processes that train one network together, each on a slice of every batch: torch's distributed data parallel.

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
        """One pass as of `Task.batches`: the examples of each batch that are in `shares(B)`, joined, and its size B."""


@dataclass(frozen=True)
class Team:
    """The processes of a training, seen from one of them; a training of one process is a team of its own.

    Args:
        rank: Number of this process, from 0; process 0 measures, saves and reports.
        size: Number of processes.
        device: Device of this process.
        local: Number of processes that share this machine and its cores.
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
        """Which examples of a batch this process takes, one slice for each part whose gradients are accumulated.

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
        """One pass over a split: this process's share of the inputs and targets of each batch, and the batch's size."""
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
        """The mean of a tensor over the processes, all of which must call this."""
        if self.size == 1:
            return value
        total = value.clone()
        dist.all_reduce(total)
        return total / self.size

    def agree(self, answer: int) -> int:
        """The answer of the first process; all processes must call this."""
        if self.size == 1:
            return answer
        said = torch.tensor(answer, dtype=torch.int32, device=self.device)
        dist.broadcast(said, 0)
        return int(said)

    def hand_out(self, data: bytes) -> bytes:
        """The bytes of the first process; all processes must call this."""
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
        """A module that does what `outputs` does, and whose gradients become their mean over the processes.

        Args:
            network: The network; its batch normalizations are changed in place to take statistics over all processes.
            outputs: Module that contains the network and gives logits and a tuple of others; in training, what is
                returned is called in its place.
            inputs: A few inputs to try it with, on the device.
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
    """Whether some parameters get no gradient, as those of an auxiliary head that is not run, or of an unread node."""
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
        processes: Number of processes among which each accumulated part is divided.
        accumulate: Number of accumulated parts.
        examples: Number of examples to train on; where they are fewer than `batch`, they are the batch. None: enough.
        needs_two: Whether batch normalization fails where all processes together have a single example.
        called: Plural noun for the examples, for messages.

    Raises:
        BadReference: The batch cannot be divided evenly, or a part has one example where it needs two.
    """
    parts = processes * accumulate
    whole = batch if examples is None else min(batch, examples)
    if whole % parts == 0:
        if needs_two and whole == accumulate:  # so that there is one process
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
    remedy = f"a batch of {whole - whole % parts}" if whole > parts else "fewer of them"
    raise BadReference(
        f"there are only {whole} {called} to train on, so that they all are one batch, which cannot be divided among "
        f"{into}; give {remedy}"
    )


def backend_of(places: Sequence[str]) -> str:
    """What processes speak by: "nccl", or "gloo" where some share a GPU, or have none.

    Args:
        places: Each process's GPU, by a name that no other one in the world has; "": it works on something else.
    """
    has_own = all(places) and len(set(places)) == len(places)
    return "nccl" if has_own and dist.is_nccl_available() else "gloo"


def _place(device: torch.device) -> str:
    """A GPU's own name; "" for any other device."""
    return str(torch.cuda.get_device_properties(device).uuid) if device.type == "cuda" else ""


@contextmanager
def joined(store: dist.Store, rank: int, size: int, device: torch.device, local: int) -> Iterator[Team]:
    """Join the processes that meet at a store. Such blocks must not be nested.

    They speak by NCCL where each has a GPU of its own, and by gloo elsewhere: NCCL refuses two processes on one GPU.
    """
    store.set(f"place{rank}", _place(device))
    backend = backend_of([store.get(f"place{number}").decode() for number in range(size)])
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Team(rank, size, device, local)
    finally:
        dist.destroy_process_group()
