"""The commands as a user gives them; `--json` as scripts read it."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from netwright.core import building, run_file
from netwright.core.refs import Reference
from netwright.core.shapes import Vector
from netwright.runs import retraining
from netwright.spaces.nats import NatsTopology
from netwright.spaces.nats_size import NatsSize
from netwright.stores.sqlite import SqliteStore
from netwright.testing.toys import ToySpace
from tests.cli.test_bad_input import TOY, run
from tests.tiny_data import cifar, photos

ROOT = Path(__file__).parents[2]


def as_json(capsys, *words):
    code, out, err = run(capsys, *words, "--json")
    assert code == 0, err
    return json.loads(out)


@pytest.mark.parametrize(
    ("words", "params"),
    [
        (["--space.channels", "16", "--space.repeats", "1"], 542_138),
        (["--space.channels", "64", "--space.repeats", "2"], 15_727_306),
        (["--space.channels=128", "--space.repeats=2"], 61_896_074),
        (["--skeleton", "imagenet", "--io", "3x299x299:1000"], 62_832_520),
        (["--skeleton", "imagenet", "--io", "3x299x299:1000", "--space.channels", "64"], 62_832_520),
    ],
)
def test_show_counts_the_published_cell(capsys, words, params):
    facts = as_json(capsys, "show", "zoo:hierarchical", *words)
    assert facts["params"] == params
    assert facts["flops"] == 2 * facts["multiply_adds"]
    assert len(facts["genes"]) == 46
    assert len(facts["key"]) == 32


@pytest.mark.parametrize(
    ("words", "params", "with_head"),
    [
        (["zoo:naonet-a", "--space.channels", "36"], 11_470_150, 11_946_576),
        (["zoo:naonet-a", "--space.channels", "128"], 144_576_394, 145_241_236),
        (["zoo:naonet-b", "--space.channels", "36", "--space.auxiliary", "true"], 2_921_302, 3_379_296),
        (["zoo:nasnet-a"], 3_346_538, 4_978_036),
    ],
)
def test_show_counts_the_auxiliary_head_of_networks_that_may_have_one(capsys, words, params, with_head):
    facts = as_json(capsys, "show", *words)
    assert (facts["params"], facts["params_with_auxiliary"]) == (params, with_head)
    assert f"{with_head:,} parameters with the auxiliary head" in run(capsys, "show", *words)[1]


class VectorSpace(ToySpace):
    accepts = (Vector,)


def test_show_counts_a_network_for_other_inputs(capsys):
    space = f"{__name__}:VectorSpace(length=3)"
    code, out, _ = run(capsys, "show", space, "--genes", "[1,2,3]", "--io", "vector=16:numbers=2")
    assert code == 0
    assert out.startswith("6 parameters, 60 multiply-adds on vector=16, 2 outputs\nkey ")
    code, _, err = run(capsys, "show", space, "--genes", "[1,2,3]")
    assert code == 2
    assert err == f"netwright: {space} builds no networks for images of 3 x 32 x 32; say what goes in with --io\n"
    code, _, err = run(capsys, "show", space, "--genes", "[1,2,3]", "--io", "3x8x8:10")
    assert code == 2
    assert err.startswith("netwright: the space builds networks for vectors, but images of 3 x 8 x 8 go in; give")


@pytest.mark.parametrize("words", [["zoo:hierarchical"], ["zoo:naonet-b", "--io", "1x8x8:10"]])
def test_show_says_nothing_of_a_head_that_is_not_offered_or_does_not_fit(capsys, words):
    assert "params_with_auxiliary" not in as_json(capsys, "show", *words)
    assert "auxiliary" not in run(capsys, "show", *words)[1]


def test_show_prints_and_draws(drawn, capsys, tmp_path):
    code, out, _ = run(capsys, "show", "zoo:hierarchical", "--out", tmp_path)
    assert code == 0
    assert "542,138 parameters" in out
    assert re.search(r"3 -> output +motif 5", out)
    assert "motif 5" in (tmp_path / "cell.svg").read_text()
    assert (tmp_path / "cell.png").stat().st_size > 10_000
    assert "motif 5" in (tmp_path / "cell-narrow.svg").read_text() and (tmp_path / "cell-narrow.png").exists()


def test_show_takes_any_genotype(capsys):
    genes = [6 if i in (0, 2) else 0 for i in range(3)]
    facts = as_json(capsys, "show", "flat(nodes=3)", "--genes", json.dumps(genes), "--io", "1x8x8:10")
    assert facts["genes"] == genes


def test_show_draws_a_sample_of_a_space(capsys):
    code, out, _ = run(capsys, "show", "hierarchical(diversification=20)")
    assert code == 0
    assert out.startswith("a sample of hierarchical(diversification=20), drawn by --seed 0; --genes '[...]' shows")
    assert "cell:" in out
    first, again, other = (as_json(capsys, "show", "flat", "--space.nodes", "4", "--seed", seed) for seed in (1, 1, 2))
    assert first == again and first["seed"] == 1
    assert first["genes"] != other["genes"]
    given = as_json(capsys, "show", "flat(nodes=4)", "--genes", json.dumps(first["genes"]))
    assert given["key"] == first["key"] and "seed" not in given


def test_show_draws_a_sample_of_a_generator_and_its_network(capsys):
    words = ("hnag(n_top=(3,4),n_mid=(1,2),n_bottom=(3,4),limit=10000)", "--seed", "3")
    assert as_json(capsys, "show", *words) == as_json(capsys, "show", *words)


def test_show_draws_networks_of_one_generator(drawn, capsys, tmp_path):
    words = ("--genes", "[3, 2, 0.5, 3, 0.5, 3, 2, 0.5]", "--networks", "2", "--out", tmp_path)
    code, out, _ = run(capsys, "show", "--space", "hnag", *words)
    assert code == 0
    assert "networks.svg" in out
    for name in ("networks.png", "networks-narrow.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    code, _, err = run(capsys, "show", "zoo:hierarchical", "--networks", "2", "--out", tmp_path)
    assert code == 2
    assert "--networks needs a space of generators" in err


@pytest.mark.parametrize("words", [(), ("hnag", "--space", "hnag")])
def test_show_takes_one_target(capsys, words):
    code, _, err = run(capsys, "show", *words)
    assert code == 2
    assert "give either TARGET or --space" in err


def test_search_status_report_show_on_one_folder(capsys, tmp_path):
    folder = tmp_path / "run"
    found = as_json(capsys, "search", *TOY, "--out", folder)
    assert (found["trials"], found["done"], found["failed"]) == (6, 6, 0)
    assert "rank_agreement" not in found
    status = as_json(capsys, "status", folder)
    assert {k: status[k] for k in ("trials", "done", "failed", "pending", "running")} == {
        "trials": 6,
        "done": 6,
        "failed": 0,
        "pending": 0,
        "running": 0,
    }
    assert status["best"] == found["best"]
    assert found.keys() ^ status.keys() == {"folder", "finals", "pending", "running"}
    assert (folder / "report" / "report.html").exists()
    code, out, _ = run(capsys, "report", folder, "--out", tmp_path / "page")
    assert code == 0
    assert Path(out.strip()) == tmp_path / "page" / "report.html"
    report = as_json(capsys, "report", folder, "--out", tmp_path / "page")
    assert report["page"] == str(tmp_path / "page" / "report.html")
    assert str(tmp_path / "page" / "fitness.png") in report["figures"]
    assert report["runs"][0]["best"] == found["best"] and report["runs"][0]["trials"] == 6
    facts = as_json(capsys, "show", folder, "--trial", "2")
    assert len(facts["genes"]) == 12
    assert as_json(capsys, "show", folder)["key"] == found["best"]["key"]


def test_the_same_command_again_says_that_the_run_is_done(capsys, tmp_path):
    words = ["search", *TOY, "--out", tmp_path / "run"]
    run(capsys, *words)
    code, out, _ = run(capsys, *words)
    assert code == 0
    assert "This run was done before. More of it: --trials and a larger number." in out


def test_a_larger_budget_goes_on_and_the_folder_alone_is_enough(capsys, tmp_path):
    as_json(capsys, "search", *TOY, "--out", tmp_path / "run")
    moved = tmp_path / "moved"
    shutil.move(tmp_path / "run", moved)
    assert as_json(capsys, "search", "--out", moved, "--trials", "9")["trials"] == 9
    whole = as_json(capsys, "search", *TOY, "--trials", "9", "--out", tmp_path / "whole")
    assert whole["best"] == as_json(capsys, "status", moved)["best"]


def test_search_and_status_say_the_same_of_budgets(capsys, tmp_path):
    words = ["--trials", "12", "--strategy", "asha(max_budget=4,eta=2)"]
    found = as_json(capsys, "search", *TOY[:-2], *words, "--out", tmp_path / "run")
    assert found["best"]["budget"] == 4
    status = as_json(capsys, "status", tmp_path / "run")
    for part in ("done", "failed", "best", "model", "budgets", "rank_agreement", "brackets"):
        assert status[part] == found[part], part


def test_several_runs_are_overlaid(capsys, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    for seed, folder in enumerate(folders):
        run(capsys, "search", *TOY, "--seed", seed, "--out", folder)
    code, out, _ = run(capsys, "report", *folders, "--out", tmp_path / "both")
    assert code == 0
    page = Path(out.strip()).read_text()
    assert "one" in page
    assert "two" in page


def test_failures_in_a_row_are_told_as_they_happen(capsys, tmp_path):
    words = [*TOY, "--evaluator", "tests.faulty:Evaluator", "--evaluator.every", "1", "--out", tmp_path / "run"]
    code, out, err = run(capsys, "search", *words)
    assert code == 2
    assert "trial 1 failed: error: ValueError: no good: 1" in out
    assert "5 trials failed one after another; the last: ValueError: no good: 5" in err


def test_final_trainings_follow_the_search(capsys, tmp_path):
    final = ["--final.noise", "0.0", "--final.repeats", "2"]
    found = as_json(capsys, "search", *TOY, *final, "--out", tmp_path / "run")
    labels = [row["label"] for row in found["finals"]]
    assert labels == ["best of the search", "best of the first random population", "trivial genotype"]
    assert [row["n"] for row in found["finals"]] == [2, 2, 2]
    assert found["finals"][2]["mean"] == 0.0
    assert "best of the first random population" in (tmp_path / "run" / "report" / "report.html").read_text()
    other = as_json(capsys, "search", "--final.noise", "0.5", "--out", tmp_path / "run")
    assert other["finals"][2]["mean"] != 0.0, "other settings train anew"
    assert as_json(capsys, "search", *TOY, *final, "--out", tmp_path / "run")["finals"] == found["finals"]


def test_json_is_alone_on_standard_output(capsys, tmp_path):
    words = [*TOY, "--evaluator", "tests.faulty:Evaluator", "--evaluator.fault", "print", "--trials", "2"]
    assert as_json(capsys, "search", *words, "--out", tmp_path / "run")["done"] == 2


def test_budgets_stand_in_every_summary(drawn, capsys, tmp_path):
    given = [word for word in TOY if word not in ("--strategy.initial", "3")]
    words = [*given, "--strategy", "bohb(min_budget=1,max_budget=4,eta=2)", "--trials", "26", "--out", tmp_path / "run"]
    found = as_json(capsys, "search", *words)
    assert [(each["low"], each["high"]) for each in found["rank_agreement"]] == [(1, 2), (1, 4), (2, 4)]
    assert [(each["budget"], each["trials"]) for each in found["budgets"]] == [(1, 8), (2, 8), (4, 10)]
    assert [each["bracket"] for each in found["brackets"]] == [0, 1, 2, 3, 4, 5]
    status = as_json(capsys, "status", tmp_path / "run")
    assert status["rank_agreement"] == found["rank_agreement"]
    _, out, _ = run(capsys, "status", tmp_path / "run")
    assert "rank agreement of budgets 1 and 2: Spearman 1.00, Kendall 1.00, 4 promoted networks" in out


def test_a_run_is_shown_and_reported_without_its_data(capsys, tmp_path):
    data = photos(tmp_path / "data")
    task = ["--task", f"image_folder(path='{data}',size=8,cache='{tmp_path / 'cache'}')", "--executor", "inline"]
    small = ["--space", "hierarchical", "--space.channels", "1", "--evaluator.steps", "1"]
    words = ["search", *task, *small, "--trials", "1"]
    assert run(capsys, *words, "--out", tmp_path / "run")[0] == 0
    shutil.rmtree(data)
    assert run(capsys, "report", tmp_path / "run")[0] == 0
    assert as_json(capsys, "show", tmp_path / "run", "--trial", "1")["params"] > 0


QUICK = """
import sys
from netwright.cli.main import main
for words in {commands!r}:
    try:
        main(words)
    except SystemExit as left:
        assert not left.code, (words, left.code)
    found = {{'torch', 'matplotlib', 'sklearn', 'scipy', 'pyarrow'}} & set(sys.modules)
    assert not found, (words, found)
