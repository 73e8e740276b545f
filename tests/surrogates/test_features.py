import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import genes
from netwright.core.genes import Choice, Integer, Real
from netwright.surrogates.features import Encoder

OPS = ("none", "skip", "conv")


def test_options_are_one_hot_and_counts_are_shares_of_a_kind():
    encoder = Encoder((Choice("a", OPS, "op"), Choice("b", OPS, "op"), Choice("c", ("x", "y"))))
    found = encoder.encode([(0, 2, 1), (1, 1, 0)])
    assert found.options.tolist() == [[1, 0, 0, 0, 0, 1, 0, 1], [0, 1, 0, 0, 1, 0, 1, 0]]
    assert found.counts.tolist() == [[0.5, 0, 0.5], [0, 1, 0]]  # of "c" there is one: its counts say nothing new
    assert encoder.gene_of_option.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert encoder.kind_of_option.tolist() == [0, 1, 2, 0, 1, 2, 3, 4]


def test_genes_with_the_same_options_and_no_kind_are_counted_together():
    assert Encoder((Choice("a", OPS), Choice("b", OPS))).encode([(1, 1)]).counts.tolist() == [[0, 1, 0]]


def test_levels_are_positions_in_the_range():
    space = (Integer("depth", 2, 6), Real("rate", 0.0, 2.0), Choice("width", ("8", "16", "64")), Choice("a", OPS))
    assert Encoder(space).encode([(3, 0.5, 1, 0)]).levels.tolist() == [[0.25, 0.25, 0.5]]


@pytest.mark.parametrize("options", [("8", "64", "16"), ("1", "2"), ("a", "b", "c")])
def test_choices_that_are_no_ascending_numbers_have_no_level(options):
    assert Encoder((Choice("a", options),)).encode([(0,)]).levels.shape == (1, 0)


def test_spaces_without_choices_or_with_one_value_are_encoded():
    found = Encoder((Real("rate", 1.0, 1.0),)).encode([(1.0,), (1.0,)])
    assert found.options.shape == (2, 0)
    assert found.counts.shape == (2, 0)
    assert found.levels.tolist() == [[0.0], [0.0]]


@given(st.lists(st.integers(2, 5), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_options_tell_every_two_genotypes_apart(sizes, seed):
    space = tuple(Choice(f"g{n}", tuple(f"o{i}" for i in range(size))) for n, size in enumerate(sizes))
    rng = np.random.default_rng(seed)
    a, b = genes.sample(space, rng), genes.sample(space, rng)
    found = Encoder(space).encode([a, b]).options
    assert np.abs(found[0] - found[1]).sum() / 2 == sum(x != y for x, y in zip(a, b, strict=True))
