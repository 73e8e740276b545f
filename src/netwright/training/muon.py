"""Muon: steps that turn the kernels of convolutions evenly in all directions, and SGD for all other parameters.

The gradient of a kernel, seen as a matrix, has few large singular values; a step along it changes little else. Muon
takes the momentum's nearest orthogonal matrix in its place, so that rare directions are learned as fast as frequent
ones. torch's own, which it has from 2.9 on, takes no kernels, and does not hold their norms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import Tensor

SHARE: Final = 0.6  # of the learning rate: by this share of its norm a kernel is turned in a step
MOMENTUM: Final = 0.6  # of kernels
ITERATIONS: Final = 5
FACTORS: Final = (3.4445, -4.7750, 2.0315)  # of a polynomial that brings singular values near 1 in so many
LEAST: Final = 1e-7  # added to a norm that divides


class Muon(torch.optim.Optimizer):
    """Momentum made orthogonal for kernels, Nesterov's momentum for the rest.

    Of a kernel w, shape (out, in, height, width), as a matrix of `out` rows:

        m = 0.6 * m + g
        u = orthogonal(g + 0.6 * m)
        v = w - 0.6 * lr * |w| * u / |u|
        w = v * |w| / |v|

    So a kernel keeps the norm that it began with, and weight decay has nothing to do there. Most kernels have a
    normalization behind them, which takes their norm out again; where there is none, the norm is as it was drawn, and a
    kernel of zeros stays. For other parameters:

        m = momentum * m + g + weight_decay * w
        w = w - lr * (g + weight_decay * w + momentum * m)

    Processes that train together must compute alike, as all of these matrices depend on how products are rounded.

    Args:
        params: Groups of parameters; those of a group with "turned" true are kernels.
        lr: Learning rate; a tensor, shape (), on the parameters' device can change under a recorded step.
        momentum: Momentum of all but kernels, in [0, 1).
        weight_decay: Factor of the L2 penalty on all but kernels.

    Source: Jordan et al. 2024, Muon; holding the norm of kernels, momentum and factors as in their CIFAR-10 speed runs.
    """

    def __init__(
        self, params: Iterable[Any], lr: float | Tensor, *, momentum: float = 0.9, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "turned": False})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:
        """Take one step with the present gradients; parameters without one stay. No closure is called."""
        if closure is not None:
            raise ValueError("Muon takes no closure")
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights and group["turned"]:
                self._turn(weights, group["lr"])
            elif weights:
                self._descend(weights, group)

    def _turn(self, kernels: list[Tensor], rate: float | Tensor) -> None:
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


def orthogonal(matrix: Tensor) -> Tensor:
    """About the orthogonal matrix that is nearest to this one, by Newton and Schulz's iteration.

    Args:
        matrix: Shape (rows, columns), of any norm.

    Returns:
        The same shape; singular values above a fiftieth of the norm have become such of about 0.7 to 1.2. Of zeros,
        zeros.
    """
    is_high = matrix.shape[0] > matrix.shape[1]
    unit = (matrix.T if is_high else matrix) / (matrix.norm() + LEAST)
    # the short way needs all digits of single precision, which GPUs leave out of products unless told otherwise
    found = iterated_by_squares(unit) if matrix.device.type == "cpu" else iterated(unit)
    return found.T if is_high else found


def iterated(unit: Tensor) -> Tensor:
    """The iteration as it was published, on a matrix of norm 1 with no more rows than columns."""
    first, second, third = FACTORS
    for _ in range(ITERATIONS):
        square = unit @ unit.T
        unit = first * unit + (second * square + third * square @ square) @ unit
    return unit


def iterated_by_squares(unit: Tensor) -> Tensor:
    """The same in fewer operations: all factors of the matrix, which stand on its left, are multiplied first."""
    first, second, third = FACTORS
    square, one = unit @ unit.T, torch.eye(len(unit), dtype=unit.dtype, device=unit.device)
    product: Tensor | None = None
    for left in reversed(range(ITERATIONS)):
        factor = torch.addmm(first * one + second * square, square, square, alpha=third)
        product = factor if product is None else factor @ product
        if left:
            square = factor @ square @ factor
    assert product is not None
    return product @ unit
