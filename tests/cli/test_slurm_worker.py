"""What a job of Slurm becomes."""

import os

import pytest

from netwright.cli import slurm_worker
from netwright.executors import slurm_job
from netwright.executors.post import CANNOT_START, ENOUGH, OUT_OF_REACH
from netwright.executors.slurm_queue import Queue, SlurmSilent
from netwright.stores.memory import MemoryStore
from netwright.stores.served import TableServer

JOB = {"SLURM_JOB_ID": "81", "SLURM_JOB_NAME": "netwright-0", "SLURM_ARRAY_JOB_ID": "80", "SLURM_ARRAY_TASK_ID": "3"}


def test_a_worker_has_the_name_of_its_job_and_leaves_before_it_ends():
    words = slurm_worker.words("runs/x", "600", 3600.0, JOB)
    assert words == ["worker", "runs/x", "--name", "slurm-80_3", "--patience", "600", "--trust", "--until", "3590"]
    assert "--until" not in slurm_worker.words("runs/x", "600", None, JOB)
    assert slurm_worker.words("runs/x", "600", 5.0, JOB)[-1] == "1"


@pytest.fixture
def cancelled(monkeypatch):
    found = []
    monkeypatch.setattr(Queue, "cancel", lambda _self, *words: found.append(words))
    monkeypatch.setattr(slurm_worker, "seconds_left", lambda *_: 60.0)
    monkeypatch.setattr(slurm_worker, "median_seconds", lambda _folder: 50.0)
    return found


@pytest.mark.parametrize(
    ("left_with", "code"), [(0, 0), (ENOUGH, 0), (143, 0), (138, 0), (2, 2), (CANNOT_START, CANNOT_START)]
)
def test_a_job_fails_where_its_worker_did(monkeypatch, cancelled, left_with, code):
    monkeypatch.setattr(slurm_worker, "main", lambda _words: exit(left_with))
    assert slurm_worker.run("runs/x", "600", JOB) == code and cancelled == []


def test_where_no_controller_is_left_what_waits_is_cancelled(monkeypatch, cancelled):
    monkeypatch.setattr(slurm_worker, "main", lambda _words: exit(OUT_OF_REACH))
    monkeypatch.setattr(slurm_worker, "lives", lambda folder: str(folder) == "runs/y")
    assert slurm_worker.run("runs/y", "600", JOB) == OUT_OF_REACH and cancelled == []
    assert slurm_worker.run("runs/x", "600", JOB) == OUT_OF_REACH
    assert cancelled == [("--state=PENDING",)]


def test_a_controller_lives_that_gives_signs_of_life_on_the_disk(tmp_path):
    assert not slurm_worker.lives(tmp_path, sleep=lambda _seconds: None)
    log = slurm_job.watch_log(tmp_path)
    log.parent.mkdir()
    log.touch()
    assert not slurm_worker.lives(tmp_path, sleep=lambda _seconds: None)
    assert slurm_worker.lives(tmp_path, sleep=lambda seconds: os.utime(log, (seconds, seconds)))


def test_trials_longer_than_a_job_are_begun_all_the_same_and_end_in_another_one(monkeypatch, cancelled, capsys):
    told = []
    monkeypatch.setattr(slurm_worker, "main", told.append)
    slurm_worker.run("runs/x", "600", JOB)
    monkeypatch.setattr(slurm_worker, "median_seconds", lambda _folder: 51.0)
    slurm_worker.run("runs/x", "600", JOB)
    assert "--until" in told[0] and "--until" not in told[1]
    assert "trials take 51 s" in capsys.readouterr().out


def test_how_long_trials_take_is_asked_of_the_table(tmp_path, monkeypatch):
    store = MemoryStore()
    store.remember("median_seconds", "7.5")
    with TableServer(store, tmp_path):
        assert slurm_worker.median_seconds(str(tmp_path)) == 7.5
    monkeypatch.setattr(slurm_worker, "PATIENCE", 0.1)
    assert slurm_worker.median_seconds(str(tmp_path / "nowhere")) is None


def test_a_slurm_that_does_not_say_how_much_time_is_left_is_no_reason_to_leave(monkeypatch, cancelled, capsys):
    def silent(*_words):
        raise SlurmSilent("squeue: Unable to contact slurm controller")

    told = []
    monkeypatch.setattr(slurm_worker, "seconds_left", silent)
    monkeypatch.setattr(slurm_worker, "main", told.extend)
    assert slurm_worker.run("runs/x", "600", JOB) == 0
    assert "--until" not in told and "is not known" in capsys.readouterr().err
