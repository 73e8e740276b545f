"""Malformed input of every kind, given to the functions that take it."""

import pytest

from tests import fuzzing
from tests.fuzz import data, left, texts

TARGETS = (*texts.TARGETS, *data.TARGETS, *left.TARGETS)
PARTS = fuzzing.parts(TARGETS, fuzzing.INPUTS, fuzzing.PART)


def test_the_shares_of_all_targets_are_a_whole():
    assert sum(target.share for target in TARGETS) == 1000


@pytest.mark.timeout(0)
@pytest.mark.parametrize(("target", "count"), PARTS, ids=[f"{n}-{each.name}" for n, (each, _) in enumerate(PARTS)])
def test_malformed_input_is_taken_or_refused_in_a_sentence(target, count, tmp_path, record_property):
    tally = fuzzing.play(target, tmp_path, count)
    record_property("fuzzed", (target.name, tally.inputs, tally.refused, tally.slowest))
