import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import safetensors.torch
import torch

from netwright.core.errors import BadReference, DeviceLost, MissingCapability, NetwrightError, PutBack
from netwright.core.records import Proposal, Trial
from netwright.data import outcome
from netwright.evaluators.training import Training
from netwright.plans.plan import AUXILIARY, PlanWriter
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.spaces.hnag import HnagSpace
from netwright.stores.memory import MemoryStore
from netwright.tasks.digits import digits
from netwright.testing.evaluators import check_evaluator
from netwright.testing.toys import ToySpace, ToyTask
from netwright.training import faults, loop, reports
from netwright.training.memory import PROCESS_MB
from netwright.worker import WorkerContext, evaluate
from tests import carries, regularized
from tests.replayed import Replayed

MEASURED_IN_TIME = ("seconds", "examples_per_second", "peak_memory_mb")
SPACE = HierarchicalSpace(motifs=(2, 1), nodes=(3, 3), channels=4)
# motif 1: separable 3x3 and a max pooling beside it; the cell: motif 1 twice and a short cut
GENOTYPE = (3, 4, 6, 1, 0, 1, 1, 1, 1)
TASK = digits(train_limit=100)


@dataclass
class Watched:
    """A space that keeps the networks it built, and what their first weights were."""

    space: HierarchicalSpace = SPACE
    built: list = field(default_factory=list)
    drawn: list = field(default_factory=list)

    def build(self, genotype, io, rng):
        self.built.append(self.space.build(genotype, io, rng))
        self.drawn.append(next(self.built[-1].parameters()).detach().clone())
        return self.built[-1]

    def count(self, genotype, io):
        return self.space.count(genotype, io)


class Counted:
    """Digits that note which splits were read, and how many images of them."""

    io = TASK.io

    def __init__(self, task=TASK):
        self.task, self.read = task, []

    def __getattr__(self, name):
        if name == "on_device":  # nothing is to be read past this
            raise AttributeError(name)
        return getattr(self.task, name)

    def batches(self, split, size, rng):
        for images, labels in self.task.batches(split, size, rng):
            self.read.append((split, len(labels), rng is not None))
            yield images, labels


def _trial(seed=7, budget=None):
    return Trial(1, Proposal(GENOTYPE, budget=budget), "key", seed, "running")


def _context(**changed):
    return WorkerContext(MemoryStore(), None, 1, **changed)


def test_a_trial_of_generators_trains_the_network_that_its_seed_draws():
    space, genotype, built = HnagSpace(limit=20_000), (4, 2, 0.5, 3, 0.5, 3, 2, 0.5), []
    watched = Watched(space, built)
    watched.seeded = lambda seed: Watched(space.seeded(seed), built)
    evaluator = Training(watched, TASK, batch=25, steps=1, repeats=2)
    sizes = {}
    for seed in range(4):
        trial = replace(_trial(seed), proposal=Proposal(genotype))
        result = evaluator.evaluate(trial, _context())
        sizes[seed] = result.metrics["params"]
        assert sizes[seed] == space.seeded(seed).count(genotype, TASK.io).params
        assert [sum(p.numel() for p in net.parameters()) for net in built[-2:]] == [sizes[seed]] * 2
    assert len(set(sizes.values())) > 1


def _evaluate(space=None, task=TASK, seed=7, budget=None, context=None, **settings):
    evaluator = Training(
        space or SPACE, task, **{"batch": 25, **({} if "epochs" in settings else {"steps": 5}), **settings}
    )
    return evaluator.evaluate(_trial(seed, budget), context or _context())


def _exact(result):
    return {name: value for name, value in result.metrics.items() if name not in MEASURED_IN_TIME}, result.curve


def test_measures_everything_that_is_promised():
    result = _evaluate()
    assert list(result.metrics) == [
        *("valid_accuracy", "valid_loss", "train_loss", "params", "multiply_adds"),
        *("memory_per_sample", "seconds", "examples_per_second", "peak_memory_mb"),
    ]
    counts = SPACE.count(GENOTYPE, TASK.io)
    assert (result.metrics["params"], result.metrics["multiply_adds"]) == (counts.params, counts.multiply_adds)
    assert 0 <= result.metrics["valid_accuracy"] <= 1
    assert result.failure == ""
    assert 0 < result.metrics["seconds"] <= result.seconds + 1e-9
    assert result.curve == ((5, result.metrics["valid_accuracy"]),)


