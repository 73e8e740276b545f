"""Bad input gets one clear sentence that names the thing and the mend, exit code 2, no traceback; nothing is lost."""

import sqlite3

import pytest

from netwright.cli.main import main

TOYS = "netwright.testing.toys"
TOY = ["--space", f"{TOYS}:ToySpace", "--task", f"{TOYS}:ToyTask", "--evaluator", f"{TOYS}:ToyEvaluator"]
TOY = [*TOY, "--executor", "inline", "--trials", "6", "--strategy.initial", "3"]


def run(capsys, *words):
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return left.value.code or 0, out, err


def refused(capsys, *words):
    code, _, err = run(capsys, *words)
    assert code == 2
    assert "Traceback" not in err
    assert err.startswith("netwright: ")
    assert err.count("\n") == 1, f"not one sentence: {err}"
    return err


@pytest.fixture
def toy_run(tmp_path, capsys):
    assert run(capsys, "search", *TOY, "--out", tmp_path / "run")[0] == 0
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--space", "hierarchicle"], "there is no space 'hierarchicle'; did you mean 'hierarchical'?"),
        (["--space", "my.own:Space"], "there is no module 'my' on the path"),
        (["--space", f"{TOYS}:Nothing"], f"module '{TOYS}' has nothing called 'Nothing'"),
        (
            ["--strategy", "tournament", "--strategy.initail", "5"],
            "has no option 'initail'; did you mean 'initial'?; its options: initial, share",
        ),
        (["--strategy.initial", "many"], "strategy.initial is 'many': should be a valid integer"),
        (["--strategy.initial", "0"], "strategy.initial is 0; it must be at least 2"),
        (["--strategy", "tournament", "--strategy.share", "1.5"], "strategy.share is 1.5; it must be in (0, 1]"),
        (["--strategy.space", "x"], "has no option 'space'"),
        (["--strategy", "tournament(initial=)"], "cannot read 'tournament(initial=)'"),
        (["--workshop.size", "3"], "unknown option --workshop.size; there are --space.OPTION"),
        (["--space.length"], "option --space.length needs a value"),
        (["--trials", "0"], "trials must be greater than 0, got 0"),
        (["--limits.failures", "3"], "no setting 'limits.failures'; it takes trials, hours, failures_in_a_row"),
        (["--seed", "-1"], "seed must be a whole number from 0"),
        (["--constraint", "size < 5"], "constraint 'size < 5' cannot be read; write it as 'params <= 1e6'"),
        (["--constraint", "params < 0"], "the smallest params found was"),
        (["--space", "hierarchical(nodes=(4,1))"], "a graph has at least 2 nodes"),
        (["--space", "hierarchical(motifs=(6,2))"], "the last exactly one"),
        (["--task", "digits(train_limit=3)"], "task.train_limit is 3; it must be at least 10"),
        (["--task", "cifar10"], "fetching CIFAR-10 needs the package datasets"),
        (["--task", "cifar10(path='/nowhere')"], "holds no train*.parquet"),
        (["--evaluator", "training(epochs=3,steps=5)"], "give one of them"),
        (["--evaluator", "training(momentum=-1)"], "evaluator.momentum is -1.0; it must be at least 0"),
        (["--evaluator", "training(device='gpu0')"], "evaluator.device is 'gpu0'; give auto, cpu, cuda or cuda:0"),
        (["--executor", "processes(trial_minutes=-1)"], "executor.trial_minutes is -1.0; it must be at least 0"),
        (["--final.bogus", "3"], "has no option 'bogus'"),
        (["--final.repeats", "0"], "final.repeats is 0; it must be a whole number of at least 1"),
        (["--space", "tests.faulty:Refusing"], "space 'tests.faulty:Refusing' cannot be made: never"),
        (["--executor", "processes(workers=0)"], "executor.workers is 0; it must be at least 1"),
        (["--space", "hnag(limit=10)"], "space.limit is 10, too small for any width: the smallest generator"),
        (["--space", "hnag(n_top=(2,10))"], "space.n_top is 2 to 10; give a range, low end first, within 3 to 100"),
        (["--space", "hnag(p_mid=(0,0.5))"], "space.p_mid begins at 0, where no edge joins the groups of a cell"),
        (["--space", "rnag(k=(1,4))"], "space.k is 1 to 4; give a range, low end first, within 2 to 100"),
    ],
)
def test_search_refuses(tmp_path, capsys, words, sentence):
    assert sentence in refused(capsys, "search", *TOY, "--out", tmp_path / "run", *words)
    assert not (tmp_path / "run").exists(), "whatever can be refused is refused before anything is written"


