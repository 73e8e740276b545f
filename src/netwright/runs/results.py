"""What a run has come to so far, for whoever asks from Python or in a notebook: read from its folder each time."""

from __future__ import annotations

from contextlib import closing
from html import escape
from pathlib import Path
from typing import Any

from netwright.core import building, objectives, remembered
from netwright.core.contest import ContestRecord
from netwright.core.finals import Final
from netwright.core.records import Trial
from netwright.core.run_file import RunFile
from netwright.core.trust import Trust
from netwright.data.text import counted
from netwright.report import card, page, progress
from netwright.report.history import History
from netwright.report.importance import Importance
from netwright.report.progress import RunProgress
from netwright.report.ranking import SampleRanking
from netwright.report.reported import ReportedRun
from netwright.report.retrained import RetrainedFront
from netwright.runs import frame, reporting, run_folder
from netwright.runs.session import short


class RunResults:
    """What there is to see of a run; nothing here searches or trains, and only `report` writes.

    Args:
        folder: Folder of the run, which need not be there yet.
        settings: Settings of the run.
        trust: Which plug-ins that the folder names are loaded.
    """

    def __init__(self, folder: Path, settings: RunFile, trust: Trust) -> None:
        self.folder = folder
        self.settings = settings
        self._trust = trust

    @property
    def trials(self) -> list[Trial]:
        """Finished trials with scores, in order of finishing; empty where nothing was searched."""
        if not run_folder.holds_run(self.folder):
            return []
        with closing(run_folder.open_table(self.folder, "read")) as store:
            return objectives.with_scores(store.finished(), self.settings.objectives)

    @property
    def progress(self) -> RunProgress:
        """What the finished trials come to so far."""
        if not run_folder.holds_run(self.folder):
            return progress.of_history(History.of([]))
        with closing(run_folder.open_table(self.folder, "read")) as store:
            return progress.of_table(store, run_folder.named_objectives(store, self.settings))

    @property
    def best(self) -> Trial | None:
        """The best trial so far; None: no trial has succeeded."""
        return self.progress.best

    def front(self) -> list[Trial]:
        """The trials that no other one beats in every objective, at the largest budget; empty before any success.

        The best by the first objective comes first; of trials with equal values the earliest stands for all. A run with
        one objective has its best alone.
        """
        came = self.progress
        if came.front is None:
            return [came.best] if came.best else []
        return list(came.front.trials)

    def retrained_front(self) -> RetrainedFront | None:
        """The front as `train` with `front` last trained it anew, beside what the search measured; None: never."""
        return reporting.retrained(self.folder, self.settings.objectives)

    def ranking(self) -> SampleRanking | None:
        """What the sample that `train` with `sample` trained says of the scores of the search; None: there is none."""
        return reporting.ranking(self.folder, self.settings.objectives)

    @property
    def verdict(self) -> str:
        """How what ships does beside the reference, in a sentence; "": no contest has been decided."""
        found = self._contest()
        return found.verdict if found else ""

    def trials_frame(self, kind: frame.Kind | None = None) -> Any:
        """Finished trials in order of finishing as a frame: a row each, with metrics, genes and notes as columns.

        A run with several objectives also has the column `on_front`, which is true of those of `front`.

        Args:
            kind: "pandas", "polars" or "dicts", a list of dictionaries; None: the first of them that is installed.

        Raises:
            MissingCapability: The library asked for is not installed.
        """
        genes = building.load_space(self.settings.space).genes
        front = {trial.id for trial in self.front()} if len(self.settings.objectives or ()) > 1 else None
        return frame.frame(frame.rows(self.trials, genes, front), kind)

    def _repr_html_(self) -> str:
        """What a notebook shows: verdict, numbers, curve and architecture."""
        if not (run_folder.holds_run(self.folder) or run_folder.trainings(self.folder)):
            return f"<div>{escape(repr(self))}</div>"
        return card.card(self.reported())

    def __repr__(self) -> str:
        """The folder, what is searched, and how far it is."""
        named = f"{self.settings.strategy.name} on {self.settings.space.name}, {self.settings.task.name}"
        return f"<Run in {short(self.folder)}: {named}; {counted(self.progress.finished, 'finished trial')}>"

    def report(self, out: str | Path | None = None, *, importance: bool = False) -> Path:
        """Write the report's page and figures, by default into the run's folder; returns the path of the page.

        With `importance` it also shows which genes matter.

        The page of a timed run lies in the run's folder itself, that of any other beside the figures.
        """
        reported = reporting.reported(self.folder, self._trust, importance=importance)
        if out:
            return page.write(Path(out), [reported])
        return page.write(run_folder.report_in(self.folder), [reported], run_folder.page_in(self.folder))

    def reported(self) -> ReportedRun:
        """What a report shows of the run, or of its last trainings where nothing was searched."""
        return reporting.reported(self.folder, self._trust)

    def importance(self) -> Importance:
        """How much each gene decides of the first objective: what `report --importance` shows."""
        found = reporting.reported(self.folder, self._trust, importance=True).importance
        assert found is not None
        return found

    def finals(self) -> list[Final]:
        """Every network trained in full, those asked for last first, references at the end; without samples."""
        return reporting.trained(self.folder, self._trust)

    def _contest(self) -> ContestRecord | None:
        """The contest of the run, once it is known what ships; None: there is none yet."""
        if not run_folder.holds_run(self.folder):
            return None
        with closing(run_folder.open_table(self.folder, "read")) as store:
            found = remembered.contest(store)
        return found if found and found.trainings else None
