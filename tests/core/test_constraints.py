import operator
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import seeds
from netwright.core.constraints import TRIES, Constrained, Constraint, constrain, parse
from netwright.core.errors import BadReference, BadRunFile, InfeasibleConstraint, InvalidGenotype
from netwright.core.protocols import of_seed
from netwright.core.records import IO, Counts
from netwright.spaces.hnag import HnagSpace
from netwright.testing.toys import ToySpace

TOY, ANY = ToySpace(), IO(1, 1, 1, 1)  # a toy's params are the sum of its genes, 0 to 36; multiply-adds ten times that


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("params <= 1e6", Constraint("params", "<=", 1e6)),
        ("  params<1_000_000 ", Constraint("params", "<", 1e6)),
        ("multiply_adds >= 5.5E+3", Constraint("multiply_adds", ">=", 5500.0)),
        ("multiply_adds > 7.", Constraint("multiply_adds", ">", 7.0)),
        ("latency_ms <= 0.5", Constraint("latency_ms", "<=", 0.5)),
    ],
)
def test_reads(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "params", "params <= ", "params <= -1", "params == 3", "params =< 3", "accuracy > 0.9", "3 <= params"),
        *("params <= 1e6 or so", "params <= 1e6, params > 3", "params <= nan", "params <= 1e", "params <= 0x10"),
    ],
)
def test_refuses_and_says_how_to_write_it(text):
    with pytest.raises(
        BadRunFile,
        match=r"cannot be read; write it as 'params <= 1e6', 'multiply_adds < 5e7', 'memory.* 'latency_ms <= 5'",
    ):
        parse(text)


@pytest.mark.parametrize("text", ["params <= 1__0", "params <= 1_", "params <= 1_.5"])
def test_refuses_misplaced_underscores(text):
    with pytest.raises(BadRunFile, match="cannot be read"):
        parse(text)


