import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import genes
from netwright.core.errors import BadReference
from netwright.core.genes import Choice, Integer, Real
from netwright.surrogates.controller import MOST_VALUES, PolicyController, single_threaded

GENES = (Choice("a", ("x", "y", "z"), "k"), Integer("b", -2, -1), Choice("c", ("x", "y"), "k"), Real("d", 0.5, 1.5, 3))


def _controller(limit=2.0, hidden=8, listed=GENES):
    """Weights far from zero, so that the values' chances differ; nothing to be learned."""
    controller = PolicyController(listed, hidden).requires_grad_(False)
    controller.initialize(limit, torch.Generator().manual_seed(0))
    return controller


def _uniforms(count, listed=GENES, seed=0):
    return np.random.default_rng(seed).random((count, len(listed)))


def _all_tokens():
    domains = ((0, 1, 2), (-2, -1), (0, 1), (0.5, 1.0, 1.5))
    return torch.tensor([genes.to_tokens(GENES, genotype) for genotype in itertools.product(*domains)])


@st.composite
def gene_lists(draw):
    listed = []
    for position in range(draw(st.integers(1, 5))):
        name, size = f"g{position}", draw(st.integers(1, 6))
        choice = Choice(name, tuple(map(str, range(size))), draw(st.sampled_from(("", "k"))))
        listed.append(draw(st.sampled_from((choice, Integer(name, -3, size - 4), Real(name, -1.0, 2.0, size)))))
    return tuple(listed)


@given(gene_lists(), st.integers(0, 2**32))
def test_draws_are_genotypes_of_any_genes(listed, seed):
    tokens, _ = _controller(listed=listed).draw(_uniforms(5, listed, seed))
    for drawn in tokens.tolist():
        genotype = genes.from_tokens(listed, drawn)
        genes.check(listed, genotype)
        assert genes.to_tokens(listed, genotype) == tuple(drawn)


def test_probabilities_of_all_genotypes_add_up_to_one():
    log_p, entropy = _controller()(_all_tokens())
    assert math.isclose(float(log_p.exp().sum()), 1.0, abs_tol=1e-5)
    assert (log_p.exp() > 0.1).any(), "the test needs unequal chances"
    # the mean over genotypes of the softmaxes' entropies is the entropy of the whole (chain rule)
    assert math.isclose(float((log_p.exp() * entropy).sum()), -float((log_p.exp() * log_p).sum()), abs_tol=1e-5)


def test_draws_come_as_often_as_their_probability_says():
    controller, every = _controller(), _all_tokens()
    tokens, log_p = controller.draw(_uniforms(20_000))
    assert torch.allclose(log_p, controller(tokens)[0], atol=1e-4)
    counts = (tokens[:, None] == every).all(2).sum(0)
    chances = controller(every)[0].exp()
    assert counts.sum() == 20_000
    assert ((counts - 20_000 * chances).abs() < 4.5 * (20_000 * chances).sqrt() + 1).all()


@pytest.mark.parametrize("limit", [0.0, 2.0, 500.0])
def test_marks_at_the_ends_draw_the_first_and_the_last_value_that_can_be(limit):
    """Also where chances are 0 or 1, and where the mark rounds to 1."""
    controller = _controller(limit)
    tokens, log_p = controller.draw(np.array([[0.0] * 4, [np.nextafter(1.0, 0.0)] * 4]))
    assert torch.isfinite(log_p).all()
    if limit == 0:
        genotypes = [genes.from_tokens(GENES, drawn) for drawn in tokens.tolist()]
        assert genotypes == [(0, -2, 0, 0.5), (2, -1, 1, 1.5)]


def test_a_gene_depends_on_the_genes_before():
    """The chances of the last, given two ways of choosing the first."""
    log_p = _controller()(_all_tokens())[0].exp().reshape(3, 2, 2, 3)
    given_first = log_p / log_p.sum(3, keepdim=True)
    assert (given_first[0, 0, 0] - given_first[1, 0, 0]).abs().max() > 0.01


def test_before_it_is_initialized_all_values_are_equally_likely():
    controller = PolicyController(GENES, 8).requires_grad_(False)
    log_p, entropy = controller(_all_tokens())
    assert torch.allclose(log_p.exp(), torch.full((36,), 1 / 36))
    assert torch.allclose(entropy, torch.full((36,), math.log(36)))


def test_weights_are_uniform_up_to_the_limit():
    controller = _controller(limit=0.1, hidden=100)
    for parameter in controller.parameters():
        assert parameter.abs().max() <= 0.1
    weights = controller.lstm.all_weights[0][0]
    assert abs(float(weights.std(correction=0)) - 0.2 / math.sqrt(12)) < 0.001


def test_neither_torchs_own_generator_nor_the_number_of_threads_changes():
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        _controller().draw(_uniforms(2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(state, torch.random.get_rng_state())


def test_one_thread_whatever_is_set_also_when_it_raises():
    @single_threaded
    def fail():
        raise ValueError(str(torch.get_num_threads()))

    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with pytest.raises(ValueError, match=r"^1$"):
            fail()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_gene_of_too_many_values_is_refused_and_told_how_to_mend_it():
    with pytest.raises(BadReference, match=r"width has 1,000,001, at most 4,096 will do: make it a real gene"):
        PolicyController((GENES[0], Integer("width", 0, 1_000_000)), 8)
    PolicyController((Integer("width", 1, MOST_VALUES),), 2)
