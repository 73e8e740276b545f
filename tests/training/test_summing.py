import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netwright.core.objectives import Objective
from netwright.core.records import IO
from netwright.core.shapes import Tokens
from netwright.training import loop
from netwright.training.summing import summarized

TEXT = torch.tensor([[0, 1, 2, 3], [1, 1, 1, 1], [3, 2, 1, 0]])


class NextToken:
    """Three lines of four tokens; the loss of each token is summed, whatever batch it comes in."""

    io = IO(Tokens(5, 4), Tokens(5, 4))
    measures = (Objective("perplexity", -1),)

    def examples(self, split):
        return len(TEXT)

    def batches(self, split, size, rng):
        for lines in TEXT.split(2):  # the last batch has fewer tokens
            yield lines, lines

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def metrics(self, outputs, targets):
        return {"loss": F.cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)}


class WithPerplexity(NextToken):
    def summary(self, sums, counts):
        mean = sums["loss"] / counts["loss"]
        return {"perplexity": math.exp(mean), "loss": mean}


@pytest.fixture
def network():
    network = nn.Embedding(5, 5)
    with torch.no_grad():
        network.weight.copy_(torch.from_numpy(np.random.default_rng(0).normal(size=(5, 5))))
    return network


def test_without_a_summary_metrics_are_means():
    assert summarized(NextToken(), {"loss": 6.0, "hits": 1.0}, {"loss": 12, "hits": 3}) == {"loss": 0.5, "hits": 1 / 3}


def test_a_perplexity_is_the_exponential_of_a_mean_over_tokens(network):
    """And neither the mean over batches, of exponentials or of losses, nor that over lines."""
    losses = F.cross_entropy(network(TEXT).flatten(0, 1), TEXT.flatten(), reduction="none").double().detach()
    found = loop.measure(network, WithPerplexity(), "valid")
    assert found["perplexity"] == pytest.approx(math.exp(losses.mean()), rel=1e-6)
    assert found["perplexity"] != pytest.approx(float(losses.exp().mean()), rel=1e-3)
    batches = torch.stack([losses[:8].mean(), losses[8:].mean()])
    assert found["perplexity"] != pytest.approx(float(batches.exp().mean()), rel=1e-3)
    assert loop.measure(network, NextToken(), "valid") == {"loss": pytest.approx(float(losses.mean()), rel=1e-6)}