def test_keeps_the_contract_and_foretells_what_is_counted_but_of_a_generator():
    evaluator = Training(SPACE, TASK, steps=1)
    check_evaluator(evaluator, [GENOTYPE])
    assert evaluator.foretell(GENOTYPE) == SPACE.count(GENOTYPE, TASK.io).known()
    generators = HnagSpace(limit=20_000, n_top=(3, 3), n_mid=(1, 2), n_bottom=(3, 3))
    generator = generators.sample(np.random.default_rng(0))
    check_evaluator(Training(generators, TASK, steps=1), [generator])
    assert Training(generators, TASK, steps=1).foretell(generator) == {}


def test_the_contract_notices_what_was_foretold_wrongly():
    class Wrong(Training):
        def foretell(self, genotype):
            return {**super().foretell(genotype), "params": 1.0}

    with pytest.raises(AssertionError, match=r"params of .* was foretold as 1.0, it is"):
        check_evaluator(Wrong(SPACE, TASK, steps=1), [GENOTYPE])


def test_the_same_seed_gives_the_same_bits():
    spaces = Watched(), Watched()
    one, other = (_evaluate(space, epochs=2, curve_every=1) for space in spaces)
    assert _exact(one) == _exact(other)
    for a, b in zip(spaces[0].built[0].state_dict().values(), spaces[1].built[0].state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_another_seed_gives_another_network():
    spaces = Watched(), Watched()
    one, other = (_evaluate(space, seed=seed) for seed, space in enumerate(spaces))
    assert one.metrics["train_loss"] != other.metrics["train_loss"]
    weights = [space.drawn[0] for space in spaces]
    assert not torch.equal(*weights)


def test_the_global_generator_is_neither_read_nor_moved():
    results = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state = torch.random.get_rng_state()
        results.append(_exact(_evaluate()))
        assert torch.equal(state, torch.random.get_rng_state())
    assert results[0] == results[1]


def test_looking_more_often_changes_no_result():
    often, seldom = _evaluate(epochs=3, curve_every=1), _evaluate(epochs=3)
    assert _exact(often)[0] == _exact(seldom)[0]
    assert [step for step, _ in often.curve] == [4, 8, 12]
    assert [step for step, _ in seldom.curve] == [12]
    assert often.curve[-1] == seldom.curve[-1] == (12, often.metrics["valid_accuracy"])
    assert [step for step, _ in _evaluate(epochs=5, curve_every=2).curve] == [8, 16, 20]


@pytest.mark.parametrize(
    ("settings", "budget", "steps"),
    [
        ({"steps": 3}, None, 3),
        ({"steps": 6}, None, 6),
        ({"steps": 3}, 5, 5),
        ({"epochs": 2}, None, 8),
        ({"epochs": 2}, 1, 4),
        ({"epochs": 1, "batch": 30}, None, 3),
    ],
)
def test_trains_exactly_as_long_as_asked(monkeypatch, settings, budget, steps):
    """100 images make 4 batches of 25, or 3 of 30. A budget counts what the evaluator counts."""
    calls, step = [], torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self, *args: calls.append(1) or step(self, *args))
    task = Counted()
    assert _evaluate(task=task, budget=budget, **settings).curve[-1][0] == steps
    assert len(calls) == steps
    trained = [count for split, count, is_training in task.read if is_training and split == "train"]
    assert set(trained) == {settings.get("batch", 25)}


def test_without_steps_or_epochs_there_are_100_steps_whatever_the_size_of_the_data():
    assert _evaluate(epochs=None, batch=10).curve[-1][0] == 100


def test_a_search_never_reads_the_test_images():
    task = Counted()
    _evaluate(task=task, epochs=1, curve_every=1)
    assert {split for split, _, _ in task.read} == {"train", "valid"}


