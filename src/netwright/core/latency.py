"""Latency of a network as a metric of a search: milliseconds of a forward pass, estimated before it is trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from netwright.core.objectives import Objective
from netwright.core.records import Genotype

if TYPE_CHECKING:
    from netwright.core.protocols import SearchSpace, Store

LATENCY: Final = Objective("latency_ms", -1)


@dataclass(frozen=True)
class LatencySettings:
    """Of what forward pass `latency_ms` is. In single precision, on random examples.

    Args:
        device: cpu, cuda or cuda:0.
        batch: Examples at once.
        threads: Threads of the host.
    """

    device: str = "cpu"
    batch: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("batch", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"of batch {self.batch} on {self.device} with {threads}"


class EstimatesLatency(Protocol):
    """What knows the latency of networks that nobody has built: see `training.latency.table`."""

    def latency_ms(self, space: SearchSpace, genotype: Genotype) -> float:
        """Milliseconds of a forward pass; of a generator, of the network that the space's own seed draws.

        Raises InvalidGenotype where there is no such network.
        """

    def keep_in(self, store: Store) -> None:
        """Make ready what is needed, and keep it in a run's table from now on."""

    def remark(self) -> str:
        """A sentence on what the numbers are, and how far they are off."""


def is_named(measured: Iterable[str], constraints: Iterable[str]) -> bool:
    """Whether objectives, metrics or constraints, as run files write them, ask for the latency."""
    return any(Objective.read(text).name == LATENCY.name for text in measured) or any(
        text.strip().startswith(LATENCY.name) for text in constraints
    )
