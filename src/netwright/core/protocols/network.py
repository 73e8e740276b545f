"""What some networks can do besides: capabilities that a training asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class KeepsActivations(Protocol):
    """Capability of a network: it leaves what its recurrent layers gave, for penalties on it.

    Attributes:
        keeps_activations: Whether a pass leaves its activations.
        activations: What each recurrent layer gave in the last pass, by the layer's name, shape (B, T, features), and
            by "NAME dropped" the same after the dropout that follows it; with gradients.
    """

    keeps_activations: bool
    activations: dict[str, Tensor]


@runtime_checkable
class CarriesState(Protocol):
    """Capability of a network: it begins each batch in the state in which the batch before left it.

    Batches for such a network come in order: row n of each continues row n of the one before. A training resets the
    state at each pass over the data, and its checkpoints hold the state, which is neither a parameter nor a buffer. The
    network itself detaches it between two batches, so that no gradient flows from one into the one before.
    """

    def carried(self) -> dict[str, Tensor]:
        """The state after the last batch, by name, without gradients; empty after a reset."""

    def carry(self, state: Mapping[str, Tensor] | None) -> None:
        """Continue from this state, as `carried` gave it, on the network's device; None: reset."""
