"""The networks that `benchmarks/rnn_cells.py` sets beside recurrent cells."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from netwright.core.records import IO, Proposal
from netwright.core.shapes import Tokens

IO_OF = IO(Tokens(5_713, 35), Tokens(5_713, 35))


@pytest.fixture
def rnn_cells(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[2] / "benchmarks"), *sys.path])
    import rnn_cells

    yield rnn_cells
    for name in ("rnn_cells", "results"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("kind", ["RNN", "LSTM"])
def test_layers_of_torch_carry_their_state_and_are_counted(rnn_cells, kind):
    space, io = rnn_cells.LayerSpace(kind, 6), IO(Tokens(9, 8), Tokens(9, 8))
    network = space.build((), io, np.random.default_rng(0)).eval()
    assert space.count((), io).params == sum(weight.numel() for weight in network.parameters())
    tokens = torch.arange(16).view(2, 8) % 9
    whole = network(tokens)
    network.carry(None)
    torch.testing.assert_close(torch.cat([network(tokens[:, :3]), network(tokens[:, 3:])], 1), whole)
    kept = network.carried()["recurrent"]
    assert kept.shape == (2, 12 if kind == "LSTM" else 6)


def test_all_have_equally_many_parameters_and_one_cell_is_trained_once(rnn_cells):
    cells = [rnn_cells.RnnSpace(64).sample(np.random.default_rng(seed)) for seed in (7, 7, 8)]
    trials = (SimpleNamespace(proposal=Proposal(cell)) for cell in cells)
    listed = rnn_cells.entrants(dict(zip("abc", trials, strict=True)), 64, IO_OF)
    assert [each.name for each in listed[:3]] == ["found by a and b", "found by c", "NAO (Luo et al. 2018)"]
    counts = [each.space.count(each.genotype, IO_OF).params for each in listed]
    assert max(counts) / min(counts) < 1.02 and sum(each.seeds for each in listed) == 7 * 3 + 5
