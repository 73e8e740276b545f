"""A recurrent controller: a distribution over genotypes that can be drawn from and made to prefer some.

Zoph and Le 2017, "Neural Architecture Search with Reinforcement Learning", arXiv:1611.01578, section 3: an LSTM chooses
the genes one after another; each has a softmax of its own, and what was chosen is the next input. Here any genes will
do: an integer has one output per value, a real one per point of its grid, and genes of one kind share their embeddings.

All is computed in float32 by one thread, since sums differ with the number of threads, and a resumed search must
learn what the undisturbed one learned.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from netwright.core import genes as encodings
from netwright.core.errors import BadReference
from netwright.core.genes import Gene

MOST_VALUES = 4096  # most values of one gene: each costs `hidden` weights in every gene's softmax

P = ParamSpec("P")
R = TypeVar("R")


def single_threaded(function: Callable[P, R]) -> Callable[P, R]:
    """Run `function` with one torch thread, whatever the number is before and after."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_num_threads(threads)

    return run


class PolicyController(nn.Module):
    """An LSTM over genes, as tokens (`genes.to_tokens`). Until `initialize`, every value is equally likely.

    Args:
        genes: Genes of the space; at least one.
        hidden: Number of units of the LSTM's one layer, and length of an embedding.

    Raises:
        BadReference: A gene has more than MOST_VALUES values.
    """

    def __init__(self, genes: Sequence[Gene], hidden: int) -> None:
        super().__init__()
        sizes = [encodings.size(gene) for gene in genes]
        for gene, size in zip(genes, sizes, strict=True):
            if size > MOST_VALUES:
                raise BadReference(
                    f"a controller needs one output for each value of a gene; {gene.name} has {size:,}, at most "
                    f"{MOST_VALUES:,} will do: make it a real gene with fewer bins"
                )
        tokens = 1 + sum(count for _, count in encodings.vocabulary(genes).values())
        lowest = encodings.from_vector(genes, np.zeros(len(genes)))
        self._first = torch.tensor(encodings.to_tokens(genes, lowest))  # (genes,) token of each gene's first value
        self._missing = torch.arange(max(sizes)) >= torch.tensor(sizes)[:, None]  # (genes, values) padding
        with torch.device("meta"):  # nothing is drawn from torch's own generator
            embedding = nn.Embedding(tokens, hidden)  # token 0 is the start
            lstm = nn.LSTM(hidden, hidden, batch_first=True)
        self.embedding, self.lstm = embedding.to_empty(device="cpu"), lstm.to_empty(device="cpu")
        self.weight = nn.Parameter(torch.empty(len(genes), max(sizes), hidden))
        self.bias = nn.Parameter(torch.empty(len(genes), max(sizes)))
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def initialize(self, limit: float, generator: torch.Generator) -> None:
        """Draw all weights uniformly from [-limit, limit]."""
        for parameter in self.parameters():
            parameter.data.uniform_(-limit, limit, generator=generator)

    @single_threaded
    @torch.no_grad()
    def draw(self, uniforms: np.ndarray) -> tuple[Tensor, Tensor]:
        """Turn uniform numbers in [0, 1), shape (B, genes), into draws: the larger a number, the later the value.

        Returns:
            Sequences of tokens, int64 of shape (B, genes), and their log-probabilities in nats, shape (B,).
        """
        count, length = uniforms.shape
        marks = torch.from_numpy(uniforms).T[:, :, None]  # (genes, B, 1)
        weights = tuple(self.lstm.all_weights[0])
        hidden = cell = torch.zeros(count, self.lstm.hidden_size)
        token = torch.zeros(count, dtype=torch.int64)
        chances, tokens = [], []
        for gene in range(length):
            hidden, cell = torch.lstm_cell(self.embedding(token), (hidden, cell), *weights)
            scores = torch.addmm(self.bias[gene], hidden, self.weight[gene].T)  # (B, values)
            chances.append(scores.masked_fill_(self._missing[gene], -torch.inf).softmax(1))
            sums = chances[-1].cumsum(1, dtype=torch.float64)  # in float32 a mark may round to 1, beyond all values
            token = self._first[gene] + (sums <= marks[gene] * sums[:, -1:]).sum(1)
            tokens.append(token)
        chosen = torch.stack(tokens, 1)
        return chosen, self._chosen(torch.stack(chances, 1).log(), chosen)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of each sequence of shape (B, genes), and the sum of its softmaxes' entropies: (B,), (B,)."""
        inputs = torch.cat((torch.zeros_like(tokens[:, :1]), tokens[:, :-1]), 1)
        states, _ = self.lstm(self.embedding(inputs))  # (B, genes, hidden)
        scores = torch.baddbmm(self.bias[:, None], states.transpose(0, 1), self.weight.transpose(1, 2)).transpose(0, 1)
        log_p = scores.masked_fill(self._missing, -torch.inf).log_softmax(2)  # (B, genes, values)
        entropy = -(log_p.exp() * log_p.masked_fill(self._missing, 0.0)).sum((1, 2))
        return self._chosen(log_p, tokens), entropy

    def _chosen(self, log_p: Tensor, tokens: Tensor) -> Tensor:
        return log_p.gather(2, (tokens - self._first)[:, :, None])[:, :, 0].sum(1)
