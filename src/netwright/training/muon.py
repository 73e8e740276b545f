"""Muon: steps that turn the kernels of convolutions evenly in all directions, and SGD for all other parameters.

The gradient of a kernel, seen as a matrix, has few large singular values; a step along it changes little else. Muon
takes the momentum's nearest orthogonal matrix in its place, so that rare directions are learned as fast as frequent
ones. Networks of convolutions come to the same accuracy in fewer steps, for some products of small matrices more.
torch's own, which it has from 2.9 on, takes no kernels, and does not hold their norms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import Tensor

SHARE: Final = 0.6  # of the learning rate: by this share of its norm a kernel is turned in a step
MOMENTUM: Final = 0.6  # of kernels
ITERATIONS: Final = 5
FACTORS: Final = (3.4445, -4.7750, 2.0315)  # of a polynomial that brings singular values into 0.7 to 1.2 in so many
LEAST: Final = 1e-7  # added to a norm that divides


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal for kernels, Nesterov's momentum for the rest.

    Of a kernel w, shape (out, in / groups, height, width), as a matrix of `out` rows:

        m = 0.6 * m + g
        u = orthogonal(g + 0.6 * m)
        v = w - 0.6 * lr * |w| * u / |u|
        w = v * |w| / |v|

    A kernel keeps the norm that it began with, so weight decay has nothing to do there; a normalization behind it
    takes the norm out again. For other parameters, and for the kernels of depthwise convolutions, which are no
    matrices:

        m = momentum * m + g + weight_decay * w
        w = w - lr * (g + weight_decay * w + momentum * m)

    Args:
        params: Parameters to train, or groups of them.
        lr: Learning rate; a tensor, shape (), on the parameters' device can change under a recorded step.
        momentum: Momentum of all but kernels, in [0, 1).
        weight_decay: Factor of the L2 penalty on all but kernels.

    Source: Jordan et al. 2024, Muon; holding the norm of kernels, momentum and factors as in their CIFAR-10 speed runs.
    """

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor, *, momentum: float = 0.9, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        """Take one step with the present gradients; parameters without one stay. No closure is called."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            kernels = [weight for weight in weights if is_kernel(weight)]
            self._turn(kernels, group["lr"])
            if others := [weight for weight in weights if not is_kernel(weight)]:
                self._descend(others, group)

    def _turn(self, kernels: list[Tensor], rate: float | Tensor) -> None:
        if not kernels:
            return
        gradients = [kernel.grad for kernel in kernels]
        momenta = self._momenta(kernels)
        torch._foreach_mul_(momenta, MOMENTUM)
        torch._foreach_add_(momenta, gradients)
        ahead = torch._foreach_add(gradients, momenta, alpha=MOMENTUM)
        norms = torch._foreach_norm(kernels)
        for kernel, direction, norm in zip(kernels, ahead, norms, strict=True):
            turn = orthogonal(direction.flatten(1))
            length = SHARE * rate * norm / (turn.norm() + LEAST)
            kernel.sub_((turn * length).view(direction.shape))
            kernel.mul_(norm / (kernel.norm() + LEAST))

    def _descend(self, weights: list[Tensor], group: dict[str, Any]) -> None:
        gradients = [weight.grad for weight in weights]
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, weights, alpha=group["weight_decay"]))
        if group["momentum"]:
            momenta = self._momenta(weights)
            torch._foreach_mul_(momenta, group["momentum"])
            torch._foreach_add_(momenta, gradients)
            gradients = list(torch._foreach_add(gradients, momenta, alpha=group["momentum"]))
        torch._foreach_sub_(weights, torch._foreach_mul(gradients, group["lr"]))

    def _momenta(self, weights: list[Tensor]) -> list[Tensor]:
        for weight in weights:
            if not self.state[weight]:
                self.state[weight] = {"momentum": torch.zeros_like(weight)}
        return [self.state[weight]["momentum"] for weight in weights]


def is_kernel(weight: Tensor) -> bool:
    """Whether the parameter is the kernel of a convolution that joins features, and so a matrix."""
    return weight.dim() == 4 and weight.shape[1] > 1


def orthogonal(matrix: Tensor) -> Tensor:
    """About the orthogonal matrix that is nearest to this one, by an iteration like Newton's and Schulz's.

    Args:
        matrix: Shape (rows, columns), of any norm.

    Returns:
        The same shape; singular values that were not tiny lie between 0.7 and 1.2. Of zeros, zeros.
    """
    first, second, third = FACTORS
    is_high = matrix.shape[0] > matrix.shape[1]
    unit = (matrix.T if is_high else matrix) / (matrix.norm() + LEAST)
    # X is multiplied by polynomials in X X^T from the left, so only these small squares are multiplied in between
    square, one = unit @ unit.T, torch.eye(len(unit), dtype=unit.dtype, device=unit.device)
    product = one
    for _ in range(ITERATIONS):
        factor = torch.addmm(first * one + second * square, square, square, alpha=third)
        product, square = factor @ product, factor @ square @ factor
    found = product @ unit
    return found.T if is_high else found
