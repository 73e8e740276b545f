"""Networks that carry a state from one batch to the next, as a recurrent one carries what it has read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from netwright.core.protocols import CarriesState


def begin_anew(network: nn.Module) -> None:
    """Have a network that carries a state forget it; any other stays as it is."""
    if isinstance(network, CarriesState):
        network.carry(None)


def carried(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the state that the network carries; empty where it carries none."""
    return (
        {name: value.clone() for name, value in network.carried().items()} if isinstance(network, CarriesState) else {}
    )


@contextmanager
def left_as_found(network: nn.Module) -> Iterator[None]:
    """Within, the network begins anew; afterwards it carries again what it carried before."""
    found = carried(network)
    begin_anew(network)
    try:
        yield
    finally:
        if isinstance(network, CarriesState):
            network.carry(found or None)
