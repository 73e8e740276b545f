"""A doctor names what is wrong with the folder of a run, of each kind that is made here, and changes nothing."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
import safetensors.numpy
from typer.testing import CliRunner

from netwright.cli.app import app
from netwright.core import claim, disk, files, liveness, locks, run_file, sealed, trained_rounds
from netwright.core.claim import Owner
from netwright.core.disk import Left
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.records import Proposal, Result
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.trained_rounds import TrainedRound
from netwright.core.trust import Trust
from netwright.executors.descendants import MARK
from netwright.runs import doctor, ownership, run_folder
from netwright.stores import sqlite_rows
from netwright.stores.sqlite import SqliteStore
from netwright.testing.toys import ToyTask

TOYS = "netwright.testing.toys"
RUN = RunFile(
    space=Reference(f"{TOYS}:ToySpace"),
    task=Reference("tests.runs.test_doctor:Data"),
    evaluator=Reference("training"),
    objectives=("valid_accuracy",),
)
GOOD = Result({"valid_accuracy": 0.5}, seconds=1.0)
TODAY = date(2026, 1, 31)


@dataclass(frozen=True)
class Data(ToyTask):
    """A task whose data is a file."""

    path: str = ""

    def fingerprint(self):
        return Path(self.path).read_text() if self.path else "as ever"


def opened(folder, mode="write"):
    return closing(SqliteStore(str(folder / run_folder.TABLE), mode=mode))


def begun(folder, run=RUN, **facts):
    """A run of which trials 1, 2 (failed) and 3 have finished, 4 continues 3 and 5 waits."""
    folder.mkdir(parents=True)
    with opened(folder) as store:
        for name, text in {"format": "1", "run": run_file.to_toml(run), "data": "as ever", **facts}.items():
            store.remember(name, text)
        for number in (1, 2, 3, 4, 5):
            store.add(Proposal((number,), continues=3 if number == 4 else None, budget=number), f"key {number}", number)
        for number in (1, 2, 3):
            store.finish(number, Result(failure="error", message="no") if number == 2 else GOOD)
    leave(folder / "trials" / "000003" / "end-0.safetensors")
    return folder


def leave(path):
    """A checkpoint, sealed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sealed.seal(safetensors.numpy.save({}, dict(sealed.UNSEALED))))


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return begun(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "run")


def examined(folder):
    return doctor.examine(folder, Trust(is_full=True))


def state(folder):
    """All that a folder holds, and when each file and folder was changed."""
    return {
        path: (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else sorted(os.listdir(path)))
        for path in [folder, *folder.rglob("*")]
    }


def change(folder, statements):
    with closing(sqlite3.connect(folder / run_folder.TABLE)) as db:
        db.executescript(statements)


