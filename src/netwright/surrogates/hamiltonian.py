"""Stochastic-gradient Hamiltonian Monte Carlo: samples of a posterior from gradients on some of the examples.

Chen, Fox, Guestrin 2014, "Stochastic Gradient Hamiltonian Monte Carlo", arXiv:1402.4102, with masses learned while the
chains burn in, as in Springenberg et al. 2016, "Bayesian Optimization with Robust Bayesian Neural Networks", section 4.
Several chains run side by side. Where it departs from them, and why:

* Chains first descend towards modes by Adam (Kingma, Ba 2015). From where a prior puts them they did not find the
  posterior of a noisy network in a thousand steps: they stayed where all is noise.
* The mass of a parameter is the mean square of its gradients over steps and chains, not the root of it. All parameters
  then move equally fast, and a step is long enough for those that only the prior holds, short enough for the others.
  It is pooled over chains, since the gradients of one chain, which change slowly, may all be small when masses are
  fixed, and the chain diverges.
* A step is split symmetrically, half a drift before and after friction and noise (Chen, Ding, Carin 2015, "On the
  Convergence of Stochastic Gradient MCMC Algorithms with High-Order Integrators"), which allows longer ones.

What stochastic gradients add to the noise is subtracted from what is injected: theirs is the share 1 - batch / examples
of all that varies in the gradient, and nothing where a step sees all examples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Gradient = Callable[[Tensor, Tensor], Tensor]  # at all chains' parameters, on the examples at some positions

DESCENT = 0.3  # share of the steps in which chains descend; from then to the half of all they burn in
RATE, LAST = 0.03, 0.1  # Adam's rate at first, and the share of it that is left at the end
SLOPES, SQUARES = 0.9, 0.98  # Adam's memory


@dataclass(frozen=True)
class Chains:
    """How a posterior is sampled.

    Args:
        steps: Steps of each chain; it descends and burns in during the first half of them. At least 20.
        samples: States that are kept of each chain, evenly over the second half.
        batch: Examples that a step sees; all of them where they are fewer.
        step_size: Length of a step, the epsilon of Springenberg et al.; its square at most twice the friction.
        friction: Share of the momentum that each step loses.

    Raises:
        ValueError: There are too few steps, or the second half has fewer than there are states to keep.
    """

    steps: int = 1000
    samples: int = 10
    batch: int = 300
    step_size: float = 0.07
    friction: float = 0.07

    def __post_init__(self) -> None:
        least = max(20, 2 * self.samples)
        if self.samples < 1 or self.steps < least:
            raise ValueError(f"steps is {self.steps}; {self.samples} samples of a chain need {least} or more")


def sample(gradient: Gradient, start: Tensor, examples: int, chains: Chains, generator: torch.Generator) -> Tensor:
    """States of chains that sample exp(-U).

    Args:
        gradient: The gradient of U at the given states, in their shape; that of the likelihood is estimated from the
            examples at the given positions, shape (batch,).
        start: Where the chains begin, shape (..., chains, parameters).
        examples: Number of examples, N.
        chains: Steps and samples.
        generator: All random numbers come from it.

    Returns:
        Shape (samples, ..., chains, parameters).
    """
    batch = min(chains.batch, examples)
    everything = torch.arange(examples)

    def slope(state: Tensor) -> Tensor:
        seen = everything if batch == examples else torch.randperm(examples, generator=generator)[:batch]
        return gradient(state, seen)

    descent, burn_in = int(DESCENT * chains.steps), chains.steps // 2
    state, square = _descend(slope, start, descent)
    kept_at = set(torch.linspace(burn_in, chains.steps, chains.samples + 1).long()[1:].tolist())
    left, share = 1.0 - chains.friction, 1.0 - batch / examples
    injected = max(0.0, 1.0 - left**2 - share * chains.step_size**2) ** 0.5
    momentum, kept = torch.zeros_like(state), []
    for n in range(descent + 1, chains.steps + 1):
        force = slope(state)
        if n <= burn_in:
            square = square + min(1.0, 10.0 / burn_in) * (force.square().mean(-2, keepdim=True) - square)
            mass = square.clamp_min(1e-12)
        noise = torch.randn(start.shape, generator=generator, dtype=start.dtype)
        momentum = momentum - chains.step_size**2 / mass * force
        state = state + 0.5 * momentum
        momentum = left * momentum + injected * chains.step_size * mass.rsqrt() * noise
        state = state + 0.5 * momentum
        if n in kept_at:
            kept.append(state)
    return torch.stack(kept)


def _descend(slope: Callable[[Tensor], Tensor], state: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Chains after some steps of Adam, and the mean square of gradients on the way, shape (..., 1, parameters)."""
    mean, square = torch.zeros_like(state), torch.zeros_like(state)
    for n in range(1, steps + 1):
        force = slope(state)
        mean = SLOPES * mean + (1.0 - SLOPES) * force
        square = SQUARES * square + (1.0 - SQUARES) * force.square()
        rate = RATE * min(1.0, 2.0 * (1.0 - n / steps) + LAST)
        length = (square / (1.0 - SQUARES**n)).sqrt() + 1e-8
        state = state - rate / (1.0 - SLOPES**n) * mean / length
    return state, square.mean(-2, keepdim=True) / (1.0 - SQUARES**steps)
