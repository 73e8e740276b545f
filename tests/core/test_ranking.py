import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from netwright.core import ranking

NUMBERS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=40)


@given(NUMBERS)
def test_correlations_are_those_of_scipy(pairs):
    """Tau to the bit: strategies note it, and notes are compared when a run is replayed."""
    x, y = np.array(pairs, float).T
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert math.isnan(ranking.spearman(x, y)) and math.isnan(ranking.kendall(x, y))
        return
    assert ranking.kendall(x, y) == stats.kendalltau(x, y).statistic
    assert ranking.spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_many_numbers_are_compared_in_pieces(monkeypatch):
    x, y = np.random.default_rng(0).integers(9, size=(2, 100))
    whole = ranking.kendall(x, y)
    monkeypatch.setattr(ranking, "CHUNK", 700)
    assert ranking.kendall(x, y) == whole == stats.kendalltau(x, y).statistic


def test_a_resample_has_the_correlations_of_its_networks():
    x, y = np.random.default_rng(0).integers(6, size=(2, 12)).astype(float)
    counts = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), 20)
    taus, rhos = ranking._resampled(x, y, counts)
    for tau, rho, times in zip(taus, rhos, counts, strict=True):
        drawn = np.repeat(np.arange(12), times)
        assert tau == pytest.approx(stats.kendalltau(x[drawn], y[drawn]).statistic)
        assert rho == pytest.approx(stats.spearmanr(x[drawn], y[drawn]).statistic)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Of pairs of normal numbers with correlation r, tau is 2/pi arcsin r."""
    rng, true = np.random.default_rng(0), 2 / math.pi * math.asin(0.8)
    held = 0
    for _ in range(100):
        x, noise = rng.normal(size=(2, 40))
        found = ranking.agreement(x, 0.8 * x + 0.6 * noise, rng, resamples=300).kendall
        held += found.low <= true <= found.high
    assert 88 <= held <= 100


def test_the_top_is_the_best_in_truth():
    truth = np.arange(20.0)
    scores = np.array([*range(15), 3.0, 19.0, 18.0, 17.0, 16.0])  # the four best in reverse, the fifth looks poor
    found = ranking.agreement(scores, truth, np.random.default_rng(0))
    assert (found.networks, found.top) == (20, 4)
    assert found.top_kendall.value == found.top_spearman.value == pytest.approx(-1)
    assert found.precision == 1 and found.chance == 0.2
    assert found.kendall.value == stats.kendalltau(scores, truth).statistic
    wider = ranking.agreement(scores, truth, np.random.default_rng(0), share=0.25)
    assert (wider.top, wider.precision) == (5, 0.8)
    assert wider.top_kendall.value == stats.kendalltau(scores[15:], truth[15:]).statistic


def test_precision_breaks_ties_by_chance():
    truth = np.array([4.0, 3.0, 2.0, 1.0])
    assert ranking.precision(np.array([1.0, 1.0, 1.0, 1.0]), truth, 2) == 0.5
    assert ranking.precision(np.array([2.0, 1.0, 1.0, 0.0]), truth, 2) == 0.75
    assert math.isnan(ranking.precision(truth, truth, 5))


def test_where_there_is_no_order_nothing_is_said():
    rng = np.random.default_rng(0)
    for count in (0, 1, 2):
        few = ranking.agreement(np.arange(count), np.arange(count), rng)
        assert math.isnan(few.kendall.value) and few.networks == count
    same = ranking.agreement(np.ones(9), np.arange(9), rng)
    assert str(same.kendall) == "not defined" and same.facts()["kendall"] == {"value": None, "low": None, "high": None}
    assert same.precision == pytest.approx(1 / 3), "chance"
    none = ranking.agreement(np.arange(9), np.arange(9), rng, resamples=0)
    assert str(none.kendall) == "1.00" and none.facts()["kendall"] == {"value": 1.0, "low": None, "high": None}
