"""A run's folder is one process's at a time, holds one run, and is written to only once that run begins."""

import os
import shutil
import socket
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from rich.console import Console

from netwright.core import locks
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.records import Proposal, Result
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.runs import ownership, run_folder
from netwright.runs.run import Run
from netwright.stores.sqlite import SqliteStore

RUN = RunFile(executor=Reference("inline"), limits=Limits(trials=1))


def begun(folder, run=RUN, trials=0):
    """A folder in which the run has begun, and finished so many trials."""
    with ownership.opened(folder, run) as opened, opened.table() as (store, _):
        for seed in range(trials):
            store.add(Proposal((seed,)), str(seed), seed, Result({"valid_accuracy": 0.5}))
    return folder


def test_what_is_refused_before_the_table_is_asked_for_leaves_no_folder(tmp_path):
    with pytest.raises(BadRunFile), ownership.opened(tmp_path / "run", RUN):
        raise BadRunFile("no good")
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_something_keeps_it(tmp_path):
    (tmp_path / "mine.txt").touch()
    with ownership.opened(tmp_path, RUN):
        assert {path.name for path in tmp_path.iterdir()} == {"mine.txt", "controller.lock", "controller.txt"}
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize(("given", "threads"), [({}, 1), ({"cpus": 8, "workers": 200}, 8)])
def test_trials_of_jobs_with_processors_of_their_own_have_threads_for_these(tmp_path, given, threads):
    run = replace(RUN, executor=Reference("slurm", given))
    with ownership.opened(tmp_path / "run", run) as opened:
        assert opened.settings.threads_per_trial == threads


def test_it_goes_on_with_the_threads_it_began_with_and_the_limits_of_now(tmp_path):
    begun(tmp_path, replace(RUN, threads_per_trial=3), trials=1)
    with ownership.opened(tmp_path, replace(RUN, limits=Limits(trials=9))) as opened:
        assert (opened.settings.threads_per_trial, opened.settings.limits.trials) == (3, 9)
    with pytest.raises(BadRunFile, match="its threads_per_trial is 3, not 2"):
        begun(tmp_path, replace(RUN, threads_per_trial=2))


@pytest.mark.parametrize(
    ("trials", "limit", "is_complete"), [(0, 1, False), (1, 1, True), (1, 2, False), (1, None, False)]
)
def test_whether_all_that_is_asked_for_is_there(tmp_path, trials, limit, is_complete):
    begun(tmp_path, trials=trials)
    with ownership.opened(tmp_path, replace(RUN, limits=Limits(trials=limit))) as opened:
        assert opened.is_complete == is_complete


def test_what_is_unfinished_is_not_complete(tmp_path):
    with ownership.opened(begun(tmp_path, trials=1), RUN) as opened, opened.table() as (store, _):
        store.add(Proposal((1,)), "another", 1)
    with ownership.opened(tmp_path, RUN) as opened:
        assert not opened.is_complete


def test_one_at_a_time(tmp_path):
    with ownership.opened(tmp_path, RUN) as run:
        with pytest.raises(StoreError, match="is being searched by process"), ownership.opened(tmp_path, RUN):
            pass
        with run.table():
            assert ownership.controller(tmp_path).pid == os.getpid()
    with pytest.raises(StoreError, match="nobody searches in"):
        ownership.controller(tmp_path)


@pytest.mark.parametrize("found", [None, "", "process 4", "process 999999999 on {host}\n"])
def test_who_is_refused_waits_for_the_name_of_who_plays(tmp_path, found):
    """It is written a little after the lock is had; until then none lies there, part of one, or one of before."""
    name = tmp_path / ownership.OWNER
    if found is not None:
        name.write_text(found.format(host=socket.gethostname()))
    alive = f"process {os.getpid()} on {socket.gethostname()}"
    assert ownership._owner(tmp_path, sleep=lambda _: name.write_text(alive)) == alive


def test_who_is_refused_names_nobody_rather_than_a_process_that_is_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(ownership, "NAMED_IN", 0.0)
    (tmp_path / ownership.OWNER).write_text(f"process 999999999 on {socket.gethostname()}\n")
    assert ownership._owner(tmp_path) == "another process"


