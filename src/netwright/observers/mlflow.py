"""MLflow: the search as a run, and each trial as a run within it, with genes as parameters and curves as metrics."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from netwright.core import extras
from netwright.core.genes import Gene
from netwright.core.protocols import Observed
from netwright.core.records import Trial
from netwright.observers import rows

IDENTITY: Final = "mlflow-run.txt"  # the number by which MLflow knows the search
NEED: Final = ("mlflow", "the observer mlflow")  # the extra, and what needs it
URI: Final = "MLFLOW_TRACKING_URI"  # environment variable, of MLflow itself
TRIAL: Final = "netwright.trial"  # tag of a trial's run
PARAMETERS: Final = 100  # that MLflow takes at once
METRICS: Final = 800  # with them, at most 1,000 of both
LONGEST: Final = 500  # characters of a parameter


class MlFlow:
    """Logs to MLflow's database or server.

    The run of the search has the run file as parameters and, with the number of finished trials as steps, each
    objective and the best value so far of the first. The run of a trial within it has genes as parameters, what was
    measured as metrics, and the curve. Letters that MLflow takes in no name become "_".

    Args:
        uri: Where MLflow keeps runs; "": what the environment variable MLFLOW_TRACKING_URI says, or, where it says
            nothing, the file mlflow.db in the run's folder.
        experiment: Name of the experiment that the runs belong to; made when missing.

    Raises:
        MissingCapability: MLflow is not installed.
    """

    def __init__(self, uri: str = "", experiment: str = "netwright") -> None:
        extras.check("mlflow", *NEED)
        self.uri, self.experiment = uri, experiment
        self._genes: tuple[Gene, ...] = ()
        self._objectives: tuple[str, ...] = ()
        self._entities: Any = None
        self._client: Any = None
        self._in = ""  # number of the experiment
        self._search = ""  # number of the run of the search
        self._open: dict[int, str] = {}  # runs of trials that have not finished
        self._best: Trial | None = None

    def on_begin(self, run: Observed) -> None:
        """Make the run of the search or go on with it, and log the trials that finished while nobody watched."""
        self._genes, self._objectives, self._best = rows.genes_of(run), run.objectives, None
        self._entities = extras.load("mlflow.entities", *NEED)
        own = f"sqlite:///{run.folder / 'mlflow.db'}"
        uri = self.uri or os.environ.get(URI) or own
        self._client = extras.load("mlflow.tracking", *NEED).MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name(self.experiment)
        place = {"artifact_location": (run.folder / "mlflow-artifacts").as_uri()} if uri == own else {}
        self._in = known.experiment_id if known else self._client.create_experiment(self.experiment, **place)
        self._search, _ = rows.identity(run, IDENTITY, lambda: self._begin(run), self._is_known)
        self._client.update_run(self._search, status="RUNNING")
        ended = set()
        for number, found in self._runs():
            if found.info.status == "RUNNING":
                self._open[number] = found.info.run_id
            else:
                ended.add(number)
        for trial in run.earlier():
            self._best = rows.better(self._best, trial)
            if trial.id not in ended:
                self._log(trial)

    def on_step(self, trial_id: int, step: int, total: int | None, values: Mapping[str, float]) -> None:  # noqa: ARG002
        """Log the values in the trial's run."""
        if values:
            self._client.log_batch(self._run_of(trial_id), metrics=self._metrics(values, step))

    def on_trial(self, trial: Trial) -> None:
        """Log the trial in a run of its own, and a point of each curve of the search."""
        self._best = rows.better(self._best, trial)
        self._log(trial)

    def on_end(self, facts: Mapping[str, Any]) -> None:
        """End the run of the search: as killed where it can go on, as failed where it failed."""
        status = {"drained": "KILLED", "failed": "FAILED"}.get(str(facts.get("ending")), "FINISHED")
        self._client.set_terminated(self._search, status)

    def _begin(self, run: Observed) -> str:
        begun = self._client.create_run(self._in, run_name=rows.title(run), tags={"netwright.folder": str(run.folder)})
        number: str = begun.info.run_id
        self._send(number, dict(rows.settings(run.settings)))
        return number

    def _is_known(self, number: str) -> bool:
        return bool(self._client.search_runs([self._in], f"attributes.run_id = '{number}'", max_results=1))

    def _runs(self) -> Iterator[tuple[int, Any]]:
        """The runs of trials that were logged before, by the number of the trial."""
        token: str | None = None
        while token is None or token:
            page = self._client.search_runs(
                [self._in], f"tags.mlflow.parentRunId = '{self._search}'", max_results=1000, page_token=token
            )
            yield from ((int(found.data.tags[TRIAL]), found) for found in page if TRIAL in found.data.tags)
            token = page.token or ""

    def _run_of(self, trial_id: int) -> str:
        """The run of a trial, made when missing."""
        if trial_id not in self._open:
            tags = {"mlflow.parentRunId": self._search, TRIAL: str(trial_id)}
            made = self._client.create_run(self._in, run_name=f"trial {trial_id}", tags=tags)
            self._open[trial_id] = made.info.run_id
        return self._open[trial_id]

    def _log(self, trial: Trial) -> None:
        run, measured, result = self._run_of(trial.id), rows.metrics(trial), trial.result
        asked = {"budget": trial.proposal.budget, "seed": trial.seed, "key": trial.key}
        asked["parents"] = " ".join(map(str, trial.proposal.parents)) or None
        points: list[Any] = []
        if result is not None:
            points = [each for step, value in result.curve for each in self._metrics({"curve": value}, step)]
            points += self._metrics({**measured, "seconds": result.seconds}, 0)
            if result.failure:
                self._client.set_tag(run, "failure", f"{result.failure}: {result.message}"[-LONGEST:])
        self._send(run, {**rows.named(self._genes, trial), **asked}, points)
        of_search = {name: measured[name] for name in self._objectives if name in measured}
        if self._best is not None and self._objectives:
            of_search[f"best {self._objectives[0]}"] = rows.metrics(self._best)[self._objectives[0]]
        self._client.log_batch(self._search, metrics=self._metrics(of_search, trial.finish or 0))
        self._client.set_terminated(run, "FAILED" if trial.status == "failed" else "FINISHED")
        del self._open[trial.id]

    def _metrics(self, values: Mapping[str, float], step: int) -> list[Any]:
        now = int(time.time() * 1000)
        return [self._entities.Metric(_name(name), float(value), now, step) for name, value in values.items()]

    def _send(self, run: str, parameters: Mapping[str, Any], metrics: Sequence[Any] = ()) -> None:
        """Log parameters, but for those that are None, and metrics, in as few calls as MLflow's limits allow."""
        known = {_name(name): str(value)[:LONGEST] for name, value in parameters.items() if value is not None}
        given = [self._entities.Param(name, value) for name, value in known.items()]
        calls = max(-(-len(given) // PARAMETERS), -(-len(metrics) // METRICS))
        for n in range(calls):
            self._client.log_batch(
                run,
                params=given[n * PARAMETERS : (n + 1) * PARAMETERS],
                metrics=metrics[n * METRICS : (n + 1) * METRICS],
            )


def _name(text: str) -> str:
    """The name with letters that MLflow takes in none replaced: "cell 1->2" becomes "cell 1-_2"."""
    return re.sub(r"[^\w\-. :/]", "_", text, flags=re.ASCII)


plugin = MlFlow
