import json
import math
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netwright.core import genes, seeds
from netwright.core.errors import InvalidGenotype
from netwright.core.genes import Choice, Integer, Real

KINDS = st.sampled_from(["", "operation", "input", "c"])
BOUNDS = st.floats(-1e6, 1e6)


@st.composite
def gene_lists(draw, real=True):
    """Up to eight genes of any sort with distinct names, many with a single value."""
    listed = []
    for position in range(draw(st.integers(1, 8))):
        sort, name = (
            draw(st.sampled_from(["choice", "integer", "real"] if real else ["choice", "integer"])),
            f"g{position}",
        )
        if sort == "choice":
            options = tuple(f"option {n}" for n in range(draw(st.integers(1, 6))))
            listed.append(Choice(name, options, draw(KINDS)))
        elif sort == "integer":
            low = draw(st.integers(-1000, 1000))
            listed.append(Integer(name, low, low + draw(st.integers(0, genes.MOST_TOKENS - 1))))
        else:
            low, high = sorted((draw(BOUNDS), draw(BOUNDS)))
            listed.append(Real(name, low, high, draw(st.integers(1, 20))))
    return tuple(listed)


@st.composite
def genotypes(draw, real=True):
    """Genes and a valid genotype of them."""
    listed = draw(gene_lists(real))
    return listed, genes.sample(listed, seeds.rng_for(draw(st.integers(0, 2**32)), seeds.ASK))


CELL = (
    Choice("op 1", ("none", "conv", "pool"), "op"),
    Integer("width", 3, 6),
    Choice("op 2", ("none", "conv", "pool", "skip"), "op"),
    Real("rate", 1.0, 2.0, bins=5),
    Choice("only", ("one",)),
)


def test_sizes():
    assert [genes.size(gene) for gene in CELL] == [3, 4, 4, 5, 1]


def test_vocabulary_by_hand():
    """Token 0 is free; the shared kind takes as many as its largest gene needs."""
    spans = {"kind:op": (1, 4), "gene:width": (5, 4), "gene:rate": (9, 5), "gene:only": (14, 1)}
    assert genes.vocabulary(CELL) == spans
    assert genes.to_tokens(CELL, (2, 6, 3, 1.3, 0)) == (3, 8, 4, 10, 14)  # 1.3 is nearest to the grid's 1.25
    assert genes.from_tokens(CELL, (3, 8, 4, 10, 14)) == (2, 6, 3, 1.25, 0)


def test_unit_cube_by_hand():
    vector = genes.to_vector(CELL, (2, 6, 0, 1.3, 0))
    assert vector == pytest.approx([5 / 6, 7 / 8, 1 / 8, 0.3, 1 / 2])
    assert vector.dtype == np.float64
    corner = np.array([-3.0, 0.0, 1.0, 7.0, 0.5])
    assert genes.from_vector(CELL, corner) == (0, 3, 3, 2.0, 0)


def test_a_gene_named_like_a_kind_keeps_its_own_tokens():
    listed = (Choice("a", ("x", "y"), "b"), Choice("b", ("x", "y")), Choice("kind:b", ("x", "y")))
    assert len(genes.vocabulary(listed)) == 3


@given(genotypes())
def test_samples_are_valid_and_mutants_differ_in_one_gene(drawn):
    listed, genotype = drawn
    genes.check(listed, genotype)
    mutant = genes.mutate(listed, genotype, seeds.rng_for(0, seeds.ASK))
    genes.check(listed, mutant)
    assert sum(a != b for a, b in zip(genotype, mutant, strict=True)) <= 1
    assert all(type(value) in (int, float) for value in genotype), "plain numbers, or JSON differs"


@given(genotypes())
def test_json_gives_the_genotype_back(drawn):
    _, genotype = drawn
    back = genes.from_json(genes.to_json(genotype))
    assert back == genotype
    assert list(map(type, back)) == list(map(type, genotype))


@given(genotypes(real=False))
def test_tokens_and_vectors_give_discrete_genotypes_back(drawn):
    listed, genotype = drawn
    assert genes.from_tokens(listed, genes.to_tokens(listed, genotype)) == genotype
    assert genes.from_vector(listed, genes.to_vector(listed, genotype)) == genotype


