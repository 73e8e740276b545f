"""Which normalizations several processes can share; what they compute is seen in `test_ranks.py`."""

import pytest
from torch import nn

from netwright.core.errors import MissingCapability
from netwright.training import norms


class Mine(nn.BatchNorm2d):
    """One of a user's own, which may compute anything."""


def test_those_of_images_are_shared_in_place_and_more_than_once():
    network = nn.Sequential(nn.BatchNorm2d(2), nn.GroupNorm(1, 2), nn.LayerNorm(3))
    names = list(network.state_dict())
    for _ in range(2):
        norms.share_statistics(network)
        assert type(network[0]) is norms._SharedNorm
    assert list(network.state_dict()) == names


@pytest.mark.parametrize("other", [nn.BatchNorm1d(2), nn.BatchNorm3d(2), nn.SyncBatchNorm(2), Mine(2)])
def test_others_would_drift_apart_and_are_refused(other):
    with pytest.raises(MissingCapability, match=f"normalizes by {type(other).__name__}, whose statistics several"):
        norms.share_statistics(nn.Sequential(nn.BatchNorm2d(2), other))
