"""`netwright bench` as a user gives it: what it prints and refuses, and that no kill loses or changes a cell."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from netwright.comparison.tables import cell_file
from tests.cli.test_bad_input import TOY, refused, run
from tests.comparison.in_process import playing
from tests.comparison.tables import small
from tests.comparison.test_pool import without_time
from tests.verified import IS_VERIFIED

ROOT = Path(__file__).parents[2]
FILE = ("--genes", "a,b,c", "--signal", "val", "--final", "test")


needs_data = pytest.mark.skipif("NETWRIGHT_DATA" not in os.environ, reason="NETWRIGHT_DATA names no folder of nats-tss")


@pytest.fixture(autouse=True)
def _in_process():
    """But for what is `started`, cells are played in this process."""
    with playing():
        yield


@pytest.fixture
def table(tmp_path):
    return small.write(tmp_path / "my.csv")


def as_json(capsys, *words):
    code, out, err = run(capsys, "bench", *words, "--json")
    assert code == 0, err
    assert out.count("\n") == 1, "nothing but one object"
    return json.loads(out), err


def test_several_objectives_are_judged_by_hypervolume(table, tmp_path, capsys):
    words = ("--table", table, "--genes", "a,b,c", "--signal", "val", "--final=-cost", "--trials", "10")
    words += ("--seeds", "2", "--strategies", "random,listed(genotypes=[(3,2,2)])", "--workers", "1")
    code, out, err = run(capsys, "bench", *words, "--objectives", "signal,-final", "--out", tmp_path / "bench")
    assert code == 0, err
    assert "hypervolume, row less column" in out and "the exact front has 4 networks; hypervolumes are measured" in out
    assert "my by signal, -final, 10 trials" in out


def test_a_table_of_ones_own_without_code(table, tmp_path, capsys):
    words = ("--table", table, *FILE, "--trials", "10,80", "--seeds", "6", "--out", tmp_path / "bench")
    strategies = ("--strategies", "random,tournament,aging(population=5,sample=2), local_search", "--workers", "2")
    found, err = as_json(capsys, *words, *strategies)
    rows = {(row["strategy"], row["trials"]): row for row in found["rows"]}
    assert set(rows) == {
        (name, trials)
        for name in ("random", "tournament", "aging(population=5,sample=2)", "local_search")
        for trials in (10, 80)
    }
    assert {(row["table"], row["dataset"], row["seeds"]) for row in found["rows"]} == {("my", "", 6)}
    climbed = rows["local_search", 80]
    assert (climbed["found_best"], climbed["mean_regret"], climbed["mean_test"]) == (1.0, 0.0, 60.5)
    assert climbed["warnings"] == ["the space is exhausted after 60 trials"]
    assert rows["random", 10]["mean_regret"] == rows["tournament", 10]["mean_regret"], "the same random start"
    assert "initial = 200 is not less than T = 80" in rows["tournament", 80]["warnings"][0]
    assert "warning: tournament: initial = 200 is not less than T = 10" in err
    assert "my: the best network by val has test 60.5; the best of all has 62.25" in err
    assert "my: it has 60 networks, fewer than T = 80 trials" in err
    assert len(found["pairs"]) == 2 * 2 * 6
    assert json.loads((tmp_path / "bench" / "bench.json").read_text()) == found


def test_the_table_on_a_terminal(table, tmp_path, capsys):
    code, out, err = run(
        capsys, "bench", "--table", table, *FILE, "--trials", "10", "--seeds", "3", "--out", tmp_path / "b"
    )
    assert code == 0 and not err
    for text in (
        "my, 10 trials, test (higher is better) by val",
        "aging(population=10,sample=3)",
        "local_search",
        "found best",
        "µs/trial",
    ):
        assert text in out
    assert "warning: aging(population=10,sample=3): population = 10 is not less than T = 10" in out
    assert f"report: {tmp_path / 'b' / 'index.html'}" in out


def test_other_words_for_the_same_table(table, tmp_path, capsys):
    rest = ("--trials", "9", "--seeds", "2", "--strategies", "random", "--out", tmp_path / "bench")
    dotted = ("--table.genes", '["a", "b", "c"]', "--table.signal=val", "--table.final", "test")
    reference = f"csv(path={str(table)!r},genes=['a','b','c'],signal='val',final='test')"
    answers = [as_json(capsys, "--table", *each, *rest)[0] for each in ((table, *FILE), (table, *dotted), (reference,))]
    assert answers[0] == answers[1] == answers[2]
    assert len((tmp_path / "bench" / "cells.jsonl").read_text().splitlines()) == 2, "played once"


def test_a_file_with_brackets_in_its_name(table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small.write(tmp_path / "my (1).csv")
    rest = ("--trials", "9", "--seeds", "2", "--strategies", "random", "--out", "bench")
    found, _ = as_json(capsys, "--table", "my (1).csv", *FILE, *rest)
    assert [(row["table"], row["seeds"]) for row in found["rows"]] == [("my (1)", 2)]


def test_trials_and_seconds_together(table, tmp_path, capsys):
    words = ("--table", table, *FILE, "--seconds", "cost", "--table-seconds", "60", "--strategies", "random,tournament")
    code, out, err = run(capsys, "bench", *words, "--trials", "2,20", "--seeds", "3", "--out", tmp_path / "bench")
    assert (code, err) == (0, "")
    for trials in (2, 20):
        assert f"my, 60 s, at most {trials} trials, test (higher is better) by val" in out
    code, out, err = run(capsys, "bench", *words, "--seeds", "3", "--out", tmp_path / "bench")
    assert "my, 60 s, test (higher is better) by val" in out
    assert re.search(r"warning: tournament: initial = 200 is not less than the \d( to \d)? trials that were made", out)


@pytest.mark.parametrize(("seeds", "is_starred"), [("3:7", False), ("20", True)])
def test_few_seeds_make_no_difference_clear(table, tmp_path, capsys, seeds, is_starred):
    words = ("--table", table, *FILE, "--trials", "20", "--strategies", "random,local_search")
    code, out, _ = run(capsys, "bench", *words, "--seeds", seeds, "--out", tmp_path / "bench")
    assert code == 0
    assert bool(re.search(r"[+-]\d[\d.]*\*", out)) == is_starred
    assert ("with 4 common seeds, fewer than 20, intervals are too short" in out) != is_starred


def test_a_search_is_not_put_into_a_comparison(table, tmp_path, capsys):
    out = tmp_path / "bench"
    as_json(capsys, "--table", table, *FILE, "--trials", "3", "--seeds", "1", "--strategies", "random", "--out", out)
    before = sorted(path.name for path in out.iterdir())
    said = refused(capsys, "search", *TOY, "--out", out)
    assert f"{out} holds a comparison of strategies; give another folder for the run with --out" in said
    assert sorted(path.name for path in out.iterdir()) == before


def test_several_tables(table, tmp_path, capsys):
    other = small.write(tmp_path / "other.csv", shift=1.0)
    words = (
        "--table",
        table,
        "--table",
        other,
        *FILE,
        "--trials",
        "60",
        "--seeds",
        "3",
        "--strategies",
        "local_search",
    )
    found, _ = as_json(capsys, *words, "--out", tmp_path / "bench")
    assert [(row["table"], row["best_signal"], row["mean_regret"]) for row in found["rows"]] == [
        ("my", 61.5, 0),
        ("other", 62.5, 0),
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--trials", "0"], "trials is 0; it must be at least 1"),
        (["--trials", "ten"], "--trials is 'ten'; write a number, or several as in 100,200"),
        (["--seeds", "0"], "--seeds 0 leaves no seed"),
        (["--workers", "0"], "--workers is 0; it must be at least 1"),
        (["--strategies", "random,random"], "strategy random is given twice; give it once"),
        (["--strategies", "randon"], "there is no strategy 'randon'; did you mean 'random'?"),
        (["--strategies", "random(n=3)"], "strategy 'random' has no option 'n'; its options: none"),
        (["--strategies", "aging(population=0)"], "strategy.population is 0; it must be at least 1"),
        (["--strategies", "aging(population=3"], "cannot read 'aging(population=3'"),
        (["--strategies", f"{small.STRANGE}:TwoGoals"], "two_goals weighs two objectives, the run has 1"),
        (["--dataset", "cifar10"], "table 'csv' has no data sets to choose from; leave --dataset out"),
        (["--genes", "a,,c"], "--genes is 'a,,c', which has an empty name"),
        (["--genes", "a,d"], "table 'my' has no column 'd'; its columns: a, b, c, val, test, cost"),
        (["--signal", "c"], "column 'c' of table 'my' is given as a gene and as a measure; give it once"),
        (["--final", "tset"], "table 'my' has no column 'tset'"),
        (["--text", "a"], "give either genes, the columns of choices, or text"),
        (["--table-seconds", "100"], "table 'my' has no costs; give its column with --seconds, or --trials instead"),
        (["--table-seconds", "nan"], "table_seconds is nan; it must be a number greater than 0"),
        (["--table.sginal", "val"], "table 'csv' has no option 'sginal'; did you mean 'signal'?"),
        (["--table.path", "x.csv"], "is given again as 'x.csv'; give it once"),
        (["--space.nodes", "3"], "unknown option --space.nodes; there are --table.OPTION"),
        (["--table", "nowhere.csv"], "table nowhere.csv cannot be read: No such file or directory"),
    ],
)
def test_bench_refuses(table, tmp_path, capsys, words, sentence):
    assert sentence in refused(capsys, "bench", "--table", table, *FILE, "--out", tmp_path / "bench", *words)
    assert not (tmp_path / "bench").exists(), "whatever can be refused is refused before anything is written"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("0,0,x,46.0", "0,0,x,4x6"), "row 1 below the header: val is '4x6', which is no number"),
        (("\n0,1,y", "\n0,,y"), "gene b is empty; fill it in or remove the row"),
        (("a,b,c,val", "a,b,c,test"), "has two columns called 'test'; rename one"),
    ],
)
def test_damaged_tables_are_refused(table, tmp_path, capsys, change, sentence):
    table.write_text(table.read_text().replace(*change, 1))
    assert sentence in refused(capsys, "bench", "--table", table, *FILE, "--out", tmp_path / "bench")


def test_missing_cells_and_repeated_networks_are_said(tmp_path, capsys):
    lines = ["g,h,val,test", "a,1,5,50", "a,1,7,70", "b,1,,80", "c,1,9,nan"]
    (tmp_path / "odd.csv").write_text("\n".join(lines) + "\n")
    words = ("--table", tmp_path / "odd.csv", "--genes", "g,h", "--signal", "val", "--final", "test")
    found, _ = as_json(
        capsys, *words, "--trials", "3", "--seeds", "4", "--strategies", "local_search", "--out", tmp_path / "b"
    )
    assert found["remarks"]["odd"] == [
        "gene h is 1 in every row and left out",
        "1 of 4 rows repeat an architecture; each is the mean of its rows",
        "1 of 3 networks have no val",
        "1 of 3 networks have no test",
    ]
    [row] = found["rows"]
    assert row["found_best"] == 1 and row["mean_test"] is None
    assert "the final measure of 4 of 4 incumbents is missing and left out" in row["warnings"]
    assert any(
        warning.startswith("4 of 12 trials failed; the first: the signal of genotype (1,)")
        for warning in row["warnings"]
    )


def test_a_strategy_that_fails_leaves_the_others_whole(table, tmp_path, capsys):
    words = ("--table", table, *FILE, "--trials", "9", "--seeds", "8", "--out", tmp_path / "bench", "--json")
    code, out, err = run(capsys, "bench", *words, "--strategies", f"random,{small.STRANGE}:Raising")
    found = json.loads(out)
    assert code == 1
    assert [row["seeds"] for row in found["rows"]] == [8, 0]
    assert len(found["failed"]) == 8 and found["failed"][0]["message"].startswith("KeyError")
    assert f"failed: {small.STRANGE}:Raising on my from seed 0: KeyError" in err
    assert "failed: 3 more searches; see bench.json" in err
    assert "Traceback" not in err


def test_a_folder_with_cells_of_another_table(table, tmp_path, capsys):
    words = ("--table", table, "--trials", "9", "--seeds", "2", "--out", tmp_path / "bench", "--strategies", "random")
    as_json(capsys, *words, *FILE)
    before = (tmp_path / "bench" / "cells.jsonl").read_bytes()
    assert "holds cells of another table called 'my'" in refused(capsys, "bench", *words, *FILE, "--signal", "test")
    small.write(table, shift=0.25)
    assert "holds cells of another table called 'my'" in refused(capsys, "bench", *words, *FILE)
    assert (tmp_path / "bench" / "cells.jsonl").read_bytes() == before


def words_of(table, out, *more):
    """A comparison of twenty slow cells."""
    strategies = ["--strategies", f"{small.STRANGE}:Slow(seconds=0.02)", "--workers", "2"]
    return ["bench", "--table", table, *FILE, "--trials", "4", "--seeds", "20", *strategies, "--out", out, *more]


def started(*given):
    """It, in a process of its own."""
    words = [sys.executable, "-m", "netwright.cli.main", *map(str, words_of(*given))]
    return subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_cells(process, out, count):
    while not (out / "cells.jsonl").exists() or (out / "cells.jsonl").read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


def test_killed_at_any_moment_the_same_command_goes_on(table, tmp_path, capsys):
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    for count in (1, 7, 12) if IS_VERIFIED else (7,):
        process = started(table, killed)
        wait_for_cells(process, killed, count)
        process.kill()
        process.communicate()
    for out in (killed, undisturbed):
        code, answer, err = run(capsys, *words_of(table, out, "--json"))
        assert code == 0, err
        assert json.loads(answer)["rows"][0]["seeds"] == 20
    lines = (killed / "cells.jsonl").read_text().splitlines()
    assert len(lines) == 20, "no cell was played twice"
    one, other = cell_file.read(killed).cells, cell_file.read(undisturbed).cells
    assert {without_time(cell, one[cell]) for cell in one} == {without_time(cell, other[cell]) for cell in other}


def test_ctrl_c_says_that_the_same_command_goes_on(table, tmp_path):
    process = started(table, tmp_path / "bench", "--seeds", "4000")
    wait_for_cells(process, tmp_path / "bench", 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130
    assert (out.strip().endswith("stopped; the same command goes on"), err) == (True, "")
    assert not (tmp_path / "bench" / "index.html").exists()


@needs_data
def test_numbers_obtained_before_on_the_cells_of_nats_bench(tmp_path, capsys):
    """Regret and final measure at 100 trials of 500 seeds, by another program; each within four standard errors."""
    path = Path(os.environ["NETWRIGHT_DATA"]) / "nats-tss" / "nats_tss.csv"
    words = (
        "--table",
        "nats_tss",
        "--table.path",
        path,
        "--dataset",
        "cifar10,cifar100",
        "--trials",
        "100",
        "--seeds",
        "60",
    )
    found, _ = as_json(
        capsys, *words, "--strategies", "random,aging(population=10,sample=3)", "--out", tmp_path / "bench"
    )
    known = {"random": (1.21, 2.27, 93.72, 71.16), "aging(population=10,sample=3)": (0.71, 1.18, 93.92, 71.89)}
    for row in found["rows"]:
        place = ("cifar10", "cifar100").index(row["dataset"])
        regret, final = known[row["strategy"]][place], known[row["strategy"]][2 + place]
        assert abs(row["mean_regret"] - regret) < 4 * row["se_regret"]
        assert abs(row["mean_test"] - final) < 4 * row["se_test"]
        assert row["table"] == "nats_tss" and row["microseconds_per_trial"] > 0
    assert {
        (pair["dataset"], np.sign(pair["difference"])) for pair in found["pairs"] if pair["measure"] == "regret"
    } == {*(("cifar10", 1.0), ("cifar100", 1.0))}
