"""Folders of a run that travel in pieces: whole or not at all, within their bounds, and of one's own trial alone."""

import os

import pytest

from netwright.core.errors import StoreError
from netwright.core.records import Proposal, Result, Trial
from netwright.executors import carrying
from netwright.executors.carrying import Carrier, Depot, sees
from netwright.stores.memory import MemoryStore


@pytest.fixture
def run(tmp_path):
    """A run with two trials of which "w" runs the first, and how its depot is asked."""
    store = MemoryStore()
    for number in range(2):
        store.add(Proposal((number,)), str(number), number)
    store.beat("w")
    assert store.claim("w").id == 1
    depot = Depot(tmp_path / "run", store)
    (tmp_path / "run").mkdir()
    yield depot, lambda method, *values: depot.methods[method](None, *values)
    depot.close()
    assert not list((tmp_path / "run").rglob(".*")), "a draft was left"


def trial(number, continues=None):
    return Trial(number, Proposal((0,), continues=continues), "key", 1, "running")


def test_what_a_trial_leaves_travels_there_and_back(tmp_path, run, monkeypatch):
    monkeypatch.setattr(carrying, "PIECE", 1000)
    _, call = run
    here = tmp_path / "here" / "trials"
    (here / "000001" / "deep").mkdir(parents=True)
    content = os.urandom(4321)
    (here / "000001" / "checkpoint").write_bytes(content)
    (here / "000001" / "deep" / "empty").write_bytes(b"")
    (here / "000001" / ".checkpoint.1-2-00000000.new").write_bytes(b"a draft")
    (here / "000001" / "link").symlink_to("checkpoint")
    there = tmp_path / "run" / "trials" / "000001"
    there.mkdir(parents=True)
    (there / "step").write_text("of before")
    Carrier(call, "w", here).send(1)
    assert {path.name for path in there.rglob("*")} == {"checkpoint", "deep", "empty"}
    assert (there / "checkpoint").read_bytes() == content
    elsewhere = tmp_path / "elsewhere" / "trials"
    (elsewhere / "000001").mkdir(parents=True)
    (elsewhere / "000001" / "old").write_text("of an earlier attempt here")
    Carrier(call, "v", elsewhere).bring(trial(2, continues=1))
    assert (elsewhere / "000001" / "checkpoint").read_bytes() == content
    assert not (elsewhere / "000001" / "old").exists()
    assert not (elsewhere / "000002").exists()
    Carrier(call, "v", elsewhere).remove(1)
    assert not there.exists()


def test_what_another_worker_runs_by_now_is_not_replaced(tmp_path, run):
    _, call = run
    there = tmp_path / "run" / "trials" / "000001"
    there.mkdir(parents=True)
    (there / "step").write_text("of whoever runs it")
    late = tmp_path / "late" / "trials"
    (late / "000001").mkdir(parents=True)
    (late / "000001" / "step").write_text("late")
    Carrier(call, "late", late).send(1)
    assert (there / "step").read_text() == "of whoever runs it"


def test_what_trials_share_travels_as_far_as_it_has_changed(tmp_path, run):
    _, call = run
    asked = []

    def counted(method, *values):
        asked.append(method)
        return call(method, *values)

    (tmp_path / "run" / "shared").mkdir()
    (tmp_path / "run" / "shared" / "training").write_text("one")
    carrier = Carrier(counted, "w", tmp_path / "here" / "trials")
    carrier.bring_shared()
    here = tmp_path / "here" / "shared"
    assert (here / "training").read_text() == "one"
    (here / "round").write_text("1")
    carrier.send_shared()
    assert (tmp_path / "run" / "shared" / "round").read_text() == "1"
    asked.clear()
    carrier.bring_shared()
    carrier.send_shared()
    assert asked == ["list_files"]


def test_a_server_that_began_anew_is_sent_all_of_it_again(tmp_path, run):
    depot, call = run
    here = tmp_path / "here" / "trials"
    (here / "000001").mkdir(parents=True)
    (here / "000001" / "step").write_text("5")
    asked = []

    def restarted(method, *values):
        asked.append(method)
        if method == "keep_files" and asked.count(method) == 1:
            depot.close()
        return call(method, *values)

    Carrier(restarted, "w", here).send(1)
    assert asked.count("begin_files") == 2
    assert (tmp_path / "run" / "trials" / "000001" / "step").read_text() == "5"


@pytest.mark.parametrize("place", ["trials", "trials/../..", "trials/000001/..", "/etc", "", "strategy", None])
def test_other_folders_are_not_carried(run, place):
    with pytest.raises(StoreError, match="no folder that is carried"):
        run[1]("list_files", place)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "a//b", "a\\b", "C:x", "a\0b", "x" * 300, 5])
def test_names_that_lead_elsewhere_are_refused(run, name):
    call = run[1]
    call("begin_files", "w", "trials/000001")
    for method, values in (
        ("fetch", ("trials/000001", name, [0, 0], 0)),
        ("send", ("w", "trials/000001", name, 0, "")),
        ("has_file", (name, "text")),
    ):
        with pytest.raises(StoreError, match="no name of a file"):
            call(method, *values)


def test_links_are_not_followed_and_sizes_are_bounded(tmp_path, run, monkeypatch):
    _, call = run
    folder = tmp_path / "run" / "trials" / "000001"
    folder.mkdir(parents=True)
    (folder / "link").symlink_to("/etc/passwd")
    assert call("list_files", "trials/000001") == {}
    with pytest.raises(StoreError, match="cannot be read"):
        call("fetch", "trials/000001", "link", [0, 0], 0)
    monkeypatch.setattr(carrying, "MOST_BYTES", 2)
    call("begin_files", "w", "trials/000001")
    with pytest.raises(StoreError, match="larger than 2 bytes"):
        call("send", "w", "trials/000001", "big", 0, "YWJj")


def test_a_folder_is_seen_where_it_is_the_same(tmp_path, run):
    _, call = run
    assert sees(tmp_path / "run", call)
    (tmp_path / "copy").mkdir()
    assert not sees(tmp_path / "copy", call)
    assert not sees(tmp_path / "none", call)
    assert not list(tmp_path.rglob(".*"))


def test_a_row_that_finished_is_not_its_workers_any_more(tmp_path, run):
    depot, _ = run
    depot._store.finish(1, Result({"a": 1.0}))
    assert not depot._runs("w", 1)
