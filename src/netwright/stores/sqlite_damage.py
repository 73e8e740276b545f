"""What is damaged in a SQLite table: found, set aside, and made ready to be asked again.

A row whose result is damaged goes back to pending with its seed and keeps its place among the finished ones, so that
the controller waits for it where it stood and tells the strategy the same history again. A row of which not even the
asked part is whole leaves a hole: the controller asks the trial of that number anew, and it too takes the place it had.
What was read stands in the table `damaged`, for people.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.core import reading
from netwright.stores import sqlite_file, sqlite_rows
from netwright.stores.sqlite_rows import MIX, DamagedRow

VERIFIED = 20_000  # rows up to which a look verifies all of them
MOST_HOLES = 100_000
MOST_SAID = 100  # sentences on one kind of damage
_KEPT = ("worker", "losses", "place")
NEEDED = ("run", "format")  # facts without which the rest says nothing


@dataclass(frozen=True)
class Extent:
    """How far a table reaches.

    Args:
        rows: Number of rows.
        last: Highest number of a row.
        finished: Number of finished rows.
        end: Highest place among the finished rows.
        kept: Number of places kept for rows whose result was damaged.
    """

    rows: int
    last: int
    finished: int
    end: int
    kept: int


def extent(db: sqlite3.Connection, version: int) -> Extent:
    """The extent of a table, counted in its rows and not in an index."""
    kept = "COUNT(CASE WHEN finish IS NULL THEN place END)" if version > 1 else "0"
    place = "CASE typeof(finish) WHEN 'integer' THEN finish END"
    query = f"SELECT COUNT(*), COALESCE(MAX(id), 0), COUNT(finish), COALESCE(MAX({place}), 0), {kept} FROM trials"
    counted = Extent(*db.execute(f"{query} NOT INDEXED").fetchone())
    if version == 1:
        return counted
    holes = sum(place is not None for _, place in holes_of(db))
    return Extent(counted.rows, counted.last, counted.finished, counted.end, counted.kept + holes)


def holes_of(db: sqlite3.Connection) -> list[tuple[int, int | None]]:
    """Numbers of the trials that were set aside and not yet asked again, and the places kept for them."""
    query = (
        "SELECT id, MAX(place) FROM damaged WHERE what = 'trial' AND id BETWEEN 1 AND (SELECT MAX(id) FROM trials) "
        "AND id NOT IN (SELECT id FROM trials) GROUP BY id ORDER BY id"
    )
    return [(int(number), place) for number, place in db.execute(query)] if _has(db, "damaged") else []


def missing(found: Extent, known: tuple[int, int], holes: int = 0) -> list[str]:
    """What the extent of a table says of rows that are gone, given the numbers that are known of it."""
    last = max(found.last, known[0])
    end = max(found.end if found.end <= last else found.finished, known[1])  # no more can have finished than were asked
    rows, results = last - found.rows - holes, end - found.finished - found.kept
    said = []
    if rows > 0:
        said.append(f"{_trials(rows)} missing: {last:,} were asked, {found.rows:,} are there")
    if results > 0:
        said.append(f"{_results(results)} missing: {end:,} were finished, {found.finished:,} are there")
    is_shorter = found.last < known[0] or found.end < known[1]
    cause = "; the log of the table was cut, or an older copy was put back" if is_shorter else ""
    return [f"{sentence}{cause}" for sentence in said]


def faults(db: sqlite3.Connection, version: int, known: tuple[int, int]) -> list[str]:
    """What is damaged or missing, one sentence each, without a change; rows are verified up to VERIFIED of them."""
    found = extent(db, version)
    said = missing(found, known, len(holes_of(db))) + [of_fact(name) for name in damaged_facts(db, version)]
    if found.rows > VERIFIED:
        return said
    said += _listed(_damaged_rows(db, version))
    check = _integrity(db)
    return said if said or check == ["ok"] else [f"the table is damaged: {check[0]}"]


def is_fact(name: object, text: object, known: object) -> bool:
    """Whether a fact has the checksum that it was written with."""
    try:
        return type(name) is str and type(text) is str and known == sqlite_rows.fact_sum(name, text)
    except ValueError:  # text that is no UTF-8
        return False


def of_fact(name: str) -> str:
    """A sentence on a damaged fact."""
    return f"the fact {reading.shown(name)} is damaged: it has another checksum than when it was written"


def of_trial(number: int, why: DamagedRow) -> str:
    """A sentence on a damaged row."""
    return f"trial {number} is damaged: {why}"


def damaged_facts(db: sqlite3.Connection, version: int) -> list[str]:
    """Names of facts that have another checksum than when they were written."""
    if version == 1:
        return []
    with tolerant(db):
        sums = dict(db.execute("SELECT name, sum FROM fact_sums").fetchall())
        facts = db.execute("SELECT name, text FROM facts").fetchall()
    damaged = {name for name, text in facts if not is_fact(name, text, sums.get(name))}
    return sorted(map(str, damaged | (sums.keys() - dict(facts))))


def repair(
    db: sqlite3.Connection, path: Path, version: int, known: tuple[int, int], write_count: Callable[[int, int], None]
) -> list[str]:
    """Set aside what is damaged, bring the table to this schema, and say what was found.

    Args:
        db: A connection that may write.
        path: The table's file, for messages.
        version: Schema of the table.
        known: Rows asked and finished that the table is known to have had.
        write_count: Is given what the table holds now, before that is settled.

    Raises:
        sqlite3.Error: The pages of the file are damaged.
    """
    check = _integrity(db)
    if not all(message == "ok" or _is_rebuilt(message) for message in check):
        raise sqlite3.DatabaseError(check[0])
    found = extent(db, version)
    said = missing(found, known, len(holes_of(db)))
    lost_facts = damaged_facts(db, version)
    said += [of_fact(name) for name in lost_facts if name in NEEDED]  # these stay: who reads them is refused
    is_sound = check == ["ok"] and version == sqlite_file.VERSION and not set(lost_facts).difference(NEEDED)
    is_whole = found.last == found.rows + len(holes_of(db)) and found.end == found.finished + found.kept
    if is_sound and is_whole and not _damaged_rows(db, version):
        if known != (found.last, found.end):
            write_count(found.last, found.end)
        return said
    db.execute("BEGIN IMMEDIATE")
    try:
        said += _rebuild(db, version)
        said += [of_fact(name) for name in _set_facts_aside(db, version)]
        db.execute(f"PRAGMA user_version = {sqlite_file.VERSION}")
        if check != ["ok"]:
            db.execute("REINDEX")
        now = extent(db, sqlite_file.VERSION)
        write_count(now.last, now.end)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    if check != ["ok"] and not said:
        said.append(f"the indexes of {path.name} were damaged, and made anew")
    return said


def _rebuild(db: sqlite3.Connection, version: int) -> list[str]:
    """Write all rows anew, those that are damaged as pending or not at all; say which."""
    bad = _damaged_rows(db, version)
    if version == 1:
        _run(db, f"{sqlite_file.SUMS} DROP TABLE workers; {sqlite_file.WORKERS}")  # signs of life, of nobody who lives
    _run(db, sqlite_file.TRIALS.format(name="whole"))
    reset: list[tuple[int, int | None, str]] = []
    aside: list[tuple[int, int | None, str]] = []

    def rows() -> Iterator[tuple[Any, ...]]:
        for row in _raw(db, version):
            trial_id, finish, place = row[0], row[9], row[-1]
            why = bad.get(trial_id)
            if why is None:
                yield _settled(row if version > 1 else _summed(row))
                continue
            hint = finish if isinstance(finish, int) else place if isinstance(place, int) else None
            (aside if why.in_asked else reset).append((trial_id, hint, json.dumps(row, default=repr)))
            if not why.in_asked:
                asked = row[1:8]
                total = row[-5] if version > 1 else sqlite_rows.asked_sum(*asked) + MIX * trial_id
                yield (trial_id, *asked, "pending", *(None,) * 7, total, None, None, 0, None)

    columns = (*sqlite_rows.COLUMNS, *_KEPT)
    marks = ", ".join("?" * len(columns))
    with tolerant(db) if bad else _as_it_is():
        db.executemany(f"INSERT INTO whole ({', '.join(columns)}) VALUES ({marks})", rows())
    _run(db, "DROP TABLE trials; ALTER TABLE whole RENAME TO trials;" + sqlite_file.INDEXES)
    for number, hint, content in (*reset, *aside):
        db.execute("INSERT INTO damaged VALUES ('trial', ?, ?, ?)", (number, hint, content))
    gone = _keep_places(db, reset)
    lost = [number for number in gone if number not in bad]
    said = [f"trial {number} is gone" for number in lost[:MOST_SAID]]
    return _listed(bad) + said + ([f"{len(lost) - MOST_SAID:,} more trials are gone"] if lost[MOST_SAID:] else [])


def _listed(bad: Mapping[int, DamagedRow]) -> list[str]:
    said = [of_trial(number, bad[number]) for number in sorted(bad)[:MOST_SAID]]
    return said + ([f"{len(bad) - MOST_SAID:,} more trials are damaged"] if len(bad) > MOST_SAID else [])


def _keep_places(db: sqlite3.Connection, reset: Sequence[tuple[int, int | None, str]]) -> list[int]:
    """Give the places that are free among the finished rows to rows that were reset and to holes; returns the holes."""
    numbers = db.execute("SELECT id FROM trials ORDER BY id")
    holes = _gaps((number for (number,) in numbers), "trials")
    finishes = db.execute("SELECT finish FROM trials WHERE finish > 0 ORDER BY finish")
    places = _gaps((place for (place,) in finishes), "results")
    hints = dict(db.execute("SELECT id, MAX(place) FROM damaged WHERE what = 'trial' GROUP BY id").fetchall())
    waiting = {number for (number,) in db.execute("SELECT id FROM trials WHERE finish IS NULL AND place IS NOT NULL")}
    waiting |= {number for number, _, _ in reset}
    db.execute("UPDATE trials SET place = NULL WHERE finish IS NULL")
    free, kept = set(places), {}
    candidates = sorted({*waiting, *holes}, key=lambda number: (hints.get(number) is None, number))
    for number in candidates:
        if hints.get(number) in free:
            kept[number] = hints[number]
            free.discard(hints[number])
    kept |= dict(zip([number for number in candidates if number not in kept], sorted(free), strict=False))
    for number in candidates:
        if number in waiting:
            db.execute("UPDATE trials SET place = ? WHERE id = ?", (kept.get(number), number))
        else:
            db.execute("DELETE FROM damaged WHERE what = 'trial' AND id = ? AND content IS NULL", (number,))
            db.execute("UPDATE damaged SET place = NULL WHERE what = 'trial' AND id = ?", (number,))
            db.execute("INSERT INTO damaged VALUES ('trial', ?, ?, NULL)", (number, kept.get(number)))
    _close_up(db, sorted(free - set(kept.values())))
    return holes


def _close_up(db: sqlite3.Connection, places: Sequence[int]) -> None:
    """Let later rows move up where no row is left for a place."""
    for place in reversed(places):
        later = db.execute("SELECT id, finish FROM trials WHERE finish > ? ORDER BY finish", (place,)).fetchall()
        for number, finish in later:
            db.execute(
                "UPDATE trials SET finish = ?, result_sum = result_sum - ? WHERE id = ?", (finish - 1, MIX, number)
            )
        db.execute("UPDATE trials SET place = place - 1 WHERE place > ?", (place,))
        db.execute("UPDATE damaged SET place = place - 1 WHERE place > ?", (place,))


def _gaps(numbers: Iterator[int], what: str) -> list[int]:
    found: list[int] = []
    expected = 1
    for number in numbers:
        if number - expected > MOST_HOLES:
            raise sqlite3.DatabaseError(f"{number - expected:,} {what} are gone before number {number:,}")
        found += range(expected, number)
        expected = number + 1
    return found


def _set_facts_aside(db: sqlite3.Connection, version: int) -> list[str]:
    if version == 1:
        facts = db.execute("SELECT name, text FROM facts").fetchall()
        db.executemany(
            "INSERT INTO fact_sums VALUES (?, ?)", [(name, sqlite_rows.fact_sum(name, text)) for name, text in facts]
        )
        return []
    lost = [name for name in damaged_facts(db, version) if name not in NEEDED]
    with tolerant(db):
        for number, name, text in db.execute("SELECT rowid, name, text FROM facts").fetchall():
            if str(name) in lost:  # by its number: a name that is no UTF-8 cannot be asked for
                content = json.dumps((name, text), default=repr)
                db.execute("INSERT INTO damaged VALUES ('fact', NULL, NULL, ?)", (content,))
                db.execute("DELETE FROM facts WHERE rowid = ?", (number,))
        for number, name in db.execute("SELECT rowid, name FROM fact_sums").fetchall():
            if str(name) in lost:
                db.execute("DELETE FROM fact_sums WHERE rowid = ?", (number,))
    return lost


def _damaged_rows(db: sqlite3.Connection, version: int) -> dict[int, DamagedRow]:
    try:
        return _find(db, version)
    except (sqlite3.OperationalError, UnicodeDecodeError):  # text that is no UTF-8
        with tolerant(db):
            return _find(db, version)


def _find(db: sqlite3.Connection, version: int) -> dict[int, DamagedRow]:
    """Rows that are not what was written, by number; those of a table without checksums, that cannot have been."""
    is_small = version == 1 or db.execute("SELECT COUNT(*) FROM trials NOT INDEXED").fetchone()[0] <= VERIFIED
    bad: dict[int, DamagedRow] = {}
    places: dict[int, int] = {}
    for row in _raw(db, version):
        cells = row[: -len(_KEPT)]
        try:
            if is_small:
                trial = sqlite_rows.read(cells, has_sums=version > 1)
                if version == 1 and trial.finish is not None:
                    other = places.setdefault(trial.finish, trial.id)
                    if other != trial.id:
                        raise DamagedRow(f"it finished in the place of trial {other}", in_asked=False)
            else:
                sqlite_rows.check_sums(cells)
        except DamagedRow as error:
            bad[row[0]] = error
    return bad


def _raw(db: sqlite3.Connection, version: int) -> Iterator[tuple[Any, ...]]:
    """The cells of every row as they lie in the table, in order of number; those that a schema lacks are None."""
    lacks = {"asked_sum", "result_sum", "place"} if version == 1 else set()
    cells = ", ".join("NULL" if name in lacks else name for name in (*sqlite_rows.COLUMNS, *_KEPT))
    return iter(db.execute(f"SELECT {cells} FROM trials NOT INDEXED ORDER BY id"))


def _summed(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The cells of a row of schema 1 with checksums."""
    trial_id, finish = row[0], row[9]
    asked = sqlite_rows.asked_sum(*row[1:8]) + MIX * trial_id
    came = None if finish is None else sqlite_rows.result_sum(trial_id, row[8], *row[10:16]) + MIX * finish
    return (*row[:16], asked, came, *row[18:])


