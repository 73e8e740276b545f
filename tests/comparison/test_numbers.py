"""Means and errors as text."""

import numpy as np
import pytest

from netwright.comparison import measures, numbers
from netwright.comparison.measures import MeanOfSeeds


@pytest.mark.parametrize(
    ("mean", "text"),
    [
        (MeanOfSeeds(93.8537, 0.0521, 100), "93.854 ± 0.052"),
        (MeanOfSeeds(1.2, 0.13, 100), "1.20 ± 0.13"),
        (MeanOfSeeds(1234.5, 21.0, 9), "1,234 ± 21"),
        (measures.mean(np.array([62.7] * 3)), "62.7 ± 0"),
        (measures.mean(np.array([62.7])), "62.7"),
        (measures.mean(np.array([])), "–"),
    ],
)
def test_a_mean_has_as_many_decimals_as_its_error_tells(mean, text):
    assert numbers.with_error(mean) == text
