import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import seeds

SEEDS = st.integers(0, 2**63 - 1)
WORDS = st.integers(0, 2**64 - 1)


def _draws(rng):
    return rng.integers(2**63, size=4).tolist()


@given(SEEDS, st.integers(1, 6), WORDS, WORDS)
def test_a_stream_is_the_same_from_shared_streams_and_alone(seed, purpose, n, attempt):
    shared = seeds.Streams(seed).rng(purpose, n, attempt)
    assert _draws(shared) == _draws(seeds.rng_for(seed, purpose, n, attempt))


@given(SEEDS, st.lists(st.tuples(st.integers(1, 6), WORDS, st.integers(0, 9)), min_size=1, max_size=5))
def test_a_stream_does_not_depend_on_what_was_drawn_before(seed, addresses):
    streams = seeds.Streams(seed)
    forward = [_draws(streams.rng(*address)) for address in addresses]
    for address in addresses:
        streams.rng(*address).integers(0, 2, size=3, dtype=np.uint32)  # leaves half a word in the buffer
    backward = [_draws(streams.rng(*address)) for address in reversed(addresses)]
    assert forward == backward[::-1]


def test_every_part_of_the_address_makes_another_stream():
    addresses = [
        (seed, purpose, n, attempt)
        for seed in (0, 1, 2**63 - 1)
        for purpose in (seeds.ASK, seeds.TELL, seeds.BUILD, seeds.TRAIN, seeds.SPLIT)
        for n in (0, 1, 2, 2**40)
        for attempt in (0, 1, 2)
    ]
    first = {tuple(_draws(seeds.rng_for(*address))) for address in addresses}
    assert len(first) == len(addresses)


def test_long_draws_of_neighboring_streams_do_not_overlap():
    one = seeds.rng_for(0, seeds.ASK, 1).integers(2**63, size=5000)
    other = seeds.rng_for(0, seeds.ASK, 2).integers(2**63, size=5000)
    assert not set(one.tolist()) & set(other.tolist())


def test_a_stream_never_changes_between_versions():
    """Runs on disk are resumed by later versions: these numbers are forever."""
    assert seeds.rng_for(7, seeds.ASK, 17).integers(1000, size=5).tolist() == [347, 81, 670, 735, 138]
    assert seeds.trial_seed(7, "key", 0) == 1762316583128947606


@given(SEEDS, st.text(max_size=20), st.integers(0, 1000))
def test_trial_seeds_are_in_range(seed, key, times):
    assert 0 <= seeds.trial_seed(seed, key, times) < 2**63
    seeds.Streams(seeds.trial_seed(seed, key, times))


def test_a_trial_seed_depends_on_each_argument():
    assert seeds.trial_seed(0, "a", 0) == seeds.trial_seed(0, "a", 0)
    arguments = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (10, "a", 0), (0, "a", 10)]
    assert len({seeds.trial_seed(*each) for each in arguments}) == len(arguments)


@pytest.mark.parametrize("seed", [-1, 2**63, 2**70])
def test_bad_seeds_are_refused(seed):
    with pytest.raises(ValueError, match=rf"seed is {seed}; give a whole number from 0 to 2\*\*63 - 1"):
        seeds.rng_for(seed, seeds.ASK)


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    seeds.rng_for(0, seeds.ASK).random(10)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
