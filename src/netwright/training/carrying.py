"""Networks that carry a state from one batch to the next, as a recurrent one carries what it has read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from netwright.core.protocols import CarriesState


def begin_anew(network: nn.Module) -> None:
    """Make a network forget the state that it carries; a network that carries none stays as it is."""
    if isinstance(network, CarriesState):
        network.carry(None)


def carried(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the state that the network carries; empty where it carries none."""
    return (
        {name: value.clone() for name, value in network.carried().items()} if isinstance(network, CarriesState) else {}
    )


@contextmanager
def left_as_found(network: nn.Module) -> Iterator[None]:
    """Let the network begin without a state within the block, and carry its earlier state again afterwards."""
    found = carried(network)
    begin_anew(network)
    try:
        yield
    finally:
        if isinstance(network, CarriesState):
            network.carry(found or None)
