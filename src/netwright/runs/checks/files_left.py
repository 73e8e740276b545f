"""Drafts, folders of trials, checkpoints and weights that lie in the folder of a run and should not, or the reverse."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from netwright.core import files, left, sealed, trained_rounds, trial_folders
from netwright.core.protocols import Store
from netwright.core.records import Trial
from netwright.core.run_file import RunFile
from netwright.runs import run_folder
from netwright.runs.checks.finding import Finding, listed

ASIDE: Final = "aside-"  # begins the names of the folders of what a repair set aside
ROUND: Final = re.compile(r"round-(\d{4,9})\.safetensors")
CHECKPOINT: Final = "training.safetensors"  # where the training of shared weights stands
WEIGHTS: Final = "weights.safetensors"


@dataclass
class TrialFolders:
    """The folders of trials by number, and what the table says of those trials.

    Args:
        folders: The folders.
        rows: Rows of trials that have a folder, or that continue one which should have.
        continued: Numbers of trials that a finished trial has continued.
    """

    folders: dict[int, Path]
    rows: dict[int, Trial] = field(default_factory=dict)
    continued: set[int] = field(default_factory=set)

    @classmethod
    def of(cls, folder: Path) -> TrialFolders:
        """Those that lie in the folder of a run; to be asked before the table, which knows more a moment later."""
        place = folder / "trials"
        found = [path for path in place.iterdir() if path.name.isdecimal()] if place.is_dir() else []
        return cls({int(path.name): path for path in sorted(found)})

    def fill(self, store: Store) -> None:
        """Take in what the table says of them."""
        unfinished = store.unfinished()
        self.rows |= {row.id: row for row in unfinished}
        if not self.folders:
            return
        for page in run_folder.pages(store):
            self.rows |= {row.id: row for row in page if row.id in self.folders}
            self.continued |= {row.proposal.continues for row in page if row.proposal.continues is not None}


def of_drafts(folder: Path) -> Iterator[Finding]:
    """Files and folders that a process was writing when it ended."""
    found = [path for place in _folders(folder) for path in files.abandoned(place)]
    if found:
        names = listed(path.relative_to(folder) for path in found)
        what = f"{_counted(len(found), 'half-written file')} of processes that are gone: {names}"
        yield Finding("drafts", what, "they are of no use, and may be removed", tuple(found))


def of_trials(trials: TrialFolders, store: Store, run: RunFile, folder: Path) -> Iterator[Finding]:
    """Folders of trials that no row needs, and rows that need one that is not there or is damaged."""
    missing = set(store.missing())
    unknown = {number: path for number, path in trials.folders.items() if number not in {*trials.rows, *missing}}
    if unknown:
        what = f"there are folders of trials that the table does not have: {listed(unknown)}"
        remedy = "they belong to a table that was lost or replaced: restore that, or set them aside"
        yield Finding("trial folders", what, remedy, tuple(unknown.values()))
    if run.keep != "all":
        useless = {number: path for number, path in trials.folders.items() if _is_useless(number, path, trials, run)}
        if useless:
            what = f"the folders of trials that have finished, and that none will continue, are left: {listed(useless)}"
            yield Finding("trial folders", what, "they may be removed", tuple(useless.values()))
    waiting = [row for row in trials.rows.values() if row.finish is None]
    lacking = [
        row for row in waiting if row.proposal.continues and not _has_files(_path(folder, row.proposal.continues))
    ]
    if lacking:
        pairs = listed(f"trial {row.id} (of {row.proposal.continues})" for row in lacking)
        what = f"the checkpoints from which promotions are to go on are missing: {pairs}"
        yield Finding("checkpoints", what, "bring the folders of these trials back, or they are trained anew")
    empty = [row.id for row in waiting if row.id in trials.folders and not _has_files(trials.folders[row.id])]
    if empty:
        what = f"trials have begun, and their folders hold no checkpoint: {listed(empty)}"
        yield Finding("checkpoints", what, "nothing is to be done: they begin anew")


def of_weights(folder: Path) -> Iterator[Finding]:
    """Checkpoints and weights of this run, and of trainings within it, whose bytes are not what was written."""
    for place in _folders(folder):
        for path in sorted(place.glob("*.safetensors")):
            if (why := _damage(path)) and "export" not in path.relative_to(folder).parts[:1]:
                remedy = "bring a copy back, or set it aside: what needs it begins anew, or says that it is missing"
                yield Finding("weights", f"{path.relative_to(folder)} {why}", remedy, (path,))
        if fault := left.fault(place, None):
            what = fault.replace(f"{folder}{os.sep}", "")
            yield Finding("weights", what, "bring a copy back; reports leave out what the training showed of examples")


def of_rounds(store: Store, folder: Path) -> Iterator[Finding]:
    """Weights that networks share: rounds that were trained and whose file is gone."""
    shared = folder / trained_rounds.SHARED
    known = [each.round for each in trained_rounds.noted(shared)]
    there = {int(found[1]) for path in shared.glob("round-*") if (found := ROUND.fullmatch(path.name))}
    gone = [number for number in known if number not in there]
    waiting = {row.proposal.budget for row in store.unfinished()}
    if gone:
        which = f"{'round' if len(gone) == 1 else 'rounds'} {listed(gone)}"
        needed = (
            "rows of them still wait for it" if waiting.intersection(gone) else "rows lost later could not be scored"
        )
        what = f"the shared weights of {which} are missing from {shared.name}, and {needed}"
        yield Finding("weights", what, "bring the files back")
    if known and waiting and not (shared / CHECKPOINT).exists():
        what = f"{shared.name}/{CHECKPOINT}, from which the shared training goes on, is missing"
        yield Finding("weights", what, "bring it back, or begin another run")


def of_training(store: Store, run: RunFile, training: Path, folder: Path) -> Iterator[Finding]:
    """Networks that were trained in full and whose weights are gone."""
    if not run.evaluator.options.get("save"):
        return
    done = [row.id for page in run_folder.pages(store) for row in page if row.status == "done"]
    gone = [number for number in done if not (_path(training, number) / WEIGHTS).exists()]
    if gone:
        name = training.relative_to(folder)
        what = f"the weights of networks that were trained in full are missing: {name}/trials {listed(gone)}"
        command = f"`{store.recall('command') or f'netwright train {folder}'}`"
        yield Finding("weights", what, f"bring them back, or move {name} away and give {command} again")


def of_export(folder: Path) -> Iterator[Finding]:
    """The exported network of a run that ends with one."""
    place = folder / run_folder.EXPORT
    remedy = f"`netwright export {folder} --out DIRECTORY` writes it anew"
    if not place.exists():
        if (folder / "result.json").exists():
            yield Finding("export", f"the run is over, and {place.name}, the network that ships, is missing", remedy)
        return
    for name in (WEIGHTS, "architecture.json"):
        path = place / name
        why = "is missing" if not path.exists() else _damage(path) if path.suffix == ".safetensors" else ""
        if why:
            yield Finding("export", f"{place.name}/{name} {why}", remedy, (path,) if path.exists() else ())


def _is_useless(number: int, path: Path, trials: TrialFolders, run: RunFile) -> bool:
    row = trials.rows.get(number)
    if row is None or row.finish is None:
        return False
    if row.status == "failed" or number in trials.continued:
        return True
    is_own = ":" in run.evaluator.name  # then nobody knows what it leaves for a trial to go on from
    return not is_own and not any(path.glob(trial_folders.ENDS))


def _damage(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if not data:
        return "is empty"
    return "is damaged: its bytes are not what was written" if sealed.is_whole(data) is False else ""


def _has_files(place: Path) -> bool:
    return place.is_dir() and any(place.iterdir())


def _path(folder: Path, number: int) -> Path:
    return trial_folders.folder_of(folder / "trials", number)


def _folders(folder: Path) -> Iterable[Path]:
    """The folder and those within, but for what was set aside; links are not followed."""
    for place, within, _ in os.walk(folder):
        within[:] = sorted(name for name in within if not name.startswith(ASIDE) and not name.endswith(".damaged"))
        yield Path(place)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' if count != 1 else ''}"
