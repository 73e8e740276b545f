"""Promotions: a trial that continues another one ends with the weights of one uninterrupted training."""

from dataclasses import replace

import pytest

from netwright.controller import Search
from netwright.core.errors import BadReference, NetwrightError
from netwright.core.records import Proposal, Trial
from netwright.core.run_file import Limits
from netwright.evaluators.training import Training
from netwright.executors.inline import Inline
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.hnag import HnagSpace
from netwright.stores.memory import MemoryStore
from netwright.strategies.asha import Asha
from netwright.tasks.digits import digits
from netwright.training import checkpoint, promotion
from netwright.worker import WorkerContext, evaluate
from tests.regularized import Space as Regularized

SPACE = HierarchicalSpace(motifs=(2, 1), nodes=(3, 3), channels=4)
GENOTYPE, OTHER = (3, 4, 6, 1, 0, 1, 1, 1, 1), (3, 4, 6, 1, 0, 1, 1, 1, 0)
REGULARIZED = Regularized()
GENERATORS, GENERATOR = HnagSpace(limit=3_000), (3, 2, 0.5, 1, 0.5, 3, 2, 0.5)
TASK = digits(train_limit=100)
IN_TIME = ("seconds", "examples_per_second", "peak_memory_mb", "carried_steps")


def _run(folder, trial_id, budget, continues=None, seed=7, key="key", on_report=None, **settings):
    asked = Proposal(settings.pop("genotype", GENOTYPE), budget=budget, continues=continues)
    trial = Trial(trial_id, asked, key, seed, "running")
    watch = {"on_report": on_report} if on_report else {}
    evaluator = Training(settings.pop("space", SPACE), TASK, **{"batch": 25, "horizon": 4, "save": True, **settings})
    return evaluator.evaluate(trial, WorkerContext(MemoryStore(), folder, trial_id, **watch))


def _weights(folder, trial_id):
    return (folder / f"{trial_id:06d}" / checkpoint.WEIGHTS).read_bytes()


def _exact(result):
    return {name: value for name, value in result.metrics.items() if name not in IN_TIME}, result.curve


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"curve_every": 1},
        {"schedule": "step", "milestones": (0.3, 0.6)},
        {"repeats": 2},
        {"steps": 1, "horizon": 7},  # budgets in steps, that end within a pass
        {"checkpoint_minutes": 1e-9},
        {"ema": 0.9, "curve_every": 1},
        {"schedule": "constant", "cooldown": 0.5, "averaging": 0.5, "nesterov": True, "decay_on": "weights"},
        {"optimizer": "rmsprop", "lr": 0.01, "schedule": "exponential", "warmup": 0.5, "clip": 1.0},
        {"optimizer": "muon", "schedule": "exponential", "warmup": 0.5, "averaging": 0.2},
        {"space": REGULARIZED, "genotype": (0,), "drop_path_keep": 0.6, "dropout": 0.3, "auxiliary": 0.4, "ema": 0.9},
        {"space": GENERATORS, "genotype": GENERATOR, "dropout": 0.2},
    ],
    ids=str,
)
def test_a_promotions_weights_are_those_of_one_uninterrupted_training(tmp_path, settings):
    ladder = (3, 5, 7) if "steps" in settings else (1, 2, 4)
    whole = _run(tmp_path / "whole", 1, ladder[-1], **settings)
    first = _run(tmp_path / "parts", 1, ladder[0], **settings)
    second = _run(tmp_path / "parts", 2, ladder[1], 1, **settings)
    third = _run(tmp_path / "parts", 3, ladder[2], 2, **settings)
    per = 1 if "steps" in settings else 4
    assert "carried_steps" not in first.metrics
    carried = [result.metrics["carried_steps"] for result in (second, third)]
    assert carried == [per * ladder[0], per * ladder[1]]
    assert _weights(tmp_path / "parts", 3) == _weights(tmp_path / "whole", 1)
    assert _weights(tmp_path / "parts", 2) != _weights(tmp_path / "parts", 3)
    assert _exact(third) == _exact(whole)
    assert (first.message, second.message, third.message) == ("", "", "")


