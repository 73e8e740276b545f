"""Folders that trials leave behind: which are kept for those that continue them, and which go.

A row of the table decides, so that whoever was killed in between has its work done by the next one (`sweep`).
"""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from typing import Protocol

from netwright.core.protocols import Evaluator, LeavesState, Store
from netwright.core.records import Result, Trial

PAGE = 10_000  # rows read from the table at once
ENDS = "end-*.safetensors"  # states in the folder of a trial that another may continue


class Carries(Protocol):
    """Carries folders of trials between a worker's host and the folder of the run, where they share no disk."""

    def bring(self, trial: Trial) -> None:
        """Bring what the trial, and the one that it continues, have left."""

    def send(self, trial_id: int) -> bool:
        """Send what a trial has left, whole; False: it was not taken, as another worker is at the trial by now."""

    def remove(self, trial_id: int) -> None:
        """Remove the folder of a trial from that of the run."""


def name_of(trial_id: int) -> str:
    """Name of the folder of a trial."""
    return f"{trial_id:06d}"


def folder_of(trials_folder: Path, trial_id: int) -> Path:
    """The folder of a trial, which need not be there."""
    return trials_folder / name_of(trial_id)


def remove(trials_folder: Path, trial_id: int) -> None:
    """Remove the folder of a trial, if there is one."""
    shutil.rmtree(folder_of(trials_folder, trial_id), ignore_errors=True)


def clear(
    trials_folder: Path, trial: Trial, result: Result, evaluator: Evaluator, carrier: Carries | None = None
) -> None:
    """Remove a finished trial's folder, unless another trial may continue it, and that of the trial it continued."""
    for trial_id in (None if leaves_state(trial, result, evaluator) else trial.id, trial.proposal.continues):
        if trial_id is not None:
            remove(trials_folder, trial_id)
            if carrier is not None:
                carrier.remove(trial_id)


def leaves_state(trial: Trial, result: Result, evaluator: Evaluator) -> bool:
    """Whether another trial may continue a finished one."""
    return isinstance(evaluator, LeavesState) and not result.failure and evaluator.leaves_state(trial)


def make_room(store: Store, trials_folder: Path, *, keep: bool) -> list[str]:
    """See that no trial to come finds the folder of another one, whose row was lost with its number; says what is kept.

    A training would go on from the checkpoint of another network, where its weights happen to fit.

    Args:
        store: The table, which no worker works for.
        trials_folder: Folder of the trial folders.
        keep: Whether folders of trials stay on purpose: then these are renamed, and not removed.
    """
    missing, tally = set(store.missing()), store.tally()
    last = tally.finished + tally.unfinished + len(missing)
    said = []
    for trial_id, path in _numbered(trials_folder).items():
        if trial_id <= last and trial_id not in missing:
            continue
        if keep:
            aside = next(each for n in count(1) if not (each := path.with_name(f"lost-{n}-{path.name}")).exists())
            path.rename(aside)
            said.append(f"the folder of trial {trial_id}, whose row was lost, is kept as {aside.name}")
        else:
            shutil.rmtree(path, ignore_errors=True)
    return said


def _numbered(trials_folder: Path) -> dict[int, Path]:
    """The folders of trials that are there, by number."""
    try:
        return {int(path.name): path for path in trials_folder.iterdir() if path.name.isdecimal()}
    except OSError:
        return {}


def sweep(store: Store, trials_folder: Path, evaluator: Evaluator) -> None:
    """Do what `clear` would have done for trials that have finished, where a worker was killed before it could.

    So too for those that were stopped at a limit, and where a straggler has written once more. No worker of the table
    may be at a finished trial.
    """
    present, after = set(_numbered(trials_folder)), 0
    while present and (rows := store.finished(after, PAGE)):
        after = rows[-1].finish or after
        for row in rows:
            if row.result is not None and not present.isdisjoint((row.id, row.proposal.continues)):
                clear(trials_folder, row, row.result, evaluator)
