"""The torch modules of operations on tokens and sequences. An export takes their text along.

They use torch, nn, F and Tensor only.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VectorTable(nn.Module):
    """A table of learned vectors, which others read; drawn within 0.04 of 0 (Luo et al. 2018)."""

    def __init__(self, entries: int, features: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(entries, features).uniform_(-0.04, 0.04))

    def forward(self) -> Tensor:
        """The table, shape (entries, features)."""
        return self.weight


class TiedDecoder(nn.Module):
    """A linear layer whose weights are a table that it is given."""

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(entries))

    def forward(self, x: Tensor, table: Tensor) -> Tensor:
        """Logits (B, T, entries) of features (B, T, F); `table` has the shape (entries, F)."""
        return F.linear(x, table, self.bias)


class Recurrence(nn.Module):
    """A recurrent layer of gated nodes; it begins in `state`, where the batch before left it. None: in zeros.

    Args:
        units: Number of features of input, state and output.
        reads: For nodes 1, 2, ... the node that it reads, 0 or an earlier one.
        activations: For nodes 1, 2, ... "tanh", "relu", "identity" or "sigmoid".
        averages_all: Whether state 0 is part of the mean that is the output.
    """

    def __init__(
        self, units: int, reads: tuple[int, ...], activations: tuple[str, ...], averages_all: bool = False
    ) -> None:
        super().__init__()
        self.reads, self.activations, self.first = reads, activations, 0 if averages_all else 1
        self.entering = nn.Parameter(torch.empty(2 * units, 2 * units).uniform_(-0.04, 0.04))  # of input and state
        self.weight = nn.Parameter(torch.empty(len(reads), units, 2 * units).uniform_(-0.04, 0.04))
        self.state: Tensor | None = None  # (B, units) after the last step; a batch of another size begins in zeros

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, T, units) of inputs of that shape."""
        state, units = self.begun(x), x.shape[2]
        entered, outputs = x @ self.entering[:units], []
        for step in range(x.shape[1]):
            gate, candidate = (entered[:, step] + state @ self.entering[units:]).chunk(2, 1)
            states = [state + torch.sigmoid(gate) * (torch.tanh(candidate) - state)]
            for read, activation, weight in zip(self.reads, self.activations, self.weight, strict=True):
                gate, candidate = (states[read] @ weight).chunk(2, 1)
                candidate = candidate if activation == "identity" else getattr(torch, activation)(candidate)
                states.append(states[read] + torch.sigmoid(gate) * (candidate - states[read]))
            state = torch.stack(states[self.first :]).mean(0)
            outputs.append(state)
        self.state = state.detach()
        return torch.stack(outputs, 1)

    def begun(self, x: Tensor) -> Tensor:
        """The state that a batch begins in, shape (B, units)."""
        found = self.state
        if found is None or found.shape[0] != x.shape[0]:  # `len` would make a graph one for a single size of batch
            return x.new_zeros(x.shape[0], x.shape[2])
        return found.to(x)