def test_what_a_promotion_trains_is_the_rest_alone(tmp_path):
    steps = []
    _run(tmp_path, 1, 2)
    _run(tmp_path, 2, 4, 1, on_report=lambda step, _: steps.append(step) or True)
    assert [step for step in steps if step > 8] == [12, 16]
    assert min(steps) >= 8


def test_the_highest_rung_leaves_no_state(tmp_path):
    _run(tmp_path, 1, 4)
    _run(tmp_path, 2, 2)
    _run(tmp_path, 3, None, steps=8)
    names = [sorted(path.name for path in (tmp_path / f"00000{n}").iterdir()) for n in (1, 2, 3)]
    assert ["end-0.safetensors" in found for found in names] == [False, True, False]


def test_a_training_without_a_budget_has_a_schedule_of_its_own_length(tmp_path):
    _run(tmp_path / "with", 1, None, epochs=2)
    _run(tmp_path / "without", 1, None, epochs=2, horizon=None)
    assert _weights(tmp_path / "with", 1) == _weights(tmp_path / "without", 1)


class Killed(BaseException):
    """As a kill would: not caught on the way."""


def test_a_promotion_that_is_killed_goes_on_from_its_own_step(tmp_path):
    settings = {"checkpoint_minutes": 1e-9, "curve_every": 1}
    whole = _run(tmp_path / "whole", 1, 4)
    _run(tmp_path / "parts", 1, 1, **settings)

    def kill(step, metrics):
        if step == 10:
            raise Killed
        return True

    with pytest.raises(Killed):
        _run(tmp_path / "parts", 2, 4, 1, on_report=kill, **settings)
    result = _run(tmp_path / "parts", 2, 4, 1, **settings)
    assert _weights(tmp_path / "parts", 2) == _weights(tmp_path / "whole", 1)
    assert (result.metrics["carried_steps"], result.message) == (4, "")
    assert result.metrics["valid_accuracy"] == whole.metrics["valid_accuracy"]


@pytest.mark.parametrize("damage", ["gone", "folder", "text", "bit"])
def test_a_lost_checkpoint_is_trained_anew_and_that_is_said(tmp_path, damage):
    _run(tmp_path, 1, 2)
    path = promotion.end_of(tmp_path / "000001", 0)
    if damage == "folder":
        (tmp_path / "000001").rename(tmp_path / "elsewhere")
    elif damage == "gone":
        path.unlink()
    elif damage == "text":
        path.write_bytes(b"no tensors")
    else:
        data = bytearray(path.read_bytes())
        data[-1000] ^= 1
        path.write_bytes(data)
    result = _run(tmp_path, 2, 4, 1)
    why = "a checkpoint of trial 1 cannot be read" if damage in ("text", "bit") else "trial 1 left no checkpoint"
    assert result.message == f"trained anew: {why}"
    assert (result.failure, result.metrics["carried_steps"]) == ("", 0)
    whole = _run(tmp_path / "whole", 1, 4)
    assert _weights(tmp_path, 2) == _weights(tmp_path / "whole", 1)
    assert _exact(result) == _exact(whole)


def test_one_of_several_lost_checkpoints_is_said(tmp_path):
    _run(tmp_path, 1, 2, repeats=2)
    promotion.end_of(tmp_path / "000001", 1).unlink()
    result = _run(tmp_path, 2, 4, 1, repeats=2)
    assert result.message == "trained anew: 1 of 2 trainings, as trial 1 left no checkpoint"
    assert result.metrics["carried_steps"] == 0


def test_a_killed_promotion_that_had_gone_on_does_not_say_that_it_began_anew(tmp_path):
    """It goes on from its own checkpoint, though that of its origin is gone by then."""
    _run(tmp_path, 1, 1)

    def kill(step, metrics):
        if step == 10:
            raise Killed
        return True

    with pytest.raises(Killed):
        _run(tmp_path, 2, 4, 1, on_report=kill, checkpoint_minutes=1e-9)
    promotion.end_of(tmp_path / "000001", 0).unlink()
    result = _run(tmp_path, 2, 4, 1, checkpoint_minutes=1e-9)
    assert (result.metrics["carried_steps"], result.message) == (4, "")