@given(genotypes())
def test_tokens_stay_in_their_spans_and_vectors_in_the_cube(drawn):
    listed, genotype = drawn
    tokens = genes.to_tokens(listed, genotype)
    spans = genes.vocabulary(listed)
    assert min(tokens) >= 1
    assert max(tokens) < 1 + sum(count for _, count in spans.values())
    assert genes.to_tokens(listed, genes.from_tokens(listed, tokens)) == tokens
    vector = genes.to_vector(listed, genotype)
    assert ((vector >= 0) & (vector <= 1)).all()
    for gene, value, back in zip(listed, genotype, genes.from_vector(listed, vector), strict=True):
        assert value == pytest.approx(
            back, rel=1e-9, abs=1e-9 * (gene.high - gene.low) if isinstance(gene, Real) else 0
        )


ROUNDS_UP = Real("rate", 0.0, 838861.244686685, 6)


@given(genotypes())
@example(((ROUNDS_UP,), (838861.244686685,)))
def test_what_tokens_stand_for_is_valid(drawn):
    listed, genotype = drawn
    genes.check(listed, genes.from_tokens(listed, genes.to_tokens(listed, genotype)))


def test_the_last_grid_point_of_a_real_gene_is_in_range():
    """-1.0 + (-0.2 - -1.0) is above -0.2 in floating point."""
    rates = [Real("rate", low / 10, high / 10) for low in range(-10, 10) for high in range(low, 11)]
    for gene in rates:
        top = genes.from_tokens([gene], (genes.size(gene),))
        genes.check([gene], top)
        assert top == pytest.approx((gene.high,))


@given(gene_lists(), st.data())
def test_any_point_of_the_cube_and_beyond_is_a_valid_genotype(listed, data):
    size = len(listed)
    point = data.draw(st.lists(st.floats(-2, 3), min_size=size, max_size=size))
    genes.check(listed, genes.from_vector(listed, np.array(point)))


def test_samples_are_uniform():
    streams, draws = seeds.Streams(0), 6000
    drawn = [genes.sample(CELL, streams.rng(seeds.ASK, n)) for n in range(draws)]
    for position, values in ((0, range(3)), (1, range(3, 7)), (2, range(4)), (4, range(1))):
        for value in values:
            share = sum(genotype[position] == value for genotype in drawn) / draws
            assert share == pytest.approx(1 / len(values), abs=0.03)
    assert np.mean([genotype[3] for genotype in drawn]) == pytest.approx(1.5, abs=0.02)


@pytest.mark.parametrize(
    ("genotype", "message"),
    [
        ([0, 3, 0, 1.0, 0], "a genotype is a tuple of 5 numbers, got list"),
        ((0, 3, 0, 1.0), "the genotype has 4 values, the space has 5 genes"),
        ((3, 3, 0, 1.0, 0), r"gene 0 \(op 1\) is 3; it takes a whole number: 0 = none, 1 = conv, 2 = pool"),
        ((-1, 3, 0, 1.0, 0), r"gene 0 \(op 1\) is -1"),
        ((True, 3, 0, 1.0, 0), r"gene 0 \(op 1\) is True"),
        ((1.0, 3, 0, 1.0, 0), r"gene 0 \(op 1\) is 1.0"),
        ((0, 2, 0, 1.0, 0), r"gene 1 \(width\) is 2; it takes a whole number from 3 to 6"),
        ((0, 4.5, 0, 1.0, 0), r"gene 1 \(width\) is 4.5"),
        ((0, 3, 0, 2.5, 0), r"gene 3 \(rate\) is 2.5; it takes a number from 1.0 to 2.0"),
        ((0, 3, 0, math.nan, 0), r"gene 3 \(rate\) is nan"),
        ((0, 3, 0, "1.5", 0), r"gene 3 \(rate\) is '1.5'"),
        ((0, 3, 0, 1.5, 1), r"gene 4 \(only\) is 1; it takes a whole number: 0 = one"),
    ],
)
def test_check_says_which_gene_and_what_it_takes(genotype, message):
    with pytest.raises(InvalidGenotype, match=message):
        genes.check(CELL, genotype)


@pytest.mark.parametrize("token", [0, 5, 14, -1])
def test_a_token_of_another_kind_is_refused(token):
    with pytest.raises(InvalidGenotype, match=rf"token {token} at position 0 does not belong to gene op 1"):
        genes.from_tokens(CELL, (token, 5, 1, 9, 14))


