import pytest

from netwright.training.latency.blocks import FEWEST, Effort, quartiles, seconds


class FakeClock:
    """A clock that each call moves on by the next of some seconds, again and again."""

    def __init__(self, *takes):
        self.now, self.calls, self.takes = 0.0, 0, takes

    def __call__(self):
        return self.now

    def work(self):
        self.now += self.takes[self.calls % len(self.takes)]
        self.calls += 1


@pytest.mark.parametrize("takes", [1e-6, 3e-4, 0.02, 5.0])
def test_a_block_lasts_as_long_as_is_asked_and_gives_the_seconds_of_a_call(takes):
    clock = FakeClock(takes)
    marks = []
    found = seconds(clock.work, Effort(5, 0.04, 1e9), clock, lambda: marks.append(clock.now))
    assert found == pytest.approx([takes] * 5)
    assert all(end - begin >= 0.04 * 0.999 for begin, end in zip(marks[-6:], marks[-5:], strict=False))


def test_what_is_slow_is_measured_a_few_times_all_the_same():
    clock = FakeClock(30.0)
    assert seconds(clock.work, Effort(25, 0.04, 20.0), clock) == [30.0] * FEWEST


def test_a_clock_that_stands_still_ends():
    assert seconds(lambda: None, Effort(2, 0.04, 1.0), lambda: 0.0) == [0.0, 0.0]


def test_one_slow_block_does_not_move_the_median():
    found = quartiles([0.001, 0.002, 0.003, 0.004, 9.0])
    assert (found.lower, found.median, found.upper) == pytest.approx((2.0, 3.0, 4.0))
