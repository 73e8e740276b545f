"""Trainings whose length comes from seconds, that begin from others, end early, or divide their data anew."""

import math
import shutil
from dataclasses import dataclass
from itertools import count

import pytest

from netwright.core import in_full
from netwright.core.errors import BadReference, MissingCapability, NetwrightError
from netwright.core.records import Proposal, Trial
from netwright.core.refs import Reference
from netwright.evaluators.training import Training
from netwright.spaces.residual import ResidualSpace
from netwright.stores.memory import MemoryStore
from netwright.tasks.digits import digits
from netwright.training import checkpoint, pace, promotion
from netwright.training.standing import Standing, ends_in
from netwright.worker import WorkerContext

SPACE, GENOTYPE, TASK = ResidualSpace(), (4, 1), digits(train_limit=100)
CONSTANT = {"schedule": "constant", "cooldown": 0.4, "averaging": 0.3, "lr": 0.02}
HALF_A_SECOND = (*[0.0] * 6, 0.5)
IN_TIME = ("seconds", "examples_per_second", "peak_memory_mb", "carried_steps", "steps", "stopped_early")


class Killed(BaseException):
    """As a kill would: not caught on the way."""


def _run(folder, trial_id=1, budget=None, continues=None, seed=7, key="key", on_report=None, task=TASK, **settings):
    asked = Proposal(settings.pop("genotype", GENOTYPE), budget=budget, continues=continues)
    watch = {"on_report": on_report} if on_report else {}
    context = WorkerContext(MemoryStore(), folder / "trials", trial_id, **watch)
    evaluator = Training(SPACE, task, **{"batch": 25, "save": True, **CONSTANT, **settings})
    return evaluator.evaluate(Trial(trial_id, asked, key, seed, "running"), context)


def _weights(folder, trial_id=1):
    return (folder / "trials" / f"{trial_id:06d}" / checkpoint.WEIGHTS).read_bytes()


def _exact(result):
    return {name: value for name, value in result.metrics.items() if name not in IN_TIME}


def _kill_at(last):
    def kill(step, _metrics):
        if step >= last:
            raise Killed
        return True

    return kill


@pytest.fixture
def ticking(monkeypatch):
    """Each look at the clock of an evaluation finds a second more."""
    seconds = count()
    monkeypatch.setattr(Standing, "elapsed", lambda _self: next(seconds))


def test_budgets_are_seconds_of_the_pace_and_promotions_go_on(tmp_path):
    settings = {"pace": HALF_A_SECOND, "horizon": 8}
    whole = _run(tmp_path / "whole", 1, 8, **settings)
    first, second = (_run(tmp_path / "parts", n, 2 * n * n, n - 1 or None, **settings) for n in (1, 2))
    assert [result.metrics["steps"] for result in (first, second, whole)] == [4, 16, 16]
    assert second.metrics["carried_steps"] == 4
    assert _weights(tmp_path / "parts", 2) == _weights(tmp_path / "whole")
    assert Training(SPACE, TASK, pace=HALF_A_SECOND, seconds=9).budget_unit == "seconds"
    assert Training(SPACE, TASK, pace=HALF_A_SECOND, seconds=9).own_budget == 9


def test_a_costly_network_takes_fewer_steps_in_its_seconds(tmp_path):
    numbers = pace.Pace(*(1000 * number for number in pace.USUAL.numbers)).numbers
    small, large = (_run(tmp_path, n, 60, genotype=(n, 1), pace=numbers).metrics["steps"] for n in (4, 16))
    assert small > large == round(60 / pace.seconds_per_step(SPACE.plan((16, 1), TASK.io), 25, pace.Pace.of(numbers)))


def test_training_in_full_keeps_the_pace_and_takes_seconds():
    said = in_full.of(Reference("training", {}))
    options = {"pace": HALF_A_SECOND, "horizon": 8, "splits": 3, "deadline": 9.0, "plateau": 4, "begin": "states"}
    found = said.options(options, [{"seconds": 40}])
    assert found["seconds"] == 40
    assert found["pace"] == HALF_A_SECOND
    assert not found.keys() & {"splits", "deadline", "plateau", "begin", "epochs"}
    assert said.options(options, [{"begin": "x", "steps": 3}])["begin"] == "x"
    assert said.words({"seconds": 40}) == "40 seconds"


def _state(folder, key="key", **settings):
    _run(folder, 1, 2, key=key, horizon=9, **settings)
    (folder / "states").mkdir()
    shutil.copy(promotion.end_of(folder / "trials" / "000001", 0), promotion.begun_of(folder / "states", "key", 0))