@pytest.mark.parametrize("horizon", [8, None])
def test_a_checkpoint_of_another_schedule_is_refused(tmp_path, horizon):
    _run(tmp_path, 1, 2)
    sentence = r"of a schedule of 16 steps, that of trial 2, which continues it, has (32|12); give evaluator.horizon"
    with pytest.raises(NetwrightError, match=sentence):
        _run(tmp_path, 2, 3, 1, horizon=horizon)


def test_without_a_horizon_a_promotion_trains_anew_and_says_what_to_give(tmp_path):
    _run(tmp_path, 1, 2, horizon=None)
    result = _run(tmp_path, 2, 4, 1, horizon=None)
    assert result.message.endswith(
        "left no checkpoint; for promotions to go on, give evaluator.horizon the largest budget"
    )
    alone = _run(tmp_path / "alone", 1, 4, horizon=None)
    assert _exact(result) == _exact(alone)


@pytest.mark.parametrize("change", [{"seed": 8}, {"key": "other"}, {"genotype": OTHER}])
def test_a_checkpoint_of_another_wiring_is_refused_and_kept(tmp_path, change):
    _run(tmp_path, 1, 2)
    before = promotion.end_of(tmp_path / "000001", 0).read_bytes()
    with pytest.raises(NetwrightError, match="is of another network"):
        _run(tmp_path, 2, 4, 1, **change)
    assert promotion.end_of(tmp_path / "000001", 0).read_bytes() == before


def test_a_promotion_to_no_larger_budget_is_refused(tmp_path):
    _run(tmp_path, 1, 2)
    with pytest.raises(NetwrightError, match="continues trial 1 up to step 8, but that one stopped at 8; a promotion"):
        _run(tmp_path, 2, 2, 1)


def test_a_budget_beyond_the_horizon_is_one_clear_sentence(tmp_path):
    evaluator = Training(SPACE, TASK, horizon=4)
    trial = Trial(1, Proposal(GENOTYPE, budget=9), "key", 7, "running")
    result = evaluate(evaluator, trial, WorkerContext(MemoryStore(), tmp_path, 1))
    assert result.failure == "error"
    last = result.message.strip().rpartition("\n")[2]
    assert last.endswith("budget 9 is beyond evaluator.horizon, 4; give horizon the largest budget of the strategy")
    with pytest.raises(BadReference, match=r"evaluator\.horizon is 0; it must be greater than 0"):
        replace(evaluator, horizon=0)


def test_a_full_disk_stops_no_training(tmp_path, monkeypatch, capsys):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("netwright.core.files.write", full)
    result = _run(tmp_path, 1, 2, save=False)
    assert result.failure == ""
    assert "no checkpoint at step 8" in capsys.readouterr().err


@pytest.mark.parametrize("keep", [True, False])
def test_a_search_promotes_from_checkpoints_and_removes_those_it_went_on_from(tmp_path, keep):
    evaluator = Training(SPACE, TASK, batch=25, horizon=4)
    strategy, store = Asha(SPACE, max_budget=4, eta=2), MemoryStore()
    limits = Limits(trials=9)
    Search(SPACE, strategy, store, Inline(evaluator), limits=limits, folder=tmp_path, keep=keep).run()
    rows = {trial.id: trial for trial in store.finished()}
    promoted = [trial for trial in rows.values() if trial.proposal.continues is not None]
    assert len(promoted) >= 4
    for trial in promoted:
        before = rows[trial.proposal.continues]
        assert trial.status == "done"
        assert trial.seed == before.seed
        assert (trial.result.metrics["carried_steps"], trial.result.message) == (4 * before.proposal.budget, "")
        alone = Trial(1, replace(trial.proposal, continues=None), trial.key, trial.seed, "running")
        again = evaluator.evaluate(alone, WorkerContext(MemoryStore(), tmp_path / f"alone-{trial.id}", 1))
        assert again.metrics["valid_loss"] == trial.result.metrics["valid_loss"]
    used = {trial.proposal.continues for trial in promoted}
    stopped = {trial.id for trial in rows.values() if trial.proposal.budget < 4}
    left = {int(path.name) for path in (tmp_path / "trials").iterdir()}
    assert left == (stopped if keep else stopped - used)
