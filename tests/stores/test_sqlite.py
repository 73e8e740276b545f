import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from netwright.core import files, liveness, refs
from netwright.core.errors import StoreError
from netwright.core.records import LOST, Proposal, Result
from netwright.stores import sqlite
from netwright.stores.sqlite import SqliteStore

ROWS = 80
DONE = Result({"valid_accuracy": 0.5, "params": 12}, ((1, 0.25), (2, 0.5)), 1.5)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A closed table with finished and pending rows, a worker and a fact."""
    path = tmp_path_factory.mktemp("table") / "trials.sqlite"
    store = SqliteStore(str(path))
    for number in range(ROWS):
        store.add(Proposal(tuple(range(46)), (1, 2), 3, None, {"rung": 1.0}), f"key {number}", number, DONE)
    store.add(Proposal((1,)), "pending", 1)
    store.beat("w0", "step 3")
    store.remember("run", "seed = 0\n" * 20)
    store.close()
    assert sorted(os.listdir(path.parent)) == ["trials.sqlite", "trials.sqlite-count"], "no log is left"
    return path


def _contents(path):
    """Everything there is to read; opened as a search does."""
    store = SqliteStore(str(path))
    try:
        workers = [(worker.name, worker.activity) for worker in store.workers()]
        return store.finished(), store.unfinished(), store.recall("run"), workers
    finally:
        store.close()


def _damaged(folder, data):
    path = folder / f"damaged{len(list(folder.iterdir()))}.sqlite"
    path.write_bytes(data)
    return path


def _cuts(size):
    return sorted({*range(0, size, 512), *random.Random(0).sample(range(size), 60)})


def _assert_refused(path):
    with pytest.raises(StoreError) as caught:
        _contents(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


def test_a_file_that_was_cut_is_refused_wherever_the_cut_is(table, tmp_path):
    data = table.read_bytes()
    whole_pages = len(data) - 4096
    for length in (cut for cut in _cuts(len(data)) if cut <= whole_pages):
        _assert_refused(_damaged(tmp_path, data[:length]))
    assert _contents(_damaged(tmp_path, data)) == _contents(table)


def test_a_file_that_was_cut_within_its_last_page_is_refused(table, tmp_path):
    data = table.read_bytes()
    for length in range(len(data) - 4095, len(data), 61):
        _assert_refused(_damaged(tmp_path, data[:length]))


@pytest.mark.parametrize("content", [b"", b"seed = 0\n" * 500, bytes(8192)])
def test_what_is_no_table_is_refused_and_left_as_it_is(tmp_path, content):
    path = tmp_path / "trials.sqlite"
    path.write_bytes(content)
    for mode in ("write", "read"):
        with pytest.raises(StoreError, match=r"is empty: it was cut|is damaged \(file is not a database\)"):
            SqliteStore(str(path), mode=mode)
    assert path.read_bytes() == content


def test_a_table_of_another_program_is_refused_and_left_as_it_is(tmp_path):
    path = tmp_path / "trials.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE trials (id INTEGER)")
    other.close()
    before = path.read_bytes()
    for mode in ("write", "read"):
        with pytest.raises(StoreError, match="is an SQLite file of another program; give another folder"):
            SqliteStore(str(path), mode=mode)
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(table, tmp_path):
    path = tmp_path / "trials.sqlite"
    shutil.copy(table, path)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(StoreError, match="has schema 3 of a newer netwright; this one reads up to 2: upgrade"):
        SqliteStore(str(path))


def test_a_folder_or_a_missing_file_is_no_table(tmp_path):
    with pytest.raises(StoreError, match=r"there is no table .*none\.sqlite; give the folder of a run"):
        SqliteStore(str(tmp_path / "none.sqlite"), mode="read")
    assert not list(tmp_path.iterdir()), "a look makes nothing"
    with pytest.raises(StoreError):
        SqliteStore(str(tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be opened: .*; check the path"):
        SqliteStore(str(tmp_path / "file" / "trials.sqlite"))


def test_a_full_disk_and_a_locked_file_are_said_as_such(tmp_path):
    path = tmp_path / "t.sqlite"
    store = SqliteStore(str(path))
    store._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreError, match="the disk is full; make room and give the same command again"):
        store.remember("long", "x" * 1_000_000)
    store._db.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="stayed locked for a minute; close the program that holds it"):
        store.remember("a", "b")
    other.close()
    store.close()


@pytest.mark.parametrize("fault", [OSError(95, "Operation not supported"), KeyboardInterrupt()])
def test_a_creation_that_is_cut_short_leaves_nothing(tmp_path, monkeypatch, fault):
    def link(*_):
        raise fault

    path = tmp_path / "new" / "trials.sqlite"
    with monkeypatch.context() as patched:
        patched.setattr(os, "link", link)
        with pytest.raises(StoreError if isinstance(fault, OSError) else KeyboardInterrupt):
            SqliteStore(str(path))
    assert not list(path.parent.iterdir())
    SqliteStore(str(path)).close()
    assert {file.name for file in path.parent.iterdir()} == {"trials.sqlite", "trials.sqlite-count"}


def test_a_half_made_draft_of_a_killed_process_is_no_obstacle(tmp_path):
    draft = files.draft_of(tmp_path / "trials.sqlite")
    draft.write_bytes(b"half a table")
    SqliteStore(str(tmp_path / "trials.sqlite")).close()
    assert {file.name for file in tmp_path.iterdir()} == {"trials.sqlite", "trials.sqlite-count"}


def test_who_is_later_to_create_joins_the_table_of_the_quicker(tmp_path, monkeypatch):
    path, real_link = tmp_path / "trials.sqlite", os.link

    def link_late(draft, target):
        monkeypatch.setattr(os, "link", real_link)
        monkeypatch.setattr(os, "getpid", lambda: 1)  # another process, with a draft of its own
        quicker = SqliteStore(str(path))
        quicker.remember("who", "the quicker")
        quicker.close()
        real_link(draft, target)

    monkeypatch.setattr(os, "link", link_late)
    later = SqliteStore(str(path))
    assert later.recall("who") == "the quicker"
    later.close()


@pytest.mark.parametrize(("asked", "level"), [("NORMAL", 1), ("FULL", 2)])
def test_durability_is_as_asked(tmp_path, asked, level):
    store = SqliteStore(str(tmp_path / "t.sqlite"), synchronous=asked)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (level,)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_the_address_opens_the_same_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("it's (a) table.sqlite")
    store.remember("a", "b")
    monkeypatch.chdir("/")
    same = refs.load("store", refs.parse(store.address))
    assert same.recall("a") == "b"
    assert same.path == tmp_path / "it's (a) table.sqlite"
    same.close()
    store.close()


def test_a_reader_sees_what_a_writer_writes_meanwhile_and_changes_nothing(tmp_path):
    path = str(tmp_path / "t.sqlite")
    writer = SqliteStore(path)
    reader = SqliteStore(path, mode="read")
    writer.add(Proposal((1,)), "a", 1, DONE)
    assert len(reader.finished()) == 1
    late = SqliteStore(path, mode="read")
    writer.add(Proposal((2,)), "b", 2, DONE)
    assert len(late.finished()) == len(reader.finished()) == 2
    with pytest.raises(StoreError, match="cannot be written"):
        reader.add(Proposal((3,)), "c", 3)
    for store in (reader, late, writer):
        store.close()
    assert {file.name for file in tmp_path.iterdir()} == {"t.sqlite", "t.sqlite-count"}


READ = """
import os, sys
import sqlite3, json, pathlib, encodings.idna
from netwright.stores.sqlite import SqliteStore
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    open(sys.argv[1] + ".probe", "w")
except PermissionError:
    store = SqliteStore(sys.argv[1], mode="read")
    print(len(store.finished()), store.recall("run")[:8])
