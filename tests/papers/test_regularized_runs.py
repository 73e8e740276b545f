"""The recipes of Real et al. 2018, played to their end at the least scale, by the ordinary commands."""

import itertools
import re
import shlex
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from netwright.comparison.command_line import read_strategies
from netwright.core import objectives, refs, run_file
from netwright.core.finals import Candidate
from netwright.core.refs import Reference
from netwright.runs import retraining
from netwright.runs.run import Run
from netwright.spaces.nats_size import NatsSize
from netwright.stores.sqlite import SqliteStore
from tests.cli.test_bad_input import run
from tests.tiny_data import cifar, photos
from tests.verified import VERIFIED

RECIPES = Path(__file__).parents[2] / "recipes"
COST = 1000.0  # seconds that a look-up stands for
SMALL = ("--space.channels", "2", "--space.repeats", "1")
SEARCH = ("--evaluator.epochs", "1", "--evaluator.batch", "8", "--final.epochs", "1", "--trials", "3")
SEARCH += ("--strategy.population", "2", "--strategy.sample", "2")
TRAIN = ("--evaluator.steps", "2", "--evaluator.batch", "8", "--no-reference")


@pytest.fixture(scope="module", autouse=True)
def no_reports():
    """Which take longer than trainings here, and are looked at elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "report", lambda self: self.folder / "report.html")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with `data/`, all of it that these recipes name, but small."""
    made = tmp_path_factory.mktemp("paper")
    rng, labels = np.random.default_rng(0), np.arange(40) % 2
    cifar(made / "data" / "cifar10", 60, 20)
    for split, side in (("train", 8), ("test", 11)):  # of another size, as equal images are found and left out
        photos(made / "data" / "imagenet" / split, tuple("abcdef"), images=4, side=side)  # six, for top-5
    digits, others = rng.integers(256, size=(2, 40, 28, 28), dtype=np.uint8)
    np.savez(made / "data" / "mnist.npz", x_train=digits, y_train=labels, x_test=others, y_test=labels)
    space = NatsSize()
    columns = {"arch": [space.text(genotype) for genotype in itertools.product(range(8), repeat=5)]}
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        for name in ("val_acc_12ep_seed777", "val_acc_12ep_seed888", "test_acc_90ep"):
            columns[f"{dataset}_{name}"] = rng.uniform(50, 90, 8**5)
        both = columns[f"{dataset}_val_acc_12ep_seed777"] + columns[f"{dataset}_val_acc_12ep_seed888"]
        columns |= {f"{dataset}_val_acc_12ep": both / 2, f"{dataset}_seconds_12ep": np.full(8**5, COST)}
    pyarrow.parquet.write_table(pyarrow.table(columns), made / "data" / "nats-sss.parquet")
    return made


@pytest.fixture
def there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def _rows(out):
    store = SqliteStore(str(out / "trials.sqlite"), mode="read")
    found = objectives.with_scores(store.finished(), None)
    store.close()
    return found


def _here(name, folder):
    """The recipe, played by this process alone."""
    text = (RECIPES / f"{name}.toml").read_text()
    text, changed = re.subn(r"(?m)^executor = .*", 'executor = {ref = "inline"}', text)
    assert changed == 1
    path = folder / f"{name}.toml"
    path.write_text(text)
    return path


def _said(capfd, *words):
    code, out, err = run(capfd, *words)
    assert code == 0, err
    return out + err


@pytest.mark.parametrize(
    "name",
    [
        "controlled-gray-mnist",
        pytest.param("controlled-gray-imagenet", marks=VERIFIED),
        pytest.param("controlled-gray-sp2", marks=VERIFIED),
        pytest.param("controlled-gray-sp3", marks=VERIFIED),
    ],
)
def test_a_search_of_a_small_context(capfd, there, tmp_path, name):
    data = ("--task.valid", "20") if "-sp" in name else ()
    _said(capfd, "search", _here(name, tmp_path), *SMALL, *SEARCH, *data, "--out", tmp_path / "x")
    rows = _rows(tmp_path / "x")
    assert [(row.id, row.status, len(row.proposal.parents)) for row in rows] == [
        (1, "done", 0),
        (2, "done", 0),
        (3, "done", 1),
    ]
    assert len(list(tmp_path.glob("x/train-*/trials.sqlite"))) == 2, "the network found, and a plain one"


