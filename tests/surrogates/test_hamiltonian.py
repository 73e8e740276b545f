import pytest
import torch

from netwright.surrogates.hamiltonian import Chains, sample

EXAMPLES = 2.0 + torch.randn(200, generator=torch.Generator().manual_seed(0))


def _gradient(state, seen):
    """Of a normal posterior: the mean of the examples, of variance 1, with a flat prior."""
    return (state - EXAMPLES[seen].mean()) * len(EXAMPLES)


def _sampled(seed=0, **options):
    chains = Chains(steps=1000, samples=4, **options)
    generator = torch.Generator().manual_seed(seed)
    return sample(_gradient, torch.zeros(300, 1), len(EXAMPLES), chains, generator).flatten()


@pytest.mark.parametrize("batch", [200, 20])
def test_it_samples_a_known_posterior_whatever_part_of_the_examples_a_step_sees(batch):
    found = _sampled(batch=batch)
    assert len(found) == 1200
    assert abs(found.mean() - EXAMPLES.mean()) < 0.02
    assert 0.7 < found.std() * len(EXAMPLES) ** 0.5 < 1.4, "the deviation of the mean of 200 examples"


def test_it_draws_from_the_generator_alone():
    before = torch.get_rng_state()
    first = _sampled(batch=20)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(_sampled(batch=20), first)
    assert not torch.equal(_sampled(seed=1, batch=20), first)


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match="steps is 10; 10 samples of a chain need 20 or more"):
        Chains(steps=10)