def test_before_the_test_both_other_splits_are_trained_on():
    task = Counted()
    result = _evaluate(task=task, epochs=1, split="test")
    assert {split for split, _, is_training in task.read if is_training} == {"train+valid"}
    assert {split for split, _, is_training in task.read if not is_training} == {"test"}
    assert {"test_accuracy", "test_loss"} < set(result.metrics)
    assert result.curve == (((100 + 360) // 25, result.metrics["test_accuracy"]),)


def test_repeats_are_averaged_and_their_deviation_stated():
    space = Watched()
    result = _evaluate(space, repeats=3)
    assert len(space.built) == 3
    assert not torch.equal(*space.drawn[:2])
    found = [loop.measure(net, TASK, "valid", torch.channels_last) for net in space.built]
    losses = [each["loss"] for each in found]
    mean = sum(losses) / 3
    sd = math.sqrt(sum((loss - mean) ** 2 for loss in losses) / 2)
    assert result.metrics["valid_loss"] == pytest.approx(mean)
    assert result.metrics["valid_loss_sd"] == pytest.approx(sd)
    assert result.curve == ((5, found[0]["accuracy"]),), "the curve is the first training's"
    assert "valid_accuracy_sd" not in _evaluate().metrics
    assert _exact(result) == _exact(_evaluate(repeats=3))


def test_divergence_is_a_result_with_step_and_rate():
    result = _evaluate(lr=1e9, epochs=30, curve_every=1)
    assert (result.failure, result.metrics) == ("diverged", {})
    assert result.seconds > 0
    step, rate = result.message.removeprefix("the loss is ").split(" at step ")[1].split(", learning rate ")
    assert 0 < int(step) <= 120
    assert 0 < float(rate) <= 1e9


@pytest.mark.parametrize("is_diverging", [False, True])
def test_threads_are_the_contexts_and_are_given_back(monkeypatch, is_diverging):
    during, steps = [], loop.steps
    monkeypatch.setattr(loop, "steps", lambda *args: during.append(torch.get_num_threads()) or steps(*args))
    before = torch.get_num_threads()
    _evaluate(context=_context(threads=before + 1), lr=1e9 if is_diverging else 0.1)
    assert (during, torch.get_num_threads()) == ([before + 1], before)


def test_threads_are_given_back_after_an_error(monkeypatch):
    monkeypatch.setattr(loop, "steps", lambda *args: 1 / 0)
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError):
        _evaluate(context=_context(threads=before + 1))
    assert torch.get_num_threads() == before


def test_reports_every_pass_of_every_repeat():
    said = []
    context = _context(on_report=lambda step, metrics: said.append((step, set(metrics))) or True)
    _evaluate(epochs=2, repeats=2, context=context)
    usual, found = {"train_loss", "steps"}, {"valid_accuracy_so_far", "valid_loss_so_far"}
    assert said == [(4, usual), (8, usual), (12, usual | found), (16, usual | found)], "what the first one measured"


def test_a_report_that_answers_stop_stops_the_training():
    steps = []
    context = _context(on_report=lambda step, _: steps.append(step) or False)
    result = _evaluate(epochs=30, context=context)
    assert (result.failure, result.message, steps) == ("error", "stopped at step 4", [4])


def test_a_long_pass_is_reported_within_and_can_be_stopped(monkeypatch):
    monkeypatch.setattr(reports, "WITHIN_PASS", 0.0)
    said = []
    context = _context(on_report=lambda step, metrics: said.append((step, set(metrics))) or step < 40)
    result = _evaluate(epochs=1, batch=2, context=context)
    assert (result.failure, result.message) == ("error", "stopped at step 40")
    assert said == [(20, {"train_loss", "steps"}), (40, {"train_loss", "steps"})]


def test_a_budget_below_one_is_an_error():
    with pytest.raises(ValueError, match="budget is 0; it must be at least 1"):
        Training(SPACE, TASK).evaluate(_trial(budget=0), _context())


def test_a_batch_larger_than_the_split_trains_on_the_whole_split():
    task = Counted()
    assert _evaluate(task=task, batch=4096, epochs=3).curve[-1][0] == 3
    assert [count for split, count, is_training in task.read if is_training] == [100] * 3


def test_the_schedule_is_the_one_asked_for(monkeypatch):
    rates, step = [], torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self, *a: rates.append(self.param_groups[0]["lr"]) or step(self, *a)
    )
    _evaluate(steps=4, lr=0.2)
    assert rates == pytest.approx([0.2, 0.2 * (2 + math.sqrt(2)) / 4, 0.1, 0.2 * (2 - math.sqrt(2)) / 4])
    rates.clear()
    _evaluate(steps=4, lr=0.2, schedule="step", milestones=(0.5, 0.75), factor=0.5)
    assert rates == pytest.approx([0.2, 0.2, 0.1, 0.05])


