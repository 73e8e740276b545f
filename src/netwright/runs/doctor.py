"""What is wrong with the folder of a run, and setting it right without losing anything.

A look changes nothing: neither a file nor when one was written. A repair moves what is of no use, or damaged, into a
folder of its own, and has the table set its damaged rows aside; it deletes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path

from netwright.core import claim, locks
from netwright.core.errors import BadReference, BadRunFile, NetwrightError, StoreError
from netwright.core.run_file import references
from netwright.core.trust import Trust
from netwright.runs import ownership, run_folder
from netwright.runs.checks import files_left, place, source, tables
from netwright.runs.checks.files_left import ASIDE, TrialFolders
from netwright.runs.checks.finding import Finding, Kind, of_sentence, search

WHY_LOST = "its worker was gone when the run was repaired"


@dataclass(frozen=True)
class Examination:
    """What a look at a folder found.

    Args:
        folder: The folder.
        findings: What is wrong, the gravest first.
        remarks: What else is to be said, such as what could not be looked at.
    """

    folder: Path
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def examine(folder: Path, trust: Trust = Trust(), *, is_quick: bool = False) -> Examination:
    """Look for all that may be wrong with a folder; a search may go on there meanwhile.

    Args:
        folder: The folder.
        trust: Which plug-ins that the run names may be loaded.
        is_quick: Whether to leave out what reads all data and weights.

    Raises:
        BadRunFile: There is no such folder.
    """
    return _examined(folder, trust, is_quick=is_quick, is_ours=False)


def _examined(folder: Path, trust: Trust, *, is_quick: bool, is_ours: bool) -> Examination:
    if not folder.is_dir():
        raise BadRunFile(f"there is no folder {folder}; give the folder of a run")
    remarks: list[str] = []
    found = list(place.of_place(folder))
    if (other := _no_run(folder)) is not None:
        return Examination(folder, (other, *found))
    found += _of_run(folder, trust, remarks, is_quick=is_quick, is_ours=is_ours)
    for training in sorted(filter(run_folder.holds_run, folder.glob(f"{run_folder.TRAININGS}*/"))):
        found += _of_training(training, folder, is_ours=is_ours)
    found += files_left.of_export(folder)
    if not is_quick:
        found += files_left.of_weights(folder)
    found += files_left.of_drafts(folder)
    return Examination(folder, tuple(found), tuple(remarks))


def repair(folder: Path, today: date) -> tuple[str, ...]:
    """Set aside what is of no use or damaged, in the folder and in its tables; says what was done, a sentence each.

    Args:
        folder: The folder.
        today: The date, for the name of the folder of what is set aside.

    Raises:
        BadRunFile: There is no such folder.
        StoreError: A process searches there, or it cannot be written.
    """
    trainings = [training for training in folder.glob(f"{run_folder.TRAININGS}*/") if run_folder.holds_run(training)]
    said: list[str] = []
    looked = examine(folder)
    if looked.is_healthy:
        return ()
    for finding in looked.findings:
        if finding.kind in ("comparison", "format"):
            raise StoreError(str(finding))
    if locks.is_held(folder / tables.TIMED):
        raise StoreError(f"{folder} is being searched by another process; stop it first")
    with ExitStack() as held:
        for each in (folder, *trainings):
            held.enter_context(ownership.undisturbed(each))
        looked = _examined(folder, Trust(), is_quick=False, is_ours=True)  # again: nobody else writes now
        aside = next(path for path in _names(folder, today) if not path.exists())
        for each in (folder, *trainings):
            said += _mend_table(each, aside / each.relative_to(folder), looked)
        for path in dict.fromkeys(path for finding in looked.findings for path in finding.aside):
            said += _set_aside(path, folder, aside)
    return tuple(said)


def _no_run(folder: Path) -> Finding | None:
    """A finding on a folder that holds no run; None: it holds one."""
    if run_folder.holds_comparison(folder) and not run_folder.holds_run(folder):
        what = f"{folder} holds a comparison of strategies by `netwright bench`, and is no run"
        runs = sorted(path.parent for path in folder.glob(f"runs/*/*/{run_folder.TABLE}"))
        example = f", as {runs[0]}" if runs else ""
        return Finding("comparison", what, f"give the folder of one of its runs{example}")
    holds_any = run_folder.holds_run(folder) or run_folder.had_run(folder)
    if holds_any or any(map(run_folder.holds_run, folder.glob(f"{run_folder.TRAININGS}*/"))):
        return None
    what = f"{folder} holds no run: {run_folder.TABLE} is missing"
    return Finding("no run", what, f"give the folder that a search wrote to, or begin one by {search(folder)}")


def _of_run(folder: Path, trust: Trust, remarks: list[str], *, is_quick: bool, is_ours: bool) -> Iterator[Finding]:
    """What is wrong with the search of a folder, if there is one."""
    if not (run_folder.holds_run(folder) or run_folder.had_run(folder)):
        return
    trials = TrialFolders.of(folder)
    try:
        with tables.looked_at(folder, is_ours=is_ours) as store:
            yield from tables.of_table(store, folder)
            searched_by, found = tables.of_processes(store, folder, is_ours=is_ours)
            yield from found
            try:
                run = run_folder.recorded_run(store, folder)
            except NetwrightError as error:
                kind: Kind = "no run" if store.recall("run") is None else "table"
                yield of_sentence(kind, str(error), f"give {search(folder)} again")
                return
            if searched_by:
                remarks.append(f"{folder} is being searched by {searched_by}: what changes meanwhile was not looked at")
            else:
                trials.fill(store)
                yield from files_left.of_trials(trials, store, run, folder)
                yield from files_left.of_rounds(store, folder)
            if is_quick:
                return
            try:
                trust.check(references(run), f"the run in {folder}")
            except BadReference as error:
                remarks.append(f"its data was not looked at: {error}")
                return
            yield from source.of_data(store, run)
    except StoreError as error:
        yield tables.unreadable(error)


def _of_training(training: Path, folder: Path, *, is_ours: bool) -> Iterator[Finding]:
    """What is wrong with trainings within a run."""
    try:
        with tables.looked_at(training, is_ours=is_ours) as store:
            yield from tables.of_table(store, training)
            searched_by, found = tables.of_processes(store, training, is_ours=is_ours)
            yield from found
            if not searched_by and store.recall("run") is not None:
                run = run_folder.recorded_run(store, training)
                yield from files_left.of_training(store, run, training, folder)
    except StoreError as error:
        yield tables.unreadable(error)


def _mend_table(folder: Path, aside: Path, looked: Examination) -> Iterator[str]:
    """Have a table set aside what is damaged in it, and put back rows whose workers are gone."""
    if not run_folder.holds_run(folder) or not any(finding.is_in_table for finding in looked.findings):
        return
    try:
        with tables.looked_at(folder, is_ours=True) as store:
            damaged = store.faults()
    except StoreError:
        return  # what cannot be opened stays as it is, to be restored by hand
    if damaged:
        aside.mkdir(parents=True, exist_ok=True)
        for suffix in tables.COPIED:
            if (original := folder / f"{run_folder.TABLE}{suffix}").exists():
                shutil.copy2(original, aside / original.name)
        yield f"the table of {folder} was copied to {aside} before anything was done to it"
    with closing(run_folder.open_table(folder, "write")) as store:
        yield from (f"set aside in the table, to be asked again: {fault}" for fault in store.faults())
        if number := store.requeue(0.0, reason=WHY_LOST):
            yield f"{number:,} row{'s' if number != 1 else ''} of workers that are gone wait to be asked again"
        text = store.recall(claim.FACT)
        if text is not None and store.exchange(claim.FACT, text, None):
            yield f"the claim of a controller that is gone was taken back in the table of {folder}"


def _set_aside(path: Path, folder: Path, aside: Path) -> Iterator[str]:
    if not path.exists() and not path.is_symlink():
        return
    moved = aside / path.relative_to(folder)
    moved.parent.mkdir(parents=True, exist_ok=True)
    path.rename(moved)
    yield f"{path.relative_to(folder)} was moved to {moved.relative_to(folder)}"


def _names(folder: Path, today: date) -> Iterator[Path]:
    """Names of folders for what is set aside."""
    yield folder / f"{ASIDE}{today.isoformat()}"
    yield from (folder / f"{ASIDE}{today.isoformat()}-{number}" for number in count(2))
