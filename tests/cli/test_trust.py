"""A stranger's folder, run file or export: nothing that it names runs before the user trusts it."""

import json
import sqlite3
import sys
import tomllib
from contextlib import closing

import pytest
import tomli_w

from netwright.cli.main import main
from netwright.export import architecture
from netwright.report import page
from netwright.stores import sqlite_rows

TOYS = "netwright.testing.toys"
TOY = [*("--space", f"{TOYS}:ToySpace", "--task", f"{TOYS}:ToyTask", "--evaluator", f"{TOYS}:ToyEvaluator")]
TOY += ["--executor", "inline", "--strategy", "random", "--trials", "3"]
PROGRAM = """
from pathlib import Path
from netwright.testing.toys import ToyEvaluator, ToySpace
Path(__file__).with_name("ran").touch()
class Space(ToySpace): pass
class Evaluator(ToyEvaluator): pass
"""


def code(*words):
    try:
        return main([str(word) for word in words])
    except SystemExit as left:
        return left.code


def wrote(folder, runs, place=None):
    """A report that costs nothing: what it says is not looked at here."""
    folder.mkdir(parents=True, exist_ok=True)
    place = place or folder / "report.html"
    place.write_text(f"{len(runs)} runs")
    return place


@pytest.fixture
def stranger(tmp_path, monkeypatch):
    """A module in the current folder that leaves a mark when it is run."""
    (tmp_path / "stranger.py").write_text(PROGRAM)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(page, "write", wrote)
    monkeypatch.delitem(sys.modules, "stranger", raising=False)
    yield tmp_path
    sys.modules.pop("stranger", None)


def rewritten(folder, **changes):
    """Change the run file in the table of a run."""
    with closing(sqlite3.connect(folder / "trials.sqlite")) as table, table:
        [[text]] = table.execute("select text from facts where name = 'run'")
        tables = tomllib.loads(text) | changes
        stored = tomli_w.dumps(tables)
        table.execute("update facts set text = ? where name = 'run'", (stored,))
        table.execute("update fact_sums set sum = ? where name = 'run'", (sqlite_rows.fact_sum("run", stored),))


@pytest.mark.parametrize(
    "changes",
    [
        {"space": {"ref": "stranger:Space"}},
        {"space": "stranger:Space(length=3)"},
        {"evaluator": {"ref": "stranger:Evaluator"}},
        {"evaluator": {"ref": "lookup", "table": "csv(path='x.csv', space='stranger:Space')"}},
        {"final": {"table": {"deep": ["stranger:Space"]}}},
    ],
)
def test_a_strangers_folder_runs_no_code(stranger, capsys, changes):
    assert code("search", *TOY, "--out", "run") == 0
    rewritten(stranger / "run", **changes)
    capsys.readouterr()
    assert code("status", "run") in (0, None)
    for command in ("report", "show", "train", "worker", "search --out", "export --out x", "search run/run.toml --out"):
        if command.startswith("search run"):
            (stranger / "run" / "run.toml").write_text(tomli_w.dumps({"limits": {"trials": 3}, **changes}))
        assert code(*command.split(), "run") == 2, command
        said = capsys.readouterr().err
        assert said.count("\n") == 1, said
        assert command == "worker" or "add --trust" in said, said
    assert not (stranger / "ran").exists()


def test_what_was_typed_is_trusted_and_what_was_remembered_is_not(stranger, capsys):
    own = ["--evaluator", "stranger:Evaluator"]
    assert code("search", *TOY, *own, "--out", "run") == 0
    assert code("search", "--out", "run", "--trials", "4", *own) == 0, "typed again"
    sys.modules.pop("stranger")
    (stranger / "ran").unlink()
    capsys.readouterr()
    for words in (["report", "run"], ["show", "run"], ["search", "--out", "run", "--trials", "5"]):
        assert code(*words) == 2
        assert "names 'stranger:Evaluator' for its evaluator" in capsys.readouterr().err
        assert not (stranger / "ran").exists()
    for words in (["report", "run"], ["show", "run"], ["search", "--out", "run", "--trials", "5"]):
        assert code(*words, "--trust") in (0, None)


def test_a_recipe_is_no_better_than_a_folder(stranger, capsys):
    (stranger / "r.toml").write_text('space = "stranger:Space"\nlimits = {trials = 2}\nexecutor = "inline"\n')
    for words in (["search", "r.toml", "--out", "run"], ["bench", "r.toml", "--seeds", "1", "--out", "b"]):
        assert code(*words) == 2
        assert "names 'stranger:Space' for its space" in capsys.readouterr().err
    assert not (stranger / "ran").exists()
    assert [path.name for path in stranger.iterdir() if path.is_dir()] == []
    assert code("search", "r.toml", *TOY[2:6], "--strategy", "random", "--out", "run", "--trust") == 0


def test_a_program_is_not_called_even_where_it_is_trusted(stranger, capsys):
    assert code("search", *TOY, "--out", "run") == 0
    rewritten(stranger / "run", space={"ref": "os:system", "command": "touch ran"})
    for command in ("report", "show", "train"):
        assert code(command, "run", "--trust") == 2
        assert "space 'os:system' is a function" in capsys.readouterr().err
    assert not (stranger / "ran").exists()


def test_a_module_in_the_current_folder_stands_in_for_no_installed_one(stranger):
    (stranger / "onnx.py").write_text(PROGRAM)
    code("list", "spaces")
    assert sys.path[-1] == str(stranger)


def test_a_report_is_not_written_through_a_link(stranger, capsys):
    assert code("search", *TOY, "--out", "run") == 0
    (stranger / "precious").write_text("mine")
    page = stranger / "run" / "report" / "report.html"
    page.unlink()
    page.symlink_to(stranger / "precious")
    assert code("report", "run") == 2
    assert "is a link" in capsys.readouterr().err
    assert (stranger / "precious").read_text() == "mine"
    assert code("report", "run", "--out", "elsewhere") in (0, None)


def test_an_export_imports_nothing(stranger, capsys):
    (stranger / "out").mkdir()
    layers = [["input", "input", [], ["image", 3, 8, 8]], ["x", "stranger:Space", [0], ["vector", 2]]]
    facts = {"format": architecture.FORMAT, "plan": layers}
    (stranger / "out" / "architecture.json").write_text(json.dumps(facts))
    assert code("predict", "out", "out") == 2
    assert not (stranger / "ran").exists()
