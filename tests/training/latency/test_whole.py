import numpy as np
import pytest
import torch

from netwright.core.records import IO
from netwright.spaces.nats import NatsTopology
from netwright.training.latency.blocks import Effort
from netwright.training.latency.whole import latency

SPACE, SHAPE = NatsTopology(channels=2, repeats=1), IO(3, 8, 8, 10)
GENES = (1, 2, 3, 4, 0, 1)
SHORT = Effort(3, 0.0, 1e9)


class Ticking:
    """A clock that goes on by a second each time it is read."""

    now = 0.0

    def __call__(self):
        self.now += 1.0
        return self.now


def test_a_network_is_measured_as_it_is_used_and_as_it_trains():
    network = SPACE.build(GENES, SHAPE, np.random.default_rng(0))
    modes = []
    network.register_forward_hook(lambda module, given, _out: modes.append((module.training, len(given[0]))))
    threads, before = torch.get_num_threads(), [weight.clone() for weight in network.parameters()]
    found = latency(network, SHAPE, batch=2, threads=1, effort=SHORT, clock=Ticking())
    assert (found.device, found.batch, found.threads, found.why_not) == ("cpu", 2, 1, "")
    assert found.forward.median == found.training.median == 1000.0
    assert modes == sorted(modes) and {mode for mode, _ in modes} == {False, True} and {n for _, n in modes} == {2}
    assert torch.get_num_threads() == threads
    for old, new in zip(before, network.parameters(), strict=True):
        assert torch.allclose(old, new, atol=1e-3)


def test_a_network_that_cannot_train_on_one_example_says_why():
    network = SPACE.build(GENES, IO(3, 4, 4, 10), np.random.default_rng(0))
    found = latency(network, IO(3, 4, 4, 10), batch=1, effort=SHORT, clock=Ticking())
    assert found.training is None and "more than 1 value per channel" in found.why_not
    assert found.forward.median == pytest.approx(1000.0)