def test_momentum_and_weight_decay_reach_the_optimizer(monkeypatch):
    made, init = [], torch.optim.SGD.__init__
    monkeypatch.setattr(torch.optim.SGD, "__init__", lambda self, *a, **k: made.append(k) or init(self, *a, **k))
    _evaluate(momentum=0.5, weight_decay=0.01)
    assert (made[0]["momentum"], made[0]["weight_decay"]) == (0.5, 0.01)


def test_a_network_that_trains_longer_is_better():
    long, short = _evaluate(epochs=30, lr=0.05), _evaluate(steps=1, lr=0.05)
    assert long.metrics["train_loss"] < short.metrics["train_loss"]
    assert long.metrics["valid_accuracy"] > 0.4 > short.metrics["valid_accuracy"]


@pytest.mark.parametrize("is_last", [True, False])
def test_the_memory_format_changes_no_more_than_rounding(is_last):
    result = _evaluate(steps=1, channels_last=is_last)
    assert result.metrics["train_loss"] == pytest.approx(_evaluate(steps=1).metrics["train_loss"], rel=1e-4)


def test_steps_that_are_recorded_change_no_more_than_rounding(monkeypatch):
    made = []

    def graphs_of(device, wanted):
        made.append(Replayed() if wanted == "auto" else None)
        return made[-1]

    monkeypatch.setattr("netwright.training.captured.graphs_of", graphs_of)
    results = [_evaluate(steps=9, repeats=2, graphs=wanted) for wanted in ("auto", "never")]
    assert [(each.recorded, each.released) for each in made[:2]] == [(1, 1), (1, 1)]
    assert results[0].metrics["train_loss"] == pytest.approx(results[1].metrics["train_loss"], rel=1e-4)
    assert results[0].message == results[1].message == ""


def test_why_steps_were_not_recorded_is_said_once(monkeypatch):
    monkeypatch.setattr("netwright.training.captured.graphs_of", lambda _device, _wanted: Replayed())
    found = _evaluate(carries.Space(), carries.Text(), steps=2, repeats=2)
    reason = "its network carries a state from batch to batch"
    assert found.message == f"its steps were taken without a CUDA graph, as {reason}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 1, "steps": 1}, "evaluator.epochs and evaluator.steps are both given; give one of them"),
        ({"epochs": 0}, "evaluator.epochs is 0; it must be greater than 0"),
        ({"steps": -1}, "evaluator.steps is -1; it must be"),
        ({"batch": 0}, "evaluator.batch is 0; it must be"),
        ({"repeats": 0}, "evaluator.repeats is 0; it must be"),
        ({"lr": math.nan}, "evaluator.lr is nan; it must be"),
        ({"processes": 0}, "evaluator.processes is 0; it must be greater than 0"),
        (
            {"batch": 25, "processes": 2},
            "a batch of 25 images cannot be divided among 2 processes; give a multiple of 2",
        ),
    ],
)
def test_settings_that_train_nothing_are_refused(settings, message):
    with pytest.raises(BadReference, match=message):
        Training(SPACE, TASK, **settings)


def test_settings_are_replaced_like_any_dataclass():
    evaluator = Training(SPACE, TASK, steps=5)
    assert replace(evaluator, lr=0.5) == Training(SPACE, TASK, steps=5, lr=0.5)


def test_the_rate_of_images_has_no_length():
    with pytest.raises(BadReference, match=r"rate_by_length is true, but images all have as many steps; leave it out"):
        Training(SPACE, TASK, rate_by_length=True)


def test_what_validation_decides_is_for_one_process():
    with pytest.raises(BadReference, match=r"are for one process, but 2 share the training; leave them out, or set"):
        _evaluate(keep_best=True, processes=2, batch=24)


def test_smoothed_labels_need_classes():
    with pytest.raises(BadReference, match=r"evaluator.label_smoothing is 0.1, but the task has no classes"):
        Training(ToySpace(), ToyTask(), label_smoothing=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"drop_path_keep": 0.7}, r"evaluator.drop_path_keep is 0.7, but networks of this space have no place for it"),
        ({"dropout": 0.5}, r"evaluator.dropout is 0.5, but networks of this space have no place for it; set it to 0"),
        ({"dropout_hidden": 0.5}, r"evaluator.dropout_hidden is 0.5, but networks of this space have no place for it"),
        (
            {"temporal_penalty": 1.0},
            r"temporal_penalty is 1.0, but networks of this space have no recurrent layer",
        ),
        ({"auxiliary": 0.4}, r"evaluator.auxiliary is 0.4, but networks of this space have no auxiliary head; set it"),
    ],
)
def test_what_the_network_has_no_place_for_is_refused(settings, message):
    with pytest.raises(MissingCapability, match=message):
        _evaluate(**settings)


