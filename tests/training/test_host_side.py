"""What two steps are compared by; `test_captured` has trainings that it decides about."""

import torch
from torch import nn

from netwright.core.records import IO
from netwright.plans import network
from netwright.spaces.residual import ResidualSpace
from netwright.tasks.digits import digits
from netwright.training import host_side
from netwright.training.host_side import HostSide

CARD = torch.device("cuda")  # whatever lies on the CPU is the host's


class Mine(nn.Identity):
    pass


def test_tensors_of_the_host_are_compared_by_their_contents():
    host, values = HostSide(Mine(), device=CARD), iter([0.5, 0.5, 0.7])
    images = torch.ones(4)

    def step():
        return images * torch.tensor(next(values))

    for changes in (False, False, True):
        host.noted(step)()
        assert bool(host.changes) is changes
    assert host.changes == "what Python gives aten.lift_fresh.default differs from step to step"
    host.forget()
    assert not host.changes


def test_tensors_of_the_device_are_compared_by_their_form():
    host = HostSide(Mine(), device=torch.device("cpu"))
    for size, changes in ((4, False), (4, False), (5, True)):
        host.noted(lambda size=size: torch.rand(size) + torch.nan)()
        assert bool(host.changes) is changes


def test_modules_of_ones_own_and_other_objects_are_watched():
    built = network.Network(ResidualSpace().plan((4, 1), IO(3, 8, 8, 10)))
    assert not host_side.is_to_be_watched(digits(), built, built)
    assert host_side.is_to_be_watched(digits(), nn.Sequential(built, Mine()))
    assert host_side.is_to_be_watched(digits(), built, Mine())
    assert host_side.is_to_be_watched(Mine(), built)
