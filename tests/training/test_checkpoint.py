"""Trainings on disk: what is written comes back; what is of another network is refused in one sentence."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from netwright.core.errors import NetwrightError
from netwright.plans.network import initialize
from netwright.training import checkpoint
from netwright.training.averages import Averages, exponential
from netwright.training.rmsprop import RMSProp


def _trained(width=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width))
    initialize(network, generator)
    optimizer = RMSProp(network.parameters(), 0.1)
    network(torch.randn(2, 1, 5, 5, generator=generator)).square().sum().backward()
    optimizer.step()
    return network, optimizer, Averages(network, exponential(0.9))


def test_weights_optimizer_averages_and_facts_come_back(tmp_path):
    network, optimizer, averages = _trained()
    averages.update(averages.share(0))
    path = tmp_path / "c.safetensors"
    checkpoint.write(path, network, optimizer, {"step": 3}, averages.tensors)
    other, its_optimizer, its_averages = _trained(seed=1)
    checkpoint.restore(path.read_bytes(), other, its_optimizer, its_averages.tensors)
    assert checkpoint.read_facts(path) == {"step": 3}
    states, others = (made.state_dict()["state"] for made in (optimizer, its_optimizer))
    for one, two in (
        (network.state_dict(), other.state_dict()),
        (averages.tensors, its_averages.tensors),
        *((states[index], others[index]) for index in range(4)),
    ):
        assert one.keys() == two.keys()
        assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.gpu
def test_a_checkpoint_goes_from_gpu_to_cpu_and_back(tmp_path):
    """With the memory formats and the fused optimizer that trainings have."""
    path, found = tmp_path / "c.safetensors", []
    made = [(_fused(place, seed), place) for seed, place in enumerate(("cuda", "cpu", "cuda"))]
    for ((network, optimizer, averages), place), (other, _) in zip(made, [*made[1:], (None, None)], strict=True):
        found.append({name: value.cpu() for name, value in network.state_dict().items()})
        found[-1] |= {f"average {name}": value.cpu() for name, value in averages.tensors.items()}
        found[-1] |= {
            f"momentum {n}": state["momentum_buffer"].cpu() for n, state in optimizer.state_dict()["state"].items()
        }
        assert {str(value.device.type) for value in network.state_dict().values()} == {place}
        if other:
            checkpoint.write(path, network, optimizer, {}, averages.tensors)
            checkpoint.restore(path.read_bytes(), other[0], other[1], other[2].tensors)
    for name, value in found[0].items():
        assert torch.equal(value, found[1][name]) and torch.equal(value, found[2][name]), name
    network, optimizer, _ = made[-1][0]
    optimizer.step()
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def _fused(place, seed):
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))
    initialize(network, generator)
    network.to(place, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9, fused=True)
    network(torch.randn(2, 2, 5, 5, generator=generator).to(place)).square().sum().backward()
    optimizer.step()
    averages = Averages(network, exponential(0.9))
    averages.update(0)
    return network, optimizer, averages


def test_a_checkpoint_of_another_architecture_is_one_clear_sentence(tmp_path):
    network, optimizer, _ = _trained()
    path = tmp_path / "c.safetensors"
    checkpoint.write(path, network, optimizer, {})
    wide, its_optimizer, _ = _trained(4)
    before = [value.clone() for value in wide.state_dict().values()]
    message = (
        r"^c.safetensors is of another network: 0.weight is 3 x 1 x 3 x 3 there and 4 x 1 x 3 x 3 in this one; "
        r"give the settings it was trained with, or remove it to train anew$"
    )
    with pytest.raises(NetwrightError, match=message):
        checkpoint.restore(path.read_bytes(), wide, its_optimizer, name="c.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(before, wide.state_dict().values(), strict=True))


def test_a_checkpoint_of_other_settings_is_one_clear_sentence(tmp_path):
    network, optimizer, _ = _trained()
    path = tmp_path / "c.safetensors"
    checkpoint.write(path, network, optimizer, {})
    other, its_optimizer, its_averages = _trained(seed=1)
    before = [value.clone() for value in other.state_dict().values()]
    plain = torch.optim.SGD(other.parameters(), 0.1)
    with pytest.raises(NetwrightError, match=r"^c.safetensors has no averages of the weights, so that"):
        checkpoint.restore(path.read_bytes(), other, its_optimizer, its_averages.tensors, "c.safetensors")
    with pytest.raises(NetwrightError, match=r"^c.safetensors has the state of the optimizer RMSProp, not of SGD; "):
        checkpoint.restore(path.read_bytes(), other, plain, name="c.safetensors")
    assert all(torch.equal(a, b) for a, b in zip(before, other.state_dict().values(), strict=True))


def test_weights_that_one_of_two_architectures_lacks_are_named(tmp_path):
    network, optimizer, _ = _trained()
    path = tmp_path / "c.safetensors"
    checkpoint.write(path, network, optimizer, {})
    uncounted = _trained()[0]
    uncounted[1].num_batches_tracked = None
    for other, message in (
        (nn.Linear(3, 2), r"^the checkpoint is of another network: weight is missing there and 2 x 3 in this one; "),
        (uncounted, r"1\.num_batches_tracked is a number there and missing in this one"),
    ):
        with pytest.raises(NetwrightError, match=message):
            checkpoint.restore(path.read_bytes(), other, RMSProp(other.parameters(), 0.1))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A checkpoint and what it is of."""
    network, optimizer, averages = _trained()
    path = tmp_path_factory.mktemp("written") / "c.safetensors"
    checkpoint.write(path, network, optimizer, {"step": 3}, averages.tensors)
    return path, path.read_bytes()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_byte_anywhere_makes_a_checkpoint_unreadable(written, data):
    path, whole = written
    place, change = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    changed = bytearray(whole)
    changed[place] ^= change
    path.write_bytes(changed)
    assert checkpoint.read_facts(path) is None
    network, optimizer, averages = _trained(seed=1)
    with pytest.raises(NetwrightError, match="has been damaged while it was read"):
        checkpoint.restore(bytes(changed), network, optimizer, averages.tensors)
    path.write_bytes(whole[:place])
    assert checkpoint.read_facts(path) is None
    path.write_bytes(whole)
    assert checkpoint.read_facts(path) == {"step": 3}


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\xff" * 8 + b"{}", b"\x02" + bytes(7) + b"[]", b"\x02" + bytes(7) + b"{}"]
)
def test_what_is_no_checkpoint_is_unreadable(tmp_path, data):
    path = tmp_path / "c.safetensors"
    path.write_bytes(data)
    assert checkpoint.read_facts(path) is None