"""


def test_quick_commands_import_no_torch(tmp_path):
    """One after the other in one process, where none finds it imported."""
    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    store.remember("run", run_file.to_toml(run_file.RunFile()))
    store.close()
    commands = [["--help"], ["search", "--help"], ["--version"], ["list"], ["list", "strategies"]]
    code = QUICK.format(commands=[*commands, ["status", str(tmp_path)]])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def published(path, text, epochs):
    """A table of one architecture, as `netwright import` makes them."""
    columns = {"arch": [text]}
    for dataset in ("cifar10", "cifar100", "ImageNet16-120"):
        columns |= {f"{dataset}_{name}": [1.0] for name in ("val_acc_12ep", f"test_acc_{epochs}ep", "seconds_12ep")}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


@pytest.fixture(scope="module")
def all_data(tmp_path_factory):
    """A folder with `data/`, all of it that recipes name."""
    folder = tmp_path_factory.mktemp("all") / "data"
    cifar(folder / "cifar10", 25_100, 100)
    cifar(folder / "cifar100", 10_100, 100, classes=100)
    for split in ("train", "test"):
        photos(folder / "imagenet" / split, tuple("abcdef"), images=70 if split == "train" else 2)  # six, for top-5
    photos(folder / "sport8")
    for name in ("nats-tss", "nasbench201"):
        published(folder / f"{name}.parquet", NatsTopology().text((1,) * 6), 200)
    published(folder / "nats-sss.parquet", NatsSize().text((1,) * 5), 90)
    digits, labels = np.zeros((200, 28, 28), np.uint8), np.arange(200) % 10
    for place, name, ending in (("ptb", "ptb", "txt"), ("wikitext-2", "wiki", "tokens")):
        (folder / place).mkdir()
        for split, lines in (("train", 3_000), ("valid", 400), ("test", 400)):
            (folder / place / f"{name}.{split}.{ending}").write_text(" the cat <unk> sat on a mat of N \n" * lines)
    np.savez(folder / "mnist.npz", x_train=digits, y_train=labels, x_test=digits, y_test=labels)
    return folder.parent


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_are_complete_and_build(path, all_data, monkeypatch):
    """All but the data, which is not shipped."""
    monkeypatch.chdir(all_data)
    run = run_file.from_tables(run_file.read(path))
    assert run.limits.trials or run.limits.table_seconds or run.final
    is_searched = bool(run.limits.trials or run.limits.table_seconds)
    is_here = run.strategy.name != "mobo" or importlib.util.find_spec("botorch") is not None
    strategy = run.strategy if is_searched and is_here else Reference("random")  # a training asks no strategy
    building.build(replace(run, strategy=strategy))
    if run.limits.table_seconds is None:  # what a table answered is not trained in full
        retraining.check(run, {})
    assert run_file.from_toml(run_file.to_toml(run)) == run
