"""Networks on shared weights: trained in rounds, scored alone, resumed to the step, and refused in one sentence."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from netwright.core import building, in_full, refs, run_file, trained_rounds
from netwright.core.errors import BadReference, InvalidGenotype, MissingCapability, NetwrightError, PutBack, TooEarly
from netwright.core.records import IO, Proposal, Trial
from netwright.core.round_plan import AGE, MEMBERS, PLACE
from netwright.core.vocabulary import Vocabulary
from netwright.data.corpus import Corpus
from netwright.data.language import LanguageModeling, RowLayout
from netwright.evaluators.shared_weights import SharedWeightsTraining
from netwright.spaces.macro import MacroSpace
from netwright.spaces.nats import NatsTopology
from netwright.spaces.rnn import RnnSpace
from netwright.stores.memory import MemoryStore
from netwright.tasks.digits import digits
from netwright.training import shared_training
from netwright.training.supernet import SharedWeights
from netwright.worker import WorkerContext, evaluate

ROOT = Path(__file__).parents[2]
SPACE, TASK = NatsTopology(channels=4, repeats=1), digits(train_limit=100)
SMALL = {"round_count": 2, "pool": 3, "new": 2, "steps": 6, "batch": 20, "valid_batch": 100, "recalibration": 2}
POOL = ((1, 2, 3, 1, 3, 2), (3, 3, 3, 2, 1, 4), (2, 1, 2, 3, 3, 0))


class Killed(BaseException):
    """What no evaluator catches, as SIGKILL."""


def _evaluator(space=SPACE, task=TASK, **options):
    return SharedWeightsTraining(space, task, **{**SMALL, **options})


def _table(rounds=2):
    store = MemoryStore()
    for number in range(1, rounds + 1):
        for place, genotype in enumerate(POOL):
            age = number - 1 if place else 0
            notes = {PLACE: place, MEMBERS: len(POOL), AGE: age}
            store.add(Proposal(genotype, budget=number, notes=notes), SPACE.key(genotype), 10 * number + place)
    return store


def _play(folder, store=None, most=99, on_look=lambda: False, on_report=None, **options):
    """Evaluate rows by an evaluator that knows nothing of what was done before; its table."""
    store, evaluator = store or _table(), _evaluator(**options)
    for _ in range(most):
        trial = store.claim("w")
        if trial is None:
            break
        context = WorkerContext(store, folder / "trials", trial.id, on_look=on_look)
        try:
            store.finish(trial.id, evaluate(evaluator, trial, context))
        except (PutBack, Killed):
            store.put_back("w")
            break
    return store


def _rows(store):
    found = sorted(store.finished(), key=lambda trial: trial.id)
    return [{n: v for n, v in trial.result.metrics.items() if n != "seconds"} for trial in found]


def _weights(folder, number=2):
    return safetensors.torch.load_file(folder / "shared" / shared_training.name_of(number))


def _same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, _play(folder)


def test_rows_have_the_tasks_metrics_and_counts_of_the_network_alone(undisturbed):
    _folder, store = undisturbed
    rows = _rows(store)
    assert len(rows) == 6 and all(trial.result.failure == "" for trial in store.finished())
    counts = SPACE.count(POOL[1], TASK.io).known()
    assert list(rows[1]) == ["valid_accuracy", "valid_loss", *counts]
    assert {name: rows[1][name] for name in counts} == counts
    assert rows[1]["valid_loss"] != rows[4]["valid_loss"]  # the same network, after another round
    evaluator = _evaluator()
    assert [each.name for each in evaluator.measures] == ["valid_accuracy", "valid_loss"]
    assert {*rows[0], "seconds"} <= {each.name for each in evaluator.metrics}
    assert evaluator.foretell(POOL[1]) == counts


def test_the_shared_folder_has_the_weights_of_each_round_and_how_long_they_took(undisturbed):
    folder, _ = undisturbed
    assert sorted(path.name for path in (folder / "shared").iterdir()) == [
        "round-0001.safetensors",
        "round-0002.safetensors",
        "rounds.json",
        "training.safetensors",
    ]
    one, two = trained_rounds.noted(folder / "shared")
    assert (one.round, one.steps, one.networks, two.steps) == (1, 6, 3, 12)
    assert 0 < one.seconds < two.seconds and one.loss > 0


def test_a_row_of_an_earlier_round_that_was_lost_is_scored_again_as_it_was(undisturbed):
    folder, store = undisturbed
    lost = next(trial for trial in _table().unfinished() if trial.id == 2)
    again = evaluate(_evaluator(), lost, WorkerContext(store, folder / "trials", 2))
    assert {name: value for name, value in again.metrics.items() if name != "seconds"} == _rows(store)[1]


@pytest.mark.parametrize("looks", [3, 9])
def test_stopped_in_training_it_goes_on_to_the_same_bits(undisturbed, tmp_path, looks):
    folder, store = undisturbed
    asked = iter(range(1, 99))
    broken = _play(tmp_path, on_look=lambda: next(asked) >= looks)
    assert not any(trial.result.failure for trial in broken.finished())
    assert len(broken.finished()) < 6
    assert _rows(_play(tmp_path, broken)) == _rows(store)
    assert _same(_weights(tmp_path), _weights(folder))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sampling": "fair", "paths": 5, "drop_path_keep": 1.0, "trains": "new"},
        {"supernets": 2, "joint_share": 0.3},  # 4 of 12 steps, just those of the checkpoint it goes on from
    ],
)
def test_killed_anywhere_it_goes_on_to_the_same_bits(undisturbed, tmp_path, monkeypatch, options):
    """Between two checkpoints, between the last one and the weights, and in the middle of scoring."""
    folder, store = undisturbed
    if options:
        folder = tmp_path / "undisturbed"
        store = _play(folder, **options)
    left = iter([4, 99])
    write, save = shared_training.RoundsTraining._write, SharedWeights.save

    def dies(*_):
        raise Killed

    def writes(training, path, descent, progress):
        write(training, path, descent, progress)
        if progress.step == step:
            raise Killed

    step = next(left)
    monkeypatch.setattr(shared_training.RoundsTraining, "_write", writes)
    table = _play(tmp_path, checkpoint_minutes=1e-9, **options)
    assert not table.finished()
    monkeypatch.setattr(SharedWeights, "save", dies)
    step = next(left)
    assert not _play(tmp_path, table, **options).finished()
    assert not (tmp_path / "shared" / "round-0001.safetensors").exists()
    assert [each.steps for each in trained_rounds.noted(tmp_path / "shared")] == [6]
    monkeypatch.setattr(SharedWeights, "save", save)
    for _ in range(6):
        _play(tmp_path, table, most=1, **options)  # each by another process
    assert _rows(table) == _rows(store)
    assert _same(_weights(tmp_path), _weights(folder))


def test_networks_that_are_trained_alone_before_a_score_have_the_same_scores_in_any_order(undisturbed, tmp_path):
    tuned = {"tuning_steps": 4, "tuning_lr": 0.1}
    one = _play(tmp_path / "one", **tuned)
    assert _same(_weights(tmp_path / "one"), _weights(undisturbed[0]))
    plain, rows = _rows(undisturbed[1]), _rows(one)
    assert all(row["valid_loss"] != other["valid_loss"] for row, other in zip(rows, plain, strict=True))
    assert one.finished()[0].result.seconds > 0
    store = _table()
    for _ in range(6):
        _play(tmp_path / "other", store, most=1, **tuned)  # each by another process
    assert _rows(store) == rows
    wild = _play(tmp_path / "wild", most=1, tuning_steps=25, tuning_lr=1e20, clip=0.0)
    result = wild.finished()[0].result
    assert result.failure == "diverged" and result.message.startswith("the loss is nan at step")


def test_weights_that_no_network_uses_stay(undisturbed):
    folder, _ = undisturbed
    training = shared_training.RoundsTraining(SPACE, TASK, _evaluator()._program, 10, torch.device("cpu"))
    first, found = training.weights(), _weights(folder)
    used = set().union(*(first.names(genotype) for genotype in POOL))
    changed = {name for name in found if not torch.equal(found[name], first.tensors[name])}
    assert changed < used < found.keys()
    assert len(changed) > 0.8 * len(used)  # an edge that leads nowhere learns nothing


def test_a_row_waits_for_the_others_of_its_round(tmp_path):
    store = MemoryStore()
    notes = {PLACE: 0, MEMBERS: 3, AGE: 0}
    store.add(Proposal(POOL[0], budget=1, notes=notes), "key", 1)
    trial = store.claim("w")
    with pytest.raises(TooEarly):
        _evaluator().make_ready(trial, WorkerContext(store, tmp_path / "trials", 1))


def test_a_loss_that_is_not_finite_is_said_and_not_met_again(tmp_path, monkeypatch):
    evaluator, store = _evaluator(lr=1e20, clip=0.0), _table()
    trial = store.claim("w")
    context = WorkerContext(store, tmp_path / "trials", 1)
    with pytest.raises(NetwrightError, match="shared training of round 1 failed: the loss is nan at step 5,"):
        evaluator.make_ready(trial, context)
    monkeypatch.setattr(shared_training.RoundsTraining, "train", None)
    with pytest.raises(NetwrightError, match=r"give a lower evaluator\.lr"):
        evaluator.make_ready(trial, context)


def test_memory_that_runs_out_in_shared_training_is_not_filled_again(tmp_path, monkeypatch):
    evaluator, store, asked = _evaluator(), _table(), []

    def runs_out(*_):
        asked.append(1)
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(shared_training.RoundsTraining, "train", runs_out)
    for _ in range(3):
        trial = store.claim("w")
        with pytest.raises(NetwrightError, match="round 1 failed: the machine's memory ran out; give a smaller eval"):
            evaluator.make_ready(trial, WorkerContext(store, tmp_path / "trials", trial.id))
    assert len(asked) == 1


def _fault(folder, trial=None):
    """Why the first row that is left fails."""
    store = _table()
    trial = trial or replace(store.claim("w"), status="running")
    result = evaluate(_evaluator(), trial, WorkerContext(store, folder / "trials", trial.id))
    assert result.failure == "error"
    return result.message.strip().rpartition("\n")[2]


def test_damaged_or_other_weights_fail_in_a_sentence(tmp_path, undisturbed):
    other = _play(tmp_path / "other", most=1)
    assert len(other.finished()) == 1
    path = tmp_path / "other" / "shared" / "round-0001.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert "are damaged" in _fault(tmp_path / "other")
    path.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    assert "are damaged" in _fault(tmp_path / "other")
    path.write_bytes((undisturbed[0] / "shared" / "round-0002.safetensors").read_bytes())
    assert '"round": 2' in _fault(tmp_path / "other")
    assert "is of no round" in _fault(tmp_path, Trial(1, Proposal(POOL[0]), "key", 1, "running"))
    second = Trial(4, Proposal(POOL[0], budget=2, notes={PLACE: 0, AGE: 0}), "key", 20, "running")
    assert "round 2 of shared training goes on from" in _fault(tmp_path / "nothing", second)
    shutil.copytree(undisturbed[0] / "shared", tmp_path / "later" / "shared")
    (tmp_path / "later" / "shared" / "round-0001.safetensors").unlink()
    assert "the weights of round 1, " in (said := _fault(tmp_path / "later"))
    assert said.endswith("are gone, and the training has gone on since; bring that file back, or start another run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"program": "tf-ws-rnn", "fresh": 0},
            "'tf-ws-rnn', whose networks are for texts, but the task gives images; give 'pt1'",
        ),
        ({"sampling": "sandwich"}, "evaluator.paths is 1, but evaluator.sampling 'sandwich'"),
        ({"paths": 3}, "cannot be divided among 3 accumulated parts"),
        ({"epochs": 3}, "evaluator.epochs and evaluator.steps are both given"),
        ({"batches": 0}, "evaluator.batches is 0; it must be at least 1"),
        ({"new": 4}, "rounds bring 4 new and 0 fresh networks to a pool of 3"),
        ({"lr": -1.0}, "evaluator.lr is -1.0"),
        ({"supernets": 6}, "evaluator.supernets is 6, but no gene of the space has more than 5 values"),
        ({"supernets": 2, "joint_share": 1.0}, "evaluator.joint_share is 1.0; it must be at least 0, and below 1"),
        ({"joint_share": 0.5}, "evaluator.joint_share is 0.5, but all networks share one set of weights; give more"),
        ({"statistics": "batch"}, "evaluator.recalibration is 2, but networks compute by each batch's statistics; giv"),
        ({"growth": 2.0}, "evaluator.growth is 2.0, but the rate falls once; give evaluator.schedule 'restarts' with"),
        ({"schedule": "constant", "period": 2.0}, "evaluator.period is 2.0, but the schedule is 'constant'; give eva"),
        ({"rate_by_length": True}, "evaluator.rate_by_length is True, but images all have as many steps; give a text"),
        ({"tuning_steps": -1}, "evaluator.tuning_steps is -1; it must be at least 0"),
        ({"tuning_steps": 5, "tuning_lr": 0.0}, "evaluator.tuning_lr is 0.0; it must be greater than 0"),
        ({"tuning_lr": 0.1}, "evaluator.tuning_lr is 0.1, but networks are scored as they are; give evaluator.tuning_"),
        ({"space": MacroSpace()}, "share no weights"),
    ],
)
def test_options_that_make_no_training_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        _evaluator(**options)


def test_what_would_fail_every_trial_is_refused():
    with pytest.raises(BadReference, match="360 images to validate on, too few for a score by a batch of 500"):
        _evaluator(valid_batch=500).check_settings(POOL[0], data_is_ready=True)
    _evaluator(valid_batch=500).check_settings(POOL[0])
    with pytest.raises(MissingCapability, match="no auxiliary head"):
        _evaluator(auxiliary=0.4).check_settings(POOL[0])
    with pytest.raises(InvalidGenotype):
        _evaluator().check_settings((9,) * 6)


class Images:
    """As many images as CIFAR-10 has."""

    io = IO(3, 32, 32, 10)

    def examples(self, split):
        return {"train": 45_000, "valid": 5_000}[split]


@pytest.mark.parametrize(
    ("recipe", "sizes", "new", "steps", "lowest"),
    [
        ("nao-pt1-cifar10", [600] * 5, 300, [21_120, 42_240, 63_360, 84_480, 105_600], 0.001),
        ("nao-pt2-cifar10", [1000, 1300, 1600, 1900], 300, [35_200, 70_400, 105_600, 140_800], 0.001),
        ("nao-ws-cifar10", [1000] * 5, 550, [8_460, 16_920, 25_380, 33_840, 42_300], 0.0005),
    ],
)
def test_the_published_searches_are_counted(recipe, sizes, new, steps, lowest):
    """What the description states: steps, pools, controller rounds (one less than rounds), ends of rates."""
    run = run_file.from_tables(run_file.read(ROOT / "recipes" / f"{recipe}.toml"))
    evaluator = refs.load("evaluator", run.evaluator, space=building.load_space(run.space), task=Images())
    rounds, program = evaluator.rounds, evaluator._program
    training = shared_training.RoundsTraining(evaluator.space, Images(), program, 0, torch.device("cpu"))
    numbers = range(1, rounds.number + 1)
    assert [rounds.size(number) for number in numbers] == sizes
    assert [training.steps(number) for number in numbers] == steps
    assert rounds.new + rounds.fresh == new and rounds.rows() == run.limits.trials
    assert program.steps.lr * program.steps.floor == pytest.approx(lowest)
    assert f"{rounds.number} rounds of" in evaluator.remarks()[0] and f"{steps[-1]:,} steps" in evaluator.remarks()[0]


def test_a_rate_that_begins_anew_with_each_round_does_so_in_shorter_rounds():
    space = building.load_space(refs.parse("nao(operations='small')"))

    def period(**options):
        return SharedWeightsTraining(space, Images(), program="pt2", **options)._program.steps.period

    assert (period(), period(epochs=5), period(epochs=5, period=3)) == (50, 5, 3)
    with pytest.raises(BadReference, match=r"evaluator\.steps is 100, but .* 'pt2' begins anew by epochs"):
        period(steps=100)


def test_networks_are_trained_in_full_by_themselves():
    asked = refs.Reference("shared_weights", {"pool": 9, "lr": 0.3, "device": "cpu"})
    assert in_full.trainer(asked) == refs.Reference("training", {"device": "cpu"})
    plain = refs.Reference("training", {"epochs": 3})
    assert in_full.trainer(plain) == plain


def test_a_text_is_scored_by_one_of_its_batches(tmp_path):
    parts = {split: np.random.default_rng(0).integers(0, 5, 400) for split in ("train", "valid", "test")}
    task = LanguageModeling(lambda: Corpus(Vocabulary(tuple("abcde"), "characters"), parts), RowLayout(5, valid_rows=4))
    space, store, few = (
        RnnSpace(width=6, nodes=3),
        MemoryStore(),
        {"new": 1, "fresh": 0, "pool": 2, "epochs": 1, "batch": 8},
    )
    with pytest.raises(
        BadReference, match="'pt1', whose networks are for images, but the task gives sequences; give 'tf"
    ):
        SharedWeightsTraining(space, task, program="pt1", **few)
    evaluator = SharedWeightsTraining(space, task, program="tf-ws-rnn", **few)
    for place in range(2):
        genotype = space.sample(np.random.default_rng(place))
        evaluator.check_settings(genotype, data_is_ready=True)
        store.add(Proposal(genotype, budget=1, notes={PLACE: place, MEMBERS: 2, AGE: 0}), str(place), place)
    losses = []
    for seed in (0, 1, 0):
        trial = replace(store.unfinished()[0], seed=seed)
        result = evaluate(evaluator, trial, WorkerContext(store, tmp_path / "trials", 1))
        assert result.failure == "", result.message
        losses.append(result.metrics["valid_loss"])
    assert losses[0] == losses[2] != losses[1]  # which batch is drawn by the row's seed
    assert trained_rounds.noted(tmp_path / "shared")[0].steps == len(task.lengths("train", 8, np.random.default_rng(0)))
    with pytest.raises(BadReference, match=r"^evaluator\.paths is 2, but networks that carry .*; set it to 1$"):
        SharedWeightsTraining(space, task, program="tf-ws-rnn", paths=2, **few).check_settings(genotype)
    for option in ({"recalibration": 2}, {"statistics": "recalibrated"}, {"valid_batch": 9}):
        with pytest.raises(
            BadReference, match=rf"evaluator\.{next(iter(option))} is .*, but .* text .*, or leave it out"
        ):
            SharedWeightsTraining(space, task, program="tf-ws-rnn", **option, **few)
    with pytest.raises(
        MissingCapability, match=r"drop_path_keep is 0\.9, but networks of this space have no place for"
    ):
        SharedWeightsTraining(space, task, program="tf-ws-rnn", drop_path_keep=0.9, **few).check_settings(genotype)
    short = LanguageModeling(task.load, RowLayout(5, valid_rows=90))
    with pytest.raises(BadReference, match="the validation text has 0 whole batches of 5 steps, too few"):
        SharedWeightsTraining(space, short, program="tf-ws-rnn", **few).check_settings(genotype, data_is_ready=True)
