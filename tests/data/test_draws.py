"""Parts of batches: what an image gets depends on its place in the whole batch alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.data.augment import Augmentation, augment
from netwright.data.draws import PartOf

EVERYTHING = Augmentation(padding=2, flip=True, cutout=3, brightness=0.2, contrast=0.4)
SCALED = Augmentation(crop=6, flip=True, area=(0.1, 1.0))


@pytest.mark.parametrize("how", [EVERYTHING, SCALED, Augmentation(crop=5)])
@given(seed=st.integers(0, 2**32), chosen=st.sets(st.integers(0, 8), min_size=1))
def test_a_part_is_augmented_as_it_would_be_within_the_whole(how, seed, chosen):
    images = np.random.default_rng(seed).integers(256, size=(9, 8, 8, 3), dtype=np.uint8)
    rows = np.array(sorted(chosen))
    whole_rng, part_rng = (np.random.default_rng(seed + 1) for _ in range(2))
    whole = augment(images.copy(), how, (0.5,) * 3, (0.2,) * 3, whole_rng)
    part = augment(images[rows], how, (0.5,) * 3, (0.2,) * 3, PartOf(part_rng, rows, 9))
    np.testing.assert_allclose(part, whole[rows], rtol=0, atol=1e-5)
    assert whole_rng.bit_generator.state == part_rng.bit_generator.state, "the next batch begins alike"


def test_of_all_rows_the_draws_are_the_generator_s():
    rng, part = np.random.default_rng(1), PartOf(np.random.default_rng(1), np.arange(4), 4)
    low = np.linspace(0.1, 0.4, 4)
    for one, other in (
        (rng.random(4), part.random(4)),
        (rng.integers((7, 9), size=(4, 2)), part.integers((7, 9), size=(4, 2))),
        (rng.uniform(low, 2.0), part.uniform(low, 2.0)),
        (rng.uniform(0.5, 1.5, (4, 1, 1)), part.uniform(0.5, 1.5, (4, 1, 1))),
    ):
        np.testing.assert_allclose(one, other, rtol=1e-15)
        assert one.shape == other.shape
