"""A comparison on tables on disk: a line for each cell played, so that the same command goes on where it stopped.

`cells.jsonl` only grows: a comparison that is killed loses only the cells that were being played. `problems.json` says
what each problem was, so that cells of two different tables are never taken for those of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from netwright.comparison import courses
from netwright.comparison.courses import Course, SearchCell
from netwright.comparison.tables.problems import Problem
from netwright.core import files
from netwright.core.errors import StoreError
from netwright.runs import run_folder

CELLS, PROBLEMS = run_folder.COMPARISON


@dataclass(frozen=True)
class Stored:
    """What a folder holds.

    Args:
        cells: The longest course of each cell that the last program to play it has made.
        damaged: The cell of each line that cannot be read; None: the line does not tell its cell either.
    """

    cells: Mapping[SearchCell, Course]
    damaged: tuple[SearchCell | None, ...] = ()


def read(folder: Path) -> Stored:
    """The cells of a folder. A line that a kill has cut is removed, so that the next one does not end up in it."""
    path = folder / CELLS
    if not path.exists():
        return Stored({})
    found: dict[SearchCell, Course] = {}
    damaged: list[SearchCell | None] = []
    with path.open("r+b") as file:
        whole = 0
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(whole)
                break
            whole += len(line)
            try:
                cell, course = courses.from_line(line.decode())
            except ValueError:  # no JSON, or no UTF-8
                damaged.append(courses.cell_of(line.decode(errors="replace")))
                continue
            if cell not in found or len(found[cell]) < len(course) or found[cell].source != course.source:
                found[cell] = course
    return Stored(found, tuple(damaged))


def claim(folder: Path, problems: Sequence[Problem]) -> None:
    """Notes what the problems are. Raises StoreError when the folder has cells of another problem of the same name."""
    path = folder / PROBLEMS
    try:
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        digests = {str(name): str(digest) for name, digest in known.items()}
    except (ValueError, AttributeError, RecursionError):
        raise StoreError(f"{path} is damaged; restore it, or give another folder with --out") from None
    if not digests and (folder / CELLS).exists():
        raise StoreError(f"{folder} has cells but no {PROBLEMS} that says of what; give another folder with --out")
    for problem in problems:
        if digests.get(problem.name, problem.digest) != problem.digest:
            raise StoreError(
                f"{folder} holds cells of another table called {problem.name!r}: its content or its columns of signal, "
                "final measure and genes were different; give another folder with --out"
            )
    new = digests | {problem.name: problem.digest for problem in problems}
    if new != digests:
        files.write(path, (json.dumps(new, indent=2) + "\n").encode())


class Writer:
    """Appends cells to a folder; each is on its way to the disk when `add` returns."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / CELLS).open("ab")

    def add(self, cell: SearchCell, course: Course) -> None:
        """Write one cell. Raises OSError when the disk is full; what was written before stays."""
        self._file.write(courses.to_line(cell, course).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Waits until the disk has all cells, and closes the file."""
        os.fsync(self._file.fileno())
        self._file.close()
