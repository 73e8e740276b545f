"""TensorBoard: the search as curves, and each trial as a run of its own with its genes among the hyperparameters."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from netwright.core import extras
from netwright.core.genes import Gene
from netwright.core.protocols import Observed
from netwright.core.records import Trial
from netwright.observers import rows

FOLDER: Final = "tensorboard"
NEED: Final = ("tensorboard", "the observer tensorboard")  # the extra, and what needs it


class TensorBoard:
    """Writes the folder `tensorboard` in the run's, which `tensorboard --logdir` shows, also while it is written to.

    In its folder `search` steps are numbers of finished trials: each objective, the best value so far of the first,
    seconds, parameters and failures. It is written anew when a search goes on, so that it is complete. A folder
    `trial-000021` has what was measured at the steps of that trial, its genes and its metrics.

    Args:
        trials: Number of trials, the first ones, that have a folder of their own; each costs a file.

    Raises:
        MissingCapability: TensorBoard is not installed.
    """

    def __init__(self, trials: int = 1000) -> None:
        extras.check("tensorboard", *NEED)
        self.trials = trials
        self._folder = Path()
        self._genes: tuple[Gene, ...] = ()
        self._objectives: tuple[str, ...] = ()
        self._search: Any = None
        self._open: dict[int, Any] = {}  # writers of trials that have not finished
        self._best: Trial | None = None
        self._failed = 0

    def on_begin(self, run: Observed) -> None:
        """Write the settings, and the trials that finished before."""
        self._folder, self._genes, self._objectives = run.folder / FOLDER, rows.genes_of(run), run.objectives
        self._best, self._failed = None, 0
        for old in (self._folder / "search").glob("events.out.tfevents.*"):
            old.unlink()
        self._search = self._writer("search")
        text = json.dumps(run.settings, indent=1, default=str)
        self._search.add_text("settings", f"{rows.title(run)}\n\n```\n{text}\n```")
        for trial in run.earlier():
            self._point(trial)
            if not self._place(trial.id).exists():
                self._run_of(trial)
        self._search.flush()

    def on_step(self, trial_id: int, step: int, total: int | None, values: Mapping[str, float]) -> None:  # noqa: ARG002
        """Write the values in the trial's own folder."""
        if trial_id > self.trials or not values:
            return
        writer = self._open.setdefault(trial_id, None) or self._writer(self._place(trial_id).name)
        self._open[trial_id] = writer
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    def on_trial(self, trial: Trial) -> None:
        """Write a point of each curve of the search, and what the trial's own folder still lacks."""
        self._point(trial)
        self._search.flush()
        self._run_of(trial)

    def on_end(self, facts: Mapping[str, Any]) -> None:  # noqa: ARG002
        """Close all files."""
        for writer in (self._search, *self._open.values()):
            if writer is not None:
                writer.close()
        self._search, self._open = None, {}

    def _point(self, trial: Trial) -> None:
        measured, step = rows.metrics(trial), trial.finish or 0
        self._best = rows.better(self._best, trial)
        self._failed += trial.status == "failed"
        points = {name: measured[name] for name in self._objectives if name in measured}
        points |= {name: measured[name] for name in ("params",) if name in measured}
        if self._best is not None and self._objectives:
            points[f"best {self._objectives[0]}"] = rows.metrics(self._best)[self._objectives[0]]
        points |= {"failed": self._failed, "seconds": trial.result.seconds if trial.result else 0.0}
        for name, value in points.items():
            self._search.add_scalar(name, value, step)

    def _run_of(self, trial: Trial) -> None:
        """Write the trial's folder, with the writer that its steps were written with, and close it."""
        writer = self._open.pop(trial.id, None)
        if trial.id > self.trials:
            return
        writer = writer or self._writer(self._place(trial.id).name)
        parameters: dict[str, Any] = rows.named(self._genes, trial)
        if trial.proposal.budget is not None:
            parameters["budget"] = trial.proposal.budget
        measured = dict(rows.metrics(trial))
        summary = extras.load("torch.utils.tensorboard.summary", *NEED)
        for part in summary.hparams(parameters, measured):
            writer.file_writer.add_summary(part)
        for name, value in measured.items():
            writer.add_scalar(name, value)
        for step, value in trial.result.curve if trial.result else ():
            writer.add_scalar("curve", value, step)
        writer.close()

    def _place(self, trial_id: int) -> Path:
        return self._folder / f"trial-{trial_id:06d}"

    def _writer(self, name: str) -> Any:
        return extras.load("torch.utils.tensorboard", *NEED).SummaryWriter(str(self._folder / name))


plugin = TensorBoard
