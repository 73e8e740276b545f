"""What `benchmarks/gpu.py` plays with and without a card, and the parts of it that need neither."""

import json
import shlex
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.gpu import alike, data, here, jobs, many, modules, plain
from benchmarks.gpu.jobs import Place
from netwright.core import building, run_file
from netwright.core.records import Proposal, Trial
from netwright.runs import retraining
from netwright.training.options import Options
from netwright.zoo.hierarchical import plugin as published
from tests import tiny_data

ROOT = Path(__file__).parents[2]
CARD = {"card": "A card", "cuda": "13.0", "torch": "2.11", "python": "3.12"}


@pytest.fixture(scope="module")
def facts():
    return here.found()


def _place(facts, folder, **changes):
    return Place({**facts, **changes}, folder / "cifar10", folder / "images.npz", folder / "results.csv")


def test_without_a_card_all_that_needs_one_is_named(facts, tmp_path):
    place = _place(facts, tmp_path, card="")
    skipped = {job.name for job in jobs.small(place) if job.skipped}
    assert {"tests", "step-bare", "many-on-a-card", "data-pipeline"} <= skipped
    assert {"step", "fitness", "fast", "plain", "search", "many"}.isdisjoint(skipped)
    for listed in (jobs.cut(place), jobs.whole(place)):
        assert all(job.skipped for job in listed)


def test_without_data_the_real_runs_are_named_and_the_rest_is_played(facts, tmp_path):
    place = Place({**facts, **CARD}, None, tmp_path / "x.npz", tmp_path / "r.csv")
    listed = {job.name: job.skipped for job in jobs.cut(place)}
    assert all("NETWRIGHT_DATA" in listed[name] for name in ("data", "fitness", "fast", "plain", "search", "many"))
    assert not listed["step"]


@pytest.mark.parametrize("of", [jobs.cut, jobs.whole, jobs.small])
def test_names_differ_and_what_comes_before_comes_before(facts, tmp_path, of):
    listed = of(_place(facts, tmp_path, **CARD))
    names = [job.name for job in listed]
    assert len(set(names)) == len(names)
    for job in listed:
        assert not job.after or job.after in names[: names.index(job.name)]
        if not job.skipped:
            assert all(isinstance(word, str) for word in job.command(tmp_path))


def test_pieces_hold_what_cannot_be_stopped(facts, tmp_path):
    for job in jobs.whole(_place(facts, tmp_path, **CARD)):
        assert job.is_resumable or job.seconds <= 350, f"{job.name} would never end within a piece of six minutes"


def test_options_that_this_version_lacks_are_not_given(facts, tmp_path):
    for has in (True, False):
        place = _place(facts, tmp_path, **CARD, executor=["workers"] + ["trials_per_gpu"] * has)
        [search] = [job for job in jobs.cut(place) if job.name == "search"]
        assert ("--executor.trials_per_gpu" in search.command(tmp_path)) is has


def test_the_fitness_is_that_of_the_published_cell(facts, tmp_path):
    place = _place(facts, tmp_path, **CARD)
    [fitness] = [job for job in jobs.whole(place) if job.name == "fitness"]
    words = fitness.command(tmp_path)
    assert shlex.join(map(str, published.genotype)).replace(" ", ", ") in words[words.index("--strategy") + 1]
    assert words[words.index("--evaluator.steps") + 1] == "5000"


def test_steps_of_a_run_that_is_cut_follow_from_the_speed(tmp_path):
    assert jobs.steps_within(tmp_path, 30) == 200
    (tmp_path / "step.json").write_text(json.dumps([{"name": "hierarchical-16", "ours": [5000, 5120, 9000]}]))
    assert jobs.steps_within(tmp_path, 30) == 600
    assert jobs.steps_within(tmp_path, 3000) == 5000


def test_the_recipe_for_ten_minutes_has_them_for_each_training():
    run = run_file.from_tables(run_file.read(ROOT / "recipes" / "fast-cifar10.toml"))
    settings, chosen = retraining.published(run, "amoebanet_a")
    made = retraining.run_of(settings, chosen, {})
    options = {name: value for name, value in made.evaluator.options.items() if name != "ref"}
    trained = Options(**options)
    assert (trained.deadline, trained.steps, trained.split) == (600.0, 40_000, "test")
    space = building.load_space(made.space)
    params = space.count(chosen[0].genotype, published.io).params
    assert 4 * params * (trained.copies - 1) < 16e6, "a checkpoint, all but the gradients, must be small to be carried"


def test_the_recipe_of_the_search_fits_ten_minutes():
    run = run_file.from_tables(run_file.read(ROOT / "recipes" / "hierarchical-gpu.toml"))
    assert run.limits.hours == pytest.approx(1 / 6, rel=1e-3) and run.limits.trials > 150
    assert run.evaluator.options["steps"] >= 300 and run.evaluator.options["batch"] == 128
    assert run.strategy.options["initial"] == jobs.INITIAL


