"""A training on disk: weights, and the whole state between two steps. Safetensors with JSON, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from netwright.core import files

WEIGHTS = "weights.safetensors"  # in the folder of the training


def end_of(repeat: int) -> str:
    """The file, in the folder of a trial, of where its training 0, 1, ... stopped, for a trial that continues it."""
    return f"end-{repeat}.safetensors"


def write_weights(path: Path, network: nn.Module) -> None:
    """Write parameters and buffers under their names."""
    files.write(path, safetensors.torch.save(_storable(network.state_dict())))


def load_weights(path: Path, network: nn.Module) -> None:
    """Read what `write_weights` wrote. Raises RuntimeError when names or shapes differ."""
    network.load_state_dict(safetensors.torch.load_file(path))


def write(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, facts: Mapping[str, Any]) -> None:
    """Write the state of a training between two steps; a reader meets this one or the one before.

    Args:
        path: Replaced at once.
        network: Its parameters and buffers are kept.
        optimizer: Its state is kept, without learning rates: those follow from the step.
        facts: Whatever else is needed to go on; JSON.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    files.write(path, safetensors.torch.save(_storable(tensors), {"facts": json.dumps(facts)}))


def read_facts(path: Path) -> dict[str, Any] | None:
    """The facts of a checkpoint; None: there is none that can be read."""
    try:
        with safetensors.safe_open(path, "pt") as file:
            facts = json.loads(file.metadata()["facts"])
    except (OSError, safetensors.SafetensorError, ValueError, TypeError, KeyError):
        return None
    return facts if isinstance(facts, dict) else None


def restore(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put network and optimizer into the state that was written. Raises RuntimeError when names or shapes differ."""
    tensors = safetensors.torch.load_file(path)
    network.load_state_dict(_part(tensors, "network."))
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _part(tensors, "optimizer.").items():
        index, _, entry = name.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:  # fused optimizers read both in the order in which they lie in memory
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(index), {})[entry] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
