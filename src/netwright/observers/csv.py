"""A file trials.csv in the run's folder: a line for each finished trial, its genes and metrics in columns."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TextIO

from netwright.core import files
from netwright.core.genes import Gene
from netwright.core.protocols import Observed
from netwright.core.records import Trial
from netwright.observers import rows

FILE: Final = "trials.csv"


class CsvFile:
    """Keeps trials.csv: complete whenever a search begins or goes on, and a line longer with each trial.

    Columns are those of `rows.row`; a metric that is measured for the first time becomes a new last column.
    """

    def __init__(self) -> None:
        self._path = Path()
        self._genes: tuple[Gene, ...] = ()
        self._columns: dict[str, None] = {}
        self._file: TextIO | None = None

    def on_begin(self, run: Observed) -> None:
        """Write the trials that finished before."""
        self._path, self._genes = run.folder / FILE, rows.genes_of(run)
        self._columns = {}
        for trial in run.earlier():
            self._columns |= dict.fromkeys(rows.row(self._genes, trial))
        self._rewrite(rows.row(self._genes, trial) for trial in run.earlier())

    def on_step(self, trial_id: int, step: int, total: int | None, values: Mapping[str, float]) -> None:
        """Write nothing."""

    def on_trial(self, trial: Trial) -> None:
        """Write a line."""
        row = rows.row(self._genes, trial)
        if new := dict.fromkeys(row.keys() - self._columns.keys()):
            self._columns |= {name: None for name in row if name in new}
            with self._path.open(encoding="utf-8", newline="") as old:
                self._rewrite(csv.DictReader(old))
        assert self._file is not None, "the search has begun"
        csv.DictWriter(self._file, list(self._columns)).writerow(row)
        self._file.flush()

    def on_end(self, facts: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _rewrite(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Replace the file by one with these lines, and hold it open for more."""
        draft = files.draft_of(self._path)
        with draft.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(self._columns))
            if self._columns:
                writer.writeheader()
            writer.writerows(lines)
        if self._file is not None:
            self._file.close()
        os.replace(draft, self._path)
        self._file = self._path.open("a", encoding="utf-8", newline="")


plugin = CsvFile