def _retraining():
    """The command by which the recipe of the comparison retrains the best of a search."""
    text = (RECIPES / "controlled-cifar10.toml").read_text().replace("\\\n#", "")
    return shlex.split(re.search(r"netwright (train .+)", text)[1])


def test_the_best_20_are_retrained_larger_with_head_and_drop_path(there):
    words = _retraining()
    assert words[:2] == ["train", "runs/controlled-cifar10/runs/controlled-cifar10/STRATEGY-SEED"]
    said = dict(zip(words[2::2], words[3::2], strict=True))
    assert said.pop("--top") == "20"
    space = {"channels": 32, "repeats": 6, "auxiliary": True}
    assert said == {f"--space.{name}": str(value).lower() for name, value in space.items()} | {
        "--evaluator.auxiliary": "0.5"
    }
    settings = run_file.from_tables(run_file.read(RECIPES / "controlled-cifar10.toml"))
    settings = run_file.override(settings, "task", {"valid": 20})
    changes = {"space": space, "evaluator": {"auxiliary": 0.5}}
    retraining.check(settings, changes)
    found = retraining.run_of(settings, [Candidate("one of them", ())], changes).evaluator.options
    expected = {"epochs": 600, "auxiliary": 0.5, "drop_path_keep": 0.7, "drop_path_version": "v1", "batch": 128}
    assert {name: found[name] for name in expected} == expected


@VERIFIED
def test_the_command_that_retrains_them(capfd, there, tmp_path):
    out = tmp_path / "x"
    _said(capfd, "search", _here("controlled-cifar10", tmp_path), *SMALL, *SEARCH, "--task.valid", "20", "--out", out)
    command = _retraining()
    command[1], command[command.index("--top") + 1] = str(out), "2"
    said = _said(capfd, *command, *SMALL, *TRAIN)
    assert "2 networks are trained on the training data and ranked by the validation data" in said
    assert re.search("best of 2 retrained", said)


@pytest.mark.parametrize("name", ["amoebanet-d-imagenet", pytest.param("amoebanet-code-imagenet", marks=VERIFIED)])
def test_a_training_of_the_published_code_on_imagenet(capfd, there, tmp_path, name):
    entry = "zoo:amoebanet-d" if "-d-" in name else "zoo:amoebanet-a"
    words = ("--task.size", "80", "--out", tmp_path / "x")
    _said(capfd, "train", entry, _here(name, tmp_path), *SMALL, *TRAIN, *words)
    (place,) = tmp_path.glob("x/train-*")
    (row,) = _rows(place)
    assert row.status == "done"
    assert 0 <= row.result.metrics["test_accuracy"] <= 1


@pytest.mark.parametrize(
    ("seconds", "dataset"),
    [
        (20_000, "cifar10"),
        pytest.param(40_000, "cifar100", marks=VERIFIED),
        pytest.param(60_000, "ImageNet16-120", marks=VERIFIED),
    ],
)
def test_the_size_space_of_nats_bench(capfd, there, tmp_path, seconds, dataset):
    recipe = RECIPES / f"rea-nats-size-{seconds}s.toml"
    assert f"dataset='{dataset}'" in recipe.read_text()
    _said(capfd, "search", recipe, "--out", tmp_path / "x")
    rows = _rows(tmp_path / "x")
    assert len(rows) == seconds / COST
    assert [bool(row.proposal.parents) for row in rows] == [n >= 10 for n in range(len(rows))]
    parents = {row.id: row.proposal.genotype for row in rows}
    for row in rows[10:]:
        (parent,) = row.proposal.parents
        assert sum(a != b for a, b in zip(row.proposal.genotype, parents[parent], strict=True)) <= 1


@pytest.mark.parametrize("path", sorted(RECIPES.glob("controlled-[cg]*.toml")), ids=lambda path: path.stem)
def test_the_comparison_fills_its_populations_first(path):
    """In the recipe, and in the command that its head says."""
    strategy = run_file.from_tables(run_file.read(path)).strategy
    assert strategy == Reference("aging", {"population": 100, "sample": 25, "fill_first": True})
    named = read_strategies(re.search(r"'(random,[^']+)'", path.read_text())[1])
    assert [each.name for each in named] == ["random", "aging", "non_aging", "reinforce"]
    for each in named[1:3]:
        made = refs.load("strategy", each, space=NatsSize())
        assert (made.population, made.sample, made.replacement, made.fill_first) == (100, 25, True, True)
