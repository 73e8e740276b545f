"""Penalties on what recurrent layers give, besides the loss of a batch (Merity et al. 2018, section 4.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from netwright.core.protocols import KeepsActivations

DROPPED = " dropped"  # end of the name of what comes after a dropout


@contextmanager
def kept(network: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Have the passes of a network within the block leave their activations, as of `KeepsActivations`."""
    assert isinstance(network, KeepsActivations)
    network.keeps_activations = True
    found: dict[str, Tensor] = {}
    try:
        yield found
    finally:
        found.update(network.activations)
        network.keeps_activations = False
        network.activations.clear()  # they hold the memory of the pass


def of(activations: Mapping[str, Tensor], activation: float, temporal: float) -> Tensor:
    """The penalties of a pass, shape (): of each recurrent layer, which there must be one of.

    Args:
        activations: What the pass left, each (B, T, features).
        activation: Weight of the mean square of what comes out of a layer, after dropout.
        temporal: Weight of the mean square of differences of consecutive outputs, before dropout; one alone has none.
    """
    raw = {name: value for name, value in activations.items() if not name.endswith(DROPPED)}
    found = torch.zeros((), device=next(iter(raw.values())).device)
    for name, value in raw.items():
        if activation:
            found = found + activation * activations.get(name + DROPPED, value).float().square().mean()
        if temporal and value.shape[1] > 1:
            found = found + temporal * value.float().diff(dim=1).square().mean()
    return found
