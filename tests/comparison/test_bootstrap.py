"""The paired bootstrap against what theory says of simple cases."""

import math

import numpy as np
import pytest

from netwright.comparison import bootstrap

RNG = np.random.default_rng


def test_the_interval_is_that_of_theory_for_many_seeds():
    differences = RNG(1).normal(0.3, 1.0, (400, 1))
    [found] = bootstrap.paired(differences, RNG(0))
    mean, error = differences.mean(), differences.std(ddof=1) / 20
    assert found.mean == pytest.approx(mean) and found.seeds == 400
    assert found.low == pytest.approx(mean - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(mean + 1.96 * error, abs=0.15 * error)
    assert found.p < 0.001


def test_p_is_uniform_where_there_is_no_difference():
    differences = RNG(2).normal(0, 1, (50, 300))
    p = np.array([found.p for found in bootstrap.paired(differences, RNG(0), 1000)])
    assert 0.02 < (p < 0.05).mean() < 0.11
    assert 0.4 < (p < 0.5).mean() < 0.6


def test_pairing_removes_what_seeds_have_in_common():
    shared = RNG(3).normal(0, 10, 60)
    ours, theirs = shared + 0.5 + RNG(4).normal(0, 0.1, 60), shared
    [found] = bootstrap.paired((ours - theirs)[:, None], RNG(0), 2000)
    assert 0.4 < found.low < found.high < 0.6


def test_no_difference_at_all_is_certainly_chance():
    [found] = bootstrap.paired(np.zeros((20, 1)), RNG(0), 500)
    assert found == (0.0, 0.0, 0.0, 1.0, 20)


def test_the_sign_turns_with_the_order():
    differences = RNG(5).normal(0.2, 1, (30, 1))
    [one] = bootstrap.paired(differences, RNG(0), 2000)
    [other] = bootstrap.paired(-differences, RNG(0), 2000)
    np.testing.assert_allclose((other.mean, other.low, other.high, other.p), (-one.mean, -one.high, -one.low, one.p))


def test_a_seed_without_both_is_left_out():
    whole = RNG(6).normal(1, 1, 40)
    [found] = bootstrap.paired(np.append(whole, [math.nan] * 10)[:, None], RNG(0), 4000)
    [expected] = bootstrap.paired(whole[:, None], RNG(0), 4000)
    assert found.seeds == 40 and found.mean == pytest.approx(expected.mean)
    np.testing.assert_allclose((found.low, found.high), (expected.low, expected.high), atol=0.08)
    [nothing] = bootstrap.paired(np.full((3, 1), math.nan), RNG(0), 100)
    assert nothing.seeds == 0 and math.isnan(nothing.mean)
    assert bootstrap.paired(np.zeros((0, 1)), RNG(0), 100)[0].seeds == 0


def test_chunks_change_nothing(monkeypatch):
    differences = RNG(7).normal(0, 1, (10, 3))
    whole = bootstrap.paired(differences, RNG(0), 1000)
    monkeypatch.setattr(bootstrap, "CHUNK", 70)
    assert bootstrap.paired(differences, RNG(0), 1000) == whole