@pytest.mark.parametrize("is_absolute", [False, True])
def test_a_training_begins_from_a_state_of_another_seed_and_split(tmp_path, is_absolute):
    _state(tmp_path)
    steps = []
    begin = str(tmp_path / "states") if is_absolute else "states"
    settings = {"seed": 8, "split": "test", "steps": 20, "on_report": lambda step, _: steps.append(step) or True}
    result = _run(tmp_path, 2, begin=begin, **settings)
    assert (result.metrics["carried_steps"], result.message) == (8, "")
    assert (min(steps) > 8, max(steps)) == (True, 20)
    empty = tmp_path / "empty"
    empty.mkdir()
    anew = _run(tmp_path, 3, begin="empty", **settings)
    assert anew.metrics["carried_steps"] == 0
    assert anew.message == f"begun anew: no state that can be read is called key-0.safetensors in {empty}"
    assert _weights(tmp_path, 2) != _weights(tmp_path, 3)


def test_where_the_folder_of_states_is_not_seen_nothing_is_trained_for_a_part_of_its_time(tmp_path):
    with pytest.raises(NetwrightError, match=r"no folder .*nowhere, whose states trainings are to begin from; let wor"):
        _run(tmp_path, 3, begin="nowhere", split="test", steps=20)


def test_a_begun_training_that_is_killed_goes_on_from_its_own_step(tmp_path):
    _state(tmp_path)
    settings = {"begin": "states", "steps": 24, "checkpoint_minutes": 1e-9}
    whole = _run(tmp_path, 2, **settings)
    with pytest.raises(Killed):
        _run(tmp_path, 3, on_report=_kill_at(14), **settings)
    assert _exact(_run(tmp_path, 3, **settings)) == _exact(whole)
    assert _weights(tmp_path, 2) == _weights(tmp_path, 3)


def test_a_state_of_another_network_or_of_too_long_a_training_is_refused(tmp_path):
    _state(tmp_path, key="other")
    with pytest.raises(
        NetwrightError, match=r"key-0.safetensors is of the network other, not of key, which is to begin"
    ):
        _run(tmp_path, 2, begin="states", steps=20)
    shutil.copy(tmp_path / "states" / "key-0.safetensors", tmp_path / "states" / "other-0.safetensors")
    with pytest.raises(NetwrightError, match=r"of a training of 8 steps, which are to go on to step 8; give a larger"):
        _run(tmp_path, 2, key="other", begin="states", steps=8)


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("is_killed", [False, True])
def test_a_deadline_ends_a_training_as_one_that_was_planned_so(tmp_path, is_killed):
    settings = {"steps": 300, "deadline": 61.0, "checkpoint_minutes": 1e-9 if is_killed else 0.0}
    if is_killed:  # which takes a second
        with pytest.raises(Killed):
            _run(tmp_path / "cut", on_report=_kill_at(20), **settings)
    result = _run(tmp_path / "cut", **settings)
    steps = result.metrics["steps"]
    assert 20 < steps <= 60
    assert result.message == ""
    again = _run(tmp_path / "again", steps=steps)
    assert _exact(result) == _exact(again) | {"broken_off": 0, "steps_1": steps, "span_1": steps}
    assert _weights(tmp_path / "again") == _weights(tmp_path / "cut")


@pytest.mark.usefixtures("ticking")
def test_the_trainings_of_a_trial_share_its_time(tmp_path):
    result = _run(tmp_path, steps=300, deadline=60.0, repeats=2)
    assert 20 <= result.metrics["steps"] <= 31


def test_a_machine_that_becomes_slower_is_said_to_break_off_the_cooldown(tmp_path, monkeypatch):
    seconds = iter([*range(40), *range(40, 10_000, 100)])
    monkeypatch.setattr(Standing, "elapsed", lambda _self: next(seconds))
    result = _run(tmp_path, steps=300, deadline=60.0)
    assert result.message.startswith(f"the deadline broke off the cooldown at step {result.metrics['steps']}, as the")


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_training_that_learns_nothing_more_ends(tmp_path, is_killed):
    settings = {"steps": 100, "plateau": 3, "lr": 1e-9, "checkpoint_minutes": 1e-9 if is_killed else 0.0}
    if is_killed:
        for step in (12, 20):
            with pytest.raises(Killed):
                _run(tmp_path / "cut", on_report=_kill_at(step), **settings)
    result = _run(tmp_path / "cut", **settings)
    steps = result.metrics["steps"]
    assert steps in (math.ceil(4 * passes / 0.6) for passes in range(4, 14)), "passes of 4 steps, then the cooldown"
    assert result.metrics["stopped_early"] == 1
    again = _run(tmp_path / "again", steps=steps, lr=1e-9)
    assert _exact(again) == _exact(result)
    assert _weights(tmp_path / "again") == _weights(tmp_path / "cut")
    assert _run(tmp_path / "other", steps=12, plateau=3).metrics["stopped_early"] == 0


def test_a_rung_that_learns_nothing_more_leaves_its_state_and_has_no_cooldown(tmp_path):
    settings = {"horizon": 20, "plateau": 2, "lr": 1e-9}
    first = _run(tmp_path, 1, 10, **settings)
    steps = first.metrics["steps"]
    assert steps in range(12, 40, 4), "whole passes"
    second = _run(tmp_path, 2, 20, 1, **settings)
    assert second.metrics["carried_steps"] == steps
    assert second.metrics["steps"] == math.ceil(steps / 0.6), "it goes straight to its cooldown"


