"""`netwright bench RECIPE.toml`: what it prints and refuses, and that no kill changes a search."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netwright.cli.signals import INTERRUPTED
from netwright.comparison import pool
from netwright.runs import run_folder
from tests.cli.test_bad_input import refused, run
from tests.comparison.contests import toy_contests as contests
from tests.comparison.in_process import play, playing
from tests.comparison.tables import small
from tests.verified import VERIFIED

ROOT = Path(__file__).parents[2]
STRATEGIES = ("--strategies", "random,aging(population=4,sample=2)")


@pytest.fixture
def recipe(tmp_path):
    return contests.write(tmp_path / "toy.toml")


@pytest.fixture
def in_process():
    with playing():
        yield


def test_several_recipes_in_one_report(recipe, tmp_path, capsys, in_process):
    other = contests.write(tmp_path / "other.toml", noise=0.1)
    words = (recipe, other, *STRATEGIES, "--seeds", "2", "--workers", "1", "--out", tmp_path / "b", "--full")
    code, out, err = run(capsys, "bench", *words, "--trials", "7", "--fraction", "0.5,0.9", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [(row["recipe"], row["trials"], row["seeds"]) for row in found["rows"]] == [
        *[("toy", 7, 2)] * 2,
        *[("other", 7, 2)] * 2,
    ]
    assert all(set(row["reached"]) == {"0.5", "0.9"} for row in found["rows"])
    assert all(row["test_metric"] == "test_accuracy" and row["mean_test"] for row in found["rows"])
    assert json.loads((tmp_path / "b" / "bench.json").read_text()) == found
    assert "toy: 7 trials, 2 seeds" in err and "report:" in err


def test_settings_of_the_recipe_can_be_changed(recipe, tmp_path, capsys, in_process):
    words = ("bench", recipe, *STRATEGIES, "--seeds", "1", "--out", tmp_path / "b", "--evaluator.noise", "0.5")
    assert run(capsys, *words)[0] == 0
    assert "noise = 0.5" in (tmp_path / "b" / "runs" / "toy" / "recipe.toml").read_text()
    assert "holds runs of another recipe called 'toy'" in refused(capsys, *words[:-1], "0.25")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--table", "my.csv"], "--table does not go with a recipe; leave one of the two out"),
        (["--signal", "val"], "--signal does not go with a recipe"),
        (["--table-seconds", "9"], "--table-seconds does not go with a recipe"),
        (["--trials", "5,9"], "--trials is '5,9'; with a recipe it is one number of at least 1"),
        (["--fraction", "1.5"], "--fraction is '1.5'; write numbers above 0 and at most 1"),
        (["--fraction", ""], "--fraction is ''; write numbers above 0"),
        (["--seeds", "0"], "--seeds 0 leaves no seed"),
        (["--seeds", ""], "--seeds is ''; write how many"),
        (["--seeds", "9223372036854775808:9223372036854775809"], "seeds go from 0 to 2**63 - 1"),
        (["--strategies", ""], "--strategies '' names no strategy"),
        (["--final.epochs", "3"], "--final.OPTION says how the best are trained in full; give --full too"),
        (["--strategies", "randon"], "there is no strategy 'randon'; did you mean 'random'?"),
        (["--strategies", f"{small.STRANGE}:TwoGoals"], "two_goals weighs two objectives, the run has 1"),
        (["--space.nodes", "3"], "has no option 'nodes'"),
        (["--strategy.population", "3"], "unknown option --strategy.population; there are --space.OPTION"),
        (["nowhere.toml"], "run file nowhere.toml cannot be read: No such file or directory"),
    ],
)
def test_bench_refuses(recipe, tmp_path, capsys, words, sentence):
    assert sentence in refused(capsys, "bench", recipe, "--out", tmp_path / "bench", *words)
    assert not (tmp_path / "bench").exists(), "whatever can be refused is refused before anything is written"


def test_bench_needs_something_to_compare_on(tmp_path, capsys):
    assert "give a recipe (a TOML file), or --table" in refused(capsys, "bench", "--out", tmp_path / "b")
    table = small.write(tmp_path / "my.csv")
    assert "--fraction does not go with --table" in refused(capsys, "bench", "--table", table, "--fraction", "0.9")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("limits", "limit"), "the run file has no setting 'limit'"),
        (("ToySpace", "ToyPlace"), "has nothing called 'ToyPlace'"),
        (('"}', '"'), "is not valid TOML"),
    ],
)
def test_bad_recipes(recipe, tmp_path, capsys, change, sentence):
    recipe.write_text(recipe.read_text().replace(*change, 1))
    assert sentence in refused(capsys, "bench", recipe, "--out", tmp_path / "bench")
    assert not (tmp_path / "bench").exists()


def test_what_was_wrong_is_said_and_is_exit_code_1(tmp_path, capsys, in_process):
    recipe = contests.write(tmp_path / "toy.toml", trials=6, kind=f"{small.STRANGE}:Untrainable", fails_at=0)
    words = ("bench", recipe, "--strategies", "random", "--seeds", "1", "--out", tmp_path / "b", "--trust")
    code, out, _ = run(capsys, *words)
    assert code == 0 and "warning: toy: random: " in out and "of 6 trials failed" in out
    assert "nan" not in out
    for _ in range(2):
        code, out, _ = run(capsys, *words, "--full")
        assert code == 1
        assert "failed: random on toy from seed 0: the full training failed: ValueError: no memory" in out


def test_a_random_start_is_said_once_with_its_recipe(recipe, tmp_path, capsys, in_process):
    words = ("--strategies", "aging(population=12,sample=2)", "--seeds", "1", "--out", tmp_path / "b")
    code, out, _ = run(capsys, "bench", recipe, *words)
    assert code == 0 and out.count("warning: toy: aging(population=12,sample=2): population = 12") == 1


def test_stopped_the_same_command_goes_on(recipe, tmp_path, capsys, monkeypatch):
    words = ("bench", recipe, *STRATEGIES, "--seeds", "2", "--out", tmp_path / "b")

    def stopped(*order):
        for number, played in enumerate(play(*order)):
            if number == 2:
                raise KeyboardInterrupt
            yield played

    monkeypatch.setattr(pool, "play", stopped)
    code, out, _ = run(capsys, *words)
    assert code == INTERRUPTED and out.endswith("stopped; the same command goes on\n")
    before = finished(tmp_path / "b")
    monkeypatch.setattr(pool, "play", play)
    assert run(capsys, *words)[0] == 0
    after = finished(tmp_path / "b")
    assert {len(rows) for rows in after.values()} == {12} and len(after) == 4
    assert before.items() <= after.items()


def test_a_folder_of_one_kind_is_not_taken_for_another(recipe, tmp_path, capsys, in_process):
    one, other = tmp_path / "recipes", tmp_path / "tables"
    on_recipes = ("bench", recipe, "--strategies", "random", "--seeds", "1", "--trials", "2", "--out")
    table = small.write(tmp_path / "my.csv")
    on_tables = ("bench", "--table", table, "--genes", "a,b,c", "--signal", "val", "--seeds", "1", "--out")
    assert run(capsys, *on_recipes, one)[0] == 0
    (other / "x").mkdir(parents=True)
    (other / "cells.jsonl").touch()
    assert f"{one} holds a comparison on recipes; give another folder" in refused(capsys, *on_tables, one)
    assert f"{other} holds a comparison on tables; give another folder" in refused(capsys, *on_recipes, other)
    assert f"{one} holds a comparison of strategies" in refused(capsys, "search", recipe, "--out", one)
    assert run(capsys, *on_recipes, one)[0] == 0, "the refused ones have locked nobody out"


@VERIFIED
def test_killed_at_any_moment_the_same_command_goes_on(tmp_path, capsys, in_process):
    recipe = contests.write(tmp_path / "toy.toml", trials=12, seconds=0.05)
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    for count, number in ((3, signal.SIGKILL), (16, signal.SIGTERM)):
        process = started(recipe, killed)
        while sum(len(rows) for rows in finished(killed).values()) < count:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(number)
        process.communicate()
        assert process.returncode == (143 if number == signal.SIGTERM else -number)
    assert set(unfinished(killed)) <= {"pending"}, "SIGTERM has put back what ran"
    for out in (killed, undisturbed):
        code, _, err = run(capsys, *words_of(recipe, out))
        assert code == 0, err
    assert finished(killed) == finished(undisturbed)
    assert {len(rows) for rows in finished(killed).values()} == {12}


def words_of(recipe, out):
    return ["bench", str(recipe), *STRATEGIES, "--seeds", "1", "--workers", "1", "--out", str(out)]


def started(recipe, out):
    words = [sys.executable, "-m", "netwright.cli.main", *words_of(recipe, out)]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)


def finished(out):
    """Rows of each run, without what time they took."""
    found = {}
    for place in sorted((out / "runs" / "toy").glob("*/")):
        if run_folder.holds_run(place):
            store = run_folder.open_table(place, "read")
            found[place.name] = [(trial.proposal, trial.seed, trial.result.metrics) for trial in store.finished()]
            store.close()
    return found


def unfinished(out):
    """What the rows that have not finished are in."""
    for place in (out / "runs" / "toy").glob("*/"):
        if run_folder.holds_run(place):
            store = run_folder.open_table(place, "read")
            yield from (trial.status for trial in store.unfinished())
            store.close()