@given(st.sampled_from(["<=", "<", ">=", ">"]), st.integers(0, 100), st.integers(0, 100))
def test_compares(comparison, params, bound):
    compare = {"<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt}[comparison]
    assert parse(f"params {comparison} {bound}").holds(Counts(params, 0)) == compare(params, bound)
    assert parse(f"multiply_adds {comparison} {bound}").holds(Counts(0, params)) == compare(params, bound)
    assert parse(f"memory_per_sample {comparison} {bound}").holds(Counts(0, 0, params)) == compare(params, bound)


def test_what_a_space_does_not_count_cannot_be_bounded():
    space = constrain(TOY, ANY, ("memory_per_sample <= 16e6",))
    with pytest.raises(BadReference, match=r"'memory_per_sample <= 16,000,000': the space does not count it; bound"):
        space.sample(seeds.rng_for(0, seeds.ASK))


def test_memory_is_bounded_before_anything_is_trained():
    space = constrain(HnagSpace(limit=100_000), IO(3, 32, 32, 10), ("memory_per_sample <= 3e6",))
    genotype = space.sample(seeds.rng_for(0, seeds.ASK))
    assert space.count(genotype, space.io).memory_per_sample <= 3e6
    assert any(
        HnagSpace(limit=100_000).count(HnagSpace().sample(seeds.rng_for(0, seeds.ASK, n)), space.io).memory_per_sample
        > 3e6
        for n in range(9)
    ), "it bounds something"


def test_without_constraints_the_space_is_not_wrapped():
    assert constrain(TOY, ANY, ()) is TOY


def test_samples_and_mutants_fit_and_are_the_spaces_own():
    space = constrain(TOY, ANY, ("params <= 16", "multiply_adds >= 140"))
    for n in range(50):
        genotype = space.sample(seeds.rng_for(0, seeds.ASK, n))
        mutant = space.mutate(genotype, seeds.rng_for(1, seeds.ASK, n))
        for each in (genotype, mutant):
            assert 14 <= sum(each) <= 16
            space.check(each)
        assert sum(a != b for a, b in zip(genotype, mutant, strict=True)) <= 1
    assert space.genes == TOY.genes
    assert (space.key(genotype), space.graph(genotype)) == (TOY.key(genotype), TOY.graph(genotype))
    assert space.count(genotype, ANY) == TOY.count(genotype, ANY)


def test_a_constraint_that_all_samples_meet_changes_no_draw():
    loose = constrain(TOY, ANY, ("params <= 36",))
    assert loose.sample(seeds.rng_for(0, seeds.ASK)) == TOY.sample(seeds.rng_for(0, seeds.ASK))


def test_says_the_nearest_size_that_was_seen():
    sizes = []

    class Watched(ToySpace):
        def count(self, genotype, io):
            sizes.append(sum(genotype))
            return super().count(genotype, io)

    with pytest.raises(InfeasibleConstraint) as caught:
        constrain(Watched(), ANY, ("params <= 0",)).sample(seeds.rng_for(0, seeds.ASK))
    assert len(sizes) == TRIES
    assert f"none of 1,000 samples satisfies params <= 0; the smallest params found was {min(sizes)}" in str(
        caught.value
    )
    with pytest.raises(
        InfeasibleConstraint, match=r"none of 1,000 mutants .*; the largest multiply_adds found was 30$"
    ):
        constrain(TOY, ANY, ("multiply_adds > 1000",)).mutate(TOY.trivial(), seeds.rng_for(0, seeds.ASK))


def test_constraints_that_exclude_each_other_are_both_named():
    space = constrain(TOY, ANY, ("params < 5", "params > 30"))
    with pytest.raises(InfeasibleConstraint, match=r"params < 5 and params > 30; the smallest .*, the largest"):
        space.sample(seeds.rng_for(0, seeds.ASK))


def test_check_refuses_what_does_not_fit():
    space = Constrained(TOY, ANY, (parse("params <= 1e1"),))
    space.check((0,) * 12)
    with pytest.raises(InvalidGenotype, match=r"the network has 36 params; the run asks params <= 10"):
        space.check((3,) * 12)
    with pytest.raises(InvalidGenotype, match="gene 0"):
        space.check((9,) * 12)


def test_a_constrained_space_of_a_seed_is_constrained():
    space = constrain(HnagSpace(), ANY, ("params <= 1e6",))
    seeded = of_seed(space, 7)
    assert seeded == Constrained(HnagSpace(seed=7), ANY, space.constraints)
    assert of_seed(constrain(TOY, ANY, ("params <= 16",)), 7).space is TOY


def test_what_is_no_network_for_these_images_is_drawn_again_and_refused():
    class Odd(ToySpace):
        def count(self, genotype, io):
            if sum(genotype) % 2:
                raise InvalidGenotype("an odd one")
            return super().count(genotype, io)

    space = constrain(Odd(), ANY, ("params <= 36",))
    drawn = [space.sample(seeds.rng_for(0, seeds.ASK, n)) for n in range(20)]
    assert all(sum(genotype) % 2 == 0 for genotype in drawn)
    with pytest.raises(InvalidGenotype, match="an odd one"):
        space.check((1,) + (0,) * 11)

    class Never(ToySpace):
        def count(self, genotype, io):
            raise InvalidGenotype("no channel is left")

    with pytest.raises(InfeasibleConstraint, match="none of 1,000 samples is a network; the last: no channel is left"):
        constrain(Never(), ANY, ("params <= 36",)).sample(seeds.rng_for(0, seeds.ASK))


class Slow:
    """A toy takes a hundredth of a millisecond for each parameter."""

    def __init__(self):
        self.asked = []

    def latency_ms(self, space, genotype):
        self.asked.append(genotype)
        return sum(genotype) / 100


def test_the_latency_is_asked_for_once_the_counts_fit():
    slow = Slow()
    space = constrain(TOY, ANY, ("latency_ms <= 0.16", "params >= 14"), slow)
    for n in range(20):
        assert 14 <= sum(space.sample(seeds.rng_for(0, seeds.ASK, n))) <= 16
    assert slow.asked and min(map(sum, slow.asked)) >= 14
    with pytest.raises(InvalidGenotype, match=r"the network has 0.36 latency_ms; the run asks latency_ms <= 0.16"):
        space.check((3,) * 12)
    assert space == constrain(TOY, ANY, ("latency_ms <= 0.16", "params >= 14"), Slow()) and hash(space)


def test_says_the_smallest_latency_that_was_seen():
    with pytest.raises(InfeasibleConstraint, match=r"the smallest latency_ms found was 0\.0\d"):
        constrain(TOY, ANY, ("latency_ms <= 0.001",), Slow()).sample(seeds.rng_for(0, seeds.ASK))
    with pytest.raises(InfeasibleConstraint, match="of none of them the latency_ms was asked for"):
        constrain(TOY, ANY, ("params >= 99", "latency_ms <= 0.1"), Slow()).sample(seeds.rng_for(0, seeds.ASK))


def test_a_latency_that_nobody_estimates_is_refused():
    with pytest.raises(BadRunFile, match="latency_ms cannot be a constraint here; give it to a search with --trials"):
        constrain(TOY, ANY, ("latency_ms <= 1",))


class Shrinking(ToySpace):
    """A toy that begins from its largest and a middle network, and knows smaller ones."""

    def starts(self):
        return ((9, 9, 9, 9), (1, 1, 1, 1))

    def smaller(self, genotype):
        return ((value,) * 4 for value in range(genotype[0] - 1, -1, -1))


def test_a_start_that_does_not_fit_gives_way_to_the_first_smaller_network_that_does():
    assert constrain(Shrinking(), ANY, ("params <= 36",)).starts() == ((9,) * 4, (1,) * 4)
    assert constrain(Shrinking(), ANY, ("params <= 20",)).starts() == ((5,) * 4, (1,) * 4)
    assert constrain(Shrinking(), ANY, ("params <= 5",)).starts() == ((1,) * 4,), "no network twice"
    assert constrain(Shrinking(), ANY, ("params >= 4", "params <= 8")).starts() == ((2,) * 4, (1,) * 4)
    assert constrain(Shrinking(), ANY, ("params > 36",)).starts() == ()


def test_smaller_networks_without_end_are_not_looked_through():
    class Endless(Shrinking):
        def smaller(self, _genotype):
            return repeat((9,) * 4)

    assert constrain(Endless(), ANY, ("params <= 5",)).starts() == ((1,) * 4,)


def test_the_latency_of_a_start_is_estimated_once_and_not_of_all_that_are_smaller():
    class Counting:
        asked = 0

        def latency_ms(self, space, genotype):
            Counting.asked += 1
            return float(sum(genotype))

    space = Constrained(Shrinking(), ANY, (parse("params <= 20"), parse("latency_ms <= 4")), Counting())
    assert space.starts() == ((1,) * 4,)
    assert Counting.asked == 2
