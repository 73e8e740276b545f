"""A recurrent network that carries its state from batch to batch, a space of it, and tokens to predict in order."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from netwright.core.records import Counts
from netwright.core.shapes import IO, Tokens

VOCABULARY, STEPS, HIDDEN = 5, 4, 8
LENGTHS = {"train": 20, "valid": 9, "train+valid": 29, "test": 9}  # batches of each split


class Recurrent(nn.Module):
    """Predicts the next token from all that it has read since it began."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN)
        self.cell = nn.GRU(HIDDEN, HIDDEN, batch_first=True)
        self.out = nn.Linear(HIDDEN, VOCABULARY)
        self.state = None
        self.begun = 0

    def forward(self, tokens):
        found, state = self.cell(self.embedding(tokens), self.state)  # (B, T, hidden)
        self.state = state.detach()
        return self.out(found)  # (B, T, vocabulary)

    def carried(self):
        return {} if self.state is None else {"hidden": self.state}

    def carry(self, state):
        self.begun += state is None
        self.state = None if state is None else state["hidden"]


class Space:
    """One network, from any genotype; it keeps what it has built."""

    def __init__(self):
        self.built = []

    def build(self, genotype, io, rng):
        network = Recurrent()
        for weight in network.parameters():
            weight.data = torch.from_numpy(rng.normal(0, 0.3, weight.shape)).float()
        self.built.append(network)
        return network

    def count(self, genotype, io):
        return Counts(sum(weight.numel() for weight in Recurrent().parameters()), 1)


class Text:
    """Streams of tokens, each determined by the two before it; batches in order, whatever the generator."""

    io = IO(Tokens(VOCABULARY, STEPS), Tokens(VOCABULARY, STEPS))

    def examples(self, split):
        return 4 * LENGTHS[split]

    def batches(self, split, size, rng):
        rows, batches = min(size, 4), LENGTHS[split]
        tokens = np.zeros((rows, batches * STEPS + 1), np.int64)
        tokens[:, :2] = np.arange(2 * rows).reshape(rows, 2) % VOCABULARY
        for place in range(2, tokens.shape[1]):
            tokens[:, place] = (tokens[:, place - 1] + tokens[:, place - 2] + 1) % VOCABULARY
        for start in range(0, batches * STEPS, STEPS):
            part = torch.from_numpy(tokens[:, start : start + STEPS + 1].copy())
            yield part[:, :-1], part[:, 1:]

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def metrics(self, outputs, targets):
        return {"loss": F.cross_entropy(outputs.transpose(1, 2), targets, reduction="none")}  # (B, T)

    def summary(self, sums, counts):
        return {"perplexity": math.exp(sums["loss"] / counts["loss"])}
