"""`netwright worker` at a search whose evaluator allows no other."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from netwright.cli.worker import worker
from netwright.core.errors import WorkerError
from netwright.core.refs import Reference
from netwright.core.run_file import Limits
from tests.runs.test_session import RUN, TOYS, play


def test_no_other_worker_joins_where_the_evaluator_allows_one(tmp_path):
    said = []

    def joining(_controller, _say):
        with pytest.raises(WorkerError) as refusal:
            worker(tmp_path, index=0, trust=True)
        said.append(str(refusal.value))
        return nullcontext()

    evaluator = Reference(f"{TOYS}:ToySharedEvaluator", {"rounds_played": 1, "pool": 3})
    play(tmp_path, replace(RUN, evaluator=evaluator, limits=Limits(trials=3)), joining)
    assert said == [
        "the search has 1 worker, and its evaluator, whose trials share what they are measured with, allows no more "
        "than 1; let it work alone"
    ]
