"""What validation values decide, by hand and against the published rule."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.training.loop import At
from netwright.training.validation import Record


def _at(step, loss=1.0):
    return At(step, 0, 1, torch.tensor(loss), step, 0.0, is_look=True, ends_pass=True)


def _switch(values, look_back):
    """The pass after which weights are averaged, by the rule of the program that has it; None: none."""
    logs = []
    for number, value in enumerate(values):
        if len(logs) > look_back and value > min(logs[:-look_back]):
            return number
        logs.append(value)
    return None


@given(st.lists(st.integers(0, 8), max_size=14), st.integers(1, 4))
def test_weights_are_averaged_when_the_published_program_does(losses, look_back):
    record, found = Record(), None
    for number, loss in enumerate(losses):
        record = record.after(-float(loss), _at(10 * (number + 1)), look_back)
        assert record.best == -min(losses[: number + 1])
        assert record.step == 10 * (losses.index(min(losses[: number + 1])) + 1)
        assert len(record.recent) <= look_back
        if record.averaged_from is not None and found is None:
            found = number
            assert record.averaged_from == 10 * (number + 1)
    assert found == _switch(losses, look_back)


def test_a_value_that_is_no_number_is_never_the_best():
    record = Record().after(math.nan, _at(5), 2)
    assert (record.step, record.seen) == (0, 5)
    assert record.after(-3.0, _at(6, loss=0.5), 2)[:3] == (-3.0, 6, 0.5)


@pytest.mark.parametrize(("start", "updates"), [(None, [0, 0, 0]), (4, [0, 1, 2])])
def test_updates_are_counted_from_the_switch(start, updates):
    assert [Record(averaged_from=start).updates(step) for step in (4, 5, 6)] == updates