else:
    print("writable")
"""


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_table_in_a_folder_that_cannot_be_written_can_be_read(table):
    folder = Path(tempfile.mkdtemp())  # within reach of an unprivileged user, unlike tmp_path
    shutil.copy(table, folder / "t.sqlite")
    os.chmod(folder / "t.sqlite", 0o444)
    os.chmod(folder, 0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", READ, str(folder / "t.sqlite")], capture_output=True, text=True, check=False
        )
    finally:
        os.chmod(folder, 0o755)
        shutil.rmtree(folder)
    assert (done.stdout, done.stderr) == (f"{ROWS} seed = 0\n", "")


CLAIM = """
import sys
from netwright.core.records import Result
from netwright.stores.sqlite import SqliteStore
store = SqliteStore(sys.argv[1])
print("ready", flush=True)
input()
while (trial := store.claim(sys.argv[2])) is not None:
    print(trial.id)
    store.finish(trial.id, Result({"a": 1.0}))
store.close()
"""


def test_two_processes_never_claim_the_same_row(tmp_path):
    path = str(tmp_path / "t.sqlite")
    store = SqliteStore(path)
    for number in range(300):
        store.add(Proposal((number,)), str(number), number)
    team = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, path, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("w0", "w1")
    ]
    for process in team:
        assert process.stdout.readline() == "ready\n"
    for process in team:
        process.stdin.write("\n")
        process.stdin.flush()
    claimed = [[int(line) for line in process.communicate()[0].split()] for process in team]
    assert sorted(claimed[0] + claimed[1]) == list(range(1, 301))
    assert all(claimed), "both got work"
    assert [trial.finish for trial in store.finished()] == list(range(1, 301))
    store.close()


def test_rows_of_a_process_that_is_gone_are_requeued_at_once(tmp_path):
    path = str(tmp_path / "t.sqlite")
    store = SqliteStore(path)
    for number in range(2):
        store.add(Proposal((number,)), str(number), number)
    code = (
        "import os, sys; from netwright.stores.sqlite import SqliteStore; s = SqliteStore(sys.argv[1]); "
        "s.beat('gone'); s.claim('gone'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=False)
    store.beat("here")
    store.claim("here")
    assert [worker.name for worker in store.workers()] == ["here"]
    assert store.requeue(3600.0) == 1
    assert [(t.id, t.status) for t in store.unfinished()] == [(1, "pending"), (2, "running")]
    store.close()


def test_a_clock_that_is_set_loses_nobody(tmp_path, monkeypatch):
    """The kernel reports the time of birth from a boot time that moves with the clock."""
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    store.add(Proposal((0,)), "k", 0)
    store.beat("w0")
    store.claim("w0")
    for step in (5.0, -5.0, 86400.0):
        with monkeypatch.context() as patched:
            real, now = psutil.Process.create_time, time.time
            patched.setattr(psutil.Process, "create_time", lambda self, real=real, step=step: real(self) + step)
            patched.setattr(time, "time", lambda now=now, step=step: now() + step)
            patched.setattr(psutil, "boot_time", lambda step=step: 1e9 + step)
            later = SqliteStore(str(tmp_path / "t.sqlite"))
            assert later.requeue(3600.0) == 0
            assert [worker.name for worker in later.workers()] == ["w0"]
            later.close()
    store.close()


def test_a_worker_that_cannot_be_seen_is_judged_by_its_beats(tmp_path):
    """As in another container of this machine; one from before a restart is lost, whatever its beats say."""
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    boot, _, ticks = liveness.birth().split("/")
    for born, lost in ((f"{boot}/1/{ticks}", 0), (f"another-boot/1/{ticks}", 1), (None, 1), (1.5e9, 1)):
        store.add(Proposal((0,)), "k", 0)
        store.beat("w0")
        store.claim("w0")
        store._db.execute("UPDATE workers SET born = ?", (born,))
        assert store.requeue(3600.0) == lost
        assert len(store.workers()) == 1 - lost
        store.put_back()
    store.close()


def test_a_worker_of_another_machine_is_judged_by_its_beats_and_heard_anew_when_the_table_is_opened(
    tmp_path, monkeypatch
):
    """It could not beat while no process had the table open."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    boot = liveness.boot()
    for name, born in (("afar", "another-boot/1/7"), ("beside", f"{boot}/1/7"), ("gone", liveness.birth() + "0")):
        store.add(Proposal((0,)), "k", 0)
        store.claim(name)
        store.beat(name, "step 3", (os.getpid(), born))
    assert [worker.name for worker in store.workers()] == ["afar", "beside"]
    assert store.requeue(50.0) == 1
    now += 100.0
    store.close()
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    assert store.requeue(50.0) == 0
    now += 40.0
    store.beat("afar", "", (os.getpid(), "another-boot/1/7"))
    now += 20.0
    assert store.requeue(50.0) == 1
    assert [(t.id, t.status) for t in store.unfinished()] == [(1, "running"), (2, "pending"), (3, "pending")]
    store.close()