def dead():
    """Id and birth of a process that is gone."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        found = process.pid, liveness.birth(process.pid)
        process.stdin.close()
    return found


def damaged_row(folder):
    change(folder, "UPDATE trials SET seconds = 9 WHERE id = 1")


def cut_table(folder):
    path = folder / run_folder.TABLE
    path.write_bytes(path.read_bytes()[:5000])


def other_format(number):
    def make(folder):
        change(folder, "DELETE FROM facts WHERE name = 'format'; DELETE FROM fact_sums WHERE name = 'format'")
        if number:
            known = sqlite_rows.fact_sum("format", number)
            change(folder, f"INSERT INTO facts VALUES ('format', '{number}')")
            change(folder, f"INSERT INTO fact_sums VALUES ('format', {known})")

    return make


def lost_lease(folder):
    pid, born = dead()
    with opened(folder, "join") as store:
        assert store.claim("w0-1").id == 4
        store.beat("w0-1")
    change(folder, f"UPDATE workers SET pid = {pid}, born = '{born}'")


def dead_controller(folder):
    pid, born = dead()
    (folder / ownership.OWNER).write_text(f"process {pid} on here\n")
    (folder / "served.json").write_text("{}")
    with opened(folder, "join") as store:
        store.remember(claim.FACT, Owner(pid, born, "here", ownership.table_number(folder)).to_json())


def no_folder_to_continue(folder):
    shutil.rmtree(folder / "trials" / "000003")


def flipped_checkpoint(folder):
    leave(folder / "trials" / "000005" / "checkpoint.safetensors")
    path = folder / "trials" / "000005" / "checkpoint.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def rounds_gone(folder):
    (folder / "shared").mkdir()
    for number in (4, 5):
        trained_rounds.note(folder / "shared", TrainedRound(number, number, 1.0, 1.0, 1))
    leave(folder / "shared" / "round-0004.safetensors")


def no_weights(folder):
    trained = RunFile(**{**vars(RUN), "evaluator": Reference("training", {"save": True}), "keep": "all"})
    begun(folder / "train-1", trained, command="netwright train run --top 2")
    leave(folder / "train-1" / "trials" / "000001" / "weights.safetensors")


def half_an_export(folder):
    leave(folder / "export" / "weights.safetensors")


def draft(folder):
    name = f".weights.safetensors.{dead()[0]}-7-{liveness.place_mark()}.new"
    (folder / "trials" / "000003" / name).write_text("half")


def moved_data(folder):
    with opened(folder) as store:
        store.remember("run", run_file.to_toml(RunFile(**{**vars(RUN), "task": at("/nowhere/data")})))


def changed_data(folder):
    path = folder.parent / "data"
    path.write_text("changed")
    with opened(folder) as store:
        store.remember("run", run_file.to_toml(RunFile(**{**vars(RUN), "task": at(path)})))


def at(path):
    return Reference(RUN.task.name, {"path": str(path)})


def comparison(folder):
    shutil.move(folder, folder.parent / "cell")
    (folder / "runs" / "digits").mkdir(parents=True)
    shutil.move(folder.parent / "cell", folder / "runs" / "digits" / "random-0")
    (folder / "runs" / "digits" / "recipe.toml").touch()


def no_run(folder):
    shutil.rmtree(folder)
    folder.mkdir()


KINDS = [
    (damaged_row, "table", "trial 1 is damaged: its result has another checksum", "asks it again"),
    (cut_table, "table", "trials.sqlite is damaged", "restore a copy"),
    (lambda folder: (folder / run_folder.TABLE).unlink(), "table", "a table with 5 trials was there", "restore it"),
    (other_format("2"), "format", "run has format 2, of a newer netwright", "upgrade"),
    (other_format(""), "format", "was written by an earlier netwright", "use the release that wrote it"),
    (lambda folder: change(folder, "PRAGMA user_version = 3"), "format", "schema 3 of a newer netwright", "upgrade"),
    (lost_lease, "leases", "trial 4 is running, by the table, and the workers are gone", "asks them again"),
    (dead_controller, "controller", "is gone without having ended its search", "goes on where it stood"),
    (lambda folder: leave(folder / "trials" / "000009" / "x"), "trial folders", "does not have: 9", "restore that"),
    (lambda folder: leave(folder / "trials" / "000002" / "x"), "trial folders", "are left: 2", "may be removed"),
    (lambda folder: leave(folder / "trials" / "000001" / "x"), "trial folders", "are left: 1", "may be removed"),
    (no_folder_to_continue, "checkpoints", "missing: trial 4 (of 3)", "trained anew"),
    (lambda folder: (folder / "trials" / "000005").mkdir(), "checkpoints", "no checkpoint: 5", "begin anew"),
    (flipped_checkpoint, "weights", "trials/000005/checkpoint.safetensors is damaged", "begins anew"),
    (rounds_gone, "weights", "shared weights of round 5 are missing from shared, and rows of them", "bring the files"),
    (rounds_gone, "weights", "training.safetensors, from which the shared training goes on, is", "bring it back"),
    (no_weights, "weights", "trained in full are missing: train-1/trials 3", "`netwright train run --top 2` again"),
    (half_an_export, "export", "export/architecture.json is missing", "writes it anew"),
    (lambda folder: (folder / "result.json").touch(), "export", "the network that ships, is missing", "writes it anew"),
    (draft, "drafts", "1 half-written file of processes that are gone: trials/000003/.weights", "may be removed"),
    (moved_data, "data", "cannot be read: /nowhere/data: No such file", "--task.path"),
    (changed_data, "data", "its fingerprint was as ever and is changed", "restore it"),
    (comparison, "comparison", "is no run", "as {folder}/runs/digits/random-0"),
    (no_run, "no run", "trials.sqlite is missing", "give the folder that a search wrote to"),
]


@pytest.mark.parametrize(("make", "kind", "what", "remedy"), KINDS, ids=[f"{k[1]}: {k[2]}" for k in KINDS])
def test_it_names_what_is_wrong_and_what_to_do_and_changes_nothing(folder, make, kind, what, remedy):
    make(folder)
    before = state(folder)
    found = examined(folder).findings
    assert state(folder) == before
    [named] = [each for each in found if what in each.what]
    assert (named.kind, remedy.format(folder=folder) in named.remedy) == (kind, True), named
    assert "\n" not in str(named)
    others = {each.kind for each in found} - {kind}
    assert not others, f"it also speaks of {others}"


def test_nothing_is_wrong_with_a_run_that_was_stopped_nor_with_a_log_that_was_not_folded(folder):
    before = state(folder)
    assert examined(folder).is_healthy
    assert state(folder) == before
    with opened(folder) as store:
        store.remember("ending", "drained")
        copy = shutil.copytree(folder, folder.parent / "killed")  # as a kill leaves it
    before = state(copy)
    assert (copy / f"{run_folder.TABLE}-wal").stat().st_size
    assert examined(copy).is_healthy
    assert state(copy) == before


def test_processes_that_a_search_left_are_named(folder):
    with opened(folder, "join") as store:
        mark = f"{store.address}|w0|"
    with subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, env={MARK: mark}
    ) as process:
        [found] = examined(folder).findings
        process.stdin.close()
    assert found.kind == "orphans" and str(process.pid) in found.what and f"kill -9 {process.pid}" in found.remedy


@pytest.mark.parametrize(
    ("function", "value", "kind", "what"),
    [
        ("left", Left(12_000_000, 10**6), "room", "its disk has 12 MB left"),
        ("left", Left(10**12, 3), "room", "inodes for 3 more files, though 1,000.0 GB are free"),
        ("is_read_only", True, "unwritable", "is read-only"),
        ("network", "nfs4", "network disk", "(nfs4), where SQLite is not safe"),
    ],
)
def test_it_looks_at_the_disk(folder, monkeypatch, function, value, kind, what):
    monkeypatch.setattr(disk, function, lambda _folder: value)
    [found] = examined(folder).findings
    assert found.kind == kind and what in found.what


def test_a_folder_that_this_user_may_not_write(folder, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, _mode: Path(path) != folder / run_folder.TABLE)
    assert [each.kind for each in examined(folder).findings] == ["unwritable"]
    monkeypatch.setattr(os, "access", lambda path, _mode: False)
    assert [each.what for each in examined(folder).findings] == [f"{folder} cannot be written by this user"]


def test_a_path_that_leaves_no_room_for_names_within(original, tmp_path):
    deep = tmp_path
    while run_folder.path_length(deep) < 440:
        deep = deep / ("ä" * 50)
    shutil.copytree(original, deep / "run")
    [found] = examined(deep / "run").findings
    assert (found.kind, "bytes, and SQLite opens no table below 440" in found.what) == ("path", True)


def test_a_run_that_is_searched_is_left_alone(folder):
    with (
        ownership.controlled(folder),
        opened(folder, "join") as store,
        claim.taken(store, lambda: ownership.table_number(folder)),
    ):
        store.claim("w1")
        found = examined(folder)
        assert found.is_healthy
        assert f"is being searched by process {os.getpid()}" in found.remarks[0]
        draft(folder)
        with pytest.raises(StoreError, match=f"is being searched by process {os.getpid()}"):
            doctor.repair(folder, TODAY)
        assert store.claim("w2").id == 5, "the search goes on"
    assert [each.kind for each in examined(folder).findings] == ["leases", "drafts"]


def test_a_repair_sets_aside_deletes_nothing_and_says_what_it_did(folder):
    for make in (damaged_row, lost_lease, dead_controller, flipped_checkpoint, draft):
        make(folder)
    for number in (2, 9):
        leave(folder / "trials" / f"{number:06d}" / "old.safetensors")
    before = [data for _, data in state(folder).values() if isinstance(data, bytes)]
    done = doctor.repair(folder, TODAY)
    after = [data for _, data in state(folder).values() if isinstance(data, bytes)]
    assert all(data in after for data in before), "every file that was there still is"
    aside = folder / "aside-2026-01-31"
    names = {str(path.relative_to(aside)) for path in aside.rglob("*") if path.is_file()}
    assert {"trials/000002/old.safetensors", "trials/000009/old.safetensors", "controller.txt", "served.json"} <= names
    assert {"trials/000005/checkpoint.safetensors", "trials.sqlite", "trials.sqlite-count"} <= names
    said = "\n".join(done)
    for words in ("trial 1 is damaged", "1 row of workers", "claim of a controller", "was moved to aside-2026-01-31/"):
        assert words in said
    assert [each.kind for each in examined(folder).findings] == ["checkpoints"], "an empty folder of a trial"
    with opened(folder, "join") as store:
        assert [(row.id, row.status) for row in store.unfinished()] == [(1, "pending"), (4, "pending"), (5, "pending")]
    assert doctor.repair(folder, TODAY) == ()
    draft(folder)
    assert "aside-2026-01-31-2/" in doctor.repair(folder, TODAY)[0]


def test_a_timed_run_that_is_played_is_left_alone(folder):
    draft(folder)
    with locks.holding(folder / "timed.lock"):
        assert "is being searched by another process" in examined(folder).remarks[0]
        with pytest.raises(StoreError, match="is being searched by another process"):
            doctor.repair(folder, TODAY)


@pytest.mark.parametrize("make", [other_format("2"), comparison])
def test_what_is_no_run_of_this_release_is_not_repaired(folder, make):
    make(folder)
    with pytest.raises(StoreError, match=r"newer netwright|is no run"):
        doctor.repair(folder, TODAY)


def test_a_table_in_which_no_run_was_noted_is_said_to_be_none(folder):
    change(folder, "DELETE FROM facts WHERE name = 'run'; DELETE FROM fact_sums WHERE name = 'run'")
    [found] = examined(folder).findings
    assert (found.kind, "its search never started" in found.what) == ("no run", True)


def test_what_cannot_be_repaired_stays(folder):
    cut_table(folder)
    before = state(folder)[folder / run_folder.TABLE]
    assert doctor.repair(folder, TODAY) == ()
    assert state(folder)[folder / run_folder.TABLE] == before


def test_the_command_says_it_by_its_exit_code(folder):
    def said(*words):
        done = CliRunner().invoke(app, ["doctor", *map(str, words)])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.stdout

    assert said(folder, "--quick") == (0, f"{folder}: nothing is wrong\n")
    code, text = said(folder)
    assert (code, "add --trust" in text) == (0, True), "its plug-in was not loaded"
    draft(folder)
    code, text = said(folder, "--quick", "--json")
    facts = json.loads(text)
    assert (code, facts["healthy"], facts["findings"][0]["kind"]) == (1, False, "drafts")
    code, text = said(folder, "--quick", "--repair")
    assert (code, text.splitlines()[0].startswith("done: trials/000003/.weights")) == (0, True)
    with pytest.raises(BadRunFile, match="there is no folder"):
        said(folder / "nothing")


def test_drafts_are_named_before_they_are_swept(folder):
    draft(folder)
    [left] = files.abandoned(folder / "trials" / "000003")
    with suppress(OSError):
        files.sweep(folder / "trials" / "000003")
    assert not left.exists()
