"""Several processes on one training, by the way that users take: a run folder, a worker, an option."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading

import psutil
import pytest
import safetensors.torch
import torch

from netwright.cli.main import main
from netwright.core import building, refs
from netwright.core.errors import BadReference, PutBack, WorkerError
from netwright.core.records import Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.runs import ownership, run_folder
from netwright.stores.memory import MemoryStore
from netwright.training import checkpoint, ranks
from netwright.worker import WorkerContext
from tests.verified import VERIFIED

PLAIN = {"steps": 50, "batch": 24, "lr": 0.02}
CONSTANT = {**PLAIN, "schedule": "constant", "cooldown": 0.2, "averaging": 0.3, "nesterov": True, "decay_on": "weights"}
TURNED = {**PLAIN, "optimizer": "muon", "averaging": 0.3, "mixing": 0.5, "accumulate": 2}
FANCY = {
    "steps": 50,
    "batch": 24,
    "lr": 0.005,
    "optimizer": "rmsprop",
    "schedule": "exponential",
    "factor": 0.97,
    "warmup": 1.0,
    "auxiliary": 0.4,
    "label_smoothing": 0.1,
    "mixing": 0.5,
    "drop_path_keep": 0.7,
    "dropout": 0.3,
    "ema": 0.99,
    "clip": 5.0,
    "accumulate": 2,
}


def _trial(folder, options, space="Space", genotype=(0,), **scale):
    """The only trial of a run in the folder, and the evaluator that a worker would build for it."""
    run = RunFile(
        space=Reference(f"tests.regularized:{space}", scale),
        task=Reference("digits", {"train_limit": 100}),
        evaluator=Reference("training", {"split": "test", "save": True, **options}),
    )
    with ownership.opened(folder, run) as opened, opened.table() as (store, _):
        if not store.unfinished():
            store.add(Proposal(tuple(genotype)), "k", 7)
    store = run_folder.open_table(folder, "join")
    return building.build_evaluator(run), store.unfinished()[0], store


def _evaluated(folder, options, on_report=lambda step, metrics: True, on_look=lambda: False, **scale):
    evaluator, trial, store = _trial(folder, options, **scale)
    context = WorkerContext(store, folder / "trials", trial.id, 1, on_report=on_report, on_look=on_look)
    try:
        return evaluator.evaluate(trial, context)
    finally:
        store.close()


def _weights(folder):
    return safetensors.torch.load_file(folder / "trials" / "000001" / checkpoint.WEIGHTS)


def _assert_close(folders, limit):
    """Weights within the limit; running statistics, which may be large, within ten times that."""
    one, other = (_weights(folder) for folder in folders)
    assert one.keys() == other.keys()
    for name, value in one.items():
        far = 10 * limit if "running" in name else limit
        torch.testing.assert_close(
            other[name], value, rtol=0.0, atol=far, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize(
    ("options", "is_double"),
    [
        pytest.param({**FANCY, "steps": 20}, True, id="fancy, double"),
        pytest.param(PLAIN, False, id="plain", marks=VERIFIED),
        pytest.param(FANCY, False, id="fancy", marks=VERIFIED),
        pytest.param(CONSTANT, False, id="constant", marks=VERIFIED),
        pytest.param(PLAIN, True, id="plain, double", marks=VERIFIED),
        pytest.param(TURNED, True, id="turned, double", marks=VERIFIED),
    ],
)
def test_two_processes_do_what_one_does(tmp_path, options, is_double):
    """Batch normalization, drop path, dropout, accumulation and averages included; 1e-6 after 50 steps.

    In double precision much less, and after fewer steps too: what differs is the order of sums.
    """
    results = [_evaluated(tmp_path / str(n), {**options, "processes": n}, is_double=is_double) for n in (1, 2)]
    _assert_close([tmp_path / "1", tmp_path / "2"], 1e-12 if is_double else 1e-6)
    one, other = (result.metrics for result in results)
    assert other["train_loss"] == pytest.approx(one["train_loss"], rel=1e-5)
    assert other["test_loss"] == pytest.approx(one["test_loss"], rel=1e-5)
    assert not psutil.Process().children(recursive=True)


@pytest.mark.gpu
@pytest.mark.parametrize("options", [PLAIN, FANCY], ids=["plain", "fancy"])
def test_two_processes_on_one_card_do_what_one_does(tmp_path, options):
    """By gloo, as NCCL refuses them; in double precision."""
    own = {**options, "device": "cuda:0", "precision": "float32"}
    for n in (1, 2):
        _evaluated(tmp_path / str(n), {**own, "processes": n}, is_double=True)
    _assert_close([tmp_path / "1", tmp_path / "2"], 1e-10)
    assert not psutil.Process().children(recursive=True)


@pytest.mark.gpu
def test_two_processes_on_one_card_train_in_its_own_precision(tmp_path):
    one, two = (_evaluated(tmp_path / str(n), {**PLAIN, "processes": n}) for n in (1, 2))
    assert two.metrics["train_loss"] == pytest.approx(one.metrics["train_loss"], rel=0.05)


def test_where_exchanges_never_fail_the_first_process_ends_with_any_other(monkeypatch, capsys):
    ended, dead = [], threading.Event()
    monkeypatch.setattr(torch.distributed, "get_backend", lambda: "nccl")
    monkeypatch.setattr(ranks, "LEAVE_SECONDS", 0.01)
    monkeypatch.setattr(os, "_exit", lambda code: (ended.append(code), dead.set()))
    with subprocess.Popen([sys.executable, "-c", "raise SystemExit(1)"]) as helper, ranks._watching([helper]):
        assert dead.wait(60)
    assert ended[0] == 1
    assert "process 1 of the training's 2 ended with code 1" in capsys.readouterr().err


@VERIFIED
def test_two_processes_go_on_from_the_trial_that_is_continued(tmp_path):
    """And both begin anew where that one has left nothing."""
    options = {**FANCY, "horizon": 20, "processes": 2, "repeats": 2}
    for folder, first in (("parts", 8), ("whole", None)):
        evaluator, _, store = _trial(tmp_path / folder, options)
        trials_folder = tmp_path / folder / "trials"
        for trial_id, budget, continues in ((1, first, None), (2, 20, 1)):
            trial = Trial(trial_id, Proposal((0,), budget=budget, continues=continues), "k", 7, "running")
            if budget:
                result = evaluator.evaluate(trial, WorkerContext(store, trials_folder, trial_id, 1))
        store.close()
        assert result.metrics["carried_steps"] == (first or 0)
    one, other = (
        (tmp_path / name / "trials" / "000002" / checkpoint.WEIGHTS).read_bytes() for name in ("parts", "whole")
    )
    assert one == other


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param({"lr": 1e-9, "plateau": 2}, marks=VERIFIED),
        pytest.param({"deadline": 3.0, "steps": 10**6}, marks=VERIFIED),
    ],
    ids=str,
)
def test_two_processes_end_early_together(tmp_path, ending):
    """And what they did is repeated by two that were told the number of steps."""
    options = {**CONSTANT, "steps": 1000, **ending, "processes": 2}
    steps = _evaluated(tmp_path / "cut", options).metrics["steps"]
    assert 0 < steps < options["steps"]
    _evaluated(tmp_path / "told", {**options, "plateau": 0, "deadline": 0.0, "steps": steps})
    files = [tmp_path / name / "trials" / "000001" / checkpoint.WEIGHTS for name in ("cut", "told")]
    assert files[0].read_bytes() == files[1].read_bytes()


@VERIFIED
def test_two_processes_do_what_one_does_with_an_amoebanet(tmp_path):
    """In double precision: in single, the rounding of so deep a network soon grows to what is seen."""
    entry = refs.locate("zoo", "amoebanet-b")
    scale = {**refs.reference_of("space", entry.space).options, "channels": 4, "repeats": 1}
    options = {**FANCY, "steps": 10, "auxiliary": 0.0}
    for n in (1, 2):
        settings = {**options, "processes": n}
        _evaluated(tmp_path / str(n), settings, space="DoubleNasnet", genotype=entry.genotype, **scale)
    _assert_close([tmp_path / "1", tmp_path / "2"], 1e-9)
    one, other = (_weights(tmp_path / str(n)) for n in (1, 2))
    assert any(not torch.equal(other[name], value) for name, value in one.items()), "sums in another order"


class Killed(BaseException):
    """As a kill would: not caught on the way."""


def _kill_at(step):
    def on_report(reported, metrics):
        if reported >= step:
            raise Killed
        return True

    return on_report


def _signal_all():
    """SIGTERM and Ctrl-C, as to a group, of which the first process tells the others."""
    for child in psutil.Process().children():
        child.send_signal(signal.SIGINT)
        child.terminate()


@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=VERIFIED)])
def test_a_training_killed_and_stopped_at_a_random_step_ends_bit_for_bit_equal(tmp_path, processes):
    """RMSProp, averages, drop path, accumulation, half precision and its scale; checkpoints after every step."""
    options = {**FANCY, "steps": 14, "processes": processes, "checkpoint_minutes": 1e-9, "precision": "bfloat16"}
    undisturbed = _evaluated(tmp_path / "whole", options)
    at = random.randrange(1, 14)
    with pytest.raises(Killed):
        _evaluated(tmp_path / "cut", options, _kill_at(at))
    never = {**options, "checkpoint_minutes": 0.0}  # but when it is told to stop, which all processes do together
    with pytest.raises(PutBack, match=f"stopped at step {at + 1}, to go on from there"):
        _evaluated(tmp_path / "cut", never, on_look=lambda: not _signal_all())
    resumed = _evaluated(tmp_path / "cut", never)
    weights = [(tmp_path / name / "trials" / "000001" / checkpoint.WEIGHTS).read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1], f"killed at step {at}"
    for name in ("test_loss", "test_accuracy", "train_loss"):
        assert resumed.metrics[name] == undisturbed.metrics[name], f"{name}, killed at step {at}"
    assert not psutil.Process().children(recursive=True)


def test_a_process_that_dies_ends_the_training_with_a_sentence(tmp_path):
    def on_report(step, metrics):
        for child in psutil.Process().children():
            child.kill()
        return True

    options = {**PLAIN, "processes": 2, "checkpoint_minutes": 1e-9}
    with pytest.raises(
        WorkerError, match=r"^process 1 of the training's 2 ended with code -9; see the log of its worker"
    ):
        _evaluated(tmp_path, options, on_report)
    assert not psutil.Process().children(recursive=True)


def test_divergence_and_stops_reach_all_processes(tmp_path):
    found = _evaluated(tmp_path / "a", {**PLAIN, "lr": 1e30, "processes": 2})
    assert (found.failure, found.metrics) == ("diverged", {})
    found = _evaluated(tmp_path / "b", {**PLAIN, "processes": 2}, lambda step, metrics: False)
    assert (found.failure, found.message) == ("error", "stopped at step 19")
    assert not psutil.Process().children(recursive=True)


def test_an_evaluation_without_a_run_is_refused(tmp_path):
    evaluator, trial, store = _trial(tmp_path, {**PLAIN, "processes": 2})
    store.close()
    message = "several processes learn what to train from the folder of a run, and this evaluation has none"
    for folder in (None, tmp_path / "elsewhere" / "trials"):
        with pytest.raises(WorkerError, match=message):
            evaluator.evaluate(trial, WorkerContext(MemoryStore(), folder, 1))


def test_processes_that_do_not_divide_the_batch_are_refused_at_once(tmp_path):
    message = "a batch of 25 images cannot be divided among 2 processes times 2 accumulated parts; give a multiple of 4"
    with pytest.raises(BadReference, match=message):
        _trial(tmp_path, {"batch": 25, "processes": 2, "accumulate": 2})


@VERIFIED
def test_processes_of_other_machines_join_a_run(tmp_path, capsys):
    """As torchrun starts them, here by hand: the first runs the command, the second follows its worker."""
    _, trial, store = _trial(tmp_path / "run", PLAIN, is_double=True)
    store.claim("w0")
    store.finish(trial.id, Result({"valid_accuracy": 0.5}))
    store.close()
    shutil.copytree(tmp_path / "run", tmp_path / "alone")
    words = ["--trust", "--workers", "1", "--no-reference", "--evaluator.steps", "20", "--json"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    command = [sys.executable, "-m", "netwright.training.ranks"]
    second = subprocess.Popen(command, env={**shared, "RANK": "1"}, stderr=subprocess.PIPE, text=True)
    together = [*command, "train", str(tmp_path / "run"), *words]
    first = subprocess.run(together, env={**shared, "RANK": "0"}, capture_output=True, text=True, timeout=200)
    assert first.returncode == 0, first.stderr
    said = second.communicate(timeout=30)[1]
    assert second.returncode == 0, said
    with pytest.raises(SystemExit) as left:
        main(["train", str(tmp_path / "alone"), *words])
    assert not left.value.code
    other = json.loads(capsys.readouterr().out)
    assert json.loads(first.stdout)["test_accuracy_mean"] == other["test_accuracy_mean"]
    one, two = (next((tmp_path / name).rglob(checkpoint.WEIGHTS)) for name in ("alone", "run"))
    found, expected = safetensors.torch.load_file(two), safetensors.torch.load_file(one)
    assert any(not torch.equal(found[name], expected[name]) for name in found), "sums in another order: two took part"
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-9, atol=1e-9)


def test_without_the_variables_the_module_says_what_it_needs(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(sys, "argv", ["ranks.py", "train"])
    with pytest.raises(SystemExit) as left:
        ranks.main()
    assert left.value.code.startswith("RANK is not set; start this module with torchrun, or set RANK, WORLD_SIZE")
