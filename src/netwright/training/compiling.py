"""Networks that torch's compiler makes into few kernels, where a training is long enough to earn the time it takes.

The compiler fuses normalizations, activations and sums, which are limited by memory traffic; it takes the better part
of a minute for a network of some hundred layers, once for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from netwright.core import reading

BREAK_EVEN: Final = 10_000
"""Steps from which "auto" compiles. A recorded step of search size (batches of 256 at about 10,000 images a second)
takes 26 ms; where fusion saves a quarter of it, the minute or so that compiling takes is earned back within 10,000
steps. An estimate: it was not measured on a card."""

Wanted = Literal["auto", "never", "always"]


def pays(wanted: Wanted, device: torch.device, steps: int, *, is_paced: bool = False) -> bool:
    """Whether a training is to be compiled.

    Args:
        wanted: What the options say.
        device: Where it is trained.
        steps: Steps that it takes, which may be fewer than its schedule has.
        is_paced: Whether a pace decided how many. It was measured without the compiler, whose minute is in no budget
            of seconds, and it would give as many steps to a network that the compiler makes faster: "auto" is "never".
    """
    if wanted != "auto":
        return wanted == "always"
    return device.type == "cuda" and steps >= BREAK_EVEN and not is_paced


class Compiled:
    """A module that is compiled for the shape of the first inputs; others, as those of the last batch, run plainly.

    Where it cannot be compiled, all run plainly, and so do those whose operations are noted (`training.host_side`).

    Args:
        module: Takes inputs, shape (B, ...), and whatever else.
        compile: Compiles a module for fixed shapes.
    """

    def __init__(self, module: nn.Module, compile: Callable[[nn.Module], Callable[..., Any]] | None = None) -> None:
        self.why_plain = ""  # a reason, for after "as"; "": it is compiled
        self._module = module
        self._compiled = (compile or _by_torch)(module)
        self._shape: torch.Size | None = None

    def __call__(self, inputs: Tensor, *more: Any) -> Any:
        """What the module gives."""
        is_noted = is_in_torch_dispatch_mode()  # under which torch compiles nothing, then or later
        if self.why_plain or is_noted or self._shape not in (None, inputs.shape):
            return self._module(inputs, *more)
        if self._shape is not None:
            return self._compiled(inputs, *more)
        try:
            found = self._compiled(inputs, *more)
        except Exception as error:  # whatever the compiler and its own compilers raise, before anything was computed
            self.why_plain = f"the compiler failed: {reading.line(str(error).partition(chr(10))[0])}"
            return self._module(inputs, *more)
        self._shape = inputs.shape
        return found


def _by_torch(module: nn.Module) -> Callable[..., Any]:
    torch.compiler.reset()  # of one forward function torch compiles eight forms, those of earlier trainings included
    compiled: Callable[..., Any] = torch.compile(module, dynamic=False)
    return compiled
