"""The file of the SQLite table: its schema, how it is made, opened and found to be ours, and what its errors mean."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from netwright.core import disk, files
from netwright.core.errors import StoreError
from netwright.stores import row_count

VERSION = 2
APPLICATION = 0x6E657477  # "netw": marks the file as ours

TRIALS = """
CREATE TABLE {name} (
    id         INTEGER PRIMARY KEY,          -- 1, 2, 3, ... in order of asking
    status     TEXT NOT NULL,                -- pending, running, done, failed
    genotype   TEXT NOT NULL,                -- JSON array, one number per gene
    key        TEXT NOT NULL,                -- equal keys: the same network
    seed       INTEGER NOT NULL,
    parents    TEXT NOT NULL DEFAULT '[]',   -- JSON array of trial ids
    budget     INTEGER,                      -- epochs or steps; NULL: the evaluator's default
    continues  INTEGER,                      -- trial whose checkpoint is carried on
    notes      TEXT NOT NULL DEFAULT '{{}}', -- JSON object, the strategy's own
    asked_sum  INTEGER,                      -- checksum of what was asked
    worker     TEXT,                         -- who runs or ran it
    losses     INTEGER NOT NULL DEFAULT 0,   -- how often its worker was lost
    place      INTEGER,                      -- kept for it among the finished ones: its result was damaged
    finish     INTEGER,                      -- 1, 2, 3, ... in order of finishing
    metrics    TEXT,                         -- JSON object
    curve      TEXT,                         -- JSON array of [step, main metric]
    seconds    REAL,
    failure    TEXT,                         -- '', error, diverged, timeout, out_of_memory, lost
    message    TEXT,
    reused     INTEGER,                      -- trial whose measurement this row repeats
    result_sum INTEGER                       -- checksum of what came of it
);
"""
INDEXES = """
CREATE UNIQUE INDEX finished ON trials (finish) WHERE finish IS NOT NULL;
CREATE INDEX pending ON trials (id) WHERE status = 'pending';
CREATE INDEX running ON trials (id) WHERE status = 'running';
"""
SUMS = """
CREATE TABLE fact_sums (name TEXT PRIMARY KEY, sum INTEGER NOT NULL);
CREATE TABLE damaged (what TEXT, id INTEGER, place INTEGER, content TEXT); -- what was set aside, as it was read
"""
WORKERS = "CREATE TABLE workers (name TEXT PRIMARY KEY, pid INTEGER, born TEXT, beat REAL, activity TEXT);\n"
FACTS = "CREATE TABLE facts (name TEXT PRIMARY KEY, text TEXT NOT NULL);\n"
SCHEMA = TRIALS.format(name="trials") + INDEXES + SUMS + WORKERS + FACTS


def create(path: Path) -> None:
    """Make an empty table, all at once: a kill leaves no file or a whole one.

    Raises:
        StoreError: A table was here that is gone, as the number of its rows beside it says.
    """
    if path.exists():
        return
    refuse_lost(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = files.draft_of(path)
    draft.unlink(missing_ok=True)
    db = sqlite3.connect(draft)
    db.executescript(f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {SCHEMA}")
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    try:
        os.link(draft, path)  # unlike a rename, never replaces a table that another process made first
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def refuse_lost(path: Path) -> None:
    """Raise StoreError where there is no table, though the number of rows of one lies beside the place."""
    count = row_count.RowCount(path)
    asked, finished = count.read()
    if (asked or finished) and not path.exists():
        raise StoreError(
            f"{path} is missing, though a table with {max(asked, finished):,} trials was there; restore it from a "
            f"copy, or delete {count.path.name} beside it to begin anew"
        )


def connect(path: Path, *, is_writer: bool) -> sqlite3.Connection:
    """A connection to a table that exists. Raises StoreError for a file that is missing or empty."""
    refuse_lost(path)
    if not path.exists():
        raise StoreError(f"there is no table {path}; give the folder of a run")
    if path.stat().st_size == 0:
        raise StoreError(f"{path} is empty: it was cut; restore it from a copy, or delete it and start anew")
    options = "mode=rw"
    if not is_writer:
        # without a log beside it and in a folder that cannot be written, SQLite reads only what it may call immutable
        options = "mode=ro" + ("&immutable=1" if is_settled(path) and not os.access(path.parent, os.W_OK) else "")
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=60,
        isolation_level=None,
        check_same_thread=False,
    )


def check_header(db: sqlite3.Connection, path: Path) -> int:
    """The schema's version. Raises StoreError for what is no table of a known one, sqlite3.Error for a cut page."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if application != APPLICATION:
        raise StoreError(f"{path} is an SQLite file of another program; give another folder")
    if version > VERSION:
        raise StoreError(f"{path} has schema {version} of a newer netwright; this one reads up to {VERSION}: upgrade")
    if version < 1:
        raise sqlite3.DatabaseError(f"schema {version}")
    if added := db.execute("SELECT type, name FROM sqlite_schema WHERE type IN ('trigger', 'view')").fetchall():
        raise sqlite3.DatabaseError(f"it has the {' '.join(added[0])!r}, which netwright did not write")
    if version < VERSION and db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'fact_sums'").fetchone():
        raise sqlite3.DatabaseError(f"it has checksums, which schema {version} has not")
    if version == VERSION:
        found = {_plain(sql) for (sql,) in db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}
        if lacks := [sql for sql in _plain_statements() if sql not in found]:
            raise sqlite3.DatabaseError(f"its schema is not what was written: {lacks[0].partition('(')[0].strip()}")
    page_size = db.execute("PRAGMA page_size").fetchone()[0]
    if is_settled(path) and path.stat().st_size % page_size:  # SQLite would fill up the last page
        raise sqlite3.DatabaseError("its last page was cut")
    return version


def _plain_statements() -> list[str]:
    return [sql for statement in _plain(SCHEMA).split(";") if (sql := statement.strip())]


def _plain(sql: str) -> str:
    """Statements without comments, and with the spaces that they need."""
    return " ".join(" ".join(line.partition("--")[0] for line in sql.splitlines()).replace('"', "").split())


def is_settled(path: Path) -> bool:
    """Whether the file is all there is: no log beside it holds later pages."""
    log = path.with_name(path.name + "-wal")
    return not log.exists() or log.stat().st_size == 0


def fault(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> Exception:
    """What to raise for an error of SQLite's: a sentence or, for a fault of this program, the error itself."""
    text = " ".join(str(error).split())
    if isinstance(error, sqlite3.ProgrammingError):
        return error
    if "full" in text:
        return StoreError(f"{path} cannot be written: {disk.why_full(path)}; make room and give the same command again")
    if "unable to open" in text and (found := disk.left(path.parent)) is not None and found.files == 0:
        return StoreError(f"{path} cannot be opened: {disk.why_full(path)}; make room and give the same command again")
    if "readonly" in text or "unable to open" in text:
        return StoreError(
            f"{path} cannot be written; check the permissions of its folder "
            "(the table of a run that was killed needs them to be read, too: copy the folder)"
        )
    if "disk I/O error" in text:
        return StoreError(
            f"{path} could not be read or written; check the disk, its room and size limits, then try again"
        )
    if "locked" in text:
        return StoreError(f"{path} stayed locked for a minute; close the program that holds it, then try again")
    return StoreError(f"{path} is damaged ({text}); keep it aside, and restore a copy or start in another folder")
