"""What the host does in a step, noted so that a step that would be frozen wrongly by a recording is not recorded.

A recording holds the operations of one step with the numbers that Python gave them. Where these change from step to
step, as by a counter, a schedule or a random number in the `forward` of a network of one's own, the recorded step would
go on with those of the step that was recorded, and nothing would tell.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

OWN: Final = ("netwright", "torch")  # packages whose modules and losses keep what changes in tensors
Step = Callable[[], Tensor]
Call = tuple[str, tuple[object, ...]]
_SHOWN: Final = (bool, int, float, complex, str, torch.dtype, torch.device, torch.layout, torch.memory_format)
_NOT_HELD: Final = (nn.Module, Tensor, type, ModuleType, FunctionType, MethodType)


class HostSide:
    """Compares what the host does in steps that follow each other.

    Two steps may be alike by chance, or until a counter is where it matters. So what the networks keep outside of
    tensors must not change in a step either, and no random number may be drawn by Python or numpy.

    Args:
        networks: The networks that run in a step, that which is trained first.
        device: Where the steps run; tensors of another device are the host's.
    """

    def __init__(self, *networks: nn.Module, device: torch.device) -> None:
        self._networks, self._device = networks, device
        self._calls: Counter[Call] | None = None
        self.changes = ""  # what was not alike in the two steps noted last, for after "as"; "": nothing

    def noted(self, step: Step) -> Step:
        """The same step, which is noted, and compared with the one noted before, when it is taken."""

        def take() -> Tensor:
            before = dict(self._kept())
            with _Noting(self._device) as noting:
                loss = step()
            kept = [why for why, value in self._kept() if before.get(why, value) != value]
            others = self._compared(Counter(noting.calls))
            self.changes = min(kept, default=others)
            return loss

        return take

    def forget(self) -> None:
        """Compare the next step with none."""
        self._calls, self.changes = None, ""

    def _kept(self) -> Iterator[tuple[str, object]]:
        """What is not to change in a step, each with the reason that is said where it does."""
        yield "Python's random draws numbers in each", random.getstate()
        yield "numpy.random draws numbers in each", _numbers(np.random.get_state(legacy=False))  # noqa: NPY002 -- others draw from it
        for network in self._networks:
            for place, module in network.named_modules():
                for name, value in vars(module).items():
                    yield (
                        f"its network changes {place}.{name} in each, which is no tensor".replace(" .", " "),
                        _in(value),
                    )

    def _compared(self, calls: Counter[Call]) -> str:
        before, self._calls = self._calls, calls
        if before is not None and (others := [*(calls - before), *(before - calls)]):
            return f"what Python gives {others[0][0]} differs from step to step"
        return ""


def is_to_be_watched(task: object, *networks: nn.Module) -> bool:
    """Whether a step runs code that is neither ours nor torch's: in a task's loss, or in modules of a network."""
    modules = (module for network in networks for module in network.modules())
    return any(type(each).__module__.partition(".")[0] not in OWN for each in (task, *modules))


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


def _in(value: object) -> list[object]:
    """What a module's attribute holds outside of tensors, also within containers and one object deep."""
    found = []
    for leaf in tree_leaves(value):
        is_held = hasattr(leaf, "__dict__") and not isinstance(leaf, _NOT_HELD)
        found += _numbers([leaf, *vars(leaf).values()] if is_held else leaf)
    return found


def _numbers(value: object) -> list[object]:
    """Numbers, texts, arrays and states of generators in containers, in a form that can be compared."""
    found: list[object] = []
    for leaf in tree_leaves(value):
        match leaf:
            case np.ndarray():
                found.append((leaf.shape, leaf.tobytes()))
            case np.random.Generator():
                found += _numbers(leaf.bit_generator.state)
            case np.random.RandomState():
                found += _numbers(leaf.get_state(legacy=False))
            case random.Random():
                found.append(leaf.getstate())
            case bool() | int() | float() | complex() | str() | np.generic():
                found.append(repr(leaf))  # by which what is no number equals itself
    return found