@dataclass(frozen=True)
class Dividing:
    """Digits whose division is a choice of another seed."""

    task: object = TASK

    def __getattr__(self, name):
        return getattr(object.__getattribute__(self, "task"), name)

    def resplit(self, index, count):
        assert 0 < index < count
        return Dividing(digits(train_limit=100, split_seed=100 + index))


def test_each_training_has_a_division_of_its_own(tmp_path):
    plain = _run(tmp_path / "plain", steps=8)
    found = _run(tmp_path / "found", steps=8, splits=3, task=Dividing())
    alike = _run(tmp_path / "alike", steps=8, splits=3, repeats=3, task=Dividing())
    assert _exact(found) == _exact(alike)
    assert found.metrics["valid_loss_sd"] > 0
    assert _weights(tmp_path / "plain") == _weights(tmp_path / "found"), "the first has the task's own"
    assert plain.metrics["params"] == found.metrics["params"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pace": (1.0,)}, r"evaluator.pace is \[1.0\]; it has 7 numbers"),
        ({"seconds": 9}, "evaluator.seconds is 9, but without evaluator.pace nothing tells how many steps these are"),
        ({"seconds": 9, "epochs": 2, "pace": HALF_A_SECOND}, "evaluator.epochs and evaluator.seconds are both given"),
        ({"deadline": float("inf")}, "evaluator.deadline is inf; it must be at least 0, and finite"),
        ({"plateau": -1}, "evaluator.plateau is -1; it must be at least 0"),
        (
            {"plateau": 3, "schedule": "cosine", "cooldown": 0.0},
            "evaluator.plateau is 3, but a training with the sched",
        ),
        (
            {"deadline": 9.0, "drop_path_keep": 0.9},
            "evaluator.deadline is 9.0, but drop path 'v3' grows until the last",
        ),
        ({"splits": 3, "repeats": 2}, "evaluator.splits is 3 and evaluator.repeats 2, but each division has one"),
        ({"splits": 3, "split": "test"}, "evaluator.splits is 3, but before the test all divisions train on the same"),
    ],
)
def test_options_that_do_not_go_together_are_refused(settings, message):
    with pytest.raises(BadReference, match=message):
        Training(SPACE, Dividing(), **{**CONSTANT, **settings})


def test_a_task_that_cannot_divide_its_examples_is_refused():
    with pytest.raises(
        MissingCapability, match=r"evaluator.splits is 2, but the task cannot divide its examples in other"
    ):
        Training(SPACE, Fixed(), splits=2)


class Fixed:
    """A task with no other divisions."""

    io = TASK.io


def test_averages_hold_nothing_from_before_the_cooldown(tmp_path):
    """Those of its first step alone are the weights themselves, which differ from an average over all steps."""
    weights = {}
    for cooldown in (0.0, 0.3):  # of four steps, the last one
        for averaging in (0.0, 1.0):
            folder = tmp_path / f"{cooldown}-{averaging}"
            _run(folder, steps=4, cooldown=cooldown, averaging=averaging)
            weights[cooldown, averaging] = _weights(folder)
    assert weights[0.3, 1.0] == weights[0.3, 0.0]
    assert weights[0.0, 1.0] != weights[0.0, 0.0]


@pytest.mark.parametrize("each", [1, 2, 100])
def test_numbers_repeat_a_training_that_a_deadline_ended(tmp_path, monkeypatch, each):
    """Each training of a trial where it ended, even one whose cooldown was shortened, or broke off."""
    seconds = iter([*range(98), *range(98, 10_000, each)])
    with monkeypatch.context() as patch:
        patch.setattr(Standing, "elapsed", lambda _self: next(seconds))
        result = _run(tmp_path / "cut", 2, steps=300, repeats=2, deadlines=(1e6, 120.0))
    metrics = result.metrics
    ends = ends_in(metrics)
    assert len(ends) == 2 and max(map(max, ends)) < 100
    assert (metrics["broken_off"] > 0, any(len(end) > 2 for end in ends)) == (each == 100, each == 2)
    assert ("the cooldown was shortened from step" in result.message) == (each == 2)
    again = _run(tmp_path / "again", 2, steps=300, repeats=2, cuts=((), ends))
    assert (_exact(again), again.message) == (_exact(result), result.message)
    assert _weights(tmp_path / "again", 2) == _weights(tmp_path / "cut", 2)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cuts": (((3,),),)}, "evaluator.cuts is"),
        ({"cuts": (((3, 0),),)}, "evaluator.cuts is"),
        ({"deadlines": (0.0,)}, "evaluator.deadlines is"),
        ({"cuts": (((3, 3),),), "schedule": "cosine", "cooldown": 0.0}, "cannot end early"),
    ],
)
def test_deadlines_and_ends_that_are_none_are_refused(options, said):
    with pytest.raises(BadReference, match=said):
        Training(SPACE, TASK, **{**CONSTANT, "averaging": 0.0, **options})
