"""A run on disk: a folder with the table, which also holds the run file, with logs, final trainings and a report.

The folder alone is enough to resume, report and rebuild. It says in which format it was written, and `refuse_format`
alone decides what becomes of folders of other formats. Who may write to it is `ownership`'s.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal

from netwright.core import objectives, refs, remembered, run_file, timetable
from netwright.core.contest import FACT
from netwright.core.errors import StoreError
from netwright.core.protocols import Store
from netwright.core.records import Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.core.trust import Trust
from netwright.report.history import History
from netwright.stores import row_count

FORMAT = 1  # of the folders that this release writes; folders of earlier releases give no number
TABLE = "trials.sqlite"
PAGE = 10_000  # rows read from a table at once
TRAININGS = "train-"  # begins the names of the folders of full trainings within that of a run
EXPORT = "export"  # the folder of what ships after a contest
LONGEST = 440  # bytes of its path: SQLite opens files whose path has up to 504, and names within come behind it
COMPARISON = ("cells.jsonl", "problems.json")  # what `netwright bench` writes into a folder when it compares on tables
CONTEST = "runs/*/recipe.toml"  # and when it compares on recipes


def holds_run(folder: Path) -> bool:
    """Whether there is a table in the folder."""
    return (folder / TABLE).exists()


def had_run(folder: Path) -> bool:
    """Whether there was a table in the folder, as the number of its rows says, which lies beside it."""
    return row_count.RowCount(folder / TABLE).read() != (0, 0)


def has_begun(folder: Path) -> bool:
    """Whether there is a run in the folder that can go on: a kill may leave a table in which none was noted yet."""
    return holds_run(folder) and settings_in(folder) is not None


def holds_comparison(folder: Path) -> bool:
    """Whether strategies were compared in the folder."""
    return holds_tables(folder) or holds_contest(folder)


def holds_tables(folder: Path) -> bool:
    """Whether strategies were compared in the folder on tables."""
    return any((folder / name).exists() for name in COMPARISON)


def holds_contest(folder: Path) -> bool:
    """Whether strategies were compared in the folder on recipes."""
    return any(folder.glob(CONTEST))


def refuse_format(folder: Path, number: str | None, known: int = FORMAT) -> None:
    """Raise StoreError for a folder that another release wrote in a way that this one does not read.

    This one place decides it for runs, for trainings within them and for comparisons. A format that this release still
    understood would be brought up to date, or opened for reading alone, from here.

    Args:
        folder: The folder that was written.
        number: Format that stands in the folder; None: no format stands there.
        known: Format that this release reads: that of runs, or that of comparisons.
    """
    if number == str(known):
        return
    if number is None or number in map(str, range(known)):
        raise StoreError(
            f"{folder} was written by an earlier netwright, in a format that this one does not read; use the release "
            "that wrote it, or begin in another folder with --out"
        )
    raise StoreError(
        f"{folder} has format {number[:20]}, of a newer netwright; this one reads format {known}: upgrade, or begin in "
        "another folder with --out"
    )


def refuse_long(folder: Path) -> None:
    """Raise StoreError for a folder in which no table could be made, as the path of its file would be too long."""
    if (found := path_length(folder)) > LONGEST and not holds_run(folder):
        raise StoreError(
            f"the path {folder} has {found:,} bytes, and SQLite opens no table below one of more than {LONGEST}; give "
            "a shorter one with --out"
        )


def path_length(folder: Path) -> int:
    """Bytes of the path of a folder, from the root."""
    return len(os.fsencode(folder.absolute()))


def open_table(folder: Path, mode: Literal["write", "join", "read", "inspect"]) -> Store:
    """Opens the table of a folder. Raises StoreError when there is no table, or it cannot be used.

    Args:
        folder: Folder of a run.
        mode: "write" makes the table when missing and sets aside what is damaged; "join" goes on with one that is
            there; "read" only looks; so does "inspect", which leaves out what is damaged (`Store.faults` names it).
    """
    if mode != "write" and not holds_run(folder) and not had_run(folder):
        raise StoreError(f"{folder} holds no run ({TABLE} is missing); give the folder that a search wrote to")
    store: Store = refs.load("store", Reference("sqlite", {"path": str(folder / TABLE), "mode": mode}))
    try:
        number = store.recall("format")
        if number is not None or _holds_trials(store):
            refuse_format(folder, number)
    except BaseException:
        store.close()
        raise
    return store


def stored_run(store: Store, folder: Path, trust: Trust = Trust()) -> RunFile:
    """`recorded_run`, whose plug-ins may be loaded.

    Raises:
        StoreError: There is no run file.
        BadReference: It names a plug-in that is not trusted.
    """
    run = recorded_run(store, folder)
    trust.check(run_file.references(run), f"the run file in {folder}")
    return run


def recorded_run(store: Store, folder: Path) -> RunFile:
    """The run file of a table, with the objective that its results show where it names none: data, nothing to load.

    Raises StoreError when there is no run file: nothing was ever asked.
    """
    text = store.recall("run")
    if text is None:
        raise StoreError(f"the table of {folder} holds no run file: its search never started; start it again")
    run = run_file.from_toml(text)
    return replace(run, objectives=named_objectives(store, run))


def named_objectives(store: Store, run: RunFile) -> tuple[str, ...] | None:
    """The objectives of a run; if it names none, the metric that its results show first; None before there are any."""
    if run.objectives is not None:
        return run.objectives
    named = (objectives.named(None, page) for page in pages(store))
    return next((names for names in named if names is not None), None)


def pages(store: Store) -> Iterator[list[Trial]]:
    """The finished rows of a table, a few at a time."""
    after = 0
    while rows := store.finished(after, PAGE):
        yield rows
        after = rows[-1].finish or after


def history(folder: Path, names: Sequence[str] | None) -> History:
    """The finished trials of a run, less those that are damaged, which its `faults` name; empty: nothing was searched.

    Args:
        folder: Folder of the run.
        names: Objectives as the run file has them.
    """
    if not holds_run(folder):
        return History.of([])
    return History.read(lambda: open_table(folder, "inspect"), names)


def settings_in(folder: Path) -> RunFile | None:
    """The run file in the table of a folder, as data; None: there is no run, or nothing was asked yet."""
    if not (holds_run(folder) or had_run(folder)):
        return None
    with closing(open_table(folder, "read")) as store:
        text = store.recall("run")
        return run_file.from_toml(text) if text else None


def trainings(folder: Path, mode: Literal["read", "inspect"] = "read") -> list[Path]:
    """Folders of full trainings within the folder of a run, those asked for last at the end; see `open_table`."""
    found = []
    for place in filter(holds_run, folder.glob(f"{TRAININGS}*/")):
        with closing(open_table(place, mode)) as store:
            found.append((remembered.number(store, "asked") or 0.0, place))
    return [place for _, place in sorted(found)]


def report_in(folder: Path) -> Path:
    """The folder for a run's report within its own. Raises StoreError where a link would lead what is written away."""
    place = folder / "report"
    refuse_links([place, *(place.iterdir() if place.is_dir() else ())])
    return place


def page_in(folder: Path) -> Path:
    """The page of a run's report: a timed run has it where its owner looks first, any other beside the figures.

    Raises StoreError where a link would lead what is written away.
    """
    figures = report_in(folder)
    if not (holds_run(folder) and _is_timed(folder)):
        return figures / "report.html"
    refuse_links([folder / "report.html"])
    return folder / "report.html"


def _is_timed(folder: Path) -> bool:
    """Whether the run of a folder ends with a contest."""
    if (folder / timetable.FILE).exists():
        return True
    with closing(open_table(folder, "inspect")) as store:
        return store.recall(FACT) is not None


def refuse_links(paths: Iterable[Path]) -> None:
    """Raise StoreError for a link where something is about to be written: a stranger could aim it anywhere."""
    for path in paths:
        if path.is_symlink():
            raise StoreError(f"{path} is a link, and what is written there would land elsewhere; remove it")


def _holds_trials(store: Store) -> bool:
    """Whether anything was asked in a run; else there is nothing that another format could make us misread."""
    tally = store.tally()
    return store.recall("run") is not None and tally.finished + tally.unfinished > 0
