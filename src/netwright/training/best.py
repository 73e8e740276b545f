"""The weights of a training that did best on the validation data, kept beside those that it goes on with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


class BestWeights:
    """A copy of all parameters and buffers of a network.

    Args:
        network: The network, on its device.

    Attributes:
        tensors: The copy by name; empty: none was taken yet.
    """

    def __init__(self, network: nn.Module) -> None:
        self._live = network.state_dict()
        self.tensors: dict[str, Tensor] = {}

    def take(self) -> None:
        """Copy the network's present weights."""
        self.tensors = {name: value.clone() for name, value in self._live.items()}

    def put(self) -> None:
        """Give the network the weights that were copied."""
        _copy(self.tensors, self._live)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the network the weights that were copied within the block, and its own back afterwards."""
        own = {name: value.clone() for name, value in self._live.items()}
        self.put()
        try:
            yield
        finally:
            _copy(own, self._live)


def _copy(source: dict[str, Tensor], target: dict[str, Tensor]) -> None:
    for name, value in source.items():
        target[name].copy_(value)
