"""An exported folder as a torch module, without running any code of the folder and without unpickling anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import safetensors
import torch
from torch import Tensor, nn

from netwright.core import memory, sealed
from netwright.core.errors import ExportError
from netwright.export import architecture
from netwright.plans import counting
from netwright.plans.network import made
from netwright.plans.operation import FLOAT
from netwright.plans.plan import AUXILIARY, Plan

WEIGHTS = "weights.safetensors"
FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})  # of safetensors
MAX_HEADER: Final = 2**24  # bytes; 40,000 weights with long names have 8 MB
SHOWN: Final = 100  # letters of a name or message


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
        with torch.device("meta"):  # takes no memory, whatever sizes the plan asks for
            network = made(plan)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ExportError(f"the plan that belongs to {path} describes no network: {error}") from None
    expected = {name: _form(value.is_floating_point(), value.shape) for name, value in network.state_dict().items()}
    size = FLOAT * counting.count(plan).params
    try:
        with _opened(path) as file:
            found = {name: _stored_form(file.get_slice(name)) for name in list(file.keys()) if not _is_auxiliary(name)}
            if expected != found:
                name = min(name for name in expected | found if expected.get(name) != found.get(name))
                fault = f"is {found.get(name, 'missing')} there and {expected.get(name, 'missing')} in the network"
                raise ExportError(f"the weights {path} do not fit the architecture: {name[:SHOWN]} {fault}")
            if size > (most := memory.most()):
                raise ExportError(
                    f"the weights {path} take {memory.size_text(size)}, and this process may have "
                    f"{memory.size_text(most)}; use a machine with more memory"
                )
            if sealed.is_whole(path.read_bytes()) is False:
                raise ExportError(
                    f"the weights {path} are damaged: they differ from the digest that stands in the file; copy them "
                    "again, or train again"
                )
            tensors = {name: file.get_tensor(name) for name in expected}
    except OSError as error:
        reason = error.strerror or "it is missing"
        raise ExportError(f"the weights {path} cannot be read: {reason}") from None
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise ExportError(f"the weights {path} are damaged: {str(error)[: 2 * SHOWN]}") from None
    _put(network, {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()})
    return network.eval()


def _put(network: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Make these tensors the network's own; `load_state_dict` takes time with the square of the number of layers."""
    for place, module in network.named_modules():
        start = f"{place}." if place else ""
        for name, given in module._parameters.items():
            if given is not None:
                module._parameters[name] = nn.Parameter(tensors[start + name], requires_grad=given.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = tensors[start + name]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, with its header alone read. Raises OSError, or SafetensorError or ValueError for a damaged one."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > MAX_HEADER:
        raise ValueError(f"its header would have {length:,} bytes")
    with safetensors.safe_open(path, "pt") as found:
        yield found


def _stored_form(stored: Any) -> str:
    return _form(stored.get_dtype() in FLOATS, stored.get_shape())


def _form(is_float: bool, shape: Sequence[int]) -> str:
    """Kind and shape of a tensor."""
    return f"{'float' if is_float else 'int'} {tuple(shape)}"


def _is_auxiliary(name: str) -> bool:
    return name.startswith(f"{AUXILIARY}.")