def test_an_average_is_what_is_measured_and_saved(tmp_path):
    """Also for the curve, and training goes on with its own weights."""
    settings = {"epochs": 2, "ema": 0.9, "lr": 0.05}
    plain = _evaluate(context=_folder_context(tmp_path / "plain"), save=True, **{**settings, "ema": 0.0})
    result = _evaluate(context=_folder_context(tmp_path / "average"), save=True, curve_every=1, **settings)
    assert result.metrics["train_loss"] == plain.metrics["train_loss"]
    assert result.metrics["valid_loss"] != plain.metrics["valid_loss"]
    network = SPACE.build(GENOTYPE, TASK.io, np.random.default_rng(0))
    network.load_state_dict(safetensors.torch.load_file(tmp_path / "average" / "000001" / "weights.safetensors"))
    network.to(memory_format=torch.channels_last)
    assert loop.measure(network, TASK, "valid", torch.channels_last)["loss"] == result.metrics["valid_loss"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_constant_rate_and_averages_train(precision):
    result = _evaluate(steps=40, batch=25, precision=precision, warmup=1.0, lr=0.05, **RECIPE)
    assert result.metrics["valid_accuracy"] > 0.25, "of ten classes"


def test_a_checkpoint_of_another_architecture_is_one_clear_sentence(tmp_path):
    settings = {"steps": 8, "checkpoint_minutes": 1e-9}

    def kill(step, metrics):
        raise Killed

    with pytest.raises(Killed):
        _evaluate(context=_folder_context(tmp_path, kill), **settings)
    wider = replace(SPACE, channels=8)
    with pytest.raises(
        NetwrightError, match=r"checkpoint.safetensors is of another network: \S+ is .* there and .* in this"
    ):
        _evaluate(wider, context=_folder_context(tmp_path), **settings)


class Killed(BaseException):
    """As a kill would: not caught on the way."""


def _folder_context(folder, on_report=lambda step, metrics: True, **changed):
    return WorkerContext(MemoryStore(), folder, 1, on_report=on_report, **changed)


RECIPE = {"schedule": "constant", "cooldown": 0.4, "averaging": 0.3, "nesterov": True, "decay_on": "weights"}


@pytest.mark.parametrize(
    ("kill_at", "more"),
    [*((at, {}) for at in (1, 3, 4, 5, 8, 9)), (4, {**RECIPE, "precision": "bfloat16"}), (8, RECIPE)],
)
def test_a_killed_training_goes_on_from_its_very_step(tmp_path, kill_at, more):
    """Nine checkpoints: one after each of 4 and 4 steps of two repeats, with 4 steps a pass of which 5 are trained."""
    settings = {"steps": 5, "repeats": 2, "curve_every": 1, "checkpoint_minutes": 1e-9, "save": True, **more}
    undisturbed = _evaluate(context=_folder_context(tmp_path / "whole"), **settings)
    seen = []

    def kill(step, metrics):
        seen.append(step)
        if len(seen) == kill_at:
            raise Killed
        return True

    with pytest.raises(Killed):
        _evaluate(context=_folder_context(tmp_path / "cut", kill), **settings)
    assert (tmp_path / "cut" / "000001" / "checkpoint.safetensors").exists()
    resumed = Watched()
    result = _evaluate(resumed, context=_folder_context(tmp_path / "cut"), **settings)
    assert _exact(result) == _exact(undisturbed)
    files = [tmp_path / part / "000001" / "weights.safetensors" for part in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert not (tmp_path / "cut" / "000001" / "checkpoint.safetensors").exists()


def test_a_checkpoint_saves_steps(tmp_path):
    settings = {"steps": 8, "checkpoint_minutes": 1e-9}

    def kill(step, metrics):
        if step == 7:
            raise Killed
        return True

    with pytest.raises(Killed):
        _evaluate(context=_folder_context(tmp_path, kill), **settings)
    task = Counted()
    steps = []
    _evaluate(
        task=task, context=_folder_context(tmp_path, lambda step, metrics: steps.append(step) or True), **settings
    )
    assert min(steps) == 8, "only the last step was left"


@pytest.mark.parametrize("damage", [b"", b"{}", b"\x10\0\0\0\0\0\0\0not json at all!"])
def test_a_checkpoint_that_cannot_be_read_is_no_checkpoint(tmp_path, damage):
    (tmp_path / "000001").mkdir()
    (tmp_path / "000001" / "checkpoint.safetensors").write_bytes(damage)
    result = _evaluate(context=_folder_context(tmp_path), checkpoint_minutes=1e-9)
    assert _exact(result) == _exact(_evaluate())


def test_a_checkpoint_that_cannot_be_read_is_said_to_be_one(tmp_path, capsys):
    (tmp_path / "000001").mkdir()
    (tmp_path / "000001" / "checkpoint.safetensors").write_bytes(b"{}")
    _evaluate(context=_folder_context(tmp_path), checkpoint_minutes=60.0)
    said = "checkpoint.safetensors is damaged, or was written by another release; it was put aside as "
    assert f"{said}checkpoint.safetensors.damaged; the training begins anew" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"seed": 8}, "of seed 7 and key key"),
        ({"key": "other"}, "of seed 7 and key key"),
    ],
)
def test_a_checkpoint_of_another_trial_is_put_aside(tmp_path, capsys, other, message):
    evaluator = Training(SPACE, TASK, steps=8, batch=25, checkpoint_minutes=1e-9)

    def kill(step, metrics):
        raise Killed

    with pytest.raises(Killed):
        evaluator.evaluate(_trial(), _folder_context(tmp_path, kill))
    path = tmp_path / "000001" / "checkpoint.safetensors"
    before = path.read_bytes()
    trial = Trial(1, Proposal(GENOTYPE), other.get("key", "key"), other.get("seed", 7), "running")
    found = evaluator.evaluate(trial, _folder_context(tmp_path))
    assert _exact(found) == _exact(evaluator.evaluate(trial, _folder_context(tmp_path / "anew")))
    assert f"is of another training, {message}; it was put aside as" in capsys.readouterr().err
    assert path.with_name("checkpoint.safetensors.damaged").read_bytes() == before


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"optimizer": "rmsprop"}, "has the state of the optimizer SGD, not of RMSProp; give the settings"),
        ({"ema": 0.9}, "has no averages of the weights, so that .* and evaluator.non_monotone; give the settings"),
    ],
)
def test_a_checkpoint_of_other_settings_is_one_clear_sentence(tmp_path, other, message):
    settings = {"steps": 8, "checkpoint_minutes": 1e-9}

    def kill(step, metrics):
        raise Killed

    with pytest.raises(Killed):
        _evaluate(context=_folder_context(tmp_path, kill), **settings)
    with pytest.raises(NetwrightError, match=rf"checkpoint.safetensors {message} .*, or remove it to train anew$"):
        _evaluate(context=_folder_context(tmp_path), **settings, **other)


