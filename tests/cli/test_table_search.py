"""Searches on tables from the command line: the recipes of published studies, simulated clusters, budgets of seconds.

The releases are tiny ones in the official schema with all 15,625 cells, each a training of 1,000 seconds.
"""

import itertools
import re
import shlex
from pathlib import Path

import pytest
import torch

from netwright.core import objectives, run_file
from netwright.spaces.nats import NatsTopology
from netwright.stores.sqlite import SqliteStore
from tests.cli.test_bad_input import refused, run
from tests.cli.test_import_table import bz2_pickle, result

RECIPES = Path(__file__).parents[2] / "recipes"
SPACE = NatsTopology()
TEXTS = [SPACE.text(genotype) for genotype in itertools.product(range(5), repeat=6)]
IMAGES = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("x-valid", "x-test", "ori-test"),
    "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
}
COST = 1000.5  # seconds of a training and a validation
BUDGETS = {"12000s": ("cifar10", 12_000), "20000s": ("cifar10", 20_000)}
BUDGETS |= {"40000s": ("cifar100", 40_000), "120000s": ("ImageNet16-120", 120_000)}


def training(level, seed, images):
    found = result(1, seed, level + seed % 7, images)
    return {**found, "train_times": {0: 1000.0}}


def release(*names):
    """All cells, some of which share their measurements, as a file stays small that way."""
    infos = []
    for level in range(50):
        trainings = {
            (data, seed): training(level, seed, images) for data, images in IMAGES.items() for seed in (777, 888)
        }
        infos.append({name: {"all_results": trainings} for name in names})
    return {"meta_archs": TEXTS, "arch2infos": {index: infos[index * 7 % 50] for index in range(len(TEXTS))}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where both releases stand, and a folder `data` for their tables."""
    made = tmp_path_factory.mktemp("tables")
    (made / "data").mkdir()
    bz2_pickle(made / "NATS-tss-v1_0-3ffb9.pickle.pbz2", release("12", "200"))
    torch.save(release("less", "full"), made / "NAS-Bench-201-v1_1-096897.pth")
    return made


@pytest.fixture
def there(folder, unpickled_here, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def convert_as_said(capfd, recipe):
    """Follow the recipe's own words, unless that was done for another one."""
    words = re.search(r"netwright (import .+)", recipe.read_text())[1].split()
    if not Path(words[words.index("--out") + 1]).exists():
        code, _, err = run(capfd, *words)
        assert (code, err) == (0, "")


def rows_of(out):
    store = SqliteStore(str(out / "trials.sqlite"), mode="read")
    found = objectives.with_scores(store.finished(), ("signal",))
    store.close()
    return found


def test_what_was_looked_up_is_trained_in_a_run_of_its_own(tmp_path, capsys, monkeypatch):
    """The refusal says by which commands, and they do it."""
    monkeypatch.chdir(tmp_path)
    text = SPACE.text((1, 2, 3, 4, 0, 1))
    (tmp_path / "t.csv").write_text(f"arch,cifar10_val_acc_12ep,cifar10_test_acc_200ep\n{text},80,90\n")
    head = 'objectives = ["signal"]\nspace = {ref = "nats", channels = 4}\nexecutor = {ref = "inline"}\n'
    head += 'evaluator = {ref = "lookup", table = "nats_tss(path=\'t.csv\')"}\n'
    (tmp_path / "r.toml").write_text(head + 'strategy = {ref = "listed", genotypes = [[1, 2, 3, 4, 0, 1]]}\n')
    assert run(capsys, "search", "r.toml", "--trials", "1", "--out", "r")[0] == 0
    for words in ((), ("--epochs", "1"), ("--trial", "1")):
        said = refused(capsys, "train", "r", *words)
        assert (
            "the run looked its results up in a table, so that nothing was trained; train in a run of its own" in said
        )
    assert not list((tmp_path / "r").glob("train-*"))
    first, second = re.findall("`netwright ([^`]+)`", said)
    quick = ["--evaluator.steps", "2", "--executor", "inline"]
    words = shlex.split(first.replace("TASK", "digits").replace("FOLDER", "cell"))
    assert run(capsys, *words, *quick)[0] == 0
    assert run(capsys, *second.replace("FOLDER", "cell").split(), "--evaluator.steps", "2", "--no-reference")[0] == 0
    (tmp_path / "f.toml").write_text(head + "final = {epochs = 1}\n")
    assert "looks results up in a table and trains nothing, so that there is no training in full" in refused(
        capsys, "search", "f.toml", "--trials", "1", "--out", "f"
    )


@pytest.mark.parametrize("budget", BUDGETS)
def test_published_budgets_end_the_search(capfd, there, tmp_path, budget):
    recipe = RECIPES / f"rea-nats-{budget}.toml"
    dataset, seconds = BUDGETS[budget]
    convert_as_said(capfd, recipe)
    code, said, _ = run(capfd, "search", recipe, "--out", tmp_path / "run")
    assert code == 0
    rows = rows_of(tmp_path / "run")
    trials = -(-seconds // COST)
    assert len(rows) == trials, "up to the training that reaches the budget"
    assert {row.result.seconds for row in rows} == {COST}
    assert [bool(row.proposal.parents) for row in rows[:10]] == [False] * 10
    assert all(row.proposal.parents for row in rows[10:])
    settings = run_file.from_tables(run_file.read(recipe))
    assert f"dataset='{dataset}'" in settings.evaluator.options["table"]
    measured = {(row.key, row.result.metrics["signal"]) for row in rows}
    assert all(signal % 1 == 0 for _, signal in measured), "a single training of two, whose mean is no whole number"
    assert "workers were busy" not in said
    assert re.search(r"evaluations took \d+ h \d+ min in all", said)
    code, said, _ = run(capfd, "status", tmp_path / "run")
    assert f"evaluations took {trials * COST:,.0f} of {seconds:,} seconds of the table" in said


def test_a_simulated_cluster_says_how_long_it_took(capfd, there, tmp_path):
    """12 trainings by 4 workers, each of an hour: 3 hours; going on with 4 more takes one more."""
    recipe, out = RECIPES / "rea-nats-12000s.toml", tmp_path / "run"
    convert_as_said(capfd, recipe)
    words = ["search", recipe, "--out", out, "--executor", "simulated(workers=4, seconds=3600)"]
    code, said, _ = run(capfd, *words, "--limits.table_seconds", "1e9", "--trials", "12")
    assert code == 0
    assert (
        "simulated: 3 h 0 min on 4 workers; they were busy 100.0% of it until the last trial began, 100.0% of all of it"
        in said
    )
    assert "simulated: 3 h 0 min on 4 workers, busy 100.0% of it" in run(capfd, "status", out)[1]
    code, said, _ = run(capfd, "search", "--out", out, "--trials", "14")
    assert "simulated: 1 h 0 min on 4 workers; they were busy 50.0% of all of it" in said, "both began at once"
    assert "simulated: 4 h 0 min on 4 workers, busy 87.5% of it" in run(capfd, "status", out)[1]
    page = (out / "report" / "report.html").read_text()
    assert re.search(r"simulated time\W+dt\W+dd\W+4 h 0 min", page)
    assert re.search(r"workers busy\W+dt\W+dd\W+88%", page)


def test_a_table_without_costs_is_refused_where_only_they_would_end_the_search(capfd, there, tmp_path):
    Path("plain.csv").write_text(f"arch,cifar10_val_acc_12ep,cifar10_test_acc_200ep\n{TEXTS[0]},1,2\n{TEXTS[1]},3,4\n")
    recipe = RECIPES / "rea-nats-12000s.toml"
    words = ["search", recipe, "--out", tmp_path / "run", "--evaluator.table", "nats_tss(path='plain.csv')"]
    said = refused(capfd, *words)
    assert "limits.table_seconds is 12000, but the table has no column of seconds to add up; give --trials" in said
    assert not (tmp_path / "run").exists()
    _, said, _ = run(capfd, *words, "--trials", "3", "--limits.failures_in_a_row", "0")
    assert "3 trials finished" in said


def test_a_table_that_changed_between_two_commands_is_refused(tmp_path, capfd):
    """Also of a search that is over, whose answers are those of the table that was there."""
    path, head = tmp_path / "my.csv", "arch,cifar10_val_acc_12ep,cifar10_test_acc_200ep\n"
    rows = [f"{text},{number},1" for number, text in enumerate(TEXTS[:9])]  # most trials fail, and that is no matter
    path.write_text(head + "\n".join(rows))
    words = ["search", RECIPES / "rea-nats-12000s.toml", "--out", tmp_path / "run"]
    words += ["--limits.failures_in_a_row", "0", "--evaluator.table", f"nats_tss(path='{path}')", "--trials"]
    for _ in range(2):
        assert "3 trials finished" in run(capfd, *words, "3")[1]
    path.write_text(head + "\n".join([f"{TEXTS[0]},99,1", *rows[1:]]))
    for trials in ("3", "5"):
        assert "the table that trials are looked up in has changed since" in refused(capfd, *words, trials)
    path.write_text(head + "\n".join(rows))
    assert "5 trials finished" in run(capfd, *words, "5")[1]
