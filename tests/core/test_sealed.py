"""A changed byte is noticed, wherever it lies, and any reader of safetensors reads a sealed file."""

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.core import sealed

ARRAYS = {"a": np.arange(5, dtype=np.float32), "digest": np.zeros((2, 0), np.int64)}
TEXTS = {"facts": '{"digest":"00000000000000000000000000000000"}'}
WHOLE = sealed.seal(safetensors.numpy.save(ARRAYS, {**TEXTS, **sealed.UNSEALED}))


def test_sealed_files_are_whole_and_read_by_anyone():
    assert sealed.is_whole(WHOLE)
    assert safetensors.numpy.load(WHOLE)["a"].tolist() == [0, 1, 2, 3, 4]
    assert sealed.is_whole(safetensors.numpy.save(ARRAYS)) is None
    assert sealed.is_whole(b"") is None
    with pytest.raises(ValueError, match="no place for a digest"):
        sealed.seal(safetensors.numpy.save(ARRAYS))


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_any_changed_byte_is_noticed(place, change):
    data = bytearray(WHOLE)
    data[place] ^= change
    assert not sealed.is_whole(bytes(data))


@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=9))
def test_cut_and_lengthened_files_are_noticed(end, more):
    assert not sealed.is_whole(WHOLE[:end])
    assert sealed.is_whole(WHOLE + more) is (not more)


@given(st.binary(max_size=60))
def test_anything_may_be_asked(data):
    assert not sealed.is_whole(data)
