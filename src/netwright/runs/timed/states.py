"""States that trainings of a contest go on from, gathered in a folder of the run: those that earlier trainings left.

Most of a run's disk space is theirs. Once it is over nothing goes on from them, and they are removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from netwright.core import trial_folders
from netwright.core.errors import StoreError
from netwright.core.records import STEPS_DONE
from netwright.runs import run_folder
from netwright.training import distillation, promotion

FOLDER = "begin"  # within that of the run


def seen_from_trainings(heat: str) -> str:
    """The folder of a heat's states, as seen from the folder of its trainings."""
    return f"../{FOLDER}/{heat}"


class Begun(NamedTuple):
    """A state that trainings of a network go on from.

    Args:
        place: Folder of the trial that left it.
        seconds: Seconds of the pace that the trial had, over all its trainings.
        most: Seconds that it may have had, where a clock ended it.
    """

    place: Path
    seconds: float
    most: float


def of_search(folder: Path, keys: frozenset[str]) -> dict[str, Begun]:
    """Which trial of each network left a state, the one of the largest budget, by key."""
    found: dict[str, Begun] = {}
    with closing(run_folder.open_table(folder, "read")) as store:
        for row in (row for page in run_folder.pages(store) for row in page if row.key in keys):
            place = trial_folders.folder_of(folder / "trials", row.id)
            budget = float(row.proposal.budget or 0)
            if promotion.end_of(place, 0).exists() and (row.key not in found or budget > found[row.key].seconds):
                found[row.key] = Begun(place, budget, budget)
    return found


class Point(NamedTuple):
    """What a trial of a network came to.

    Args:
        steps: Steps that it took.
        loss: The loss then.
    """

    steps: float
    loss: float


def points_of_search(folder: Path, keys: frozenset[str], metric: str) -> dict[str, dict[float, Point]]:
    """What trials of networks came to, by key and budget; 0 is the budget of those that have none.

    Args:
        folder: Folder of the run.
        keys: Keys of the networks.
        metric: Name of the loss.
    """
    found: dict[str, dict[float, Point]] = {}
    with closing(run_folder.open_table(folder, "read")) as store:
        for row in (row for page in run_folder.pages(store) for row in page if row.key in keys):
            metrics = row.result.metrics if row.result else {}
            if metric in metrics and STEPS_DONE in metrics:
                point = Point(metrics[STEPS_DONE], metrics[metric])
                found.setdefault(row.key, {})[float(row.proposal.budget or 0)] = point
    return found


def clear(folder: Path) -> None:
    """Remove the states of a run that is over, but those of trials that its search was at when its time was over.

    What cannot be read or removed stays: the run is over all the same. Folders of heats stay too, so that a training
    which somebody takes away is made again, from its beginning.
    """
    with suppress(StoreError), closing(run_folder.open_table(folder, "inspect")) as store:
        waiting = {number for row in store.unfinished() for number in (row.id, row.proposal.continues)}
        kept = {trial_folders.folder_of(folder / "trials", number) for number in waiting if number is not None}
        places = set((folder / FOLDER).glob("*"))
        for run in (folder, *run_folder.trainings(folder)):
            places |= {state.parent for state in (run / "trials").glob(f"*/{trial_folders.ENDS}")} - kept
        for place in places:
            _emptied(place, folder)


def _emptied(place: Path, folder: Path) -> None:
    """Remove the states in a folder, and the folder of a trial where it holds nothing else; behind no link."""
    is_of_heat = place.parent.name == FOLDER
    if any(each.is_symlink() for each in (place, place.parent.parent) if each != folder):
        return
    for state in place.glob("*.safetensors" if is_of_heat else trial_folders.ENDS):
        with suppress(OSError):
            state.unlink()
    if not is_of_heat:
        with suppress(OSError):
            place.rmdir()


def gather(folder: Path, heat: str, begun: Mapping[str, Path]) -> None:
    """Link the states that lie in folders of trainings into that of a heat, by key and number of the training."""
    target = folder / FOLDER / heat
    for key, place in begun.items():
        repeat = 0
        while (state := promotion.end_of(place, repeat)).exists():
            target.mkdir(parents=True, exist_ok=True)
            distillation.link(state, target / f"{key}-{repeat}.safetensors")
            repeat += 1
