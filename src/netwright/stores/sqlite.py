"""The table as one SQLite file: any number of processes of one machine, readable with any SQLite viewer while it runs.

Write-ahead log with synchronous=NORMAL: every kill of a process is survived; after a power loss the last rows may be
asked again. Every call is one short transaction. A SQLite file is never shared over a network disk.

Every row and fact has a checksum; how many rows there were stands in a file beside the table. What is damaged or
missing is found when the table is opened for writing, set aside and asked again (`sqlite_damage`).
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Literal

from netwright.core import disk, liveness
from netwright.core.errors import StoreError
from netwright.core.liveness import Fate
from netwright.core.records import MAX_LOSSES, Proposal, Result, Tally, Trial, WorkerState, lost_message
from netwright.stores import sqlite_damage, sqlite_file, sqlite_rows
from netwright.stores.row_count import RowCount
from netwright.stores.sqlite_commits import Commits
from netwright.stores.sqlite_rows import MIX, DamagedRow

PAGE = 10_000  # rows read at once where all are
UNSEEN_FOR = 60.0  # seconds of silence after which a worker of another container is shown no more
GAPS = "the order in which its trials finished has gaps"
_COLUMNS = ", ".join(sqlite_rows.COLUMNS)
_COLUMNS_1 = _COLUMNS.replace("asked_sum, result_sum", "NULL, NULL")  # of schema 1, which is read as it is
_ASKED = "genotype, parents, budget, continues, notes, key, seed, status, id, place, asked_sum"
_ADD = (
    f"INSERT INTO trials ({_ASKED}) SELECT ?, ?, ?, ?, ?, ?, ?, 'pending', n.next, NULL, ? + n.next * {MIX} "
    "FROM (SELECT COALESCE(MAX(id), 0) + 1 AS next FROM trials) AS n"
)
_ADD_AT = f"INSERT INTO trials ({_ASKED}) VALUES (?, ?, ?, ?, ?, ?, ?, 'pending', ?, ?, ?)"
_CLAIM = (
    "UPDATE trials SET status = 'running', worker = ? "
    f"WHERE id = (SELECT id FROM trials WHERE status = 'pending' ORDER BY id LIMIT 1) RETURNING {_COLUMNS}"
)
_NEXT = "COALESCE(place, (SELECT MAX(finish) FROM trials WHERE finish IS NOT NULL) + 1, 1)"
_FINISH = (
    "UPDATE trials SET status = ?, metrics = ?, curve = ?, seconds = ?, failure = ?, message = ?, reused = ?, "
    f"result_sum = ? + {_NEXT} * {MIX}, finish = {_NEXT} "
    "WHERE id = ? AND status IN ('pending', 'running') RETURNING finish"
)
_FINISH_BY = (
    "UPDATE trials SET status = ?, metrics = ?, curve = ?, seconds = ?, failure = ?, message = ?, reused = ?, "
    f"result_sum = ? + {_NEXT} * {MIX}, finish = {_NEXT}, worker = ? "
    "WHERE id = ? AND (status = 'pending' OR status = 'running' AND worker = ?) RETURNING finish"
)
_SAID = f"SELECT 1 FROM trials WHERE id = ? AND worker = ? AND result_sum = ? + finish * {MIX}"
_HELD = f"SELECT {_COLUMNS} FROM trials WHERE status = 'running' AND worker = ? ORDER BY id LIMIT 1"
_HEARD = "UPDATE workers SET beat = ? WHERE born >= ? AND born < ?"  # a boot's
_BEAT = (
    "INSERT INTO workers (name, pid, born, beat, activity) VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE "
    "SET pid = excluded.pid, born = excluded.born, beat = excluded.beat, activity = excluded.activity"
)
_FACT = "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET text = excluded.text"
_FACT_SUM = "INSERT INTO fact_sums VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET sum = excluded.sum"
_TALLY = (
    "SELECT COUNT(CASE status WHEN 'pending' THEN 1 END), COUNT(CASE status WHEN 'running' THEN 1 END), "
    "COUNT(CASE status WHEN 'done' THEN 1 END), COUNT(CASE status WHEN 'failed' THEN 1 END), COUNT(reused), "
    "TOTAL(CASE WHEN reused IS NULL THEN seconds END), COUNT(CASE WHEN finish IS NOT NULL THEN continues END), "
    "COUNT(CASE WHEN notes <> '{}' AND finish IS NOT NULL THEN 1 END) FROM trials NOT INDEXED"
)
_AFTER = "substr(metrics, instr(metrics, :name) + length(:name), 400)"  # a metric's value, and what follows it
_VALUE = f"CAST({_AFTER} AS REAL)"  # of a row that has the metric


class SqliteStore:
    """Rows in a file that survives any kill.

    Args:
        path: The file; made, with its folder, when missing.
        mode: "write" makes the file when missing, checks all of it and sets aside what is damaged; "join", for workers
            and whoever has checked it, does neither; "read" is for a look that never changes the file; so is "inspect",
            which leaves out rows that are damaged where the others raise StoreError.
        synchronous: SQLite's durability; FULL also survives a power loss, at the price of a disk flush per write.

    Raises:
        StoreError: The file is no table of ours, of a newer schema, cut, damaged, or not readable.
    """

    def __init__(
        self,
        path: str,
        *,
        mode: Literal["write", "join", "read", "inspect"] = "write",
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    ) -> None:
        self.path = Path(path)
        self.address = f"sqlite(path={str(self.path.absolute())!r}, mode='join', synchronous={synchronous!r})"
        self._lock = threading.RLock()
        self._birth = ""
        self._later: dict[Callable[[int], None], int] = {}  # what is noted once all is written that goes together
        self._mode = mode
        self._is_idle = True  # nothing was pending at the last look
        self._holds: dict[str, int] = {}  # by worker, the row that it may have; 0: none, as nobody else claims for it
        self._found: list[str] = []  # damage, in sentences
        self._holes: list[tuple[int, int | None]] | None = None  # trials to be asked again, and places kept for them
        self._extent: sqlite_damage.Extent | None = None
        self._count = RowCount(self.path)
        try:
            if mode == "write":
                sqlite_file.create(self.path)
            self._known = self._count.read()  # before the table, which may grow meanwhile
            self._db = sqlite_file.connect(self.path, is_writer=mode in ("write", "join"))
            self._commits = Commits(self._db)
            self._version = sqlite_file.check_header(self._db, self.path)
            self._columns = _COLUMNS if self._version > 1 else _COLUMNS_1
            if mode in ("write", "join"):
                self._db.execute(f"PRAGMA synchronous = {synchronous}")
            if mode == "write":
                arguments = (self._db, self.path, self._version, self._known, self._count.write)
                self._found = sqlite_damage.repair(*arguments)
                self._version, self._columns = sqlite_file.VERSION, _COLUMNS
                boot = liveness.boot()  # nobody could beat while no process served the table
                self._db.execute(_HEARD, (time.monotonic(), f"{boot}/", f"{boot}0"))
                if not self._count.path.exists():
                    found = sqlite_damage.extent(self._db, self._version)
                    self._count.write(found.last, found.end)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise sqlite_file.fault(self.path, error) from None
        except OSError as error:
            why = disk.reason(error, self.path)
            raise StoreError(f"{self.path} cannot be opened: {why}; check the path") from None
        if mode == "join" and self._version < sqlite_file.VERSION:
            raise StoreError(
                f"{self.path} has schema {self._version} of an earlier netwright; start its search again first, which "
                "brings it up to date"
            )

    def add(self, proposal: Proposal, key: str, seed: int, result: Result | None = None) -> int:
        """Write a pending row, or, with `result`, one that is finished at once; returns its id.

        The id is the lowest of `missing`, else the next one.
        """
        row = sqlite_rows.asked_row(proposal, key, seed)
        with self._lock:
            hole = self._missing()[0] if self._missing() else None

            def write(db: Any) -> tuple[int, int]:
                if hole is None:
                    trial_id = int(db.execute(_ADD, row).lastrowid)
                else:
                    trial_id, place = hole
                    db.execute(_ADD_AT, (*row[:-1], trial_id, place, row[-1] + trial_id * MIX))
                if result is None:
                    return trial_id, 0
                cells = (*sqlite_rows.result_row(trial_id, result), trial_id)
                return trial_id, int(db.execute(_FINISH, cells).fetchall()[0][0])

            trial_id, place = self._write(write, statements=1 if result is None else 2)
            if hole is not None:
                self._missing().pop(0)
            self._note(self._count.asked, trial_id)
            if place:
                self._note(self._count.finished, place)
            return trial_id

    def claim(self, worker: str) -> Trial | None:
        """Make the oldest pending row `running` for this worker, atomically, or give the one it is running again."""
        if self._holds.get(worker, -1) and (held := self._read(_HELD, worker)):
            return self._trials(held)[0]
        self._holds[worker] = 0
        if self._is_idle and not self._read("SELECT 1 FROM trials WHERE status = 'pending' LIMIT 1"):
            return None  # a look needs no write lock, so idle workers disturb nobody
        row = self._write(lambda db: db.execute(_CLAIM, (worker,)).fetchone())
        self._is_idle = row is None
        if row is None:
            return None
        self._holds[worker] = row[0]
        return self._trials([row])[0]

    def beat(self, worker: str, activity: str = "", process: tuple[int, str] | None = None) -> None:
        """Note that the worker is alive, and by default that the calling process is the one whose death is its own."""
        self._birth = self._birth or liveness.birth()
        pid, born = (process[0], liveness.seen_from_here(process[1])) if process else (os.getpid(), self._birth)
        row = (worker, pid, born, time.monotonic(), activity)
        self._write(lambda db: db.execute(_BEAT, row))

    def finish(self, trial_id: int, result: Result, worker: str | None = None) -> bool:
        """Write a result; the first finish of a row wins, later ones change nothing. Returns whether this one did."""
        row = sqlite_rows.result_row(trial_id, result)
        finish, cells = (
            (_FINISH, (*row, trial_id)) if worker is None else (_FINISH_BY, (*row, worker, trial_id, worker))
        )
        with self._lock:
            places = self._write(lambda db: db.execute(finish, cells).fetchall())
            if places:
                self._note(self._count.finished, places[0][0])
                if worker is not None and self._holds.get(worker) == trial_id:
                    self._holds[worker] = 0
            return bool(places or (worker is not None and self._read(_SAID, trial_id, worker, row[-1])))

    def finished(self, after: int = 0, most: int | None = None) -> list[Trial]:
        """Rows whose `finish` is greater than `after`, in that order; with `most`, at most so many of them."""
        self._refuse_missing()
        while True:
            rows = self._rows("finish > ? ORDER BY finish LIMIT ?", after, -1 if most is None else most)
            trials = self._trials(rows)
            if self._has_gaps(after, most, rows):
                if self._mode == "read":
                    raise self._damaged(GAPS)
                self._leave_out(GAPS)
            if trials or not rows:
                return trials
            after = rows[-1][9]  # all of them are damaged

    def unfinished(self) -> list[Trial]:
        """Pending and running rows in order of id."""
        self._refuse_missing()
        rows = self._rows("status = 'pending'") + self._rows("status = 'running'")
        return sorted(self._trials(rows), key=lambda trial: trial.id)

    def missing(self) -> list[int]:
        """Numbers of the trials that were set aside as damaged and are to be asked again, in order."""
        with self._lock:
            return [number for number, _ in self._missing()]

    def faults(self) -> list[str]:
        """What is damaged or missing, or was when the table was opened for writing; one sentence each."""
        if self._mode in ("write", "join"):
            return list(self._found)
        with self._lock:
            try:
                found = sqlite_damage.faults(self._db, self._version, self._known)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise sqlite_file.fault(self.path, error) from None
            said = found + [each for each in self._found if each not in found]
            return said if said == [GAPS] else [each for each in said if each != GAPS]  # what else is said explains it

    def tally(self) -> Tally:
        """What all rows come to."""
        return Tally(*self._read(_TALLY)[0])

    def best(self, metric: str, *, is_minimized: bool = False) -> Trial | None:
        """The trial with the best value of a metric at the largest budget that has one, the earliest of equals."""
        named = {"name": sqlite_rows.dump(metric) + ":"}
        done, extreme = "status = 'done' AND instr(metrics, :name)", f"{'MIN' if is_minimized else 'MAX'}({_VALUE})"
        # one pass over all rows says both where nothing has a budget, as in most tables
        whole = f"SELECT MAX(budget), {extreme} FILTER (WHERE budget IS NULL) FROM trials NOT INDEXED WHERE {done}"
        top, about = self._read(whole, named)[0]
        named["top"] = top
        at_top = f"{done} AND COALESCE(budget, 0) = COALESCE(:top, 0)"
        if top is not None:
            about = self._read(f"SELECT {extreme} FROM trials NOT INDEXED WHERE {at_top}", named)[0][0]
        if about is None:
            return None
        # SQLite reads numbers to about their last digit: those near the best one are read again
        named["edge"] = about + (1 if is_minimized else -1) * abs(about) * 1e-12
        near = f"{_VALUE} {'<=' if is_minimized else '>='} :edge"
        found = self._read(f"SELECT finish, {_AFTER} FROM trials NOT INDEXED WHERE {at_top} AND {near}", named)
        sign = 1 if is_minimized else -1
        for _, finish in sorted((sign * sqlite_rows.leading_number(text), finish) for finish, text in found):
            if trials := self._trials(self._rows("finish = ?", finish)):
                return trials[0]
        return self._best_whole(metric, sign)  # those were all damaged

    def _best_whole(self, metric: str, sign: int) -> Trial | None:
        """The best trial of those that are whole, by reading all of them; `sign` -1: higher is better."""
        best, rank, after = None, (0.0, 0.0), 0
        while rows := self.finished(after, PAGE):
            after = rows[-1].finish or after
            for row in rows:
                if row.result is not None and not row.result.failure and metric in row.result.metrics:
                    found = (-(row.proposal.budget or 0.0), sign * row.result.metrics[metric])
                    if best is None or found < rank:
                        best, rank = row, found
        return best

    def requeue(self, lost_for: float, worker: str | None = None, reason: str = "") -> int:
        """Put rows of dead or silent workers back to pending; fail those lost too often.

        A worker is dead when the process that beat for it is gone: its id and birth are in the table, so that neither
        a reused process id, nor a restart of the machine, nor a clock that was set misleads. Of a process that cannot
        be seen from here, as one in another container, its beats tell.
        """
        with self._lock:
            running = self._read(
                "SELECT t.id, t.worker, w.pid, w.born, w.beat FROM trials t "
                "LEFT JOIN workers w ON w.name = t.worker WHERE t.status = 'running'"
            )
            now, fate = time.monotonic(), cache(liveness.fate)
            lost = {
                trial_id: reason or _why_lost(pid, born, now, beat)
                for trial_id, name, pid, born, beat in running
                if worker in (None, name) and (not _may_live(pid, born, fate) or now - beat >= lost_for)
            }
            for trial_id, why in lost.items():
                self._lose(trial_id, why)
            return len(lost)

    def put_back(self, worker: str | None = None) -> int:
        """Put running rows (of one worker, or all) back to pending without counting a loss."""
        update = "UPDATE trials SET status = 'pending' WHERE status = 'running' AND worker = COALESCE(?, worker)"
        return self._write(lambda db: int(db.execute(update, (worker,)).rowcount))

    def remember(self, name: str, text: str) -> None:
        """Keep a fact about the run."""
        self._write(lambda db: _set_fact(db, name, text), statements=2)

    def exchange(self, name: str, old: str | None, new: str | None) -> bool:
        """Replace a fact if it is `old`, atomically; None: there is none. Returns whether it was replaced."""

        def exchange(db: Any) -> bool:
            if self.recall(name) != old:
                return False
            if new is None:
                db.execute("DELETE FROM facts WHERE name = ?", (name,))
                db.execute("DELETE FROM fact_sums WHERE name = ?", (name,))
            else:
                _set_fact(db, name, new)
            return True

        return bool(self._write(exchange, statements=2))

    def recall(self, name: str) -> str | None:
        """A fact that was kept before; None: there is none of this name.

        Raises:
            StoreError: It is damaged. A look that takes what it can only goes without, and `faults` names it, unless
                the rest says nothing without that fact.
        """
        texts = self._read("SELECT text FROM facts WHERE name = ?", name)
        if self._version == 1:
            return str(texts[0][0]) if texts else None
        sums = self._read("SELECT sum FROM fact_sums WHERE name = ?", name)
        if not texts and not sums:
            return None
        if texts and sums and sqlite_damage.is_fact(name, texts[0][0], sums[0][0]):
            return str(texts[0][0])
        if self._mode == "inspect" and name not in sqlite_damage.NEEDED:
            self._leave_out(sqlite_damage.of_fact(name))
            return None
        raise StoreError(
            f"{self.path} is damaged (the fact {name!r} is not what was written); keep it aside, and restore a "
            "copy or start in another folder"
        )

    def workers(self) -> list[WorkerState]:
        """Living workers that have beaten or claimed, in order of name."""
        rows = self._read("SELECT name, activity, beat, pid, born FROM workers ORDER BY length(name), name")
        # joined here: SQLite would go through all running rows for each worker
        at = dict(self._read("SELECT worker, id FROM trials WHERE status = 'running' ORDER BY id DESC"))
        now, fate = time.monotonic(), cache(liveness.fate)
        return [
            WorkerState(name, at.get(name), activity, now - beat)
            for name, activity, beat, pid, born in rows
            if _may_live(pid, born, fate) and (now - beat < UNSEEN_FOR or fate(pid, born) == "alive")
        ]

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block of this thread's calls that become durable together, at its end; each stands or falls by itself."""
        with self._lock:
            is_written = False
            try:
                with self._commits.together():
                    yield
                is_written = True
            except sqlite3.Error as error:
                raise sqlite_file.fault(self.path, error) from None
            finally:
                later, self._later = self._later, {}
                if not is_written:
                    self._holes, self._is_idle, self._holds = None, False, {}
            for note, number in later.items():
                self._note(note, number)

    def close(self) -> None:
        """Close the file; the last one to close folds the write-ahead log into it."""
        with self._lock:
            self._count.close()
            self._db.close()

    def _lose(self, trial_id: int, reason: str) -> None:
        failed = Result(failure="lost", message=lost_message(reason))
        lost = (*sqlite_rows.result_row(trial_id, failed), trial_id)

        def lose(db: Any) -> int:
            again = db.execute(
                "UPDATE trials SET status = 'pending', losses = losses + 1, message = ? "
                "WHERE id = ? AND status = 'running' AND losses < ?",
                (reason, trial_id, MAX_LOSSES),
            )
            places = [] if again.rowcount else db.execute(_FINISH, lost).fetchall()
            return int(places[0][0]) if places else 0

        if place := self._write(lose, statements=2):
            self._note(self._count.finished, place)

    def _rows(self, where: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._read(f"SELECT {self._columns} FROM trials WHERE {where}", *values)

    def _trials(self, rows: list[tuple[Any, ...]]) -> list[Trial]:
        """The trials of these rows; those that are damaged are left out by a look that takes what it can."""
        has_sums, found = self._version > 1, []
        for row in rows:
            try:
                found.append(sqlite_rows.read(row, has_sums=has_sums))
            except DamagedRow as error:
                if self._mode != "inspect":
                    raise self._damaged(f"trial {row[0]}: {error}") from None
                self._leave_out(sqlite_damage.of_trial(row[0], error))
        return found

    def _leave_out(self, sentence: str) -> None:
        if sentence not in self._found and len(self._found) < sqlite_damage.MOST_SAID:
            self._found.append(sentence)

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"{self.path} is damaged ({what}); `netwright search --out {self.path.parent}` keeps that aside and asks "
            "it again, or restore a copy"
        )

    def _refuse_missing(self) -> None:
        """Count how many rows there are, before a look at them; raise StoreError where some are known to be missing.

        A look that takes what it can refuses nothing: `faults` says what is missing.
        """
        if self._mode not in ("read", "inspect") or self._extent is not None:
            return
        with self._lock:
            try:
                found = sqlite_damage.extent(self._db, self._version)
                said = sqlite_damage.missing(found, self._known, len(sqlite_damage.holes_of(self._db)))
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise sqlite_file.fault(self.path, error) from None
            if said and self._mode == "read":
                raise self._damaged("; ".join(said))
            self._extent = found

    def _has_gaps(self, after: int, most: int | None, rows: list[tuple[Any, ...]]) -> bool:
        """Whether a look did not get rows that the table is known to hold, as with a damaged index."""
        if self._extent is None:
            return False
        places, expected = [row[9] for row in rows], max(0, self._extent.finished - after)
        is_whole = self._extent.kept or places == list(range(after + 1, after + 1 + len(rows)))
        return not is_whole or len(rows) < (expected if most is None else min(expected, most)) - self._extent.kept

    def _missing(self) -> list[tuple[int, int | None]]:
        if self._holes is None:
            self._holes = sqlite_damage.holes_of(self._db) if self._version > 1 else []
        return self._holes

    def _note(self, note: Callable[[int], None], number: int) -> None:
        if self._commits.is_grouped:  # it is never ahead of the table
            self._later[note] = max(number, self._later.get(note, 0))
            return
        try:
            note(number)
        except OSError as error:
            why = disk.reason(error, self._count.path)
            raise StoreError(f"{self._count.path} cannot be written: {why}; check the disk") from None

    def _read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        given = values[0] if values and isinstance(values[0], dict) else values
        with self._lock:
            try:
                return list(self._db.execute(query, given))
            except (sqlite3.Error, UnicodeDecodeError) as error:
                if "decode" not in str(error):
                    raise sqlite_file.fault(self.path, error) from None
            try:  # text that is no UTF-8: the row that it stands in is damaged, not the others
                with sqlite_damage.tolerant(self._db):
                    return list(self._db.execute(query, given))
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise sqlite_file.fault(self.path, error) from None

    def _write(self, work: Callable[[Any], Any], statements: int = 1) -> Any:
        """Run `work` as one transaction; a single statement is one by itself."""
        with self._lock:
            try:
                return self._commits.write(work, statements)
            except sqlite3.Error as error:
                raise sqlite_file.fault(self.path, error) from None


def _set_fact(db: Any, name: str, text: str) -> None:
    db.execute(_FACT, (name, text))
    db.execute(_FACT_SUM, (name, sqlite_rows.fact_sum(name, text)))


def _may_live(pid: int | None, born: object, fate: Callable[[int, str], Fate] = liveness.fate) -> bool:
    """Whether a worker's process may be alive: it has beaten since this machine was started, and is not gone."""
    if pid is None or not isinstance(born, str):  # it never beat, or under an earlier schema
        return False
    return liveness.is_of_this_boot(born) and fate(pid, born) != "dead"


def _why_lost(pid: int | None, born: object, now: float, beat: float | None) -> str:
    if beat is None or not isinstance(born, str) or not _may_live(pid, born):
        return (
            f"process {pid}, which watched over its worker, is gone" if pid else "its worker never gave a sign of life"
        )
    return f"its worker gave no sign of life for {now - beat:.0f} s"


plugin = SqliteStore