def _refuse_to_build(*args):
    raise AssertionError("refused before anything is built")


def test_fewer_images_than_a_batch_are_divided_before_the_first_step(monkeypatch):
    """100 images, which are one batch of 100."""
    assert _evaluate(batch=120, accumulate=5).failure == ""
    monkeypatch.setattr(HierarchicalSpace, "build", _refuse_to_build)
    message = (
        "there are only 100 images to train on, so that they all are one batch, which cannot be divided among 3 "
        "accumulated parts; give a batch of 99$"
    )
    with pytest.raises(BadReference, match=message):
        _evaluate(batch=120, accumulate=3)
    with pytest.raises(BadReference, match=r"among 300 accumulated parts; give fewer of them$"):
        _evaluate(batch=600, accumulate=300)


@dataclass(frozen=True)
class SinglePixels(regularized.Space):
    """Its auxiliary head normalizes single pixels, as a NASNet's does."""

    def plan(self, genotype, io):
        plan = PlanWriter(io)
        x = plan.norm(plan.conv(plan.image, 4, 3))
        with plan.scope(AUXILIARY):
            plan.linear(plan.mean(plan.norm(plan.conv(x, 4, io.height, padded=False))), io.outputs)
        plan.linear(plan.mean(x), io.outputs)
        return plan.plan()


def _evaluate_single_pixels(**settings):
    evaluator = Training(SinglePixels(), TASK, steps=2, lr=0.01, **settings)
    return evaluator.evaluate(Trial(1, Proposal((0,)), "key", 7, "running"), _context())


