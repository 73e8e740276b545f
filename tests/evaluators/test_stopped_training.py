"""A training that is asked to stop writes down where it stands, and goes on there: no step is lost, none done twice."""

import time
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.controller import Search
from netwright.core.errors import PutBack
from netwright.core.records import Proposal, Trial
from netwright.core.run_file import Limits
from netwright.evaluators.training import Training
from netwright.executors.inline import Inline
from netwright.executors.simulated import Simulated
from netwright.stores.memory import MemoryStore
from netwright.strategies.random import RandomSearch
from netwright.tasks.digits import digits
from netwright.training import checkpoint
from netwright.worker import WorkerContext
from tests.evaluators.test_training import GENOTYPE, MEASURED_IN_TIME, SPACE

TASK = digits(train_limit=40)


@dataclass
class Looks:
    """Says "stop now" at one of the looks, counted from 1, and from then on."""

    at: int
    seen: int = 0

    def __call__(self):
        self.seen += 1
        return self.seen >= self.at


def exact(result):
    return {name: value for name, value in result.metrics.items() if name not in MEASURED_IN_TIME}, result.curve


def evaluated(folder, task, look=lambda: False, trial_id=1, budget=None, continues=None, **options):
    evaluator = Training(SPACE, task, batch=10, **options)
    trial = Trial(trial_id, Proposal(GENOTYPE, budget=budget, continues=continues), "key", 7, "running")
    return evaluator.evaluate(trial, WorkerContext(MemoryStore(), folder, trial_id, on_look=look))


@pytest.mark.parametrize("batches_by", ["host", "device"])
@given(data=st.data())
@settings(max_examples=6)
def test_a_training_stopped_again_and_again_is_the_undisturbed_one(tmp_path_factory, batches_by, data):
    """Between any two steps, and in the middle of any measurement: for the curve, of a repeat, at the end."""
    folder = tmp_path_factory.mktemp("stopped")
    options = {
        "batches_by": batches_by,
        "steps": data.draw(st.integers(1, 6)),
        "repeats": data.draw(st.integers(1, 2)),
        "curve_every": data.draw(st.integers(0, 1)),
        "ema": data.draw(st.sampled_from([0.0, 0.9])),
        "mixing": data.draw(st.sampled_from([0.0, 0.7])),
        "save": data.draw(st.booleans()),
        "checkpoint_minutes": data.draw(st.sampled_from([0.0, 1e-9, 60.0])),
    }
    undisturbed = evaluated(folder / "whole", TASK, **options)
    result, stops = None, 0
    while result is None:
        try:
            result = evaluated(folder / "cut", TASK, Looks(data.draw(st.integers(1, 4))), **options)
        except PutBack:
            stops += 1
            assert (folder / "cut" / "000001" / "checkpoint.safetensors").exists()
            assert stops < 60, "each time at least one step, or a measurement, is done"
        if stops > 8:  # a measurement that is always interrupted never ends
            result = result or evaluated(folder / "cut", TASK, **options)
    assert exact(result) == exact(undisturbed)
    assert not list(folder.glob("cut/000001/checkpoint*"))
    weights = [list(folder.glob(f"{part}/000001/weights.safetensors")) for part in ("whole", "cut")]
    assert [len(found) for found in weights] == [options["save"]] * 2
    assert not options["save"] or weights[0][0].read_bytes() == weights[1][0].read_bytes()


def test_no_step_is_done_twice_and_all_seconds_count(tmp_path):
    steps = []
    options = {"steps": 8, "batch": 10}
    evaluator = Training(SPACE, TASK, **options, checkpoint_minutes=1e-9)
    trial = Trial(1, Proposal(GENOTYPE), "key", 7, "running")
    for stop_at in (3, 2, 99):
        context = WorkerContext(MemoryStore(), tmp_path, 1, on_look=Looks(stop_at))
        context.on_report = lambda step, metrics: "train_loss" in metrics or steps.append(step) or True
        try:
            result = evaluator.evaluate(trial, context)
        except PutBack as said:
            steps.append(str(said))
    assert [step for step in steps if isinstance(step, str)] == [
        "stopped at step 3, to go on from there",
        "stopped at step 5, to go on from there",
    ]
    assert [step for step in steps if isinstance(step, int)] == [1, 2, 4, 6, 7, 8], "3 and 5 are written by the stop"
    assert result.metrics["seconds"] == result.seconds


