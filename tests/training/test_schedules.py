import pytest

from netwright.training.schedules import cosine, exponential, stepwise, warm_up


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


def test_exponential_by_hand():
    rates = [exponential(step, 2.4, 0.97) for step in (0, 2, 3, 4, 5, 24)]
    assert rates == pytest.approx([1.0, 1.0, 0.97, 0.97, 0.97**2, 0.97**10])


def test_warm_up_begins_above_zero_and_ends_at_one():
    assert [warm_up(step, 4) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert warm_up(0, 0.5) == 1.0
