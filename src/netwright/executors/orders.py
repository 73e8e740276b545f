"""What workers of a served table ask of whoever serves it, besides what a table has: what to do, and to be let go."""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol, runtime_checkable

from netwright.core.errors import StoreError
from netwright.core.protocols import Store

Order = Literal["", "drain", "stop"]  # go on, leave after the trial at hand, put it back and leave

BEAT: Final = 5.0  # seconds between two beats of such a worker, after which it has heard what to do
ORDERS, LEAVE = "orders", "leave"  # requests


@runtime_checkable
class AsksServer(Protocol):
    """Capability of a store: it asks whoever serves it for more than a table has."""

    def call(self, method: str, *values: Any) -> Any:
        """What is answered to a request by name."""


def server_of(store: Store) -> AsksServer:
    """Whoever serves a store. Raises StoreError for one that is not served."""
    if not isinstance(store, AsksServer):
        raise StoreError(f"{store.address} is no served table; a worker joins one by tcp://HOST:PORT")
    return store


def heard(store: Store, worker: str) -> Order:
    """What a worker of a served table is to do."""
    said = server_of(store).call(ORDERS, worker)
    return "stop" if said == "stop" else "drain" if said == "drain" else ""


def leave(store: Store, worker: str) -> None:
    """Say that a worker leaves."""
    server_of(store).call(LEAVE, worker)
