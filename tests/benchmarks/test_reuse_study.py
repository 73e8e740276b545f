"""What the study of answers from the table compares: searches with equal numbers of trainings."""

import sys
from pathlib import Path

import numpy as np
import pytest

from netwright.core.run_file import Limits

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import reuse_study

    monkeypatch.setattr(reuse_study, "RANDOM", 20)
    monkeypatch.setattr(reuse_study, "INITIAL", 20)
    yield reuse_study
    sys.modules.pop("reuse_study", None)


def test_equal_networks_have_equal_values_and_all_ways_train_alike(study):
    land = study.Landscape(0)
    cell = study.SPACE.trivial()
    unused = (*cell[:30], 3, *cell[31:])  # an edge of the last motif, which the trivial cell does not use
    assert study.SPACE.key(unused) == study.SPACE.key(cell)
    assert land.value(unused) == land.value(cell)
    found = {way: study.searched(land, 0.3, way, 0, Limits(table_seconds=60)) for way in study.WAYS}
    assert {each.trials - each.answers for each in found.values()} == {60}
    assert found["answered by network"].answers > found["answered by genotype"].answers > 0
    assert found["trained again"].answers == found["trained again, averaged"].answers == 0


def test_the_interval_is_that_of_the_mean(study):
    values = np.random.default_rng(0).normal(1.0, 2.0, 400)
    low, high = study.interval(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