def test_a_part_of_one_image_is_refused_where_it_has_no_statistics():
    message = (
        "a batch of 4 images has 1 in each of 4 accumulated parts, and batch normalization of single pixels, as in "
        "this network, needs 2; give a batch of at least 8$"
    )
    with pytest.raises(BadReference, match=message):
        _evaluate_single_pixels(batch=4, accumulate=4, auxiliary=0.4)
    with pytest.raises(BadReference, match=r"^a batch has 1 image, and batch normalization of single pixels"):
        _evaluate_single_pixels(batch=1, auxiliary=0.4)
    assert not _evaluate_single_pixels(batch=8, accumulate=4, auxiliary=0.4).failure
    assert not _evaluate_single_pixels(batch=4, accumulate=4).failure, "a head that is not run needs nothing"


def test_a_full_disk_stops_no_training(tmp_path, monkeypatch, capsys):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("netwright.core.files.write", full)
    result = _evaluate(context=_folder_context(tmp_path), checkpoint_minutes=1e-9)
    assert _exact(result) == _exact(_evaluate())
    assert "no checkpoint at step 1" in capsys.readouterr().err


def test_what_is_saved_is_the_network_that_was_measured(tmp_path):
    result = _evaluate(context=_folder_context(tmp_path), split="test", save=True)
    folder = tmp_path / "000001"
    network = SPACE.build(GENOTYPE, TASK.io, np.random.default_rng(0))
    network.load_state_dict(safetensors.torch.load_file(folder / "weights.safetensors"))
    network.to(memory_format=torch.channels_last)
    assert loop.measure(network, TASK, "test", torch.channels_last)["accuracy"] == result.metrics["test_accuracy"]
    found = outcome.read(folder / "outcome.safetensors")
    assert (found.predictions == found.targets).mean() == pytest.approx(result.metrics["test_accuracy"])
    assert found.losses.mean() == pytest.approx(result.metrics["test_loss"], rel=1e-5)
    assert found.classes == tuple("0123456789")
    assert len(found.worst) == len(found.worst_names) == outcome.WORST
    assert (found.losses[found.worst_positions] >= np.sort(found.losses)[-outcome.WORST]).all()
    assert (found.worst[0] == TASK.pixels("test", [int(found.worst_positions[0])])[0]).all()


def test_memory_is_estimated_from_the_plan():
    small, large = (Training(SPACE, TASK, batch=batch).memory_mb(GENOTYPE) for batch in (1, 1000))
    assert 200 < small < 300
    assert large > small
    settings = {"batch": 1000, "accumulate": 10}
    assert Training(SPACE, TASK, **settings).memory_mb(GENOTYPE) < large
    two = Training(SPACE, TASK, processes=2, **settings).memory_mb(GENOTYPE)
    weights = 4 * SPACE.count(GENOTYPE, TASK.io).params / 1e6
    one = Training(SPACE, TASK, **settings).memory_mb(GENOTYPE)
    assert two - one == pytest.approx(PROCESS_MB + 3 * weights), "each has weights, gradients, momentum"
    averaged = Training(SPACE, TASK, optimizer="rmsprop", ema=0.9, **settings).memory_mb(GENOTYPE)
    assert averaged - one == pytest.approx(2 * weights), "and a mean of squares and an average"
    assert Training(Watched(), TASK).memory_mb(GENOTYPE) == Training(SPACE, TASK).memory_mb(GENOTYPE)


class Failing:
    """A space whose networks cannot be built, for a reason of the device."""

    def __getattr__(self, name):
        return getattr(SPACE, name)

    def build(self, genotype, io, rng):
        raise RuntimeError("CUDA error: out of memory")


def test_a_fault_of_the_device_is_a_failed_trial_or_one_that_is_put_back(monkeypatch):
    with pytest.raises(RuntimeError, match=r"^CUDA error: out of memory$"):
        _evaluate(Failing())  # as on the CPU that is no fault of the device
    monkeypatch.setattr(faults, "of", lambda error, own: faults.Fault("out_of_memory", f"{own.type} is full"))
    result = _evaluate(Failing())
    assert (result.failure, result.message, result.metrics) == ("out_of_memory", "cpu is full", {})
    assert result.seconds > 0
    monkeypatch.setattr(faults, "of", lambda error, own: faults.Fault("error", "the card is gone", is_lost=True))
    with pytest.raises(DeviceLost, match=r"^the card is gone$"):
        _evaluate(Failing())


