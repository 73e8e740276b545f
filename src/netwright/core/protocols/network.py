"""What some networks can do besides: capabilities that a training asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor


@runtime_checkable
class CarriesState(Protocol):
    """Capability of a network: what it has read of one batch is where it begins with the next.

    Batches of such a task come in order: row n of each goes on from row n of the one before. A training begins anew at
    each pass over the data, and its checkpoints hold what is carried, which is neither a parameter nor a buffer. The
    network itself detaches it between two batches, so that no gradient flows from one into the one before.
    """

    def carried(self) -> dict[str, Tensor]:
        """The state after the last batch, by name, without gradients; empty where it has begun anew."""

    def carry(self, state: Mapping[str, Tensor] | None) -> None:
        """Go on from this state, that of `carried`, on the network's device; None: begin anew."""
