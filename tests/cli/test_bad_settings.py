"""Settings with which every trial would fail: one sentence before a run folder is made or a worker started."""

import json

import pytest

from netwright.cli.main import main
from netwright.comparison import pool
from netwright.core.shapes import Vector
from netwright.executors import inline
from netwright.testing.toys import ToySpace
from netwright.training import ranks

TINY = ["--space.channels", "2", "--space.repeats", "1"]
RECIPE = """
executor = "inline"
space = {ref = "SPACE", channels = 2, repeats = 1}
strategy = "random"
limits = {trials = 2}
[evaluator]
ref = "training"
steps = 2
"""

# the space, what is set, and what is said
SETTINGS = [
    ("nasnet", {"batch": 10, "accumulate": 3}, "a batch of 10 images cannot be divided among 3 accumulated parts"),
    ("nasnet", {"batch": 25, "processes": 2}, "a batch of 25 images cannot be divided among 2 processes"),
    ("nasnet", {"auxiliary": 0.4}, "evaluator.auxiliary is 0.4, but networks of this space have no auxiliary head"),
    ("flat", {"auxiliary": 0.4}, "evaluator.auxiliary is 0.4, but networks of this space have no auxiliary head"),
    ("flat", {"drop_path_keep": 0.7}, "evaluator.drop_path_keep is 0.7, but networks of this space have no place"),
    ("flat", {"dropout": 0.5}, "evaluator.dropout is 0.5, but networks of this space have no place for it"),
    ("nasnet", {"drop_path_version": "v4"}, "evaluator.drop_path_version is 'v4': should be 'v1', 'v2' or 'v3'"),
    (
        "nasnet",
        {"schedule": "linear"},
        "evaluator.schedule is 'linear': should be 'cosine', 'step', 'exponential' or 'constant'",
    ),
    ("nasnet", {"milestones": [1.5]}, "evaluator.milestones is [1.5]; they are shares of the training"),
    ("nasnet", {"milestones": [0.9, 0.8]}, "evaluator.milestones is [0.9, 0.8]; they are shares of the training"),
    ("nasnet", {"factor": 3}, "evaluator.factor is 3.0; it must be at most 1"),
    ("nasnet", {"momentum": 1}, "evaluator.momentum is 1.0; it must be below 1"),
    ("nasnet", {"lr": "inf"}, "evaluator.lr is inf; it must be greater than 0, and finite"),
    ("nasnet", {"device": "cuda:99"}, "evaluator.device is 'cuda:99', which this machine does not have; give auto"),
    ("nasnet", {"device": "meta"}, "evaluator.device is 'meta', which this machine does not have; give auto or cpu"),
    ("nasnet", {"space.auxiliary": True}, "the auxiliary head pools 5 x 5 pixels and does not fit on images of 8 x 8"),
    ("nasnet", {"space.skeleton": "imagenet"}, "images of 8 x 8 pixels are too small for the skeleton 'imagenet'"),
    ("nao", {"space.skeleton": "imagenet"}, "images of 8 x 8 pixels are too small for the skeleton 'imagenet'"),
]


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch):
    """Nobody evaluates."""
    monkeypatch.setattr(inline.Inline, "start", _refuse)
    monkeypatch.setattr(pool, "play", _refuse)


def _refuse(*_args, **_options):
    raise AssertionError("a worker was started")


