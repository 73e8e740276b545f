"""Several workers on one card, for real: they share it, and one for which it is full has it to itself."""

import json

import pytest
import torch

from netwright.controller import Search
from netwright.core import building, run_file
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.executors import card_service, side_by_side
from netwright.executors.processes import Processes
from netwright.executors.rehearsal import Rehearsal
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToySpace

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here"),
]
TOYS = "netwright.testing.toys"


def test_trials_that_do_not_fit_beside_each_other_are_trained_one_by_one(tmp_path):
    run = RunFile(
        space=Reference(f"{TOYS}:ToySpace"),
        task=Reference(f"{TOYS}:ToyTask"),
        evaluator=Reference("tests.greedy:Evaluator"),
    )
    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    store.remember("run", run_file.to_toml(run))
    executor = Processes(workers=2).on_cards(1, 2)
    search = Search(ToySpace(), RandomSearch(ToySpace()), store, executor, limits=Limits(trials=4), folder=tmp_path)
    assert search.run() == "trials"
    rows = store.finished()
    assert [row.status for row in rows] == ["done"] * 4
    assert any("with the card to itself" in row.result.message for row in rows), "two took 60 % of it at once"
    store.close()


def test_a_card_is_shared_by_rehearsed_trainings(tmp_path):
    run = RunFile(
        space=Reference("hierarchical", {"channels": 8}),
        task=Reference("digits"),
        evaluator=Reference("training", {"steps": 200, "batch": 64, "device": "cuda:0"}),
    )
    path = tmp_path / "run.toml"
    path.write_text(run_file.to_toml(run))
    genotype = tuple(0 for _ in building.build(run).space.genes)

    def command(index):
        told = Rehearsal(str(path), (genotype,), first=index)
        return side_by_side.module("netwright.executors.rehearsal", told.to_json())

    mark = f"{tmp_path}|rehearsal|"
    service = card_service.start(mark)
    try:
        with side_by_side.Cast(command, service.environment if service else {}, mark) as cast:
            rates = side_by_side.measured(cast, None, 2, 2.0)
            assert cast.memory.total > cast.memory.held > 0
    finally:
        if service:
            service.stop()
    print(json.dumps({"service": service is not None, "steps a second by trainings": rates}))
    assert rates.keys() == {1, 2}
    assert all(rate > 0 for rate in rates.values())
