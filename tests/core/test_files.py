"""Texts that say whether they were changed since they were written."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import files, liveness


@given(st.text(), st.integers(min_value=0), st.integers(0, 7))
def test_a_sealed_text_that_was_changed_is_noticed(text, place, bit):
    text = text.replace("\r", "") + "\n"
    data = bytearray(files.with_checksum(text).encode())
    assert files.without_checksum(bytes(data).decode()) == text
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(ValueError, match=r"checksum|codec"):
        files.without_checksum(data.decode())
    with pytest.raises(ValueError, match="checksum"):
        files.without_checksum(text)


def test_what_dead_processes_left_goes_and_all_else_stays(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    here = liveness.place_mark()
    elsewhere = f"{int(here, 16) ^ 1:08x}"
    gone = {
        f".model.{dead.pid}-7-{here}.new",
        f".model.{dead.pid}-7-{here}.old",
        f".t.sqlite.{dead.pid}-7-{here}.new-wal",
    }
    old = f".model.{dead.pid}-7-{elsewhere}.new"
    stays = {
        f".model.{os.getppid()}-7-{here}.new",
        f".model.{dead.pid}-8-{elsewhere}.new",
        f".model.{dead.pid}.new",
        f"model.{dead.pid}-7-{here}.new",
        ".hidden",
        "model.new",
    }
    for name in gone | stays | {old}:
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").touch()
    for place in (tmp_path / old, tmp_path / old / "weights", tmp_path / f".model.{dead.pid}-8-{elsewhere}.new"):
        os.utime(place, (0, 0))
    files.write(tmp_path / "a.txt", b"a")
    assert {path.name for path in tmp_path.iterdir()} == stays | {"a.txt"}
    files.sweep(tmp_path / "absent")


def test_a_draft_has_the_name_of_what_it_becomes_and_who_writes_it(tmp_path):
    draft = files.draft_of(tmp_path / "model")
    assert draft.parent == tmp_path and draft.name.startswith(f".model.{os.getpid()}-") and draft.suffix == ".new"
    assert draft == files.draft_of(tmp_path / "model")
    draft.touch()
    files.sweep(tmp_path)
    assert draft.exists(), "its process is alive"


def test_a_draft_stays_whose_process_cannot_be_looked_at(tmp_path, monkeypatch):
    draft = files.draft_of(tmp_path / "model")
    draft.touch()

    def read_text(self, **given):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "read_text", read_text)
    files.sweep(tmp_path)
    assert draft.exists()
    assert liveness.fate(os.getpid(), f"{liveness._place()}/1") == "unseen"