def test_a_token_beyond_a_smaller_gene_of_a_shared_kind_is_refused():
    with pytest.raises(InvalidGenotype, match="token 4 at position 0"):
        genes.from_tokens(CELL, (4, 5, 4, 9, 14))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


def _read(text):
    """What may come out: a tuple of plain finite numbers, or InvalidGenotype."""
    try:
        genotype = genes.from_json(text)
    except InvalidGenotype:
        return None
    assert isinstance(genotype, tuple)
    assert all(type(value) in (int, float) for value in genotype)
    assert genes.from_json(genes.to_json(genotype)) == genotype
    return genotype


@given(JSON)
@settings(max_examples=300)
def test_any_json_is_read_or_refused(value):
    text = json.dumps(value)
    is_genotype = isinstance(value, list) and all(
        type(v) is int or (type(v) is float and math.isfinite(v)) for v in value
    )
    assert (_read(text) == tuple(value)) if is_genotype else _read(text) is None


@given(
    st.text(st.sampled_from('[]{}",:0123456789.-+eE \n\tNaInfityrulsd\\\x00\ud800é'), max_size=30)
    | st.text(max_size=30)
)
@settings(max_examples=500)
@example("[" + "9" * 400 + "]")
@example("[" + "9" * 5000 + "]")
@example('{"a": 1, "a": 2}')
@example("[NaN]")
@example("[-Infinity]")
@example("[true]")
@example("[1,]")
@example("[1] [2]")
@example("\ufeff[1]")
@example("")
def test_any_text_is_read_or_refused(text):
    _read(text)


@pytest.mark.parametrize("depth", [10, 500, sys.getrecursionlimit() - 300, sys.getrecursionlimit(), 5_000, 100_000])
@pytest.mark.parametrize("shape", ["[{}]", "[[1], {}]"])
def test_deep_nesting_is_refused(depth, shape):
    assert _read(shape.replace("{}", "[" * depth + "]" * depth)) is None
    assert _read("[" * depth) is None
    assert _read('{"a":' * depth) is None


def test_nesting_of_every_depth_around_the_limit_is_refused():
    limit = sys.getrecursionlimit()
    for depth in range(limit - 120, limit + 5, 5):
        assert _read("[" * depth + "]" * depth) is None


@pytest.mark.parametrize("text", ["[1e999]", "[0, -1e999]"])
def test_numbers_that_no_float_holds_are_refused(text):
    with pytest.raises(InvalidGenotype):
        genes.from_json(text)


def test_a_huge_text_is_refused_unread():
    with pytest.raises(InvalidGenotype, match="the genotype has 1,000,001 characters; at most 1,000,000 are read"):
        genes.from_json("9" * 1_000_001)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2", "is not a JSON array of numbers: Expecting"),
        ("[NaN]", "NaN is not a number that JSON has"),
        ("{}", "is a JSON dict; it must be an array of numbers"),
        ("3", "is a JSON int;"),
        ("[0, true]", "value 1 of the genotype is 'True'; it must be a number"),
        ('["' + "x" * 100 + '"]', "value 0 of the genotype is '" + "x" * 40 + "';"),
    ],
)
def test_from_json_says_what_is_wrong(text, message):
    with pytest.raises(InvalidGenotype, match=message):
        genes.from_json(text)


def test_json_is_short_and_never_holds_what_is_no_number():
    assert genes.to_json((1, 0.5, -2)) == "[1,0.5,-2]"
    with pytest.raises(ValueError, match="not JSON compliant"):
        genes.to_json((math.nan,))


def test_a_digest_is_32_hexadecimal_characters_and_never_changes():
    assert genes.digest("") == "cae66941d9efbd404e4d88758ea67670"  # BLAKE2b-128 of nothing
    assert genes.digest("a") != genes.digest("b")