def test_calls_that_are_committed_together_stand_or_fall_by_themselves(tmp_path, monkeypatch):
    path = str(tmp_path / "t.sqlite")
    store, elsewhere = SqliteStore(path), SqliteStore(path, mode="join")
    with store.together():
        assert store.claim("w0") is None
        elsewhere.remember("free", "nothing is locked before something is written")
        assert store.add(Proposal((1,)), "k", 1) == 1
        with monkeypatch.context() as broken:
            broken.setattr(sqlite, "_FINISH", "UPDATE nothing SET a = ?")
            with pytest.raises(StoreError):
                store.add(Proposal((2,)), "k", 2, DONE)
        with pytest.raises(ValueError, match="JSON"):
            store.add(Proposal((float("nan"),)), "k", 2)
        assert store.add(Proposal((2,)), "k", 2, DONE) == 2
        assert store.claim("w0").id == 1 and store.exchange("x", None, "y")
        assert elsewhere.unfinished() == elsewhere.finished() == [], "nothing of it yet"
        assert store._count.read() == (0, 0), "and the number beside the table is never ahead of it"
    assert [(t.id, t.status) for t in elsewhere.unfinished()] == [(1, "running")]
    assert ([t.id for t in elsewhere.finished()], elsewhere.recall("x"), store._count.read()) == ([2], "y", (2, 1))
    with suppress(KeyError), store.together():
        store.add(Proposal((3,)), "k", 3)
        raise KeyError
    assert store.put_back() == 1 and store.add(Proposal((3,)), "k", 3) == 3, "it was undone, and the store goes on"
    elsewhere.close()
    store.close()


