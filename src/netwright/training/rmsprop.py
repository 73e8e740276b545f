"""RMSProp as the papers of the NASNet family ran it: TensorFlow's, which is not torch's.

With epsilons of 0.1 and 1.0, as published, the differences decide the size of every step: epsilon stands within the
root, the mean of squares begins at 1, and the learning rate is in the momentum, so that a change of rate shows slowly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class RMSProp(torch.optim.Optimizer):
    """Steps divided by the root of a running mean of squared gradients, with momentum.

        g = gradient + weight_decay * w
        s = decay * s + (1 - decay) * g^2          s is 1 at first
        m = momentum * m + lr * g / sqrt(s + epsilon)
        w = w - m

    Args:
        params: Parameters to train.
        lr: Learning rate; a tensor, shape (), on the parameters' device can change under a recorded step.
        decay: Decay of the mean of squares, in [0, 1).
        epsilon: Number added to the mean of squares, greater than 0.
        momentum: Momentum of the steps, in [0, 1).
        weight_decay: Factor of the L2 penalty.

    Source: Tieleman and Hinton 2012, lecture 6.5; the form above is that of TensorFlow 1's RMSPropOptimizer.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float | Tensor,
        *,
        decay: float = 0.9,
        epsilon: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
    ) -> None:
        settings = {"decay": decay, "epsilon": epsilon, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, {"lr": lr, **settings})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        """Take one step with the present gradients; parameters without one stay. No closure is called."""
        if closure is not None:
            raise ValueError("RMSProp takes no closure")
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            squares, momenta = self._state_of(weights)
            gradients = [weight.grad for weight in weights]
            if group["weight_decay"]:
                gradients = torch._foreach_add(gradients, weights, alpha=group["weight_decay"])
            torch._foreach_mul_(squares, group["decay"])
            torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["decay"])
            roots = torch._foreach_add(squares, group["epsilon"])
            torch._foreach_sqrt_(roots)
            torch._foreach_mul_(momenta, group["momentum"])
            if isinstance(group["lr"], Tensor):
                steps = torch._foreach_div(gradients, roots)
                torch._foreach_mul_(steps, group["lr"])
                torch._foreach_add_(momenta, steps)
            else:
                torch._foreach_addcdiv_(momenta, gradients, roots, group["lr"])
            torch._foreach_sub_(weights, momenta)

    def _state_of(self, weights: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight] = {"square": torch.ones_like(weight), "momentum": torch.zeros_like(weight)}
        states = [self.state[weight] for weight in weights]
        return [state["square"] for state in states], [state["momentum"] for state in states]
