from hypothesis import given
from hypothesis import strategies as st

from netwright.core.errors import MOST, BadReference


@given(st.text())
def test_messages_are_one_line_that_can_be_written(text):
    said = str(BadReference(f"it is {text}; give another one"))
    assert said.isprintable() and said.encode()
    assert said.endswith("; give another one")


def test_values_of_any_length_leave_the_beginning_and_the_end():
    said = str(BadReference(f"space.x is {'9' * 10_000}; give a smaller one"))
    assert len(said) < MOST
    assert said.startswith("space.x is 999") and said.endswith("999; give a smaller one")


def test_line_breaks_within_values_become_spaces():
    assert str(BadReference("class 'a\n  b' is\tnone")) == "class 'a b' is none"
    assert str(BadReference("path \udcff")) == r"path \udcff"
