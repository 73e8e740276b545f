"""Bayesian neural networks that know their noise: a mean, and a variance that depends on the input.

The surrogate of Ru, Esperanca, Carlucci 2020, "Neural Architecture Generator Optimization": three layers of 10 units,
outputs f and the logarithm of the noise's variance, 100 samples of the weights by stochastic-gradient Hamiltonian Monte
Carlo (`hamiltonian`). A generator of networks gives one of them to each measurement, and how much they differ depends
on the generator: where the noise is large, a measurement says little. The homoscedastic sibling has one variance for
all inputs, which is learned like a weight.

What the paper does not say and is chosen here: hyperbolic tangents; normal priors of variance 1 on weights that are
divided by the root of their number (WIDE times that in the first layer, TALL times that of f in the last), so that
functions drawn from it have about the size of standardized targets; a relevance of each input, which multiplies its
weights and is learned with a lognormal prior (Neal 1996, "Bayesian Learning for Neural Networks", section 4.3): with
4 inputs and 50 trials the error was 0.43 with it and 0.69 without, 1 being the constant's; noise of variance e^-2 by
the prior, and e^-4 at least; 10 chains with 10 samples each.

Shapes: M targets with a network each, C chains, S samples, N inputs, D columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from netwright.core.records import Genotype
from netwright.surrogates import hamiltonian
from netwright.surrogates.features import Encoder
from netwright.surrogates.hamiltonian import Chains

HIDDEN = (10, 10, 10)
CHAINS = 10
WIDE, TALL = 2.0, 2.0  # deviations of the weights of the inputs, and of those of f, before they are divided
LOUDNESS, LOUDNESS_SPREAD = -2.0, 1.5  # the prior of the logarithm of the noise's variance
FAINTEST, LOUDEST = -4.0, 2.0  # bounds of that logarithm: without noise, slopes are too steep for the sampler's steps


@dataclass(frozen=True, eq=False)
class Belief:
    """What is known of targets at N inputs.

    Args:
        mean: Of f, shape (N, M).
        deviation: How far the samples of f differ, shape (N, M).
        noise: Variance of measurements around f, the mean of the samples', shape (N, M).
    """

    mean: np.ndarray
    deviation: np.ndarray
    noise: np.ndarray

    @property
    def variance(self) -> np.ndarray:
        """Of a measurement, shape (N, M)."""
        return self.deviation**2 + self.noise


@dataclass(frozen=True, eq=False)
class SampledNetworks:
    """Samples of the networks' weights.

    Args:
        weights: Shape (M, S, parameters).
        inputs: Number of columns of an input, D.
        is_heteroscedastic: Whether the noise depends on the input.
    """

    weights: Tensor
    inputs: int
    is_heteroscedastic: bool

    def predict(self, x: np.ndarray) -> Belief:
        """What is known at inputs in [0, 1], shape (N, D)."""
        with torch.no_grad():
            f, loudness = _outputs(self.weights, _centered(x), self.is_heteroscedastic)
            noise = loudness.exp().mean(1)
        found = (part.T.double().numpy() for part in (f.mean(1), f.std(1), noise))
        return Belief(*found)

    def steepest(self, x: np.ndarray) -> np.ndarray:
        """The largest norm of the gradient of each mean at any of N inputs, shape (M,): a Lipschitz constant."""
        points = _centered(x)[None].repeat(len(self.weights), 1, 1).unsqueeze(1).requires_grad_()
        f, _ = _outputs(self.weights, points, self.is_heteroscedastic)
        [slopes] = torch.autograd.grad(f.mean(1).sum(), points)
        largest: np.ndarray = 2.0 * slopes.squeeze(1).norm(dim=2).amax(1).double().numpy()  # centered ones are 2 x - 1
        return largest


def inputs(encoder: Encoder, genotypes: Sequence[Genotype]) -> np.ndarray:
    """N genotypes as inputs, shape (N, D): ordered genes in [0, 1], others by option, any two of which are 1 apart."""
    features = encoder.encode(genotypes)
    is_unordered = ~np.isin(encoder.gene_of_option, encoder.ordered)
    return np.concatenate([features.levels, features.options[:, is_unordered] / math.sqrt(2)], axis=1)


def learn(x: np.ndarray, y: np.ndarray, is_heteroscedastic: bool, chains: Chains, seed: int) -> SampledNetworks:
    """Sample the weights of a network for each target.

    Args:
        x: Inputs in [0, 1], shape (N, D).
        y: Targets, each of about mean 0 and variance 1, shape (N, M).
        is_heteroscedastic: Whether the noise depends on the input.
        chains: How weights are sampled, of each of 10 chains.
        seed: Of all random numbers; torch's own state is neither read nor changed.
    """
    generator = torch.Generator().manual_seed(seed)
    points, targets = _centered(x), torch.from_numpy(np.asarray(y, np.float32)).T.unsqueeze(1)
    shapes = _shapes(x.shape[1], is_heteroscedastic)
    size = sum(rows * columns for rows, columns in shapes) + x.shape[1] + (not is_heteroscedastic)
    start = torch.randn(y.shape[1], CHAINS, size, generator=generator)
    gradient = partial(_gradient, points, targets, is_heteroscedastic)
    kept = hamiltonian.sample(gradient, start, len(x), chains, generator)
    return SampledNetworks(kept.permute(1, 0, 2, 3).flatten(1, 2), x.shape[1], is_heteroscedastic)


def _gradient(x: Tensor, y: Tensor, is_heteroscedastic: bool, weights: Tensor, seen: Tensor) -> Tensor:
    """Of minus the logarithm of the posterior; x: (N, D), y: (M, 1, N), weights: (M, C, parameters)."""
    with torch.enable_grad():
        leaf = weights.detach().requires_grad_()
        f, loudness = _outputs(leaf, x[seen], is_heteroscedastic)
        surprise = 0.5 * (loudness + (y[..., seen] - f).square() * (-loudness).exp())
        energy = surprise.sum() * (len(x) / len(seen)) + 0.5 * leaf.square().sum()
        [found] = torch.autograd.grad(energy, leaf)
    return found


def _outputs(weights: Tensor, x: Tensor, is_heteroscedastic: bool) -> tuple[Tensor, Tensor]:
    """f and the logarithm of the noise's variance of each network, shapes (..., N); x: (N, D) or (..., N, D)."""
    shapes, at = _shapes(x.shape[-1], is_heteroscedastic), x.shape[-1]
    hidden = x * weights[..., None, :at].exp()  # by the relevance of each input
    for depth, (rows, columns) in enumerate(shapes):
        layer = weights[..., at : at + rows * columns].unflatten(-1, (rows, columns))
        at += rows * columns
        scale = (1.0 if depth else WIDE) / math.sqrt(rows - 1)
        hidden = hidden @ (scale * layer[..., :-1, :]) + layer[..., -1:, :]
        if depth < len(shapes) - 1:
            hidden = hidden.tanh()
    f = TALL * hidden[..., 0]
    loudness = hidden[..., 1] if is_heteroscedastic else weights[..., -1:].expand_as(f)
    return f, (LOUDNESS + LOUDNESS_SPREAD * loudness).clamp(FAINTEST, LOUDEST)


def _shapes(inputs: int, is_heteroscedastic: bool) -> list[tuple[int, int]]:
    """Rows and columns of each layer's weights, the last row of which are the biases."""
    widths = (inputs, *HIDDEN, 2 if is_heteroscedastic else 1)
    return [(rows + 1, columns) for rows, columns in pairwise(widths)]


def _centered(x: np.ndarray) -> Tensor:
    return torch.from_numpy(2.0 * np.asarray(x, np.float32) - 1.0)
