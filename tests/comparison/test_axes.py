"""What the figures of both kinds of comparison share."""

import numpy as np

from netwright.comparison import axes


def test_a_band_of_few_seeds_is_by_students_t():
    """Of three, 4.303 standard errors to a side; 1.96 would hold the mean 81 times in a hundred."""
    np.testing.assert_allclose(
        axes.half_width(np.ones(4), np.array([2, 3, 5, 200])), [12.706, 4.303, 2.776, 1.972], rtol=1e-3
    )
    np.testing.assert_allclose(axes.half_width(np.array([2.0, np.nan]), 3), [8.605, np.nan], rtol=1e-3)
