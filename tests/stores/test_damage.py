"""Damage to a table is named, never shown as a result, never silent; a search goes on to what it would have found."""

import random
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.controller import Search
from netwright.core.errors import StoreError
from netwright.core.records import Proposal, Result
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.stores import sqlite_damage, sqlite_rows
from netwright.stores.row_count import RowCount
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.aging import AgingEvolution
from netwright.testing.toys import ToySpace, ToyTask
from tests.verified import IS_VERIFIED

FLIPS, LOGS = (3000, 600) if IS_VERIFIED else (120, 40)
ROWS = 40
SPACE = ToySpace()
RESULT = Result({"valid_accuracy": 0.5, "params": 12}, ((1, 0.25), (2, 0.5)), 1.5)


@dataclass(frozen=True)
class Fixed:
    """Measures a genotype the same each time, the seconds too."""

    space: ToySpace = SPACE
    task: ToyTask = ToyTask()

    def evaluate(self, trial, context):
        return Result({"valid_accuracy": sum(trial.proposal.genotype) / 36 + trial.seed % 97 / 1e4}, (), 1.0)


def searched(path, trials=ROWS, stop_after=None):
    """The rows that a search leaves, from whatever was there; `stop_after` is called before the table is closed."""
    with closing(SqliteStore(str(path))) as store:
        store.remember("run", "seed = 0\n" * 20)
        store.put_back()  # as the process that ran them would be gone
        strategy = AgingEvolution(SPACE, population=8, sample=3)
        Search(SPACE, strategy, store, Inline(Fixed()), limits=Limits(trials=trials), seed=3).run()
        rows = store.finished()
        if stop_after is not None:
            stop_after()
    return rows


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A closed table, and its rows by number."""
    path = tmp_path_factory.mktemp("whole") / "trials.sqlite"
    return path, {row.id: row for row in searched(path)}


def damaged(whole, folder, data, log=None):
    """A copy of the table with other bytes, and with a log beside it."""
    folder.mkdir()
    path = folder / "trials.sqlite"
    path.write_bytes(data)
    if log is not None:
        path.with_name("trials.sqlite-wal").write_bytes(log)
    shutil.copy(f"{whole[0]}-count", f"{path}-count")
    return path


def seen(path):
    """What a look shows, by number, and what it says is damaged; a fault alone where the table is refused."""
    try:
        with closing(SqliteStore(str(path), mode="inspect")) as store:
            rows = {row.id: row for row in store.finished()}
            store.recall("run")
            return rows, store.faults()
    except StoreError as error:
        return {}, [str(error)]


def check(whole, path):
    """Nothing is silently changed or lost, to look at or to go on with; returns whether the search could go on."""
    _, truth = whole
    rows, faults = seen(path)
    assert all(row == truth[number] for number, row in rows.items()), "a look shows what was never measured"
    assert faults or rows == truth, "rows are gone without a word"
    assert not [fault for fault in faults if "\n" in fault]
    try:
        with closing(SqliteStore(str(path), mode="read")) as store:
            assert {row.id: row for row in store.finished()} == truth
    except StoreError:
        pass
    try:
        with closing(SqliteStore(str(path))) as store:
            said = store.faults()
    except StoreError:
        return False
    assert said or rows == truth
    try:
        assert {row.id: row for row in searched(path)} == truth, "the search went another way"
    except StoreError:
        return False
    rows, faults = seen(path)
    assert (rows, faults) == (truth, []), "what was asked again is whole"
    return True


def test_flipped_bits(whole, tmp_path):
    data, went_on = whole[0].read_bytes(), 0
    for number in range(FLIPS):
        rng = random.Random(number)
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        went_on += check(whole, damaged(whole, tmp_path / str(number), bytes(flipped)))
        shutil.rmtree(tmp_path / str(number))
    assert went_on > 0.9 * FLIPS


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """A table of a search that was killed, as bytes of the file and of its log; and its rows by number."""
    path = tmp_path_factory.mktemp("logged") / "trials.sqlite"
    kept = []

    def copy():
        kept.extend((path.read_bytes(), path.with_name("trials.sqlite-wal").read_bytes()))

    rows = searched(path, stop_after=copy)
    return (path, {row.id: row for row in rows}), *kept


def test_logs_that_were_cut_or_damaged(logged, tmp_path):
    whole, data, log = logged
    lost = 0
    for number in range(LOGS):
        rng = random.Random(number)
        changed = bytearray(log)
        place = rng.randrange(len(log))
        if number % 3 == 0:
            del changed[place:]
        elif number % 3 == 1:
            changed[place] ^= 1 << rng.randrange(8)
        else:
            changed[place : place + 64] = bytes(min(64, len(log) - place))
        path = damaged(whole, tmp_path / str(number), data, bytes(changed))
        rows, faults = seen(path)
        lost += len(rows) < ROWS
        assert faults or rows == whole[1]
        check(whole, path)
        shutil.rmtree(tmp_path / str(number))
    assert lost > LOGS / 2, "most of these logs lose rows, and each said so"


CHANGES = {
    "a result": "UPDATE trials SET metrics = '{\"valid_accuracy\":0.9}' WHERE id = 7",
    "several results": "UPDATE trials SET seconds = 2.5 WHERE id IN (3, 20, 40)",
    "a place": "UPDATE trials SET finish = 41 WHERE id = 7",
    "a genotype": "UPDATE trials SET genotype = '[9]' WHERE id = 7",
    "several genotypes": "UPDATE trials SET seed = seed + 1 WHERE id IN (1, 9, 30, 40)",
    "both": "UPDATE trials SET key = id WHERE id IN (5, 6); UPDATE trials SET message = '?' WHERE id IN (4, 8)",
    "a status": "UPDATE trials SET status = 'gone' WHERE id = 12",
    "a finished row made pending": "UPDATE trials SET status = 'pending' WHERE id = 12",
    "rows deleted": "DELETE FROM trials WHERE id IN (11, 12, 25)",
    "text that is none": "UPDATE trials SET message = CAST(x'c3' AS TEXT), key = CAST(x'ff' AS TEXT) WHERE id = 2",
    "a number below all": "UPDATE trials SET id = -3 WHERE id = 12",
    "no text at all": "UPDATE trials SET metrics = x'00', notes = 5 WHERE id = 2",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_rows_that_were_changed_are_measured_or_asked_again(whole, tmp_path, change):
    path = damaged(whole, tmp_path / "run", whole[0].read_bytes())
    with closing(sqlite3.connect(path)) as db:
        db.executescript(change)
    assert seen(path)[1], "a look names them"
    assert check(whole, path), "and a search goes on to the same table"


def test_what_was_set_aside_is_kept_for_people(whole, tmp_path):
    path = damaged(whole, tmp_path / "run", whole[0].read_bytes())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE trials SET genotype = '[9, 9]' WHERE id = 7")
        db.execute("UPDATE facts SET text = 'other' WHERE name = 'hours'")
    with closing(SqliteStore(str(path))) as store:
        assert [fault.partition(":")[0] for fault in store.faults()] == [
            "trial 7 is damaged",
            "the fact 'hours' is damaged",
        ]
        assert (store.missing(), store.recall("hours")) == ([7], None)
        assert [row.finish for row in store.finished()] == [*range(1, 7), *range(8, ROWS + 1)]
        kept = [content for (content,) in store._db.execute("SELECT content FROM damaged") if content]
        assert store.add(Proposal((1,)), "k", 1, RESULT) == 7
        assert store.missing() == []
        assert [row.finish for row in store.finished()] == [*range(1, ROWS + 1)], "it takes the place that it had"
    assert ["[9, 9]" in content or "other" in content for content in kept] == [True, True]


def test_a_fact_that_the_run_needs_is_refused_where_it_is_read(whole, tmp_path):
    path = damaged(whole, tmp_path / "run", whole[0].read_bytes())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE facts SET text = '[1,2]' WHERE name = 'run'")
    for mode in ("write", "join", "read"):
        with (
            closing(SqliteStore(str(path), mode=mode)) as store,
            pytest.raises(StoreError, match="fact 'run' is not"),
        ):
            store.recall("run")


@pytest.mark.parametrize("cell", ["text = CAST(x'41ff' AS TEXT)", "name = CAST(x'41ff' AS TEXT)", "text = x'41ff'"])
def test_a_fact_that_is_no_text_is_left_out_and_set_aside(whole, tmp_path, cell):
    path = damaged(whole, tmp_path / "copy", whole[0].read_bytes())
    with closing(SqliteStore(str(path))) as store:
        store.remember("command", "what was typed")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"UPDATE facts SET {cell} WHERE name = 'command'")
    with closing(SqliteStore(str(path), mode="inspect")) as store:
        assert store.recall("command") is None
        assert any("the fact 'command' is damaged" in fault for fault in store.faults())
    with (
        closing(SqliteStore(str(path), mode="read")) as store,
        pytest.raises(StoreError, match="'command' is not"),
    ):
        store.recall("command")
    with closing(SqliteStore(str(path))) as store:
        assert any("the fact 'command' is damaged" in fault for fault in store.faults())
        assert store.recall("command") is None
    assert seen(path) == (whole[1], [])


def test_what_others_added_to_the_schema_never_runs(whole, tmp_path):
    path = damaged(whole, tmp_path / "copy", whole[0].read_bytes())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TRIGGER more AFTER INSERT ON facts BEGIN DELETE FROM trials; END")
    for mode in ("write", "join", "read", "inspect"):
        with pytest.raises(StoreError, match="'trigger more', which netwright did not write"):
            SqliteStore(str(path), mode=mode)


def test_a_table_with_checksums_never_passes_for_one_without(whole, tmp_path):
    path = damaged(whole, tmp_path / "copy", whole[0].read_bytes())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 1")
    with pytest.raises(StoreError, match="has checksums, which schema 1 has not"):
        SqliteStore(str(path), mode="inspect")


def test_of_many_damaged_rows_the_first_are_named(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_damage, "MOST_SAID", 3)
    path = damaged(whole, tmp_path / "copy", whole[0].read_bytes())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE trials SET seconds = 77 WHERE id > 5")
    assert len(seen(path)[1]) == 4
    assert seen(path)[1][-1] == f"{ROWS - 8} more trials are damaged"
    assert check(whole, path)


def test_a_table_that_is_gone_is_missed(whole, tmp_path):
    path = damaged(whole, tmp_path / "run", whole[0].read_bytes())
    path.unlink()
    for mode in ("write", "read", "inspect", "join"):
        with pytest.raises(StoreError, match="is missing, though a table with 40 trials was there; restore it"):
            SqliteStore(str(path), mode=mode)
    path.with_name("trials.sqlite-count").unlink()
    SqliteStore(str(path)).close()


def test_a_copy_without_the_count_is_a_table_like_any_other(whole, tmp_path):
    path = damaged(whole, tmp_path / "run", whole[0].read_bytes())
    count = RowCount(path)
    assert count.read() == (ROWS, ROWS)
    count.path.unlink()
    assert seen(path) == (whole[1], [])
    assert not count.path.exists(), "a look writes nothing"
    with closing(SqliteStore(str(path), mode="join")) as store:
        store.add(Proposal((1,)), "k", 1)
    assert not count.path.exists()
    with closing(SqliteStore(str(path))) as store:
        assert store.faults() == []
    assert count.read() == (ROWS + 1, ROWS)


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=40))
def test_a_count_that_is_damaged_says_nothing_false(whole, tmp_path_factory, data):
    path = damaged(whole, tmp_path_factory.mktemp("count") / "run", whole[0].read_bytes())
    RowCount(path).path.write_bytes(data)
    assert seen(path)[0] == whole[1]
    with closing(SqliteStore(str(path))) as store:
        store.add(Proposal((1,)), "k", 1, RESULT)
        assert len(store.finished()) == ROWS + 1


def test_the_count_is_never_ahead_of_the_table(tmp_path):
    path = tmp_path / "t.sqlite"
    store, other = SqliteStore(str(path)), SqliteStore(str(path), mode="join")
    store.add(Proposal((1,)), "k", 1)
    store.add(Proposal((2,)), "k", 2)
    store.claim("w0")
    assert RowCount(path).read() == (2, 0)
    other.finish(2, RESULT)
    store.finish(1, RESULT)
    assert RowCount(path).read() == (2, 2)
    assert not store.finish(1, RESULT)
    assert RowCount(path).read() == (2, 2)
    for each in (other, store):
        each.close()


SCHEMA_1 = """
CREATE TABLE trials (id INTEGER PRIMARY KEY, status TEXT NOT NULL, genotype TEXT NOT NULL, key TEXT NOT NULL,
    seed INTEGER NOT NULL, parents TEXT NOT NULL DEFAULT '[]', budget INTEGER, continues INTEGER,
    notes TEXT NOT NULL DEFAULT '{}', worker TEXT, losses INTEGER NOT NULL DEFAULT 0, finish INTEGER UNIQUE,
    metrics TEXT, curve TEXT, seconds REAL, failure TEXT, message TEXT, reused INTEGER);
