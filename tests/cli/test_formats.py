"""Folders of another format are refused by every command, in one sentence, and stay as they are."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from netwright.cli.main import main
from netwright.stores import sqlite_rows
from tests.cli.test_bad_input import TOY, refused, run
from tests.comparison.contests import toy_contests
from tests.comparison.in_process import playing

OLD = "was written by an earlier netwright, in a format that this one does not read; use the release that wrote it"
NEW = "has format 2, of a newer netwright; this one reads format 1: upgrade"
COMMANDS = [
    ["search", *TOY, "--out", "FOLDER"],
    ["search", "--trials", "9", "--out", "FOLDER"],
    ["status", "FOLDER"],
    ["report", "FOLDER"],
    ["report", "FOLDER", "--out", "OUT"],
    ["show", "FOLDER"],
    ["train", "FOLDER"],
    ["export", "FOLDER", "--out", "OUT"],
    ["worker", "FOLDER"],
]


def as_written_by(folder: Path, number: str | None):
    """Make the run of a folder one of another release: of an earlier one, which gave no number, or of a later one."""
    with sqlite3.connect(folder / "trials.sqlite") as db:
        for table in ("facts", "fact_sums"):
            db.execute(f"DELETE FROM {table} WHERE name = 'format'")
        if number is not None:
            db.execute("INSERT INTO facts VALUES ('format', ?)", (number,))
            db.execute("INSERT INTO fact_sums VALUES ('format', ?)", (sqlite_rows.fact_sum("format", number),))
    db.close()


def content(folder: Path):
    """All that a folder holds, but for what SQLite leaves beside a table that was looked at."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
    return {path: path.read_bytes() for path in files if path.name != "controller.lock"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A toy run with its best trained in full."""
    folder = tmp_path_factory.mktemp("toy") / "run"
    for words in (["search", *TOY, "--out", str(folder)], ["train", str(folder)]):
        with pytest.raises(SystemExit) as left:
            main(words)
        assert not left.value.code
    return folder


@pytest.mark.parametrize("number", [None, "2"])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:1]))
def test_a_run_of_another_format_is_refused(trained, tmp_path, capsys, words, number):
    folder = shutil.copytree(trained, tmp_path / "run")
    as_written_by(folder, number)
    before = content(folder)
    places = {"FOLDER": folder, "OUT": tmp_path / "out"}
    said = refused(capsys, *[places.get(word, word) for word in words])
    assert f"{folder} {NEW if number else OLD}" in said
    assert content(folder) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:1]))
def test_trainings_of_another_format_within_a_run_are_refused(trained, tmp_path, capsys, words):
    folder = shutil.copytree(trained, tmp_path / "run")
    [training] = folder.glob("train-*")
    as_written_by(training, None)
    before = content(folder)
    if words[0] in ("status", "show"):  # these look at the search alone
        assert run(capsys, words[0], folder)[0] == 0
        assert f"{training} {OLD}" in refused(capsys, words[0], training)
        return
    places = {"FOLDER": folder, "OUT": tmp_path / "out"}
    assert f"{training} {OLD}" in refused(capsys, *[places.get(word, word) for word in words])
    assert content(folder) == before


def test_nothing_is_trained_beside_trainings_of_another_format(trained, tmp_path, capsys):
    """The folder of a published network has no table of its own."""
    folder = shutil.copytree(trained, tmp_path / "run")
    for name in ("trials.sqlite", "trials.sqlite-count"):
        (folder / name).unlink()
    [training] = folder.glob("train-*")
    as_written_by(training, None)
    before = content(folder)
    assert f"{training} {OLD}" in refused(capsys, "train", "zoo:amoebanet-a", "--task", "digits", "--out", folder)
    assert content(folder) == before


@pytest.fixture
def contest(tmp_path, capsys):
    """The words of a contest, and its folder."""
    recipe = toy_contests.write(tmp_path / "toy.toml", trials=3)
    words = ["bench", recipe, "--strategies", "random", "--seeds", "1", "--out", tmp_path / "bench"]
    with playing():
        assert run(capsys, *words)[0] == 0
        yield words, tmp_path / "bench"


def test_a_contest_of_another_format_is_refused(contest, capsys):
    words, folder = contest
    assert run(capsys, *words)[0] == 0, "what was written just now is gone on with"
    (folder / "format.txt").write_text("3\n")
    before = content(folder)
    assert f"{folder} has format 3, of a newer netwright; this one reads format 2: upgrade" in refused(capsys, *words)
    assert content(folder) == before
    (folder / "format.txt").write_text("1\n")
    assert f"{folder} {OLD}" in refused(capsys, *words)
    (folder / "format.txt").unlink()
    assert f"{folder} {OLD}" in refused(capsys, *words)
    assert content(folder) == {path: data for path, data in before.items() if path.name != "format.txt"}


def test_a_cell_of_another_format_is_refused(contest, capsys):
    words, folder = contest
    as_written_by(folder / "runs" / "toy" / "random-0", None)
    before = content(folder)
    assert f"random-0 {OLD}" in refused(capsys, *words)
    assert content(folder) == before


def test_a_comparison_on_tables_of_another_format_is_refused(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("a,b,value\n" + "".join(f"{a},{b},{a + b}\n" for a in "01" for b in "01"))
    words = ["bench", "--table", tmp_path / "t.csv", "--genes", "a,b", "--signal", "value", "--strategies", "random"]
    words += ["--seeds", "2", "--trials", "2", "--workers", "1", "--out", tmp_path / "bench"]
    assert run(capsys, *words)[0] == 0
    assert run(capsys, *words)[0] == 0, "what was written just now is gone on with"
    (tmp_path / "bench" / "format.txt").unlink()
    before = content(tmp_path / "bench")
    assert f"{tmp_path / 'bench'} {OLD}" in refused(capsys, *words)
    assert content(tmp_path / "bench") == before
