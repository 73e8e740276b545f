"""An exported folder as a torch module, without running any code of the folder and without unpickling anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import nn

from netwright.core import sealed
from netwright.core.errors import ExportError
from netwright.export import architecture
from netwright.plans.network import Network
from netwright.plans.plan import AUXILIARY, Plan

WEIGHTS = "weights.safetensors"


def load(folder: Path | str) -> nn.Module:
    """The network of an exported folder, in evaluation mode; one of images takes them normalized and gives logits.

    Raises:
        ExportError: A file is missing or damaged, or they do not belong together.
    """
    plan = architecture.read_plan(Path(folder))
    return with_weights(plan, Path(folder) / WEIGHTS)


def with_weights(plan: Plan, path: Path) -> nn.Module:
    """The plan's network with the weights of a file, in single precision and evaluation mode.

    Weights of an auxiliary head, which training leaves beside those of the plan, are not read.

    Args:
        plan: The layers of the network.
        path: The safetensors file.

    Raises:
        ExportError: The file cannot be read, differs from the digest that it holds, or its weights are not those of
            the plan.
    """
    try:
        data = path.read_bytes()
        tensors: dict[str, Any] = safetensors.torch.load(data)
    except OSError as error:
        reason = error.strerror or "it is missing"
        raise ExportError(f"the weights {path} cannot be read: {reason}") from None
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise ExportError(f"the weights {path} are damaged: {error}") from None
    if sealed.is_whole(data) is False:
        raise ExportError(
            f"the weights {path} are damaged: they differ from the digest that stands in the file; copy them again, or "
            "train again"
        )
    try:
        tensors = {name: value for name, value in tensors.items() if not name.startswith(f"{AUXILIARY}.")}
        with torch.device("meta"):  # takes no memory, whatever sizes the plan asks for
            network = Network(plan)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ExportError(f"the plan that belongs to {path} describes no network: {error}") from None
    own = network.state_dict()
    expected, found = _forms(own), _forms(tensors)
    if expected != found:
        name = min(name for name in expected | found if expected.get(name) != found.get(name))
        fault = f"is {found.get(name, 'missing')} there and {expected.get(name, 'missing')} in the network"
        raise ExportError(f"the weights {path} do not fit the architecture: {name} {fault}")
    floats = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    network.load_state_dict(floats, assign=True)
    return network.eval()


def _forms(tensors: Mapping[str, Any]) -> dict[str, str]:
    """Kind and shape of each tensor."""
    return {
        name: f"{'float' if value.is_floating_point() else 'int'} {tuple(value.shape)}"
        for name, value in tensors.items()
    }