def test_what_commands_say_is_read():
    train = json.dumps({"params": 20218, "test_accuracy_mean": 0.9512})
    assert jobs._accuracy(f"progress\n{train}\n") == "test accuracy 0.9512, 20,218 parameters"
    best = {"trial": 3, "metric": "valid_accuracy", "value": 0.5}
    assert jobs._best(json.dumps({"trials": 9, "failed": 2, "best": best})) == (
        "valid_accuracy 0.5000 of trial 3; 9 trials, 2 failed"
    )
    assert jobs._best(json.dumps({"trials": 1, "failed": 1, "best": None})) == "none succeeded; 1 trials, 1 failed"


def test_trials_a_minute_leave_out_the_first_of_each_worker():
    assert many.rate([10, 20, 30, 40], 1) == pytest.approx(6)
    assert many.rate([10, 10.5, 20, 20.5, 30, 30.5], 2) == pytest.approx(60 * 4 / 20)
    assert many.rate([10], 1) == many.rate([10, 10], 1) == many.rate([], 1) == 0
    found = [many.Rate(2.0, 1, 7, 0), many.Rate(6.0, 4, 16, 0), many.Rate(5.0, 8, 32, 1)]
    assert many.verdict([1, 4, 8], found, is_card=True).endswith("3.00 times, target 2.5: ok")
    assert "times" not in many.verdict([1, 4, 8], found, is_card=False)


def test_the_best_of_the_first_is_chosen_among_them():
    def trial(number, score):
        return Trial(number, Proposal((0,)), "key", 0, "done", scores=score)

    trials = [trial(3, (0.5,)), trial(1, (0.5,)), trial(2, None), trial(9, (0.9,))]
    assert (alike.chosen(trials, "best", 3).id, alike.chosen(trials, "first", 3).id) == (9, 1)
    with pytest.raises(SystemExit, match="none of the 1 finished"):
        alike.chosen(trials[2:3], "first", 3)


def test_missing_modules_come_from_wheels(tmp_path):
    assert modules.missing() == {}
    assert modules.missing({"no_such_module_here": "none"}) == {"no_such_module_here": "none"}
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "tiny_thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_thing.py", "VALUE = 7\n")
        wheel.writestr("tiny_thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.0\n")
        wheel.writestr(
            "tiny_thing-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr("tiny_thing-1.0.dist-info/RECORD", "")
    modules.unpack(["tiny-thing"], wheels, site)
    code = "import tiny_thing, sys; sys.exit(tiny_thing.VALUE)"
    assert subprocess.run([sys.executable, "-c", code], env=modules.environment(site)).returncode == 7
    with pytest.raises(SystemExit, match="has not all of other-thing"):
        modules.unpack(["other-thing"], wheels, site)


def test_a_checkout_that_is_not_installed_has_a_version(tmp_path, monkeypatch):
    def not_there(name):
        raise metadata.PackageNotFoundError(name)

    modules.name_checkout(tmp_path / "installed")
    with monkeypatch.context() as patch:
        patch.setattr(metadata, "version", not_there)
        modules.name_checkout(tmp_path / "not")
    [found] = metadata.distributions(path=[str(tmp_path / "not")])
    assert (found.name, found.version) == ("netwright", metadata.version("netwright"))
    assert not (tmp_path / "installed").exists()


@pytest.fixture
def given(tmp_path):
    """Options of the plain network, for 25 steps of a pass over tiny images."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (300, 16, 16, 3), np.uint8)
    np.savez(tmp_path / "x.npz", images=images, labels=np.arange(300) % 3, split=np.repeat([0, 2], [250, 50]))
    return SimpleNamespace(
        images=tmp_path / "x.npz", keep=tmp_path / "keep", width=4, batch=10, lr=0.1, seed=0, seconds=600
    )


def test_the_plain_network_goes_on_where_it_was_stopped(given):
    first = plain.Training(given, torch.device("cpu"))
    first.total = 30
    assert not first.run(lambda: first.step == 7)
    first.write()
    again = plain.Training(given, torch.device("cpu"))
    assert (again.step, again.total) == (7, 30) and again.elapsed > first.elapsed - 1
    for name, value in again.network.state_dict().items():
        assert torch.equal(value, first.network.state_dict()[name]), name
    kept = [each.optimizer.state_dict()["state"][0]["momentum_buffer"] for each in (first, again)]
    assert torch.equal(*kept)
    assert again.run(lambda: False) and again.step == 30
    assert 0 <= again.accuracy() <= 1
    again.write()
    assert len(list(given.keep.iterdir())) == 3  # what stood before is gone


def test_the_plain_network_plans_as_many_steps_as_fit(given, monkeypatch):
    monkeypatch.setattr(plain, "FIRST", 1)
    monkeypatch.setattr(plain, "PLANNED", 3)
    given.seconds = 0.0  # whatever the speed, the time is over when it is known
    training = plain.Training(given, torch.device("cpu"))
    assert training.run(lambda: False) and training.step == training.total == 4
    training.step = 2
    assert training._factor() == pytest.approx(0.5)  # the cosine, in its middle


def test_cifar_becomes_an_array_file(tmp_path):
    tiny_data.cifar(tmp_path, 30, 10)
    found = data.arrays(tmp_path, 20)
    assert found["images"].shape == (30, 32, 32, 3) and found["images"].dtype == np.uint8
    assert found["split"].tolist() == [0] * 20 + [2] * 10
    assert found["labels"].tolist() == [*range(10)] * 3
