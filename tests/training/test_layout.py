"""How numbers lie in memory."""

import pytest
import torch
from torch import nn

from netwright.training import layout

CPU, GPU = torch.device("cpu"), torch.device("cuda")
DENSE = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1))
SEPARABLE = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1))


@pytest.mark.parametrize(
    ("wanted", "network", "device", "precision", "is_last"),
    [
        ("auto", DENSE, CPU, "float32", True),
        ("auto", SEPARABLE, CPU, "float32", True),
        ("auto", DENSE, GPU, "float32", True),
        ("auto", SEPARABLE, GPU, "float32", False),
        ("auto", SEPARABLE, GPU, "bfloat16", True),
        ("auto", nn.Linear(2, 2), GPU, "float32", True),
        (True, SEPARABLE, GPU, "float32", True),
        (False, DENSE, CPU, "bfloat16", False),
    ],
)
def test_channels_are_last_where_it_pays(wanted, network, device, precision, is_last):
    expected = torch.channels_last if is_last else torch.contiguous_format
    assert layout.of(wanted, network, device, precision) == expected
