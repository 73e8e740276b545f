"""What `benchmarks/nao_quality.py` measures controllers on."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from netwright.spaces.nao import NaoSpace
from netwright.strategies.nao_programs import PROGRAMS

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@pytest.fixture
def nao_quality(monkeypatch):
    for name in THREADS:  # which its harness sets
        monkeypatch.setenv(name, "1")
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    import nao_quality

    yield nao_quality
    for name in ("nao_quality", "results", "harness"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("space", [NaoSpace(operations="small"), NaoSpace(operations="large", genes_per_branch=3)])
def test_the_made_up_landscape_knows_no_order_of_branches(nao_quality, space):
    class Exchanged(NaoSpace):
        def sample(self, rng):
            return self.equivalents(super().sample(rng), np.random.default_rng(0))

    other = Exchanged(operations=space.operations, genes_per_branch=space.genes_per_branch)
    drawn, scores = nao_quality.made_up(space).draw(40, np.random.default_rng(1))
    twins, same = nao_quality.made_up(other).draw(40, np.random.default_rng(1))
    assert drawn != twins and len({space.key(each) for each in drawn}) == 40
    assert scores == pytest.approx(same) and len(set(scores.tolist())) == 40, "continuous: no ties"


def test_the_unseen_are_not_learned_from(nao_quality, monkeypatch):
    world, read = nao_quality.made_up(NaoSpace(operations="small")), []
    drawn, _ = world.draw(nao_quality.UNSEEN + 20, np.random.default_rng(0))
    train = nao_quality.joint_training.train
    monkeypatch.setattr(
        nao_quality.joint_training, "train", lambda *arguments: (read.append(arguments[1]), train(*arguments))
    )
    program = replace(PROGRAMS["pt2"], epochs=2, symmetry=False)
    found = nao_quality.measure(world, program, 20, "minmax", 0)
    sequences = nao_quality.spelled(world.space, None, nao_quality.FLAVORS["pt2"], drawn)
    assert read[0].tolist() == sequences[nao_quality.UNSEEN :].tolist()
    assert 0 <= found.pairwise <= 1 and -1 <= found.tau <= 1 and 0 <= found.unseen <= 40
