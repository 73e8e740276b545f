"""Transactions of one connection to SQLite: each call is one by itself, or those within a block are one together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Commits:
    """Writes to a table; not for several threads at once.

    Args:
        db: The connection, which begins no transaction by itself.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.is_grouped = False
        self._undone: sqlite3.Error | None = None  # upon which SQLite itself has undone the whole group

    def write(self, work: Callable[[sqlite3.Connection], Any], statements: int = 1) -> Any:
        """Run `work` as one transaction, or within that of the block; a single statement is whole by itself.

        Raises:
            sqlite3.Error: Nothing of it was written; within a block, nothing of whatever it held may have been.
        """
        if not self.is_grouped:
            return work(self._db) if statements == 1 else self._whole(work, "BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
        if self._undone is not None:
            raise self._undone
        if not self._db.in_transaction:  # what only reads takes no lock
            self._db.execute("BEGIN IMMEDIATE")
        try:
            if statements == 1:
                return work(self._db)
            return self._whole(work, "SAVEPOINT one", "RELEASE one", ("ROLLBACK TO one", "RELEASE one"))
        except sqlite3.Error as error:
            if not self._db.in_transaction:
                self._undone = error
            raise

    @contextmanager
    def together(self) -> Iterator[None]:
        """A block whose writes are committed at its end; they are all undone where it raises.

        Raises:
            sqlite3.Error: They could not be committed.
        """
        self.is_grouped, self._undone = True, None
        try:
            yield
            if self._undone is not None:
                raise self._undone
            if self._db.in_transaction:
                self._db.execute("COMMIT")
        finally:
            self.is_grouped = False
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    def _whole(self, work: Callable[[sqlite3.Connection], Any], begin: str, end: str, undo: tuple[str, ...]) -> Any:
        self._db.execute(begin)
        try:
            answer = work(self._db)
        except BaseException:
            if self._db.in_transaction:  # SQLite itself has undone it where the disk is full
                for statement in undo:
                    self._db.execute(statement)
            raise
        self._db.execute(end)
        return answer
