"""Latency of whole networks: a forward pass as it is used, and a step of training."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from netwright.core.shapes import IO
from netwright.training import device as devices
from netwright.training import layout
from netwright.training.latency import blocks
from netwright.training.latency.blocks import OF_NETWORKS, Effort, Quartiles
from netwright.training.pace import Noise

RATE = 1e-6  # learning rate: a step takes as long, and weights stay what they are


@dataclass(frozen=True)
class Latency:
    """How long a network takes on this machine, in single precision.

    Args:
        device: "cpu", or the name of the card.
        batch: Examples at once.
        threads: Threads of the host.
        forward: Milliseconds of a forward pass without gradients.
        training: Milliseconds of a step: forward pass, loss, backward pass, and stochastic gradient descent with
            momentum; None: the network cannot train on so few examples.
        why_not: Why it cannot; "" where it can.
    """

    device: str
    batch: int
    threads: int
    forward: Quartiles
    training: Quartiles | None
    why_not: str = ""


def latency(
    network: nn.Module,
    io: IO,
    *,
    batch: int,
    device: torch.device = torch.device("cpu"),
    threads: int = 1,
    effort: Effort = OF_NETWORKS,
    clock: Callable[[], float] = time.perf_counter,
) -> Latency:
    """Measure a network on random examples; it is moved to the device, and its weights change by next to nothing."""
    with devices.working(device, threads, deterministic=False), devices.in_single_precision(device):
        forward = blocks.quartiles(forward_seconds(network, io, batch, device, effort, clock))
        try:
            training, why = blocks.quartiles(_training_seconds(network, io, batch, device, effort, clock)), ""
        except ValueError as error:  # torch's batch normalization, of one number per channel
            training, why = None, str(error).partition("\n")[0]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return Latency(name, batch, threads, forward, training, why)


def forward_seconds(
    network: nn.Module,
    io: IO,
    batch: int,
    device: torch.device,
    effort: Effort,
    clock: Callable[[], float],
) -> list[float]:
    """Seconds of a forward pass without gradients, one for each block."""
    inputs, _targets = _examples(network, io, batch, device)
    network.eval()
    with torch.inference_mode():
        return blocks.seconds(lambda: network(inputs), effort, clock, blocks.waiting(device))


def _training_seconds(
    network: nn.Module, io: IO, batch: int, device: torch.device, effort: Effort, clock: Callable[[], float]
) -> list[float]:
    inputs, targets = _examples(network, io, batch, device)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
    task = Noise(io)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        task.loss(network(inputs), targets).backward()
        optimizer.step()

    network.train()
    return blocks.seconds(step, effort, clock, blocks.waiting(device))


def _examples(network: nn.Module, io: IO, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random examples, with the network and them on the device, as trainings have them in memory."""
    memory_format = layout.of("auto", network, device, "float32")
    network.to(device, memory_format=memory_format)
    inputs, targets = next(Noise(io).batches("train", batch, np.random.default_rng(0)))
    return placed(inputs, device, memory_format), targets.to(device)


def placed(x: Tensor, device: torch.device, memory_format: torch.memory_format) -> Tensor:
    """A tensor on the device, images in the memory format."""
    return x.to(device, memory_format=memory_format) if x.dim() == 4 else x.to(device)