@pytest.mark.parametrize(
    ("earlier", "now", "stays"), [("none", "none", False), ("all", "none", True), ("none", "all", True)]
)
def test_folders_of_finished_trials_are_swept_unless_they_were_kept(tmp_path, earlier, now, stays):
    toys = "netwright.testing.toys"
    given = {"space": f"{toys}:ToySpace", "task": f"{toys}:ToyTask", "evaluator": f"{toys}:ToyEvaluator"}
    options = {**given, "strategy": "random", "executor": "inline", "console": Console(quiet=True)}
    for trials, keep in ((1, earlier), (2, now), (3, now)):
        Run(tmp_path, {"keep": keep}, trials=trials, **options).search(is_stage=True)
        if trials == 1:
            (tmp_path / "trials" / "000001").mkdir(parents=True, exist_ok=True)
    assert (tmp_path / "trials" / "000001").exists() == stays


@pytest.mark.parametrize("has_folder_locks", [True, False])
def test_tidying_the_lock_away_lets_nobody_in(tmp_path, monkeypatch, has_folder_locks):
    """The folder itself is locked and, where it cannot be, the claim in the table stands."""
    if not has_folder_locks:
        monkeypatch.setattr(locks, "fcntl", None)
    with ownership.opened(tmp_path, RUN) as run, run.table():
        (tmp_path / ownership.LOCK).unlink()
        with pytest.raises(StoreError, match="is being searched by process"), ownership.opened(tmp_path, RUN):
            pass


def test_a_copy_of_a_folder_that_is_searched_is_nobodys(tmp_path):
    with ownership.opened(tmp_path / "run", RUN) as run, run.table():
        shutil.copytree(tmp_path / "run", tmp_path / "copy")
        with ownership.opened(tmp_path / "copy", RUN) as copy, copy.table():
            assert ownership.controller(tmp_path / "copy").pid == os.getpid()


def test_two_that_make_the_table_at_the_same_time_cannot_both_claim_it(tmp_path, monkeypatch):
    """Both have passed the first look, since there was no table yet."""
    monkeypatch.setattr(locks, "fcntl", None)
    with ownership.opened(tmp_path, RUN) as first:
        (tmp_path / ownership.LOCK).unlink()
        raises = pytest.raises(StoreError, match="is being searched by process")
        with ownership.opened(tmp_path, RUN) as second, first.table(), raises, second.table():
            pass


def test_a_table_that_lost_its_run_file_is_refused(tmp_path):
    begun(tmp_path, trials=1)
    with closing(sqlite3.connect(tmp_path / run_folder.TABLE)) as db, db:
        db.executescript("DELETE FROM facts; DELETE FROM fact_sums")
    with pytest.raises(StoreError, match="has lost its run file; restore a copy or start in another folder"):
        begun(tmp_path)


FAILED, OTHER = Result(failure="error", message="no"), Result({"x": 1.0})


@pytest.mark.parametrize("results", [(), (FAILED,), (OTHER, FAILED)])
def test_a_folder_without_results_to_compare_begins_anew(tmp_path, results):
    asked = replace(RUN, objectives=("valid_accuracy",))
    with ownership.opened(tmp_path, asked) as opened, opened.table() as (store, _):
        for seed, result in enumerate(results):
            store.add(Proposal((seed,)), str(seed), seed, result)
        (tmp_path / "trials" / "000001").mkdir(parents=True)
    with ownership.opened(tmp_path, asked) as opened:
        assert opened.aside is None, "the same run goes on"
    with ownership.opened(tmp_path, replace(RUN, objectives=("x",), seed=5)) as opened:
        assert run_folder.settings_in(tmp_path).seed == 0, "nothing is moved before the table is asked for"
        assert not opened.is_complete
        for _ in range(2):
            with opened.table() as (store, _):
                assert not store.finished()
    assert run_folder.settings_in(tmp_path).seed == 5
    assert (tmp_path / "trials-1" / "000001").is_dir()
    with closing(SqliteStore(str(tmp_path / "trials-1.sqlite"), mode="read")) as kept:
        assert len(kept.finished()) == len(results)


def test_a_folder_with_one_result_does_not(tmp_path):
    with ownership.opened(tmp_path, replace(RUN, objectives=("x",))) as opened, opened.table() as (store, _):
        for seed, result in enumerate((FAILED, OTHER)):
            store.add(Proposal((seed,)), str(seed), seed, result)
    with pytest.raises(BadRunFile, match="holds another run: its objectives are"):
        begun(tmp_path, replace(RUN, objectives=("y",)))
