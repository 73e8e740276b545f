"""`netwright worker` at a search whose evaluator allows no other."""

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest

from netwright.cli.options import Typed
from netwright.cli.worker import worker
from netwright.core.errors import WorkerError
from netwright.core.refs import Reference
from netwright.core.run_file import Limits
from tests.runs.test_session import RUN, TOYS, play


def test_no_other_worker_joins_where_the_evaluator_allows_one(tmp_path):
    said = []

    def joining(_controller, _say):
        with pytest.raises(WorkerError) as refusal:
            worker(SimpleNamespace(obj=Typed((), "", 0.0)), str(tmp_path), None, 0, None, None, 60.0, None, True)
        said.append(str(refusal.value))
        return nullcontext()

    evaluator = Reference(f"{TOYS}:ToySharedEvaluator", {"rounds_played": 1, "pool": 3})
    play(tmp_path, replace(RUN, evaluator=evaluator, limits=Limits(trials=3)), joining)
    assert said == [
        "the search has 1 worker, and its evaluator, whose trials share what they are measured with, allows no more "
        "than 1; let it work alone"
    ]
