"""All networks on shared weights as one module, which runs those that it is told to: what a descent trains.

A step of `loop.steps` runs what `follow` was last given, so that the loop, the descent, checkpoints and schedules are
those of any training, and a training of one network does not know of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import torch
from torch import Tensor, nn

from netwright.core.protocols import CarriesState
from netwright.core.records import Genotype
from netwright.plans.network import Network
from netwright.plans.regularization import Regularization
from netwright.training.supernet import SharedWeights

KEPT: Final = 64  # networks, of about a megabyte each: to make one takes a tenth of the time of a small step


@dataclass
class _Turns:
    """Networks that take turns, which a module must not take for its own parts."""

    networks: tuple[Network, ...]
    run: int = 0  # how many passes there were
    drawn: int = 0

    @property
    def next(self) -> Network:
        """The network that runs next."""
        return self.networks[self.run % len(self.networks)]


class PathNetwork(nn.Module):
    """Runs networks on shared weights, one for each part of a batch, in turn.

    Its parameters are the shared tensors under their names.

    Args:
        weights: The weights.
        first: The networks to begin with.
        memory_format: Memory format of weights that have four dimensions.
    """

    def __init__(
        self,
        weights: SharedWeights,
        first: Sequence[Genotype],
        memory_format: torch.memory_format = torch.contiguous_format,
    ) -> None:
        super().__init__()
        self._child = lru_cache(maxsize=KEPT)(weights.child)
        for name, tensor in weights.tensors.items():
            if tensor.dim() == 4:
                tensor.data = tensor.data.contiguous(memory_format=memory_format)
            self._parameters[name] = tensor  # `register_parameter` takes no name with dots
        self._turns = self._of(first)

    def follow(self, genotypes: Sequence[Genotype]) -> None:
        """Run these from now on: the parts of each batch go to one after another."""
        self._turns = self._of(genotypes)

    def forget(self) -> None:
        """Make networks anew, as they have got other weights; it takes effect with the next `follow`."""
        self._child.cache_clear()

    def forward(self, inputs: Tensor) -> Tensor:
        """Logits of the next network for its part of a batch."""
        return self._taken()(inputs)

    def with_auxiliary(self, inputs: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The same, and those of its auxiliary heads."""
        return self._taken().with_auxiliary(inputs)

    def draws(
        self, regularization: Regularization, progress: float, generator: torch.Generator, rows: slice, batch: int
    ) -> tuple[Tensor | None, ...]:
        """What the next network loses; the parts of a batch are drawn for in the order in which they are run."""
        turns = self._turns
        turns.drawn += 1
        network = turns.networks[(turns.drawn - 1) % len(turns.networks)]
        return network.draws(regularization, progress, generator, rows, batch)

    def regularize(self, factors: Sequence[Tensor | None]) -> None:
        """Let the next pass lose what was drawn for it."""
        self._turns.next.regularize(factors)

    def load_state_dict(self, state_dict: Mapping[str, Tensor], *_: object, **__: object) -> None:  # type: ignore[override]
        """Take the tensors in place."""
        with torch.no_grad():
            for name, tensor in self._parameters.items():
                assert tensor is not None
                tensor.copy_(state_dict[name])

    def _of(self, genotypes: Sequence[Genotype]) -> _Turns:
        return _Turns(tuple(map(self._child, genotypes)))

    def _taken(self) -> Network:
        """The network whose turn it is, which is over with that."""
        found = self._turns.next
        self._turns.run += 1
        return found


class CarryingPathNetwork(PathNetwork):
    """The same of recurrent networks, each of which goes on from the state that the one before has left."""

    def follow(self, genotypes: Sequence[Genotype]) -> None:
        """Run these from now on."""
        state = self.carried()
        super().follow(genotypes)
        self.carry(state or None)

    def carried(self) -> dict[str, Tensor]:
        """The state after the last batch, by layer; empty after a reset."""
        network = self._turns.next
        return network.carried() if isinstance(network, CarriesState) else {}

    def carry(self, state: Mapping[str, Tensor] | None) -> None:
        """Go on from this state; None: reset."""
        for network in self._turns.networks:
            if isinstance(network, CarriesState):
                network.carry(state)

    @property
    def keeps_activations(self) -> bool:
        """Whether a pass leaves its activations."""
        return self._turns.next.keeps_activations

    @keeps_activations.setter
    def keeps_activations(self, wanted: bool) -> None:
        self._turns.next.keeps_activations = wanted

    @property
    def activations(self) -> dict[str, Tensor]:
        """What recurrent layers gave in the last pass."""
        return self._turns.next.activations


def made(
    weights: SharedWeights, first: Sequence[Genotype], memory_format: torch.memory_format = torch.contiguous_format
) -> PathNetwork:
    """What runs networks of a space, to begin with these."""
    kind = CarryingPathNetwork if isinstance(weights.child(first[0]), CarriesState) else PathNetwork
    return kind(weights, first, memory_format)