def test_groups_are_the_shortest_pattern_that_repeats():
    def of(*kinds):
        return genes.group_size([Choice(f"g{n}", ("a", "b"), kind) for n, kind in enumerate(kinds)])

    assert of("input", "op", "input", "op") == 2
    assert of("input", "op", "size", "input", "op", "size") == 3
    assert of("op", "op", "op", "op") == 1
    assert of("op", "op", "skip") == 1
    assert of("input", "op") == 1  # nothing repeats
    assert of("input", "op", "input", "op", "input") == 1
    assert of(*"abcdefgh" * 2) == genes.LARGEST_GROUP
    assert of(*"abcdefghi" * 2) == 1
    assert genes.group_size(CELL) == 1
    assert genes.group_size(()) == 1


@given(genotypes())
def test_masks_admit_exactly_the_tokens_that_stand_for_values(drawn):
    listed, genotype = drawn
    masks = genes.token_masks(listed)
    assert masks.shape == (len(listed), 1 + sum(count for _, count in genes.vocabulary(listed).values()))
    tokens = list(genes.to_tokens(listed, genotype))
    for position, mask in enumerate(masks):
        assert mask.sum() == genes.levels(listed[position])
        for token in (0, *np.flatnonzero(mask).tolist(), len(mask)):
            other = [*tokens[:position], token, *tokens[position + 1 :]]
            if 0 < token < len(mask) and mask[token]:
                found = genes.from_tokens(listed, other)
                genes.check(listed, found)
                is_point = isinstance(listed[position], Real) and listed[position].low == listed[position].high
                assert is_point or genes.to_tokens(listed, found)[position] == token
            else:
                with pytest.raises(InvalidGenotype):
                    genes.from_tokens(listed, other)


@given(st.integers(-50, 50), st.integers(0, 60), st.integers(1, 80), st.data())
def test_a_whole_number_with_a_grid_has_as_many_tokens(low, span, bins, data):
    gene = Integer("depth", low, low + span, bins)
    assert genes.levels(gene) == min(bins, span + 1)
    assert genes.size(gene) == span + 1
    for token in range(1, genes.levels(gene) + 1):
        value = genes.from_tokens([gene], [token])
        genes.check([gene], value)
        assert genes.to_tokens([gene], value) == (token,)
    value = data.draw(st.integers(low, low + span))
    (near,) = genes.from_tokens([gene], genes.to_tokens([gene], (value,)))
    assert bins == 1 or abs(near - value) <= span / (genes.levels(gene) - 1 or 1)
    assert genes.from_vector([gene], genes.to_vector([gene], (value,))) == (value,)


@given(st.integers(-(2**62), 2**62), st.integers(genes.MOST_TOKENS, 2**62), st.data())
def test_a_whole_number_of_many_values_has_a_grid_of_its_own(low, span, data):
    gene = Integer("seed", low, low + span)
    assert genes.levels(gene) == genes.MOST_TOKENS
    assert genes.token_masks([gene]).shape == (1, 1 + genes.MOST_TOKENS)
    token = data.draw(st.integers(1, genes.MOST_TOKENS))
    value = genes.from_tokens([gene], [token])
    genes.check([gene], value)
    assert genes.to_tokens([gene], value) == (token,)
    assert genes.from_tokens([gene], [1]) == (low,)
    assert genes.from_tokens([gene], [genes.MOST_TOKENS]) == (low + span,)


def test_as_many_values_as_tokens_are_all_tokens_and_a_stated_grid_may_be_finer():
    assert genes.levels(Integer("n", 1, 256)) == 256
    assert genes.levels(Integer("n", 1, 257)) == 256
    assert genes.levels(Integer("n", 1, 1000, bins=500)) == 500


def test_a_grid_has_a_point():
    for bins in (0, -3):
        with pytest.raises(ValueError, match=f"gene depth has {bins} bins; its grid needs at least 1"):
            Integer("depth", 1, 9, bins)
        with pytest.raises(ValueError, match=f"gene rate has {bins} bins"):
            Real("rate", 0.0, 1.0, bins)


def test_values_are_kept_where_tokens_are_those_of_a_genotype():
    genotype = (2, 6, 3, 1.3, 0)
    tokens = genes.to_tokens(CELL, genotype)
    assert genes.from_tokens(CELL, tokens, like=genotype) == genotype
    assert genes.from_tokens(CELL, (1, *tokens[1:]), like=genotype) == (0, 6, 3, 1.3, 0)
    assert genes.from_tokens(CELL, (*tokens[:3], 13, 14), like=genotype) == (2, 6, 3, 2.0, 0)
