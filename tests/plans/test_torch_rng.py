import numpy as np
import torch

from netwright.core import seeds
from netwright.plans import torch_rng


def test_equal_streams_give_equal_generators():
    draws = [torch.rand(8, generator=torch_rng.from_numpy(seeds.rng_for(0, seeds.BUILD, n))) for n in (1, 1, 2)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_takes_one_draw_and_leaves_the_global_generator_alone():
    rng, twin, state = np.random.default_rng(3), np.random.default_rng(3), torch.random.get_rng_state()
    one, other = torch_rng.from_numpy(rng), torch_rng.from_numpy(rng)
    twin.integers(2**63, size=2)
    assert rng.random() == twin.random()
    assert one.initial_seed() != other.initial_seed()
    assert torch.equal(state, torch.random.get_rng_state())
