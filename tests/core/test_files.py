"""Texts that say whether they were changed since they were written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import files


@given(st.text(), st.integers(min_value=0), st.integers(0, 7))
def test_a_sealed_text_that_was_changed_is_noticed(text, place, bit):
    text = text.replace("\r", "") + "\n"
    data = bytearray(files.with_checksum(text).encode())
    assert files.without_checksum(bytes(data).decode()) == text
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(ValueError, match=r"checksum|codec"):
        files.without_checksum(data.decode())
    with pytest.raises(ValueError, match="checksum"):
        files.without_checksum(text)