def test_a_limit_that_few_generators_meet_leaves_the_others_out(tmp_path, capsys):
    """Where next to none is met the search says so; the table of what there was stays."""
    words = [
        "--task",
        "digits(train_limit=50)",
        "--evaluator.steps",
        "1",
        "--executor",
        "inline",
        "--strategy",
        "random",
    ]
    code, out, _ = run(
        capsys, "search", "--space", "hnag(limit=3000)", *words, "--trials", "1", "--out", tmp_path / "a"
    )
    assert (code, "1 trials finished, 0 of them failed" in out) == (0, True)
    err = refused(capsys, "search", "--space", "hnag(limit=480)", *words, "--trials", "1", "--out", tmp_path / "b")
    assert "do not fit the space; the last: the generator needs" in err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seed = ", "is not valid TOML"),
        ("sead = 1", "no setting 'sead'; it takes space, strategy"),
        ("seed = 'x'", "seed is 'x': should be a valid integer"),
        ("space = 7", "space is 7: write a name, or a table with ref"),
        ("strategy = {population = 7}", 'write a name, or a table with ref = "name" and options'),
        ("keep = 'some'", "keep is 'some': should be 'none' or 'all'"),
        ("objectives = []", "objectives must name at least one metric"),
        ("objectives = ['a', 'b']", "predictor models one objective, the run has 2"),
        ("[limits]\nhours = -1", "hours must be greater than 0"),
        ("seed = 1", "the search has no end; give --trials or --hours"),
        ("\x00", "is not valid TOML"),
    ],
)
def test_run_files_are_refused(tmp_path, capsys, text, sentence):
    (tmp_path / "run.toml").write_text(text)
    assert sentence in refused(capsys, "search", tmp_path / "run.toml", "--out", tmp_path / "run")


def test_a_run_file_that_is_missing_or_no_text(tmp_path, capsys):
    assert "No such file" in refused(capsys, "search", tmp_path / "no.toml", "--out", tmp_path / "run")
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00")
    assert "it is not UTF-8 text" in refused(capsys, "search", tmp_path / "run.toml", "--out", tmp_path / "run")


def test_a_folder_that_holds_another_run(toy_run, capsys):
    before = (toy_run / "trials.sqlite").read_bytes()
    err = refused(capsys, "search", *TOY, "--seed", "9", "--out", toy_run)
    assert "holds another run: its seed is 0, not 9; give another folder with --out" in err
    err = refused(capsys, "search", *TOY, "--space.length", "5", "--out", toy_run)
    assert "its space.length is default, not 5" in err
    assert (toy_run / "trials.sqlite").read_bytes() == before


