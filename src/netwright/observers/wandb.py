"""Weights & Biases, offline: the search as a run, a step for each trial; `wandb sync` sends it when you want that."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final, Literal

from netwright.core import extras
from netwright.core.genes import Gene
from netwright.core.protocols import Observed
from netwright.core.records import Trial
from netwright.observers import rows

IDENTITY: Final = "wandb-run.txt"  # the name by which the service knows the search
NEED: Final = ("wandb", "the observer wandb")  # the extra, and what needs it


class Wandb:
    """Logs to Weights & Biases: files in the folder `wandb` of the run's, or its service.

    Steps are numbers of finished trials; each has what was measured, the best value so far of the first objective, the
    genes under `gene/`, and what was measured at the steps of trials under `trial/`. The run file is the configuration.
    A search that goes on goes on with the same run; one first observed as it goes on has its earlier trials too.

    Args:
        project: Name of the project.
        mode: "offline" sends nothing and needs no account; "online" sends at once.

    Raises:
        MissingCapability: The library is not installed.
    """

    def __init__(self, project: str = "netwright", mode: Literal["offline", "online"] = "offline") -> None:
        extras.check("wandb", *NEED)
        self.project, self.mode = project, mode
        self._genes: tuple[Gene, ...] = ()
        self._objectives: tuple[str, ...] = ()
        self._run: Any = None
        self._best: Trial | None = None

    def on_begin(self, run: Observed) -> None:
        """Begin the run, or go on with it."""
        wandb = extras.load("wandb", *NEED)
        self._genes, self._objectives, self._best = rows.genes_of(run), run.objectives, None
        number, is_new = rows.identity(run, IDENTITY, lambda: uuid.uuid4().hex[:8], lambda _: True)
        quiet = wandb.Settings(
            console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True, x_disable_meta=True
        )
        self._run = wandb.init(
            project=self.project,
            mode=self.mode,
            dir=str(run.folder),
            id=number,
            resume="allow" if self.mode == "online" else None,
            name=rows.title(run),
            config=dict(rows.settings(run.settings)),
            reinit="create_new",
            settings=quiet,
        )
        self._run.define_metric("trial/*", step_metric="trial/step")
        for trial in run.earlier():
            if is_new:
                self.on_trial(trial)
            else:
                self._best = rows.better(self._best, trial)

    def on_step(self, trial_id: int, step: int, total: int | None, values: Mapping[str, float]) -> None:  # noqa: ARG002
        """Log the values under the trial's number."""
        if values:
            of_trial = {f"trial/{trial_id}/{name}": value for name, value in values.items()}
            self._run.log({**of_trial, "trial/step": step})

    def on_trial(self, trial: Trial) -> None:
        """Log a step of the search."""
        measured, result = rows.metrics(trial), trial.result
        self._best = rows.better(self._best, trial)
        values: dict[str, Any] = {"trial": trial.id, "finish": trial.finish, "status": trial.status, **measured}
        values["seconds"] = result.seconds if result else 0.0
        if trial.proposal.budget is not None:
            values["budget"] = trial.proposal.budget
        if self._best is not None and self._objectives:
            values[f"best {self._objectives[0]}"] = rows.metrics(self._best)[self._objectives[0]]
        self._run.log({**values, **{f"gene/{name}": value for name, value in rows.named(self._genes, trial).items()}})

    def on_end(self, facts: Mapping[str, Any]) -> None:
        """Note what came of the search, and end the run."""
        for name, value in facts.items():
            if isinstance(value, rows.Value):
                self._run.summary[name] = value
        self._run.finish(exit_code=1 if facts.get("ending") == "failed" else 0)


plugin = Wandb
