"""The line of a worker's report is read back as it was written, and any other text says nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.core import activity
from netwright.core.activity import Activity


@pytest.mark.parametrize(
    ("step", "metrics", "line"),
    [
        (3, {}, "step 3"),
        (40, {"steps": 100}, "step 40 of 100"),
        (40, {"train_loss": 0.25, "steps": 100}, "step 40 of 100, train_loss 0.25"),
        (7, {"a": 1e-7, "b c": -2.0}, "step 7, a 1e-07, b c -2"),
        (7, {"a": float("nan")}, "step 7, a nan"),
    ],
)
def test_reports_come_back(step, metrics, line):
    at = activity.of_report(step, metrics)
    assert activity.written(at) == line
    found = activity.read(line)
    assert (found.step, found.total, repr(found.values)) == (at.step, at.total, repr(dict(at.values)))


def test_a_line_holds_few_values():
    line = activity.written(Activity(1, None, {f"{n}" * 300: 1.0 for n in range(9)}))
    assert len(line) < 300 and len(activity.read(line).values) == activity.MOST


@settings(max_examples=50, deadline=None)
@given(st.text() | st.text().map("step 3 of 4, {}".format))
def test_any_text_can_be_read(text):
    found = activity.read(text)
    assert found is None or found.step >= 0
