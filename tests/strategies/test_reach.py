import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.strategies.reach import chance, gain_of

SCORES = st.floats(allow_nan=False, allow_infinity=False)


def test_a_gain_is_a_line_of_the_score_before():
    pairs = [(x, x + 5.0 - 0.5 * (x - 70.0)) for x in (66.0, 68.0, 70.0, 72.0, 74.0) * 20]
    found = gain_of(pairs)
    assert found.expected(70.0)[0] == pytest.approx(75.0)
    assert found.expected(60.0)[0] == pytest.approx(70.0, abs=0.2), "what is far behind gains more"


def test_what_is_known_of_too_few_promotions_stops_nothing():
    assert gain_of([(1.0, 2.0)] * 2) is None
    known = gain_of([(1.0, 2.0), (1.1, 2.1), (0.9, 1.9)])
    assert chance(-100.0, 2.0, [known, None]) == 1.0
    assert chance(-100.0, -math.inf, [known]) == 1.0


def test_the_stated_chance_is_the_rate_at_which_such_trials_end_best():
    """Two rungs, a dozen promotions, gains that do not depend on the score."""
    rng, outcomes = np.random.default_rng(0), []
    for _ in range(4000):
        before = rng.normal(80.0, 2.0, 13)
        after = before + 5.0 + rng.normal(0.0, 1.0, 13)
        gains = [gain_of(list(zip(before[:12], after[:12], strict=True)))]
        best = float(after[:12].max())
        outcomes.append((chance(float(before[12]), best, gains), after[12] > best))
    stated, ended = np.array(outcomes).T
    low = stated < 0.1
    assert low.sum() > 2000
    assert ended[low].mean() == pytest.approx(stated[low].mean(), abs=0.01)
    assert ended[low].mean() < 0.05


@given(st.lists(st.tuples(SCORES, SCORES), max_size=6), SCORES, SCORES)
def test_any_scores_give_a_chance(pairs, score, best):
    assert 0 <= chance(score, best, [gain_of(pairs)] * 2) <= 1