def _refused(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    err = capsys.readouterr().err
    assert left.value.code == 2, err
    assert err.startswith("netwright: ")
    assert err.count("\n") == 1, f"not one sentence: {err}"
    return err


def _options(settings):
    named = {name if "." in name else f"evaluator.{name}": value for name, value in settings.items()}
    return [word for name, value in named.items() for word in (f"--{name}", _as_word(value))]


def _as_word(value):
    return value if isinstance(value, str) else json.dumps(value)


def _recipe(folder, space):
    path = folder / "tiny.toml"
    path.write_text(RECIPE.replace("SPACE", space))
    return path


@pytest.mark.parametrize(("space", "settings", "sentence"), SETTINGS)
def test_search_and_bench_refuse_what_every_trial_would_fail_for(tmp_path, capsys, space, settings, sentence):
    recipe, out = _recipe(tmp_path, space), tmp_path / "out"
    options = _options(settings)
    assert sentence in _refused(capsys, "search", recipe, *options, "--out", out)
    assert not out.exists()
    few = ["--strategies", "random", "--seeds", "1", "--workers", "1"]
    assert sentence in _refused(capsys, "bench", recipe, *options, *few, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize(("space", "settings", "sentence"), [row for row in SETTINGS if row[0] == "nasnet"])
def test_train_refuses_what_the_training_would_fail_for(tmp_path, capsys, space, settings, sentence):
    recipe, out = _recipe(tmp_path, space), tmp_path / "out"
    words = ["train", "zoo:nasnet-a", recipe, *_options(settings), "--no-reference", "--out", out]
    assert sentence in _refused(capsys, *words)
    assert not out.exists()


@pytest.mark.parametrize("settings", [{"final.auxiliary": 0.4}, {"final.batch": 25, "final.processes": 2}])
def test_the_final_training_is_refused_before_the_search(tmp_path, capsys, settings):
    recipe, out = _recipe(tmp_path, "nasnet"), tmp_path / "out"
    assert "netwright: " in _refused(capsys, "search", recipe, *_options(settings), "--out", out)
    few = ["--strategies", "random", "--seeds", "1", "--workers", "1", "--full"]
    assert "netwright: " in _refused(capsys, "bench", recipe, *_options(settings), *few, "--out", out)
    assert not out.exists()


class VectorSpace(ToySpace):
    accepts = (Vector,)


def test_a_task_that_a_space_has_no_networks_for_is_refused(tmp_path, capsys):
    recipe, out = _recipe(tmp_path, f"{__name__}:VectorSpace"), tmp_path / "out"
    recipe.write_text(recipe.read_text().replace(", channels = 2, repeats = 1", ""))
    sentence = (
        "the space builds networks for vectors, but images of 1 x 8 x 8 go in; give a task of vectors, or a space"
    )
    assert sentence in _refused(capsys, "search", recipe, "--trust", "--out", out)
    few = ["--strategies", "random", "--seeds", "1", "--workers", "1"]
    assert sentence in _refused(capsys, "bench", recipe, *few, "--trust", "--out", out)
    assert not out.exists()


def test_what_depends_on_the_number_of_images_is_refused_once_they_are_known(tmp_path, capsys):
    recipe, out = _recipe(tmp_path, "nasnet"), tmp_path / "out"
    options = ["--task", "digits", "--evaluator.batch", "128", "--evaluator.accumulate", "16"]
    words = ["search", recipe, *options, "--task.train_limit", "60", "--out", out]
    sentence = "there are only 60 images to train on, so that they all are one batch, which cannot be divided among 16"
    assert sentence in _refused(capsys, *words)
    assert not out.exists()
    few = ["--strategies", "random", "--seeds", "1", "--workers", "1"]
    assert sentence in _refused(capsys, "bench", recipe, *options[2:], "--task.train_limit", "60", *few, "--out", out)
    assert not out.exists()


@pytest.mark.parametrize("strategy", ["asha", "bohb"])
@pytest.mark.parametrize("horizon", [3, 12])
def test_a_schedule_that_does_not_end_at_the_largest_budget_is_refused(tmp_path, capsys, strategy, horizon):
    recipe, out = _recipe(tmp_path, "nasnet"), tmp_path / "out"
    words = ["search", recipe, "--strategy", strategy, "--evaluator.horizon", horizon, "--out", out]
    sentence = f"evaluator.horizon is {horizon}, but the largest budget of the strategy is 9"
    assert sentence in _refused(capsys, *words)
    assert not out.exists()


@pytest.mark.parametrize("space", ["hnag", "rnag"])
def test_a_strict_limit_that_no_network_fits_is_refused(tmp_path, capsys, space):
    out = tmp_path / "out"
    words = ["search", "--space", space, "--space.rule", "strict", "--space.limit", "2000", "--task.train_limit", "60"]
    refused = _refused(capsys, *words, "--evaluator.steps", "1", "--trials", "1", "--out", out)
    assert "parameters with one channel and space.limit is 2,000; raise it" in refused
    assert not out.exists()


def test_processes_at_hand_that_do_not_divide_the_batch_are_refused(tmp_path, capsys, monkeypatch):
    """Those of torchrun, which no option names."""
    monkeypatch.setenv(ranks.MEETING, json.dumps({"size": 3, "local": 3, "path": "nowhere"}))
    recipe, out = _recipe(tmp_path, "nasnet"), tmp_path / "out"
    sentence = "a batch of 64 images cannot be divided among 3 processes; give a multiple of 3"
    assert sentence in _refused(capsys, "search", recipe, "--out", out)
    assert sentence in _refused(capsys, "train", "zoo:nasnet-a", recipe, *TINY, "--no-reference", "--out", out)
    words = ["search", recipe, "--executor", "processes(workers=2)", "--evaluator.batch", "66", "--out", out]
    assert "under torchrun, trainings run one after another; give --workers 1" in _refused(capsys, *words)
    assert not out.exists()