CREATE INDEX pending ON trials (id) WHERE status = 'pending';
CREATE INDEX running ON trials (id) WHERE status = 'running';
CREATE TABLE workers (name TEXT PRIMARY KEY, pid INTEGER, born REAL, beat REAL, activity TEXT);
CREATE TABLE facts (name TEXT PRIMARY KEY, text TEXT NOT NULL);
PRAGMA application_id = 1852142711; PRAGMA user_version = 1; PRAGMA journal_mode = WAL;
"""


def of_schema_1(whole, path):
    """The table as the release before wrote it."""
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(SCHEMA_1)
        db.execute("ATTACH ? AS new", (str(whole[0]),))
        names = ", ".join(name for _, name, *_ in db.execute("PRAGMA main.table_info(trials)"))
        db.execute(f"INSERT INTO main.trials ({names}) SELECT {names} FROM new.trials")
        db.execute("INSERT INTO main.facts SELECT * FROM new.facts")
    return path


def test_a_table_without_checksums_is_read_as_it_is_and_brought_up_to_date_to_be_written(whole, tmp_path):
    path = of_schema_1(whole, tmp_path / "trials.sqlite")
    before = path.read_bytes()
    assert seen(path) == (whole[1], [])
    with closing(SqliteStore(str(path), mode="read")) as store:
        assert {row.id: row for row in store.finished()} == whole[1]
        assert (store.tally().done, store.best("valid_accuracy").id) == (
            ROWS,
            max(whole[1].values(), key=lambda row: row.result.metrics["valid_accuracy"]).id,
        )
    assert path.read_bytes() == before
    with pytest.raises(StoreError, match="schema 1 of an earlier netwright; start its search again first"):
        SqliteStore(str(path), mode="join")
    assert check(whole, path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (2,)


def test_nonsense_in_a_table_without_checksums_is_found(whole, tmp_path):
    path = of_schema_1(whole, tmp_path / "trials.sqlite")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE trials SET metrics = '{\"valid_accuracy\":NaN}' WHERE id = 3")
        db.execute("UPDATE trials SET genotype = '{}' WHERE id = 5")
        db.execute("UPDATE trials SET failure = 'odd' WHERE id = 9")
    assert [fault.partition(" is")[0] for fault in seen(path)[1]] == ["trial 3", "trial 5", "trial 9"]
    assert check(whole, path)


cells = st.none() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=20) | st.binary(max_size=8)
texts = st.sampled_from(["[", "[1,", "[" * 5000, "9" * 5000, "[NaN]", "[1e999]", '{"a":[1]}', '{"a":true}', "[[1],3]"])


@settings(max_examples=200, deadline=None)
@given(st.lists(cells | texts, min_size=18, max_size=18))
def test_the_reader_reads_rows_or_refuses_them(row):
    for has_sums in (True, False):
        try:
            trial = sqlite_rows.read(tuple(row), has_sums=has_sums)
        except sqlite_rows.DamagedRow:
            continue
        assert not has_sums
        assert all(isinstance(value, int | float) for value in trial.proposal.genotype)


def test_results_that_no_table_can_hold_are_made_plain(tmp_path):
    with closing(SqliteStore(str(tmp_path / "t.sqlite"))) as store:
        store.add(Proposal((True, 2), budget=3.0), "k", True, replace(RESULT, seconds=float("nan")))
        store.add(Proposal((1,)), "k", 1, replace(RESULT, seconds=-0.0, reused=True))
        assert [row.result.seconds for row in store.finished()] == [0.0, 0.0]
        assert store.faults() == []


@pytest.mark.parametrize("budgets", [(None, None, None), (2, 2, 8)])
@pytest.mark.parametrize(("is_minimized", "best"), [(False, 2), (True, 1)])
def test_where_the_best_row_is_damaged_a_look_gives_the_best_of_the_others(tmp_path, budgets, is_minimized, best):
    path = tmp_path / "trials.sqlite"
    with closing(SqliteStore(str(path))) as store:
        for number, budget in enumerate(budgets):
            result = Result({"valid_accuracy": (0.3, 0.4, -0.5 if is_minimized else 0.9)[number]})
            store.add(Proposal((number,), (), budget), str(number), number, result)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE trials SET result_sum = result_sum + 1 WHERE id = 3")
    with closing(SqliteStore(str(path), mode="inspect")) as store:
        assert store.best("valid_accuracy", is_minimized=is_minimized).id == best
        assert store.best("valid_loss") is None
    with closing(SqliteStore(str(path), mode="read")) as store, pytest.raises(StoreError, match="damaged"):
        store.best("valid_accuracy", is_minimized=is_minimized)
