"""Settings of training as genes, from a command to a network that is trained in full."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

import netwright
from netwright.cli.main import main
from netwright.core import building, run_file
from netwright.core.errors import BadReference
from netwright.core.protocols import Tunes
from netwright.core.records import Proposal, Trial
from netwright.core.settings import Tuned, of_tables, resolved
from netwright.data.augment import Augmentation, preset
from netwright.evaluators.training import Training
from netwright.spaces.flat import plugin as flat
from netwright.stores.memory import MemoryStore
from netwright.tasks.digits import digits
from netwright.worker import WorkerContext
from tests import believed

SPACE = flat(nodes=4, channels=4)
TASK = digits(train_limit=100)
PLAIN = Training(SPACE, TASK, steps=3, batch=32)
TUNED = Tuned(SPACE, of_tables(resolved("lr,batch,augment", PLAIN.tunable)))
NETWORK = SPACE.sample(np.random.default_rng(0))


def code(words):
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


def measured(evaluator, genotype):
    trial = Trial(1, Proposal(genotype), "key", 7, "running")
    return evaluator.evaluate(trial, WorkerContext(MemoryStore(), None, 1)).metrics["valid_loss"]


def test_a_genotype_trains_as_its_settings_say():
    evaluator = Training(TUNED, TASK, steps=3, batch=32)
    names = [setting.name for setting in TUNED.settings]
    assert names == ["lr", "batch", "augment"]
    shift = TUNED.settings[2].options.index("shift+flip")
    batch = TUNED.settings[1].options.index(64)
    expected = TASK.tuned({"augment": "shift+flip"})
    assert expected.augmentation == Augmentation(padding=1, flip=True)
    by_hand = Training(SPACE, expected, steps=3, lr=10.0**-2, batch=64)
    assert measured(evaluator, (*NETWORK, -2.0, batch, shift)) == measured(by_hand, NETWORK)
    assert measured(evaluator, TUNED.with_defaults(NETWORK)) == measured(PLAIN, NETWORK)
    assert measured(evaluator, (*NETWORK, -2.0, batch, shift)) != measured(PLAIN, NETWORK)


def test_a_tuned_task_reads_its_images_once(monkeypatch):
    data = TASK.data
    assert TASK.tuned({"cutout": 2}).data is data


def test_values_are_checked_as_options_are():
    with pytest.raises(BadReference, match=r"evaluator\.lr is -1\.0; it must be greater than 0"):
        PLAIN.tuned({"lr": -1.0})
    with pytest.raises(BadReference, match=r"task\.brightness is 3\.0; it must be from 0 to 1"):
        PLAIN.tuned({"brightness": 3.0})


def test_presets_add_one_thing_each():
    assert preset("none", 32, 32) == Augmentation()
    assert preset("shift+flip+cutout", 32, 24) == Augmentation(padding=4, flip=True, cutout=6)
    assert isinstance(TASK, Tunes)
    assert isinstance(PLAIN, Tunes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = netwright.Run(
        tmp_path_factory.mktemp("tuned") / "run",
        space="flat(nodes=4, channels=4)",
        strategy="aging(population=4, sample=2)",
        task="digits(train_limit=100)",
        evaluator="training(steps=2, batch=32)",
        executor="inline",
        trials=8,
        changes={"space": {"with": "lr,weight_decay,augment"}},
        console=Console(file=io.StringIO()),
    )
    run.search()
    return run


@pytest.fixture(scope="module")
def finals(run):
    return run.train(epochs=1)


@pytest.fixture(scope="module")
def out(run, finals):
    with believed.exports():
        return run.export(run.folder.parent / "out")


def test_a_search_tunes_and_its_run_file_says_all(run):
    stored = run_file.read(run.folder / "run.toml")
    assert [table["name"] for table in stored["space"]["with"]] == ["lr", "weight_decay", "augment"]
    lengths = {len(trial.proposal.genotype) for trial in run.trials}
    assert lengths == {len(NETWORK) + 3}
    assert len({trial.proposal.genotype[-3] for trial in run.trials}) > 1


def test_the_best_is_trained_in_full_with_its_settings_and_so_is_the_reference(run, finals, out):
    found, reference = finals
    assert found.genotype == run.best.proposal.genotype
    assert reference.reference
    assert reference.genotype[-3:] == found.genotype[-3:]
    facts = json.loads((out / "architecture.json").read_text())
    assert [gene["name"] for gene in facts["genes"]][-3:] == ["log10 lr", "log10 weight_decay", "augment"]
    netwright.load(out)


def test_what_was_searched_is_said(run, out, capsys):
    assert code(["show", str(run.folder), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["settings"]
    _, expected = building.load_space(run.settings.space).parts(run.best.proposal.genotype)
    assert shown == expected
    card = (out / "README.md").read_text()
    for name, value in expected.items():
        assert any(name in line and str(value) in line for line in card.splitlines()), (name, value)


def test_options_that_are_genes_are_refused_where_they_would_be_ignored(run, capsys):
    for option in ("--evaluator.lr", "--final.weight_decay"):
        assert code(["train", str(run.folder), option, "0.5"]) == 2
        said = capsys.readouterr().err
        assert f"{option[2:]} is given, but {option.partition('.')[2]} is among the genes of the search" in said
    assert code(["train", str(run.folder), "--space.with", "lr"]) == 2
    assert "--space.with says what a search draws" in capsys.readouterr().err


def test_settings_by_name_go_with_a_training_in_full(tmp_path):
    run = netwright.Run(
        tmp_path / "run",
        space="flat(nodes=4, channels=4)",
        strategy="random",
        task="digits(train_limit=100)",
        evaluator="training(steps=1, batch=32)",
        executor="inline",
        trials=1,
        changes={"space": {"with": "lr,batch"}, "final": {"steps": 1}},
        console=Console(file=io.StringIO()),
    )
    found = run.search()
    best, trivial, plain = found.finals
    assert plain.genotype[-2:] == best.genotype[-2:]
    assert trivial.genotype == (*SPACE.trivial(), -1.0, 0)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([{"name": "augmentt", "options": [1, 2], "default": 1}], "space.with names 'augmentt', which cannot be"),
        ([{"name": "momentum", "high": 2.0}], "evaluator.momentum is 2.0; it must be below 1"),
        ([{"name": "lr", "high": float("inf")}], "the default must lie within"),
        ([{"name": "cutout", "high": 3.0}], "the setting 'cutout' counts whole numbers; 3.0 is none"),
    ],
)
def test_a_setting_that_would_fail_is_refused_before_a_folder_exists(asked, message, tmp_path):
    with pytest.raises(BadReference, match=message):
        netwright.Run(
            tmp_path / "run",
            space="flat(nodes=4, channels=4)",
            task="digits(train_limit=100)",
            executor="inline",
            trials=1,
            changes={"space": {"with": asked}},
        ).search()
    assert not (tmp_path / "run").exists()


def test_batches_that_cannot_be_divided_are_not_offered():
    assert "batch" not in Training(SPACE, TASK, batch=256, accumulate=256).tunable
    assert Training(SPACE, TASK, batch=128, accumulate=64).tunable["batch"].options == (64, 128)
    with pytest.raises(BadReference, match=r"'epochs' cannot be searched; there are lr"):
        PLAIN.tuned({"epochs": 3})


def test_the_same_command_goes_on_and_another_is_refused(run, capsys):
    words = ["--space", "flat", "--space.nodes", "4", "--space.channels", "4", "--strategy", "aging"]
    words += ["--strategy.population", "4", "--strategy.sample", "2", "--task", "digits", "--task.train_limit", "100"]
    words += ["--evaluator", "training", "--evaluator.steps", "2", "--evaluator.batch", "32", "--executor", "inline"]
    words += ["--out", str(run.folder), "--trials", "9"]
    assert code(["search", *words, "--space.with", "lr,weight_decay,augment"]) == 0
    assert len(run.trials) == 9
    assert code(["search", *words, "--space.with", "lr"]) == 2
    assert "holds another run: its space.with is" in capsys.readouterr().err
    assert code(["search", *words[:-4], "--out", str(run.folder / "x"), "--space.with", "speed", "--trials", "1"]) == 2
    said = capsys.readouterr().err
    assert "space.with names 'speed', which cannot be searched here; there are lr, weight_decay, momentum" in said
    assert not (run.folder / "x").exists()