def _settled(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The cells of a whole row, those that no checksum covers made plain."""
    *cells, worker, losses, place = row
    name = worker if isinstance(worker, str) and worker.isprintable() else None
    kept = place if isinstance(place, int) else None
    return (*cells, name, losses if isinstance(losses, int) else 0, kept)


def _integrity(db: sqlite3.Connection) -> list[str]:
    return [" ".join(str(message).split()) for (message,) in db.execute("PRAGMA integrity_check")]


def _is_rebuilt(message: str) -> bool:
    """Whether writing the rows anew sets it right: an index that does not fit, or cells of rows."""
    set_right = ("missing from index", "entries in index", "entry in index", "NULL value in")
    return any(part in message for part in set_right)


def _has(db: sqlite3.Connection, table: str) -> bool:
    return bool(db.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchone())


def _run(db: sqlite3.Connection, script: str) -> None:
    """Statements within the transaction that is open, which `executescript` would end."""
    lines = (line.partition("--")[0] for line in script.splitlines())
    for statement in filter(str.strip, " ".join(lines).split(";")):
        db.execute(statement)


@contextmanager
def tolerant(db: sqlite3.Connection) -> Iterator[None]:
    """Text that is no UTF-8 is read all the same; its checksum cannot be made."""
    db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        db.text_factory = str


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _trials(count: int) -> str:
    return f"{count:,} trial is" if count == 1 else f"{count:,} trials are"


def _results(count: int) -> str:
    return f"{count:,} result is" if count == 1 else f"{count:,} results are"
