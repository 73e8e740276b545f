"""Passes of equal and of counted numbers of steps."""

import pytest

from netwright.core.errors import BadReference
from netwright.training import settings as step_settings
from netwright.training.epochs import CountedEpochs, EvenEpochs
from netwright.training.lengths import Lengths
from netwright.training.settings import StepSettings

STEPS = (4, 1, 3, 5, 2)


def _counted():
    return CountedEpochs(STEPS.__getitem__)


def test_counted_passes_add_up_and_parts_of_one_are_shares():
    epochs = _counted()
    assert [epochs.through(n) for n in (5, 0, 1, 2, 3)] == [15, 0, 4, 5, 8]
    assert [epochs.through(n) for n in (0.5, 2.5, 3.2)] == pytest.approx([2, 6.5, 9])
    assert [epochs.whole(step) for step in range(15)] == [0] * 4 + [1] + [2] * 3 + [3] * 5 + [4] * 2
    assert [epochs.whole(step, 2.0) for step in range(13)] == [0] * 5 + [1] * 8


def test_each_pass_is_asked_for_once_and_none_too_early():
    asked = []
    epochs = CountedEpochs(lambda epoch: asked.append(epoch) or 3)
    assert (epochs.through(2), epochs.whole(5), epochs.through(1)) == (6, 1, 3)
    assert asked == [0, 1]


@pytest.mark.parametrize("every", [1.0, 2.0, 2.4, 0.5])
def test_counted_passes_of_equal_numbers_are_even(every):
    even, counted = EvenEpochs(5), CountedEpochs(lambda epoch: 5)
    assert [even.through(n / 4) for n in range(20)] == [counted.through(n / 4) for n in range(20)]
    assert [even.whole(step, every) for step in range(60)] == [counted.whole(step, every) for step in range(60)]


def test_lengths_and_schedules_are_in_counted_passes():
    lengths = Lengths(_counted(), epochs=2, horizon=4)
    assert (lengths.of(None), lengths.of(3)) == ((5, 5), (8, 13))
    with pytest.raises(BadReference):
        lengths.of(5)
    falling = StepSettings(schedule="exponential", every=2.0, factor=0.5)
    rates = [step_settings.rate_factor(falling, step, 15, _counted()) for step in range(14)]
    assert rates == [1.0] * 5 + [0.5] * 8 + [0.25]
    rising = StepSettings(schedule="constant", warmup=2.0)
    assert [step_settings.rate_factor(rising, step, 15, _counted()) for step in range(6)] == [0.2, 0.4, 0.6, 0.8, 1, 1]
