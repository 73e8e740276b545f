"""How NAO's controllers spell a point out again: LSTMs with attention, as the published programs have them.

Luo et al. 2018, arXiv:1808.07233, section 3; written from a description of the programs. Shapes: B sequences, L tokens,
T states, H hidden, V tokens of the vocabulary with 0, the start. A point is its states (B, T, H), of unit length.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

META = torch.device("meta")  # layers are made on no device, so that nothing is drawn from torch's global generator


class Decoder(Protocol):
    """What a controller needs of either decoder."""

    def __call__(self, sequences: Tensor, states: Tensor) -> Tensor:
        """Logits (B, L, V) of each token of `sequences`, shape (B, L), given those before it."""
        ...

    def greedy(self, states: Tensor, masks: Tensor) -> Tensor:
        """Sequences (B, L): at each position the likeliest token that its row of `masks`, shape (L, V), admits."""
        ...


class DotDecoder(nn.Module):
    """The PyTorch programs' decoder: what the LSTM says asks the states, and both make the logits.

    Args:
        vocabulary: Number of tokens, V.
        hidden: Number of units, H.
        is_mapped: Whether questions have a map of their own; without one, the map behind attention has a bias.
    """

    def __init__(self, vocabulary: int, hidden: int, is_mapped: bool) -> None:
        super().__init__()
        self.hidden = hidden
        self.embedding = embedding(vocabulary, hidden)
        self.lstm = nn.LSTM(hidden, hidden, batch_first=True, device=META)
        self.query = nn.Linear(hidden, hidden, bias=False, device=META) if is_mapped else None
        self.combine = nn.Linear(2 * hidden, hidden, bias=not is_mapped, device=META)
        self.out = nn.Linear(hidden, vocabulary, device=META)

    def forward(self, sequences: Tensor, states: Tensor) -> Tensor:
        """As `Decoder` says."""
        start = pool(states).unsqueeze(0)
        outputs, _ = self.lstm(self.embedding(_behind_the_start(sequences)), (start, start))
        return self._logits(outputs, *self._attended(states))

    @torch.no_grad()
    def greedy(self, states: Tensor, masks: Tensor) -> Tensor:
        """As `Decoder` says."""
        start = pool(states).unsqueeze(0)
        memory, token = (start, start), torch.zeros(len(states), dtype=torch.int64)
        keys, values, found = *self._attended(states), []
        for mask in masks:
            outputs, memory = self.lstm(self.embedding(token).unsqueeze(1), memory)
            logits = self._logits(outputs, keys, values).squeeze(1)
            token = logits.masked_fill(~mask, -math.inf).argmax(1)
            found.append(token)
        return torch.stack(found, 1)

    def _attended(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """What attention reads, each (B, T, H), with the maps of questions and contexts already applied.

        Both maps are linear, so that they may as well act on the T states as on the L questions, which are more.
        """
        keys = states if self.query is None else states @ self.query.weight
        return keys, states @ self.combine.weight[:, : self.hidden].T

    def _logits(self, outputs: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """tanh(combine([context; output])) to logits, where context = softmax(query(output) . states) states."""
        weights = torch.softmax(torch.bmm(outputs, keys.transpose(1, 2)), -1)  # (B, L, T)
        own = outputs @ self.combine.weight[:, self.hidden :].T
        if self.combine.bias is not None:
            own = own + self.combine.bias
        return self.out(torch.tanh(torch.baddbmm(own, weights, values)))


class AdditiveDecoder(nn.Module):
    """The TensorFlow programs' decoder: normalized additive attention; the LSTM reads its context with the next token.

    The LSTM has one vector of biases, in `from_token`, and the gates of torch's: input, forget, cell, output.

    Args:
        vocabulary: Number of tokens, V.
        hidden: Number of units, H; attention has as many.
    """

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.embedding = embedding(vocabulary, hidden)
        self.from_token = nn.Linear(hidden, 4 * hidden, device=META)
        self.from_memory = nn.Linear(2 * hidden, 4 * hidden, bias=False, device=META)  # context and own output
        self.query = nn.Linear(hidden, hidden, bias=False, device=META)
        self.key = nn.Linear(hidden, hidden, bias=False, device=META)
        self.direction = nn.Parameter(torch.empty(hidden, device=META))
        self.offset = nn.Parameter(torch.empty(hidden, device=META))
        self.scale = nn.Parameter(torch.empty((), device=META))
        self.out = nn.Linear(hidden, vocabulary, device=META)

    def forward(self, sequences: Tensor, states: Tensor) -> Tensor:
        """As `Decoder` says."""
        said = self.from_token(self.embedding(_behind_the_start(sequences)))
        memory, outputs = self._start(states), []
        for gates in said.unbind(1):
            memory = self._step(gates, states, memory)
            outputs.append(memory[1])
        return self.out(torch.stack(outputs, 1))

    @torch.no_grad()
    def greedy(self, states: Tensor, masks: Tensor) -> Tensor:
        """As `Decoder` says."""
        memory, token, found = self._start(states), torch.zeros(len(states), dtype=torch.int64), []
        for mask in masks:
            memory = self._step(self.from_token(self.embedding(token)), states, memory)
            token = self.out(memory[1]).masked_fill(~mask, -math.inf).argmax(1)
            found.append(token)
        return torch.stack(found, 1)

    def _start(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Context, output and cell before the first token, what the states are asked by, and by which direction."""
        start = pool(states)
        direction = self.scale * F.normalize(self.direction, dim=0)
        return torch.zeros_like(start), start, start, self.key(states) + self.offset, direction

    def _step(
        self, gates: Tensor, states: Tensor, memory: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The memory after one token, whose part of the gates is given, shape (B, 4 H)."""
        context, output, cell, keys, direction = memory
        gates = gates + self.from_memory(torch.cat([context, output], 1))
        enter, forget, new, leave = gates.chunk(4, 1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
        output = torch.sigmoid(leave) * torch.tanh(cell)
        weights = torch.softmax(torch.tanh(keys + self.query(output).unsqueeze(1)) @ direction, 1)  # (B, T)
        return torch.bmm(weights.unsqueeze(1), states).squeeze(1), output, cell, keys, direction


def pool(states: Tensor) -> Tensor:
    """The mean of states (B, T, H), scaled to unit length: shape (B, H)."""
    return F.normalize(states.mean(1), dim=-1)


def embedding(vocabulary: int, width: int) -> nn.Embedding:
    """An embedding to be drawn: torch's own drawing of one on no device imports its compiler, which takes seconds."""
    return nn.Embedding.from_pretrained(torch.empty(vocabulary, width), freeze=False)


def _behind_the_start(sequences: Tensor) -> Tensor:
    return F.pad(sequences[:, :-1], (1, 0))