def test_seconds_add_up_over_stops(tmp_path, monkeypatch):
    real = time.monotonic
    for stopped in (1, 2):
        monkeypatch.setattr("netwright.training.standing.time.monotonic", lambda: real() + 1000)
        with pytest.raises(PutBack):
            evaluated(tmp_path, TASK, Looks(1), steps=3)
        monkeypatch.undo()
        facts = checkpoint.read_facts(tmp_path / "000001" / "checkpoint.safetensors")
        assert 1000 * stopped < facts["seconds"] < 1000 * stopped + 500
    assert 2000 < evaluated(tmp_path, TASK, steps=3).seconds < 2500


@pytest.mark.parametrize("stop_at", [3, 4])
def test_a_promotion_goes_on_from_a_trial_that_was_stopped_at_its_last_step(tmp_path, stop_at):
    """What a promotion continues is written before the training stops; the promotion is stopped, too."""
    options = {"epochs": 1, "horizon": 2}
    whole = evaluated(tmp_path / "whole", TASK, budget=2, **options)
    with pytest.raises(PutBack):
        evaluated(tmp_path / "parts", TASK, Looks(stop_at), budget=1, **options)
    evaluated(tmp_path / "parts", TASK, budget=1, **options)
    with pytest.raises(PutBack):
        evaluated(tmp_path / "parts", TASK, Looks(1), trial_id=2, budget=2, continues=1, **options)
    found = evaluated(tmp_path / "parts", TASK, trial_id=2, budget=2, continues=1, **options)
    assert found.metrics["carried_steps"] == 4
    assert found.metrics["valid_loss"] == whole.metrics["valid_loss"]


def test_without_a_folder_nothing_is_stopped():
    assert evaluated(None, TASK, Looks(1), steps=2).metrics


@dataclass
class Clock:
    """Hours that pass only when a batch is read."""

    seconds: float = 0.0


@dataclass
class Ticking:
    """Digits of which every batch takes a minute of the clock."""

    clock: Clock
    task: object = TASK
    read: list = field(default_factory=list)

    def __getattr__(self, name):
        return getattr(self.task, name)

    def batches(self, split, size, rng):
        for batch in self.task.batches(split, size, rng):
            self.clock.seconds += 60.0
            yield batch


@pytest.mark.parametrize("make", [Inline, Simulated])
def test_the_end_of_the_hours_stops_a_trial_that_goes_on_with_more_of_them(tmp_path, monkeypatch, make):
    clock = Clock()
    monkeypatch.setattr("netwright.controller.time.monotonic", lambda: clock.seconds)

    def searched(folder, store, **limits):
        evaluator = Training(SPACE, Ticking(clock), batch=10, steps=10)
        return Search(
            SPACE, RandomSearch(SPACE), store, make(evaluator), limits=Limits(**limits), seed=1, folder=folder
        )

    whole, parts = MemoryStore(), MemoryStore()
    assert searched(tmp_path / "whole", whole, trials=3).run() == "trials"
    assert searched(tmp_path / "parts", parts, trials=3, hours=14.5 / 60).run() == "hours"
    assert [row.status for row in parts.unfinished()] == ["pending"]
    assert (len(parts.finished()), len(list(tmp_path.glob("parts/trials/*/checkpoint.safetensors")))) == (1, 1)
    assert searched(tmp_path / "parts", parts, trials=3, hours=14.5 / 60).run() == "hours", "nothing is left of them"
    assert len(parts.finished()) == 1
    assert searched(tmp_path / "parts", parts, trials=3, hours=9.0).run() == "trials"
    assert [told(row) for row in parts.finished()] == [told(row) for row in whole.finished()]
    assert not list(tmp_path.glob("*/trials/*"))


def told(row):
    return row.id, row.proposal, row.seed, row.finish, exact(row.result)


def test_a_trial_that_is_put_back_is_no_loss_and_keeps_its_number(tmp_path):
    store = MemoryStore()
    search = Search(
        SPACE,
        RandomSearch(SPACE),
        store,
        Inline(Training(SPACE, TASK, batch=10, steps=3)),
        limits=Limits(trials=2),
        folder=tmp_path,
    )
    again = replace(search)
    for _ in range(5):  # a fourth loss would fail it
        stopped = replace(search, store=store)
        stopped.executor = Inline(Training(SPACE, Stopping(stopped), batch=10, steps=9))
        assert stopped.run() == "drained"
        assert [(row.id, row.status) for row in store.unfinished()] == [(1, "pending")]
    again.executor = Inline(Training(SPACE, TASK, batch=10, steps=9))
    assert again.run() == "trials"
    assert [row.id for row in store.finished()] == [1, 2]


@dataclass
class Stopping:
    """Digits whose first batch stops the search that trains on them, as a signal would."""

    search: Search
    task: object = TASK

    def __getattr__(self, name):
        return getattr(self.task, name)

    def batches(self, split, size, rng):
        self.search.stop()
        return self.task.batches(split, size, rng)
