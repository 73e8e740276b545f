"""Networks that were trained in full in the folder of a run: which of them an export is made of."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netwright.core import run_file
from netwright.core.contest import ContestRecord
from netwright.core.errors import StoreError
from netwright.core.finals import Final
from netwright.core.trust import Trust
from netwright.export.write import TrainedModel
from netwright.runs import finals, run_folder
from netwright.runs.session import short
from netwright.training import checkpoint


@dataclass(frozen=True)
class Exportable:
    """A network that was trained in full, as an export takes it.

    Args:
        model: The network.
        final: What was measured of it.
        folder: Folder of its trainings.
    """

    model: TrainedModel
    final: Final
    folder: Path

    @property
    def told(self) -> str:
        """What it is, for people."""
        repeat = f" (the first of {self.final.n} trainings)" if self.final.n > 1 else ""
        return f"{', '.join(filter(None, (self.final.name, self.final.setting)))}{repeat}"


def last(
    folder: Path,
    trust: Trust,
    *,
    trial: int | None = None,
    training: str | None = None,
    contest: ContestRecord | None = None,
    task: Mapping[str, Any] | None = None,
) -> Exportable:
    """The network that was trained last, references left out, or the one that ships.

    Args:
        folder: Folder of the run.
        trust: Which plug-ins that the folder names are loaded.
        trial: Number of the trial of the search whose network it is to be; None: any.
        training: Name of a folder of trainings within the run's; None: any.
        contest: The contest that says what ships, which may be the reference; None: it says nothing here.
        task: Options of the task put over those of the training, such as the path of data that was moved.

    Raises:
        StoreError: No such network has weights and was tested.
    """
    wanted = contest.trainings if contest else training
    for place in reversed(run_folder.trainings(folder)):
        if wanted is None or place.name == wanted:
            for final, model in _tested(place, trust, contest, task or {}):
                is_meant = final.genotype == contest.genotype if contest else not final.reference
                if is_meant and trial in (None, final.trial_id):
                    return Exportable(model, final, place)
    whose = f" of trial {trial}" if trial is not None else f" in {training}" if training else ""
    named = short(folder) if trial is None else f"{short(folder)} --trial {trial}"
    raise StoreError(f"{short(folder)} holds no trained network{whose}; train one with `netwright train {named}`")


def _tested(
    place: Path, trust: Trust, contest: ContestRecord | None, task: Mapping[str, Any]
) -> list[tuple[Final, TrainedModel]]:
    """The networks of a folder of trainings that were tested and whose weights are there."""
    with closing(run_folder.open_table(place, "read")) as store:
        settings = run_folder.stored_run(store, place, trust)
        settings = run_file.override(settings, "task", run_file.with_absolute_path(task))
        rows = {row.id: row for row in store.finished()}
        measured = finals.results(store, settings, place)
    found = []
    for final in measured:
        if final.objective.split != "test" or final.folder is None:
            continue
        weights, row = final.folder / checkpoint.WEIGHTS, rows[int(final.folder.name)]
        if weights.exists() and row.result is not None:
            model = TrainedModel(
                name=final.name,
                run=settings,
                genotype=final.genotype,
                weights=weights,
                metrics=row.result.metrics,
                seed=row.seed,
                command=final.command,
                verdict=contest.verdict if contest else "",
            )
            found.append((final, model))
    return found
