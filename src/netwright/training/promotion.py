"""Promotions: a trial continues another one at a larger budget, from where the trainings of that one stopped.

A training whose budget ends before its schedule leaves, in the trial's folder, the checkpoint that an interruption
there would have left. A training that goes on from it ends with the weights of one uninterrupted training.

A training may also begin from such a state of another run, under other settings and with other data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from netwright.core.errors import NetwrightError
from netwright.core.records import Trial
from netwright.training import checkpoint
from netwright.training.course import Stall
from netwright.training.lengths import Length
from netwright.training.standing import Standing
from netwright.training.validation import Record


def end_of(folder: Path, repeat: int) -> Path:
    """Path, in the folder of a trial, of the checkpoint at which its training 0, 1, ... stopped."""
    return folder / f"end-{repeat}.safetensors"


def ends(trial: Trial, folder: Path | None, lengths: Sequence[Length]) -> tuple[Standing | None, ...]:
    """Where each training of the trial that this one continues stopped; None for one that left nothing to read.

    Args:
        trial: The trial that continues another one.
        folder: Folder of the trial that is continued; None: it is gone.
        lengths: Length of each of this trial's trainings.

    Raises:
        NetwrightError: A checkpoint is of another network or schedule, or of a training that went as far as this one
            is to go.
    """
    return tuple(
        _end(trial, end_of(folder, repeat), *length) if folder else None for repeat, length in enumerate(lengths)
    )


def why_anew(trial: Trial, folder: Path | None, carried: Sequence[int]) -> str:
    """Which trainings of a trial that continues another have begun anew, and why; "" where none has.

    Args:
        trial: The trial that continues another one.
        folder: Folder of the trial that is continued; None: it is gone.
        carried: The step that each training went on from; 0: it began anew.
    """
    anew = [repeat for repeat, steps in enumerate(carried) if not steps]
    if not anew:
        return ""
    which = f"{len(anew)} of {len(carried)} trainings, as " if len(anew) < len(carried) else ""
    if folder and any(end_of(folder, repeat).exists() for repeat in anew):
        return f"trained anew: {which}a checkpoint of trial {trial.proposal.continues} cannot be read"
    return f"trained anew: {which}trial {trial.proposal.continues} left no checkpoint"


def begun_of(folder: Path, key: str, repeat: int) -> Path:
    """Path of the state that training 0, 1, ... of the network with that key begins from."""
    return folder / f"{key}-{repeat}.safetensors"


def begun(trial: Trial, folder: Path, lengths: Sequence[Length]) -> tuple[Standing | None, ...]:
    """The states that the trainings of a trial begin from; None for one that is missing or cannot be read.

    Each begins with a new pass over its data, which may be other data, and counts its steps on.

    Args:
        trial: The trial.
        folder: Folder of the states.
        lengths: Length of each of this trial's trainings.

    Raises:
        NetwrightError: There is no such folder, as on a host that does not see that of the run; or a state is of
            another network, or of a training that went as far as this one is to go.
    """
    if not folder.is_dir():
        raise NetwrightError(
            f"there is no folder {folder}, whose states trainings are to begin from; let workers see the folder of the "
            "run, or leave evaluator.begin out"
        )
    return tuple(
        _begun(trial, begun_of(folder, trial.key, repeat), length.steps) for repeat, length in enumerate(lengths)
    )


def why_begun_anew(trial: Trial, folder: Path, carried: Sequence[int]) -> str:
    """Which states trainings should have begun from and did not; "" where there are none."""
    missing = [begun_of(folder, trial.key, repeat).name for repeat, steps in enumerate(carried) if not steps]
    return f"begun anew: no state that can be read is called {', '.join(missing)} in {folder}" if missing else ""


def _begun(trial: Trial, path: Path, steps: int) -> Standing | None:
    facts = checkpoint.read_facts(path)
    if facts is None:
        return None
    found = Standing.of(path, facts)
    if found.key != trial.key:
        raise NetwrightError(
            f"{path} is of the network {found.key}, not of {trial.key}, which is to begin from it; copy the state of "
            "that network there, or remove the file to begin anew"
        )
    past = found.progress
    if past.step >= steps:
        raise NetwrightError(
            f"{path} is of a training of {past.step} steps, which are to go on to step {steps}; give a larger budget, "
            "or remove the file to begin anew"
        )
    progress = replace(past, epoch=past.epoch + (past.batches > 0), batches=0, total=0.0)
    return replace(found, progress=progress, curve=[], stall=Stall(), record=Record())


def _end(trial: Trial, path: Path, steps: int, span: int) -> Standing | None:
    facts, continued = checkpoint.read_facts(path), trial.proposal.continues
    if facts is None:
        return None
    found = Standing.of(path, facts)
    if (found.seed, found.key) != (trial.seed, trial.key):
        raise NetwrightError(
            f"the checkpoint of trial {continued} is of another network than trial {trial.id}, which continues it; a "
            f"promotion must have the same genotype and seed, and the space the same settings"
        )
    if found.span != span:
        raise NetwrightError(
            f"the checkpoint of trial {continued} is of a schedule of {found.span} steps, that of trial {trial.id}, "
            f"which continues it, has {span}; give evaluator.horizon, and what an epoch is, as they were"
        )
    if found.progress.step >= steps:
        raise NetwrightError(
            f"trial {trial.id} continues trial {continued} up to step {steps}, but that one stopped at "
            f"{found.progress.step}; a promotion must have a larger budget"
        )
    return found
