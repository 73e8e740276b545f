"""What evaluators return and report: whatever it is, plain numbers that any table can hold, or one sentence."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import returned
from netwright.core.records import Result

NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.booleans(),
    st.floats(width=32).map(np.float32),
    st.integers(-9, 9).map(np.int64),
    st.floats(-9, 9).map(torch.tensor),
)
NAMES = st.one_of(st.text(max_size=5), st.text("a ", min_size=199, max_size=202))
ODD = st.one_of(NUMBERS, st.text(max_size=3), st.none(), st.lists(st.integers(), max_size=3), st.complex_numbers())
POINTS = st.one_of(st.lists(st.tuples(NUMBERS, ODD), max_size=3), ODD)


class Strange:
    """A value that has neither a number nor a text."""

    def __float__(self):
        raise RuntimeError("no number")

    def __repr__(self):
        raise RuntimeError("no text")


@given(st.dictionaries(NAMES, ODD, max_size=3), POINTS, ODD, st.sampled_from(["", "diverged", "error", "odd"]))
def test_whatever_is_returned_can_be_stored_or_is_refused_in_a_sentence(metrics, curve, seconds, failure):
    try:
        result = returned.checked(Result(metrics, curve, seconds, failure, "why"), 2.5)
    except TypeError as refusal:
        message = str(refusal)
        assert message and "\n" not in message and len(message) < 500
        message.encode()
    else:
        stored = [dict(result.metrics), [list(point) for point in result.curve], result.seconds]
        assert json.loads(json.dumps(stored, allow_nan=False)) == stored
        assert bool(result.metrics) != bool(result.failure), "measured, or failed"
        assert result.seconds > 0
        assert all(type(value) in (int, float) and abs(value) < 2**1024 for value in result.metrics.values())


def test_numbers_of_arrays_are_plain_and_whole_ones_stay_whole():
    result = returned.checked(Result({"a": 3, "b": np.float32(0.5), "c": torch.tensor([2.0]), "d": 2**70}, [], 1), 9.0)
    assert result.metrics == {"a": 3, "b": 0.5, "c": 2.0, "d": float(2**70)}
    assert [type(value) for value in result.metrics.values()] == [int, float, float, float]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_a_metric_that_is_not_finite_has_diverged(value):
    result = returned.checked(Result({"fine": 1.0, "loss": value}, [(1, 0.5), (2, math.nan)]), 2.0)
    assert (result.failure, result.curve, result.seconds) == ("diverged", ((1, 0.5),), 2.0)
    assert "'loss'" in result.message and not result.metrics


@pytest.mark.parametrize("stated", [0.0, -1.0, math.nan, math.inf])
def test_seconds_that_cannot_be_are_those_it_took(stated):
    assert returned.checked(Result({"a": 1}, seconds=stated), 2.5).seconds == 2.5
    assert returned.checked(Result({"a": 1}, seconds=7.0), 2.5).seconds == 7.0


def test_the_end_of_a_long_message_is_kept_and_what_is_no_text_replaced():
    text = "x" * returned.MESSAGE_CHARACTERS + "the cause \ud800"
    assert returned.storable(text).endswith("the cause ?")
    assert len(returned.storable(text)) == returned.MESSAGE_CHARACTERS


@given(st.one_of(st.integers(), ODD), st.one_of(st.dictionaries(st.one_of(NAMES, st.integers()), ODD, max_size=3), ODD))
def test_reports_are_plain_or_refused_in_a_sentence(step, metrics):
    try:
        found = returned.reported(step, metrics)
    except TypeError as refusal:
        message = str(refusal)
        assert message.startswith("context.report was given ") and "\n" not in message
    else:
        assert type(found[0]) is int
        assert all(type(name) is str and type(value) is float for name, value in found[1].items())


def test_values_that_cannot_be_shown_are_refused_all_the_same():
    with pytest.raises(TypeError, match=r"cannot be shown [(]Strange[)]; it must be a number"):
        returned.checked(Result({"a": Strange()}), 1.0)
    with pytest.raises(TypeError, match="Strange"):
        returned.reported(1, Strange())
    assert returned.short("a\nb  c") == "'a\\nb c' (str)"
