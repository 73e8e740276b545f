"""A running average of a network's weights, which often does better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Averages:
    """Exponential moving average of all parameters and of the running statistics of normalizations.

    Args:
        network: The network to average, on its device; its present weights are the first average.
        decay: Share of the old average that an update keeps, in (0, 1). The first updates keep less, (1 + n) / (10 + n)
            after n updates, so that the first weights soon fade.

    Source: Real et al. 2018 and its TPU code, 0.9999; the beginning is TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay = decay
        self._live = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
        self.tensors = {name: value.clone() for name, value in self._live.items()}

    def update(self, updates: int) -> None:
        """Take in the network's present weights, after `updates` earlier updates."""
        decay = min(self._decay, (1 + updates) / (10 + updates))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._live.values()), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the network the averages as weights within the block, and its own weights back afterwards."""
        own = {name: value.clone() for name, value in self._live.items()}
        _copy(self.tensors, self._live)
        try:
            yield
        finally:
            _copy(own, self._live)


def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    torch._foreach_copy_(list(target.values()), list(source.values()))