def test_tables_that_cannot_be_used(toy_run, capsys, tmp_path):
    table = toy_run / "trials.sqlite"
    whole = table.read_bytes()
    again = ["search", *TOY, "--out", toy_run]
    table.write_bytes(whole[: len(whole) // 2])
    assert "is damaged" in refused(capsys, *again)
    assert "is damaged" in refused(capsys, "status", toy_run)
    assert table.read_bytes() == whole[: len(whole) // 2], "the damaged table is left as it is"
    table.write_bytes(b"")
    assert "it was cut" in refused(capsys, *again)
    table.write_bytes(b"no table" * 1000)
    assert "is damaged" in refused(capsys, *again)
    table.write_bytes(whole)
    with sqlite3.connect(table) as db:
        db.execute("PRAGMA user_version = 99")
    assert "has schema 99 of a newer netwright; this one reads up to 2: upgrade" in refused(capsys, *again)
    table.unlink()
    with sqlite3.connect(table) as db:
        db.execute("CREATE TABLE mine (x)")
    assert "is an SQLite file of another program" in refused(capsys, *again)


def test_a_folder_below_a_file(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert "cannot be written: Not a directory" in refused(capsys, "search", *TOY, "--out", tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["status", "nowhere"], "nowhere holds no run (trials.sqlite is missing)"),
        (["report", "nowhere"], "nowhere holds no run"),
        (["worker", "nowhere"], "nobody searches in nowhere now"),
        (["show", "zoo:nothing"], "there is no zoo 'nothing'; there are amoebanet-a"),
        (["show", "zoo:hierarchical", "--space.channels", "0"], "space.channels is 0; it must be at least 1"),
        (["show", "zoo:hierarchical", "--space.width", "3"], "has no option 'width'; its options: motifs, nodes"),
        (["show", "zoo:hierarchical", "--io", "32x32"], "--io is '32x32'; write channels x height x width : outputs"),
        (["show", "zoo:hierarchical", "--skeleton", "big"], "space.skeleton is 'big': should be 'cifar' or 'imagenet'"),
        (["show", "flat", "--seed", "-1"], "--seed is -1; it must be at least 0"),
        (["show", "naonet_a"], "naonet_a is no space but a published network; write zoo:naonet-a"),
        (["show", "flat", "--genes", "[1,2]"], "the genotype has 2 values, the space has 55 genes"),
        (["show", "flat", "--genes", str([9] * 55)], "gene 0 (cell 1->2) is 9; it takes a whole number: 0 = none"),
        (["show", "flat", "--genes", str([0] * 55)], "the cell has no path from its input to its output"),
        (["show", "flat", "--genes", "[[1]]"], "value 0 of the genotype is '[1]'; it must be a number"),
        (["show", "flat", "--genes", "[NaN]"], "NaN is not a number that JSON has"),
        (["show", "flat", "--genes", "[" * 100_000], "the genotype is not a JSON array of numbers"),
        (["list", "things"], "there is nothing called 'things' to list; there are spaces"),
        (["list", "hierarchical"], "did you mean `netwright list spaces hierarchical`?"),
        (["list", "spaces", "hierarchicle"], "did you mean 'hierarchical'?"),
        (["help", "serach"], "there is no command 'serach'; did you mean `netwright help search`?"),
        (["search", "--task", "./nowhere"], "'./nowhere' is neither there nor the name of a task"),
        (["status", "nowhere", "--space.x", "1"], "unknown option --space.x"),
    ],
)
def test_other_commands_refuse(tmp_path, capsys, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    assert sentence in refused(capsys, *words)


def test_show_refuses_a_trial_that_is_not_there(toy_run, capsys):
    assert "has no trial 99; it has trials 1 to 6" in refused(capsys, "show", toy_run, "--trial", "99")


def test_words_that_typer_does_not_know(capsys):
    code, _, err = run(capsys, "search", "--bogus", "1")
    assert code == 2
    assert "No such option" in err


def test_a_path_that_is_too_long_for_a_table_is_refused_before_anything_is_written(tmp_path, capsys):
    long = tmp_path / ("ä" * 100) / ("x" * 200)
    said = refused(capsys, "search", *TOY, "--out", long)
    assert "bytes, and SQLite opens no table below one of more than 440; give a shorter one with --out" in said
    assert not long.parent.exists()
    assert "File name too long" in refused(capsys, "search", *TOY, "--out", tmp_path / ("x" * 300))
    assert not list(tmp_path.iterdir())


def test_a_folder_with_any_name_is_searched_gone_on_with_and_looked_at(tmp_path, capsys):
    folder = tmp_path / "кошка 猫 é" / "a b'c?d#e%20f&;$(g)"
    for trials in (2, 3):
        code, _, err = run(capsys, "search", *TOY, "--trials", trials, "--out", folder)
        assert (code, err) == (0, "")
    code, out, _ = run(capsys, "status", folder, "--json")
    assert (code, '"trials": 3' in out) == (0, True)
    assert run(capsys, "doctor", folder) == (0, f"{folder}: nothing is wrong\n", "")
    assert run(capsys, "report", folder, "--trust")[0] == 0
