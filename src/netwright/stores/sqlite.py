"""The table as one SQLite file: any number of processes of one machine, readable with any SQLite viewer while it runs.

Write-ahead log with synchronous=NORMAL: every kill of a process is survived; after a power loss the last rows may be
asked again. Every call is one short transaction. A SQLite file is never shared over a network disk.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import psutil

from netwright.core.errors import StoreError
from netwright.core.liveness import is_alive
from netwright.core.records import LOST, MAX_LOSSES, Proposal, Result, Trial, WorkerState

VERSION = 1
APPLICATION = 0x6E657477  # "netw": marks the file as ours

SCHEMA = """
CREATE TABLE trials (
    id        INTEGER PRIMARY KEY,          -- 1, 2, 3, ... in order of asking
    status    TEXT NOT NULL,                -- pending, running, done, failed
    genotype  TEXT NOT NULL,                -- JSON array, one number per gene
    key       TEXT NOT NULL,                -- equal keys: the same network
    seed      INTEGER NOT NULL,
    parents   TEXT NOT NULL DEFAULT '[]',   -- JSON array of trial ids
    budget    INTEGER,                      -- epochs or steps; NULL: the evaluator's default
    continues INTEGER,                      -- trial whose checkpoint is carried on
    notes     TEXT NOT NULL DEFAULT '{}',   -- JSON object, the strategy's own
    worker    TEXT,                         -- who runs or ran it
    losses    INTEGER NOT NULL DEFAULT 0,   -- how often its worker was lost
    finish    INTEGER UNIQUE,               -- 1, 2, 3, ... in order of finishing
    metrics   TEXT,                         -- JSON object
    curve     TEXT,                         -- JSON array of [step, main metric]
    seconds   REAL,
    failure   TEXT,                         -- '', error, diverged, timeout, out_of_memory, lost
    message   TEXT,
    reused    INTEGER                       -- trial whose measurement this row repeats
);
CREATE INDEX pending ON trials (id) WHERE status = 'pending';
CREATE INDEX running ON trials (id) WHERE status = 'running';
CREATE TABLE workers (name TEXT PRIMARY KEY, pid INTEGER, born REAL, beat REAL, activity TEXT);
CREATE TABLE facts (name TEXT PRIMARY KEY, text TEXT NOT NULL);
"""

_COLUMNS = (
    "id, genotype, parents, budget, continues, notes, key, seed, status, "
    "finish, metrics, curve, seconds, failure, message, reused"
)
_ADD = (
    "INSERT INTO trials (genotype, parents, budget, continues, notes, key, seed, status) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, 'pending')"
)
_CLAIM = (
    "UPDATE trials SET status = 'running', worker = ? "
    f"WHERE id = (SELECT id FROM trials WHERE status = 'pending' ORDER BY id LIMIT 1) RETURNING {_COLUMNS}"
)
_FINISH = (
    "UPDATE trials SET status = ?, metrics = ?, curve = ?, seconds = ?, failure = ?, message = ?, reused = ?, "
    "finish = (SELECT COALESCE(MAX(finish), 0) + 1 FROM trials) "
    "WHERE id = ? AND status IN ('pending', 'running')"
)
_BEAT = (
    "INSERT INTO workers (name, pid, born, beat, activity) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
    "SET pid = excluded.pid, born = excluded.born, beat = excluded.beat, activity = excluded.activity"
)


class SqliteStore:
    """Rows in a file that survives any kill.

    Args:
        path: The file; made, with its folder, when missing.
        mode: "write" makes the file when missing and checks all of it; "join", for workers, does neither; "read" is for
            a look that never changes the file.
        synchronous: SQLite's durability; FULL also survives a power loss, at the price of a disk flush per write.

    Raises:
        StoreError: The file is no table of ours, of a newer schema, cut, damaged, or not readable.
    """

    def __init__(
        self,
        path: str,
        *,
        mode: Literal["write", "join", "read"] = "write",
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    ) -> None:
        self.path = Path(path)
        self.address = f"sqlite(path={str(self.path.absolute())!r}, mode='join', synchronous={synchronous!r})"
        self._lock = threading.RLock()
        self._birth = 0.0
        try:
            if mode == "write":
                _create(self.path)
            self._db = _connect(self.path, mode)
            self._check(is_thorough=mode == "write")
            if mode != "read":
                self._db.execute(f"PRAGMA synchronous = {synchronous}")
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _fault(self.path, error) from None
        except OSError as error:
            raise StoreError(f"{self.path} cannot be opened: {error.strerror}; check the path") from None

    def add(self, proposal: Proposal, key: str, seed: int, result: Result | None = None) -> int:
        """Write a pending row, or, with `result`, one that is finished at once; returns its id."""
        row = (
            _dump(proposal.genotype),
            _dump(proposal.parents) if proposal.parents else "[]",
            proposal.budget,
            proposal.continues,
            _dump(dict(proposal.notes)) if proposal.notes else "{}",
            key,
            seed,
        )
        if result is None:
            return self._write(lambda db: int(db.execute(_ADD, row).lastrowid))
        finished = result

        def add_finished(db: Any) -> int:
            trial_id = int(db.execute(_ADD, row).lastrowid)
            db.execute(_FINISH, (*_result_row(finished), trial_id))
            return trial_id

        return self._write(add_finished, statements=2)

    def claim(self, worker: str) -> Trial | None:
        """Make the oldest pending row `running` for this worker, atomically."""
        if not self._read("SELECT 1 FROM trials WHERE status = 'pending' LIMIT 1"):
            return None  # a look needs no write lock, so idle workers disturb nobody
        row = self._write(lambda db: db.execute(_CLAIM, (worker,)).fetchone())
        return self._trial(row) if row else None

    def beat(self, worker: str, activity: str = "") -> None:
        """Note that the worker is alive; the calling process is the one whose death means that the worker is lost."""
        pid = os.getpid()
        self._birth = self._birth or psutil.Process(pid).create_time()
        row = (worker, pid, self._birth, time.monotonic(), activity)
        self._write(lambda db: db.execute(_BEAT, row))

    def finish(self, trial_id: int, result: Result) -> bool:
        """Write a result; the first finish of a row wins, later ones change nothing. Returns whether this one did."""
        return bool(self._write(lambda db: db.execute(_FINISH, (*_result_row(result), trial_id)).rowcount))

    def finished(self, after: int = 0, most: int | None = None) -> list[Trial]:
        """Rows whose `finish` is greater than `after`, in that order; with `most`, at most so many of them."""
        return self._trials("finish > ? ORDER BY finish LIMIT ?", after, -1 if most is None else most)

    def unfinished(self) -> list[Trial]:
        """Pending and running rows in order of id."""
        rows = self._trials("status = 'pending'") + self._trials("status = 'running'")
        return sorted(rows, key=lambda trial: trial.id)

    def requeue(self, lost_for: float, worker: str | None = None) -> int:
        """Put rows of dead or silent workers back to pending; fail those lost too often.

        A worker is dead when the process that beat for it is gone: its id and time of birth are in the table, so that
        neither a reused process id nor a restart of the machine misleads.
        """
        with self._lock:
            running = self._read(
                "SELECT t.id, t.worker, w.pid, w.born, w.beat FROM trials t "
                "LEFT JOIN workers w ON w.name = t.worker WHERE t.status = 'running'"
            )
            now = time.monotonic()
            lost = [
                trial_id
                for trial_id, name, pid, born, beat in running
                if worker in (None, name) and (pid is None or not is_alive(pid, born) or now - beat >= lost_for)
            ]
            for trial_id in lost:
                self._lose(trial_id)
            return len(lost)

    def put_back(self, worker: str | None = None) -> int:
        """Put running rows (of one worker, or all) back to pending without counting a loss."""
        update = "UPDATE trials SET status = 'pending' WHERE status = 'running' AND worker = COALESCE(?, worker)"
        return self._write(lambda db: int(db.execute(update, (worker,)).rowcount))

    def remember(self, name: str, text: str) -> None:
        """Keep a fact about the run."""
        upsert = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text"
        self._write(lambda db: db.execute(upsert, (name, text)))

    def recall(self, name: str) -> str | None:
        """A fact that was kept before; None: there is none of this name."""
        rows = self._read("SELECT text FROM facts WHERE name = ?", name)
        return str(rows[0][0]) if rows else None

    def workers(self) -> list[WorkerState]:
        """Living workers that have beaten, in order of name."""
        rows = self._read(
            "SELECT w.name, t.id, w.activity, w.beat, w.pid, w.born FROM workers w "
            "LEFT JOIN trials t ON t.worker = w.name AND t.status = 'running' ORDER BY length(w.name), w.name"
        )
        now = time.monotonic()
        return [
            WorkerState(name, trial_id, activity, now - beat)
            for name, trial_id, activity, beat, pid, born in rows
            if is_alive(pid, born)
        ]

    def close(self) -> None:
        """Close the file; the last one to close folds the write-ahead log into it."""
        with self._lock:
            self._db.close()

    def _lose(self, trial_id: int) -> None:
        lost = Result(failure="lost", message=LOST)

        def lose(db: Any) -> None:
            again = db.execute(
                "UPDATE trials SET status = 'pending', losses = losses + 1 "
                "WHERE id = ? AND status = 'running' AND losses < ?",
                (trial_id, MAX_LOSSES),
            )
            if not again.rowcount:
                db.execute(_FINISH, (*_result_row(lost), trial_id))

        self._write(lose, statements=2)

    def _trials(self, where: str, *values: Any) -> list[Trial]:
        return [self._trial(row) for row in self._read(f"SELECT {_COLUMNS} FROM trials WHERE {where}", *values)]

    def _trial(self, row: tuple[Any, ...]) -> Trial:
        try:
            return _trial(row)
        except (ValueError, TypeError) as error:
            raise _fault(self.path, sqlite3.DatabaseError(f"a row cannot be read: {error}")) from None

    def _read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return list(self._db.execute(query, values))
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise _fault(self.path, error) from None

    def _write(self, work: Callable[[Any], Any], statements: int = 1) -> Any:
        """Run `work` as one transaction; a single statement is one by itself."""
        with self._lock:
            try:
                if statements == 1:
                    return work(self._db)
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    answer = work(self._db)
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
                return answer
            except sqlite3.Error as error:
                raise _fault(self.path, error) from None

    def _check(self, is_thorough: bool) -> None:
        """Refuse what is no table of a known schema or was cut and, thoroughly, one that is damaged anywhere."""
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION:
            raise StoreError(f"{self.path} is an SQLite file of another program; give another folder")
        if version > VERSION:
            raise StoreError(
                f"{self.path} has schema {version} of a newer netwright; this one reads up to {VERSION}: upgrade"
            )
        page_size = self._db.execute("PRAGMA page_size").fetchone()[0]
        if _is_settled(self.path) and self.path.stat().st_size % page_size:  # SQLite would fill up the last page
            raise sqlite3.DatabaseError("its last page was cut")
        fault = self._db.execute("PRAGMA quick_check(1)").fetchone()[0] if is_thorough else "ok"
        if fault != "ok":
            raise sqlite3.DatabaseError(fault)


def _create(path: Path) -> None:
    """Make an empty table, all at once: a kill leaves no file or a whole one."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
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


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if not path.exists():
        raise StoreError(f"there is no table {path}; give the folder of a run")
    if path.stat().st_size == 0:
        raise StoreError(f"{path} is empty: it was cut; restore it from a copy, or delete it and start anew")
    options = "mode=rw"
    if mode == "read":
        # without a log beside it and in a folder that cannot be written, SQLite reads only what it may call immutable
        options = "mode=ro" + ("&immutable=1" if _is_settled(path) and not os.access(path.parent, os.W_OK) else "")
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{options}",
        uri=True,
        timeout=60,
        isolation_level=None,
        check_same_thread=False,
    )


