import pytest

from netwright.training.schedules import cosine, stepwise


def test_cosine_by_hand():
    expected = {0: 1.0, 250: 0.8535534, 500: 0.5, 750: 0.1464466, 1000: 0.0}
    assert {step: cosine(step, 1000) for step in expected} == pytest.approx(expected)
    assert cosine(0, 1) == 1.0


def test_cosine_only_falls():
    rates = [cosine(step, 30) for step in range(31)]
    assert rates == sorted(rates, reverse=True)
    assert min(rates) >= 0.0


def test_stepwise_by_hand():
    """Milestones of 0.8 and 0.9 of 100 steps: step 79 is the last at full rate."""
    rates = [stepwise(step, 100, (0.8, 0.9), 0.1) for step in (0, 79, 80, 89, 90, 99)]
    assert rates == pytest.approx([1.0, 1.0, 0.1, 0.1, 0.01, 0.01])


def test_stepwise_without_milestones_is_constant():
    assert {stepwise(step, 10, (), 0.1) for step in range(10)} == {1.0}
