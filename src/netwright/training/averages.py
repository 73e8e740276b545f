"""A running average of a network's weights, which often does better than the weights themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Averages:
    """A running average of all parameters and of the running statistics of normalizations.

    Args:
        network: The network to average, on its device; its present weights are the first average.
        kept: Gives the share of the old average that an update keeps, in [0, 1), after a number of earlier updates.
    """

    def __init__(self, network: nn.Module, kept: Callable[[int], float]) -> None:
        self._kept = kept
        self._live = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
        self.tensors = {name: value.clone() for name, value in self._live.items()}

    def share(self, updates: int) -> float:
        """The share of the present weights in an update after `updates` earlier ones, in (0, 1]."""
        return 1 - self._kept(updates)

    def update(self, share: float | Tensor) -> None:
        """Take in the network's present weights, with this share; a tensor, shape (), lies on their device."""
        averages, weights = list(self.tensors.values()), list(self._live.values())
        if isinstance(share, Tensor):  # for which torch has no lerp of many tensors at once
            ways = torch._foreach_sub(weights, averages)
            torch._foreach_mul_(ways, share)
            torch._foreach_add_(averages, ways)
        else:
            torch._foreach_lerp_(averages, weights, share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the network the averages as weights within the block, and its own weights back afterwards."""
        own = {name: value.clone() for name, value in self._live.items()}
        _copy(self.tensors, self._live)
        try:
            yield
        finally:
            _copy(own, self._live)


def exponential(decay: float) -> Callable[[int], float]:
    """What an exponential moving average keeps: `decay`, in (0, 1); at first less, (1 + n) / (10 + n) after n updates.

    Source: Real et al. 2018 and its TPU code, 0.9999; the beginning is TensorFlow's ExponentialMovingAverage.
    """
    return lambda updates: min(decay, (1 + updates) / (10 + updates))


def polynomial(share: float) -> Callable[[int], float]:
    """What a polynomial-decay average keeps, which always looks back over the last `share`, in (0, 1], of all updates.

    Update n takes in (eta + 1) / (n + eta + 1) of the present weights. Eta is 2 / share - 2, so that weights are
    on average as old as if the last `share` of the updates so far counted alike, and the others not. It suits a rate
    that stays constant: no length of the training is in it, so that a training can always go on. Where the rate falls
    at the end, it is to begin anew (`course.FlexibleSchedule.updates`).

    Source: Shamir and Zhang 2013, section 4.
    """
    eta = 2 / share - 2
    return lambda updates: updates / (updates + eta + 1)


def plain(updates: int) -> float:
    """What the mean of all weights since the first update keeps, which takes in nothing of those before."""
    return updates / (updates + 1)


def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    torch._foreach_copy_(list(target.values()), list(source.values()))