def _is_settled(path: Path) -> bool:
    """Whether the file is all there is: no log beside it holds later pages."""
    log = path.with_name(path.name + "-wal")
    return not log.exists() or log.stat().st_size == 0


def _fault(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> Exception:
    """What to raise for an error of SQLite's: a sentence or, for a fault of this program, the error itself."""
    text = " ".join(str(error).split())
    if isinstance(error, sqlite3.ProgrammingError):
        return error
    if "full" in text:
        return StoreError(f"{path} cannot be written: the disk is full; make room and give the same command again")
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


_DECODER = json.JSONDecoder()
_dump = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode  # dumps would make an encoder for each call


def _load(text: str) -> Any:
    return _DECODER.raw_decode(text)[0]  # loads would look for white space that is not there


def _result_row(result: Result) -> tuple[Any, ...]:
    return (
        "failed" if result.failure else "done",
        _dump(dict(result.metrics)),
        _dump(result.curve) if result.curve else "[]",
        result.seconds,
        result.failure,
        result.message,
        result.reused,
    )


def _trial(row: tuple[Any, ...]) -> Trial:
    trial_id, genotype, parents, budget, continues, notes, key, seed, status, finish, *rest = row
    proposal = Proposal(
        tuple(_load(genotype)),
        () if parents == "[]" else tuple(_load(parents)),
        budget,
        continues,
        {} if notes == "{}" else _load(notes),
    )
    result = None
    if finish is not None:
        metrics, curve, seconds, failure, message, reused = rest
        points = () if curve == "[]" else tuple((step, value) for step, value in _load(curve))
        result = Result(_load(metrics), points, seconds, failure, message, reused)
    return Trial(trial_id, proposal, key, seed, status, result, None, finish)


plugin = SqliteStore
