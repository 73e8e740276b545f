"""Stochastic-gradient Hamiltonian Monte Carlo: samples of a posterior from gradients on some of the examples.

Chen, Fox, Guestrin 2014, "Stochastic Gradient Hamiltonian Monte Carlo", arXiv:1402.4102. Each parameter has a mass by
the size of its own gradients, learned while the chain burns in, as in Springenberg et al. 2016, "Bayesian Optimization
with Robust Bayesian Neural Networks", section 4. What stochastic gradients add to the noise is subtracted from what is
injected: theirs is the share 1 - batch / examples of all that varies in the gradient, and nothing where a step sees all
examples. Several chains run side by side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Gradient = Callable[[Tensor, Tensor], Tensor]  # at all chains' parameters, on the examples at some positions


@dataclass(frozen=True)
class Chains:
    """How a posterior is sampled.

    Args:
        steps: Steps of each chain; it burns in during the first half of them.
        samples: States that are kept of each chain, evenly over the second half.
        batch: Examples that a step sees; all of them where they are fewer.
        step_size: Length of a step, the epsilon of Springenberg et al.
        friction: Share of the momentum that each step loses.

    Raises:
        ValueError: The second half has fewer steps than there are states to keep.
    """

    steps: int = 1000
    samples: int = 10
    batch: int = 100
    step_size: float = 0.02
    friction: float = 0.05

    def __post_init__(self) -> None:
        if self.samples < 1 or self.steps < 2 * self.samples:
            raise ValueError(
                f"steps is {self.steps}; {self.samples} samples of a chain need {2 * self.samples} or more"
            )


def sample(gradient: Gradient, start: Tensor, examples: int, chains: Chains, generator: torch.Generator) -> Tensor:
    """States of chains that sample exp(-U).

    Args:
        gradient: The gradient of U at the given states, in their shape; that of the likelihood is estimated from the
            examples at the given positions, shape (batch,).
        start: Where the chains begin, shape (..., parameters).
        examples: Number of examples, N.
        chains: Steps and samples.
        generator: All random numbers come from it.

    Returns:
        Shape (samples, ..., parameters).
    """
    batch = min(chains.batch, examples)
    state, momentum = start.clone(), torch.zeros_like(start)
    memory, mean, square = (torch.ones_like(start) for _ in range(3))  # moving averages of slopes, and their length
    burn_in = chains.steps // 2
    kept_at = set(torch.linspace(burn_in, chains.steps, chains.samples + 1).long()[1:].tolist())
    everything, kept = torch.arange(examples), []
    step = inverse_mass = spread = start
    for n in range(1, chains.steps + 1):
        seen = everything if batch == examples else torch.randperm(examples, generator=generator)[:batch]
        slope = gradient(state, seen)
        if n <= burn_in:
            rate = 1.0 / (memory + 1.0)
            memory += 1.0 - memory * mean * mean / square
            mean += rate * (slope - mean)
            square += rate * (slope * slope - square)
            inverse_mass = square.clamp_min(1e-12).rsqrt()
            step = chains.step_size**2 * inverse_mass
            spread = 2.0 * chains.friction * step - (1.0 - batch / examples) * chains.step_size**4
            spread = spread.clamp_min(0.0).sqrt()
        noise = torch.randn(start.shape, generator=generator, dtype=start.dtype)
        momentum = momentum * (1.0 - chains.friction) - step * slope + spread * noise
        state = state + momentum
        if n in kept_at:
            kept.append(state)
    return torch.stack(kept)