def test_calls_that_a_full_disk_has_undone_together_all_fail(tmp_path):
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    store.add(Proposal((1,)), "k", 1)
    group = store.together()
    group.__enter__()
    assert store.claim("w0").id == 1
    store._db.execute(f"PRAGMA max_page_count = {store._db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StoreError, match="the disk is full"):
        store.remember("large", "x" * 1_000_000)
    with pytest.raises(StoreError, match="the disk is full"):
        store.remember("small", "x")
    with pytest.raises(StoreError, match="the disk is full"):
        group.__exit__(None, None, None)
    store._db.execute("PRAGMA max_page_count = 1000000")
    assert [trial.status for trial in store.unfinished()] == ["pending"]
    assert store.claim("w0").id == 1
    store.close()


def test_a_row_says_what_its_worker_died_of(tmp_path):
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    store.add(Proposal((0,)), "k", 0)
    for number in range(4):
        store.claim("w0")
        assert store.requeue(0.0, "w0", f"last words\ndeath {number}") == 1
        [(message,)] = store._db.execute("SELECT message FROM trials").fetchall()
        assert message.endswith(f"death {number}") and message.startswith("last words\n"), "also while it is pending"
    [row] = store.finished()
    assert row.result.message == f"last words\n{LOST}; the last time, death 3"
    store.close()


def test_a_worker_that_never_beat_is_lost(tmp_path):
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    store.add(Proposal((0,)), "k", 0)
    store.claim("w0")
    assert store.requeue(3600.0) == 1
    store.close()


def test_an_error_within_a_transaction_undoes_it(tmp_path, monkeypatch):
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    monkeypatch.setattr(
        sqlite, "_FINISH", "UPDATE nothing SET a = ?, b = ?, c = ?, d = ?, e = ?, f = ?, g = ? WHERE h = ?"
    )
    with pytest.raises(StoreError):
        store.add(Proposal((1,)), "k", 1, DONE)
    monkeypatch.undo()
    assert (store.finished(), store.unfinished()) == ([], [])
    assert store.add(Proposal((1,)), "k", 1, DONE) == 1
    store.close()


def test_extreme_values_come_back_unchanged(tmp_path):
    store = SqliteStore(str(tmp_path / "t.sqlite"))
    proposal = Proposal((0, -(2**62), 1e-300, 0.1 + 0.2), (), 2**40, None, {"x": -1e300})
    result = Result({"ä": 1e308, "n": 2**60}, ((2**40, -0.0),), 1e-9, "error", "Zeile 1\n\x00 'quoted' \U0001f600", 7)
    store.add(proposal, "k'\"", 2**63 - 1, result)
    [row] = store.finished()
    assert (row.proposal, row.key, row.seed, row.result) == (proposal, "k'\"", 2**63 - 1, result)
    assert list(map(type, row.proposal.genotype)) == [int, int, float, float]
    store.close()
