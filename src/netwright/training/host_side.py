"""What the host does in a step, noted so that a step that would be frozen wrongly by a recording is not recorded.

A recording holds the operations of one step with the numbers that Python gave them. Where these change from step to
step, as by a counter, a schedule or a random number in the `forward` of a network of one's own, the recorded step would
go on with those of the step that was recorded, and nothing would tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

OWN: Final = ("netwright", "torch")  # packages whose modules and losses keep what changes in tensors
Step = Callable[[], Tensor]
Call = tuple[str, tuple[object, ...]]
_SHOWN: Final = (bool, int, float, complex, str, torch.dtype, torch.device, torch.layout, torch.memory_format)


class HostSide:
    """Compares what the host does in steps that follow each other.

    Args:
        network: The network that is trained; numbers and text that its modules keep as attributes are compared too,
            since they may decide about later steps.
        device: Where the steps run; tensors of another device are the host's.
    """

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self._network, self._device = network, device
        self._calls: Counter[Call] | None = None
        self.changes = ""  # what was not alike in the two steps noted last, for after "as"; "": nothing

    def noted(self, step: Step) -> Step:
        """The same step, which is noted, and compared with the one noted before, when it is taken."""

        def take() -> Tensor:
            before = dict(_attributes(self._network))
            with _Noting(self._device) as noting:
                loss = step()
            kept = {name for name, value in _attributes(self._network) if before.get(name, value) != value}
            self.changes = self._compared(Counter(noting.calls), kept)
            return loss

        return take

    def forget(self) -> None:
        """Compare the next step with none."""
        self._calls, self.changes = None, ""

    def _compared(self, calls: Counter[Call], kept: set[str]) -> str:
        before, self._calls = self._calls, calls
        if kept:
            return f"its network changes {min(kept)} in each, which is no tensor"
        if before is not None and (others := [*(calls - before), *(before - calls)]):
            return f"what Python gives {others[0][0]} differs from step to step"
        return ""


def is_to_be_watched(network: nn.Module, *others: object) -> bool:
    """Whether a step runs code that is neither ours nor torch's: in modules of a network, or in other objects."""
    return any(type(each).__module__.partition(".")[0] not in OWN for each in (*network.modules(), *others))


class _Noting(TorchDispatchMode):
    """Notes each operation with all that it is given but the contents of the device's tensors.

    Only their number is compared: on a GPU, the host and the device have threads of their own in the backward pass.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self._device = device

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tuple(self._of(leaf) for leaf in tree_leaves((args, kwargs or {})))
        self.calls.append((str(function), given))
        return function(*args, **(kwargs or {}))

    def _of(self, leaf: object) -> object:
        if isinstance(leaf, Tensor):
            form = (leaf.dtype, tuple(leaf.shape), leaf.device.type)
            return form if leaf.device.type == self._device.type else (*form, _bytes(leaf))
        return repr(leaf) if isinstance(leaf, _SHOWN) else type(leaf).__name__


def _bytes(tensor: Tensor) -> bytes:
    """The numbers of a tensor of the host."""
    return tensor.detach().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes()


def _attributes(network: nn.Module) -> Iterator[tuple[str, object]]:
    """Numbers and texts that the modules keep, by place and name."""
    for place, module in network.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, bool | int | float | str):
                yield f"{place}.{name}".lstrip("."), value
