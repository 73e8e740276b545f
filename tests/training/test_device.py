"""What a training works on."""

import pytest
import torch

from netwright.core.errors import BadReference
from netwright.training import device


def test_each_process_has_a_gpu_of_its_own_and_without_any_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [device.pick("auto", index).index for index in range(4)] == [0, 1, 0, 1]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.pick("auto", 3) == device.pick("cpu", 3) == torch.device("cpu")


def test_a_device_is_named_and_shared_only_where_it_can_be():
    device.check_name("auto", 8)
    device.check_name("cpu", 8)
    device.check_name("cuda:0", 1)
    with pytest.raises(BadReference, match=r"evaluator.device is 'gpu'; give auto, cpu, cuda or cuda:0$"):
        device.check_name("gpu", 1)
    with pytest.raises(BadReference, match=r"'cuda:0', which 2 processes cannot share; give auto or cpu$"):
        device.check_name("cuda:0", 2)


def test_a_device_that_is_not_here_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    device.check_is_here("cpu")
    device.check_is_here("cuda:0")
    with pytest.raises(BadReference, match=r"'cuda:1', which this machine does not have; give auto or cpu$"):
        device.check_is_here("cuda:1")
