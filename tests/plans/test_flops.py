"""What torch counts, against products written out here."""

import pytest
import torch
from torch import nn

from netwright.core.records import IO
from netwright.plans import flops
from netwright.spaces.own import OwnSpace

WIDTH, TOKENS = 32, 64


class Attending(nn.Module):
    """A block of attention over rows of patches, in the way that torch takes its fast path for."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, WIDTH, 4, 4)
        self.layer = nn.TransformerEncoderLayer(WIDTH, 4, 2 * WIDTH, batch_first=True)
        self.out = nn.Linear(WIDTH, 10)

    def forward(self, x):
        return self.out(self.layer(self.patches(x).flatten(2).transpose(1, 2)).mean(1))


class Reading(nn.Module):
    """An LSTM over the rows of an image."""

    def __init__(self):
        super().__init__()
        self.rnn, self.out = nn.LSTM(96, WIDTH, batch_first=True), nn.Linear(WIDTH, 10)

    def forward(self, x):
        return self.out(self.rnn(x.transpose(1, 2).flatten(2))[0][:, -1])


def attending(channels: int, height: int, width: int, classes: int) -> nn.Module:
    return Attending()


def reading(channels: int, height: int, width: int, classes: int) -> nn.Module:
    return Reading()


EXPECTED = {
    # patches; queries, keys, values and what joins the heads; both products of attention; two layers; the classes
    "attending": 3 * 16 * WIDTH * TOKENS
    + 4 * WIDTH**2 * TOKENS
    + 2 * TOKENS**2 * WIDTH
    + 2 * WIDTH * 2 * WIDTH * TOKENS
    + WIDTH * 10,
    "reading": 32 * 4 * WIDTH * (96 + WIDTH) + WIDTH * 10,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_what_torch_fuses_counts_too(name):
    assert OwnSpace(f"{__name__}:{name}").count((0,), IO(3, 32, 32, 10)).multiply_adds == EXPECTED[name]


def test_torch_is_left_as_it_was_also_after_an_error():
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    with pytest.raises(ValueError, match="no network"), flops.counted():
        raise ValueError("no network")
    assert (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled) == before
    with flops.counted() as found:
        torch.ones(2, 3) @ torch.ones(3, 5)
        assert not torch.is_grad_enabled()
    assert found.multiply_adds == 30