def test_what_trainings_run_on_is_said_where_it_is_a_gpu(monkeypatch):
    evaluator = Training(SPACE, TASK)
    assert evaluator.remarks() == ()
    monkeypatch.setattr(faults, "why_no_gpu", lambda: "the driver is too old")
    assert evaluator.remarks() == ("trainings run on the CPU: the driver is too old",)
    for name, found in (("is_available", True), ("device_count", 1)):
        monkeypatch.setattr(torch.cuda, name, lambda found=found: found)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100")
    assert evaluator.remarks()[0].startswith("trainings run on NVIDIA H100, in bfloat16; the same command gives other")
    exact = replace(evaluator, deterministic=True, precision="float32")
    assert exact.remarks() == ("trainings run on NVIDIA H100, in float32",)


def test_a_training_is_compiled_by_its_own_steps_and_never_by_itself_where_a_pace_gave_them(tmp_path, monkeypatch):
    asked = []

    def pays(wanted, device, steps, is_paced):
        asked.append((wanted, steps, is_paced))
        return False

    monkeypatch.setattr("netwright.training.compiling.pays", pays)
    pace = (0.0,) * 6 + (0.5,)  # seconds of any step
    for options in ({"steps": 1, "horizon": 9}, {"pace": pace, "horizon": 9}):
        evaluator = Training(SPACE, TASK, batch=50, schedule="constant", **options)
        evaluator.evaluate(_trial(7, 2), WorkerContext(MemoryStore(), tmp_path, 1))
    assert asked == [("auto", 2, False), ("auto", 4, True)], "not those of the horizon"


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_a_deterministic_training_on_a_gpu_repeats_bit_for_bit(precision):
    options = {"steps": 30, "precision": precision, "deterministic": True, "device": "cuda", **RECIPE}
    results = [_evaluate(**options) for _ in range(2)]
    assert _exact(results[0]) == _exact(results[1])


@pytest.mark.gpu
def test_a_training_on_a_gpu_learns_what_one_on_the_cpu_does():
    losses = {place: _evaluate(steps=40, lr=0.05, device=place).metrics["train_loss"] for place in ("auto", "cpu")}
    assert losses["auto"] == pytest.approx(losses["cpu"], rel=0.1)


@pytest.mark.gpu
def test_a_training_that_fills_the_card_fails_with_sizes_and_the_next_one_is_trained():
    torch.cuda.empty_cache()
    total = torch.cuda.mem_get_info()[1]
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 16e6) / total)
    try:
        result = _evaluate(replace(SPACE, channels=256), batch=100, device="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert result.failure == "out_of_memory"
    assert "ran out: " in result.message and "GB free" in result.message
    assert not _evaluate(replace(SPACE, channels=256), batch=100, device="cuda").failure


@pytest.mark.gpu
@pytest.mark.parametrize("places", [("cuda", "cpu"), ("cpu", "cuda")], ids=str)
def test_a_training_stopped_on_one_device_goes_on_on_another(tmp_path, places):
    """In single precision, so that both come to nearly the same."""
    looks = iter([False] * 9)
    options = {"steps": 20, "lr": 0.01, "precision": "float32", "deterministic": True, **RECIPE}
    with pytest.raises(PutBack, match="to go on from there"):
        _evaluate(context=_folder_context(tmp_path, on_look=lambda: next(looks, True)), device=places[0], **options)
    result = _evaluate(context=_folder_context(tmp_path), device=places[1], **options)
    whole = _evaluate(device="cpu", **options)
    assert result.metrics["train_loss"] == pytest.approx(whole.metrics["train_loss"], rel=1e-2)


class FullCard:
    """Digits whose loss takes more memory than the card has, but for small parts of batches."""

    def __init__(self, most):
        self.task, self.most = TASK, most

    def __getattr__(self, name):
        return getattr(self.task, name)

    def loss(self, outputs, targets):
        if len(targets) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. And more")
        return self.task.loss(outputs, targets)


def test_a_batch_that_does_not_fit_is_trained_in_parts():
    evaluator = Training(SPACE, FullCard(13), batch=26, steps=2)
    assert evaluator.cards(0) == (), "on the CPU"
    assert evaluate(evaluator, _trial(), _context()).failure == "out_of_memory"
    divided = evaluator.in_more_parts(2, GENOTYPE)
    assert divided.accumulate == 2
    assert not divided.evaluate(_trial(), _context()).failure
    with pytest.raises(BadReference, match="batch of 26"):
        divided.in_more_parts(2, GENOTYPE)
