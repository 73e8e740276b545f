import numpy as np
import pytest

from netwright.core.genes import Choice, Integer, Real
from netwright.surrogates.rungs import Observation, RungHistory, RungModel

GENES = (Real("x", 0.0, 1.0), Integer("n", 0, 9), Choice("c", ("a", "b", "c")))


def _score(genotype, rung, rng):
    x, n, c = genotype
    return 70 + 10 * rung - 30 * (x - 0.4) ** 2 - 0.5 * abs(n - 6) + 3 * (c == 1) + rng.normal(0, 0.3)


def _drawn(count, rng):
    return [(float(rng.random()), int(rng.integers(10)), int(rng.integers(3))) for _ in range(count)]


def test_short_trainings_say_what_long_ones_would_be():
    """None of those on the highest rung is like the networks that are asked about."""
    rng = np.random.default_rng(0)
    seen = [Observation(_score(g, 0, rng), g, 0) for g in _drawn(60, rng)]
    seen += [Observation(_score(g, 1, rng), g, 1) for g in _drawn(60, rng) if g[2] == 0][:4]
    model = RungModel(GENES, (3, 9))
    history = RungHistory(tuple(seen), (10.0, 0.0))
    process = model.condition(model.learn(history), history, ())
    asked = [g for g in _drawn(200, rng) if g[2] != 0]
    mean, _ = model.at_top(process, asked)
    silent = np.random.default_rng(1)
    assert np.corrcoef(mean, [_score(g, 1, silent) for g in asked])[0, 1] > 0.9


def test_targets_are_raised_to_the_highest_rung_and_failures_are_neither_best_nor_worst():
    genotype = (0.5, 3, 1)
    scores = [(60.0, 0), (75.0, 1), (None, 0), (50.0, 0), (69.0, 1)]
    targets = RungHistory(tuple(Observation(s, genotype, r) for s, r in scores), (10.0, 0.0)).targets
    assert np.argsort(targets).tolist() == [3, 2, 4, 0, 1]
    assert targets.mean() == pytest.approx(0.0)
    assert targets.std() == pytest.approx(1.0)


def test_pending_trials_make_their_place_better_known_and_no_better():
    rng = np.random.default_rng(0)
    history = RungHistory(tuple(Observation(_score(g, 0, rng), g, 0) for g in _drawn(20, rng)), (0.0, 0.0))
    model = RungModel(GENES, (1, 3))
    parameters, asked = model.learn(history), (0.9, 9, 2)
    mean, deviation = model.at_top(model.condition(parameters, history, ()), [asked])
    with_pending, less = model.at_top(model.condition(parameters, history, [(asked, 1)]), [asked])
    assert less < deviation
    assert with_pending == pytest.approx(mean)


def test_one_rung_is_a_model_too():
    rng = np.random.default_rng(0)
    history = RungHistory(tuple(Observation(_score(g, 0, rng), g, 0) for g in _drawn(10, rng)), (0.0,))
    model = RungModel(GENES, (5,))
    mean, _ = model.at_top(model.condition(model.learn(history), history, ()), _drawn(3, rng))
    assert np.isfinite(mean).all()
