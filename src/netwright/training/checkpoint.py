"""Files of a training: its weights, and its whole state between two steps. Safetensors with JSON, never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from netwright.core import files, sealed
from netwright.core.errors import NetwrightError
from netwright.core.protocols import CarriesState
from netwright.training import carrying

WEIGHTS = "weights.safetensors"  # in the folder of the training

_REMEDY = "give the settings it was trained with, or remove it to train anew"


def write_weights(path: Path, network: nn.Module) -> None:
    """Write parameters and buffers under their names, in a file that is sealed (`core.sealed`)."""
    data = safetensors.torch.save(_storable(network.state_dict()), dict(sealed.UNSEALED))
    files.write(path, sealed.seal(data))


def write(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    facts: Mapping[str, Any],
    averages: Mapping[str, Tensor] = MappingProxyType({}),
    best: Mapping[str, Tensor] = MappingProxyType({}),
) -> None:
    """Write the state of a training between two steps; a reader finds either this state or the one before.

    Args:
        path: The checkpoint; an older one is replaced in a single move.
        network: The network, of which parameters, buffers and the carried state are written.
        optimizer: The optimizer, of which the state is written, without learning rates: those follow from the step.
        facts: Whatever else is needed to go on, as JSON.
        averages: Running averages of the weights, by name; empty: none.
        best: The best weights so far, by name; empty: none are kept.
    """
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"average.{name}": value for name, value in averages.items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    tensors |= {f"state.{name}": value for name, value in carrying.carried(network).items()}
    places = _places(network, optimizer)
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{places[index]}.{name}": torch.as_tensor(value) for name, value in state.items()}
    metadata = {"facts": json.dumps(facts), "optimizer": type(optimizer).__name__, **sealed.UNSEALED}
    files.write(path, sealed.seal(safetensors.torch.save(_storable(tensors), metadata)))


def read_facts(path: Path) -> dict[str, Any] | None:
    """The facts of a checkpoint; None: there is no file, or it is not bit for bit what was written."""
    try:
        data = path.read_bytes()
        facts = json.loads(_metadata(data)["facts"]) if sealed.is_whole(data) else None
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def restore(
    data: bytes,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    averages: Mapping[str, Tensor] = MappingProxyType({}),
    name: str = "the checkpoint",
) -> dict[str, Tensor]:
    """Put network, optimizer and averages into the state that was written.

    Args:
        data: The content of the file.
        network: The network to restore, as it was made.
        optimizer: The optimizer to restore, as it was made.
        averages: Running averages to fill in place, by name.
        name: Name of the file, for messages.

    Returns:
        The best weights so far, by name, on the network's device; empty: none were kept.

    Raises:
        NetwrightError: The checkpoint is of another network or optimizer, or has no averages, or has been damaged since
            its facts were read. Nothing is changed then.
    """
    if not sealed.is_whole(data):
        raise NetwrightError(f"{name} has been damaged while it was read; give the same command again")
    tensors = safetensors.torch.load(data)
    weights, kept = _part(tensors, "network."), _part(tensors, "average.")
    _refuse_other(weights, network.state_dict(), name)
    if not averages.keys() <= kept.keys():
        raise NetwrightError(
            f"{name} has no averages of the weights, so that its training had none of evaluator.ema, "
            f"evaluator.averaging and evaluator.non_monotone; {_REMEDY}"
        )
    written, wanted = _metadata(data).get("optimizer"), type(optimizer).__name__
    if written not in (wanted, None):  # None: written before this was noted
        raise NetwrightError(f"{name} has the state of the optimizer {written}, not of {wanted}; {_REMEDY}")
    network.load_state_dict(weights)
    for entry, value in averages.items():
        value.copy_(kept[entry])
    parameters = list(network.parameters())
    indices = {place: index for index, place in enumerate(_places(network, optimizer))}
    state: dict[int, dict[str, Tensor]] = {}
    for path, value in _part(tensors, "optimizer.").items():
        place, _, entry = path.partition(".")
        parameter = parameters[int(place)]
        if value.shape == parameter.shape:  # fused optimizers read both in the order in which they lie in memory
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(indices[int(place)], {})[entry] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    device = parameters[0].device if parameters else torch.device("cpu")
    if isinstance(network, CarriesState):
        network.carry({entry: value.to(device) for entry, value in _part(tensors, "state.").items()} or None)
    return {entry: value.to(device) for entry, value in _part(tensors, "best.").items()}


def _places(network: nn.Module, optimizer: torch.optim.Optimizer) -> list[int]:
    """Places of the optimizer's parameters among the network's, so that files do not depend on its groups."""
    places = {id(parameter): place for place, parameter in enumerate(network.parameters())}
    return [places[id(parameter)] for group in optimizer.param_groups for parameter in group["params"]]


def _refuse_other(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], name: str) -> None:
    """Raise NetwrightError, naming the first weight that differs, unless both have the same names and shapes."""
    for entry in (*wanted, *found):
        here, there = (_shape(tensors.get(entry)) for tensors in (wanted, found))
        if here != there:
            raise NetwrightError(
                f"{name} is of another network: {entry} is {there} there and {here} in this one; {_REMEDY}"
            )


def _metadata(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file, whose header is JSON that follows its own length in 8 bytes."""
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length]).get("__metadata__", {}))


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else " x ".join(map(str, tensor.shape)) or "a number"


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
