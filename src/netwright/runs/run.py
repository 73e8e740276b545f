"""A run from Python: search, train in full, export and report in one folder. The commands are thin wrappers of this.

run = Run("runs/flowers", task="image_folder(path='flowers')", trials=20)
run.search()
run.train(epochs=30)
run.export("out/flowers")
"""

from __future__ import annotations

import json
import math
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from netwright.core import files, objectives, refs, run_file
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.finals import Final
from netwright.core.protocols import Executor, Generates, KeepsTime, StatesSeconds, Store, unwrap
from netwright.core.records import Genotype, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Parts
from netwright.export import write as export_write
from netwright.report import curves, page, promotions
from netwright.report.page import ReportedRun
from netwright.runs import beforehand, retraining, run_folder, session, trainings
from netwright.runs.display import clock
from netwright.runs.retraining import Changes
from netwright.runs.session import Attended, Session, short
from netwright.training import checkpoint, ranks

TRAINED = ("space", "task", "evaluator", "executor", "final")  # parts that a full training may change


@dataclass(frozen=True)
class Searched:
    """How a search ended.

    Args:
        trials: Finished ones, with scores, in order of finishing.
        best: Of them; None: none succeeded.
        finals: Networks trained in full.
        report: The page.
    """

    trials: tuple[Trial, ...]
    best: Trial | None
    finals: tuple[Final, ...] = ()
    report: Path | None = None


class Run:
    """A folder in which is searched, trained and exported, and the settings to do so.

    Args:
        folder: Of the run; made when first written to. One that holds a run gives its settings.
        recipe: A run file (TOML) to begin with.
        space: A reference, as in "flat(nodes=7)"; so are strategy, task, evaluator and executor.
        seed: Of everything that is drawn.
        trials: Budget in finished trials, over all restarts.
        hours: Budget in hours of searching, over all restarts.
        workers: How many worker processes.
        constraints: Such as "params <= 1e6".
        changes: Options by part, put over everything else: {"space": {"channels": 8}}.
        command: What the user typed; stands in the report, to be repeated.
        console: Where progress is shown; None: standard output.
        attended: Lends each controller to someone who may stop it.

    Raises:
        BadRunFile, BadReference: Settings that do not describe a run.
    """

    def __init__(
        self,
        folder: str | Path,
        recipe: str | Path | None = None,
        *,
        space: str | None = None,
        strategy: str | None = None,
        task: str | None = None,
        evaluator: str | None = None,
        executor: str | None = None,
        seed: int | None = None,
        trials: int | None = None,
        hours: float | None = None,
        workers: int | None = None,
        constraints: Sequence[str] | None = None,
        changes: Changes | None = None,
        command: str = "",
        console: Console | None = None,
        attended: Attended = lambda _controller, _say: nullcontext(),
    ) -> None:
        self.folder = Path(folder).absolute()
        self._session = Session(console or Console(), attended, command)
        given: dict[str, Any] = {"space": space, "strategy": strategy, "task": task, "evaluator": evaluator}
        given |= {"executor": executor, "seed": seed, "constraints": tuple(constraints) if constraints else None}
        merged = {section: dict(options) for section, options in (changes or {}).items()}
        limits = (("limits", "trials", trials), ("limits", "hours", hours), ("executor", "workers", workers))
        for section, option, value in limits:
            if value is not None:
                merged.setdefault(section, {})[option] = value
        tables = {**self._tables(recipe), **{name: value for name, value in given.items() if value is not None}}
        self.settings = run_file.from_tables(run_file.merged(tables, merged))

    @property
    def trials(self) -> list[Trial]:
        """Finished trials with scores, in order of finishing; empty where nothing was searched."""
        if not run_folder.holds_run(self.folder):
            return []
        store = run_folder.open_table(self.folder, "read")
        try:
            return objectives.with_scores(store.finished(), self.settings.objectives)
        finally:
            store.close()

    @property
    def best(self) -> Trial | None:
        """The best trial so far."""
        return objectives.best(self.trials)

    def search(self) -> Searched:
        """Search until a limit is met, or go on with it; then train the best in full where `final` says how; report.

        Raises:
            Drained: It was stopped on the way.
            NetwrightError: Settings, data or a folder that cannot be used, said before anything is written.
        """
        parts = self._checked()
        with run_folder.controlled(self.folder):
            was_complete = self._is_complete()
            if not was_complete:
                self._session.prepare(self.settings.task, parts)
                genotypes = self._foreseen(parts, data_is_ready=True)
                if advice := beforehand.promotions(parts.evaluator, parts.strategy):
                    self._session.say(advice)
                if estimate := session.memory_estimate(parts, genotypes):
                    self._session.say(estimate)
            settings = run_file.resolved(self.settings, parts.measures)
            store, self.settings = run_folder.take(self.folder, settings)
            try:
                files.write(self.folder / "run.toml", run_file.to_toml(self.settings).encode())
                place = shlex.quote(short(self.folder))
                if not was_complete:
                    self._session.note(store, f"netwright search {place}/run.toml --out {place}", parts)
                store.remember("io", run_file.write_io(parts.task.io))
                self._search(store, parts)
                trials = objectives.with_scores(store.finished(), self.settings.objectives)
            finally:
                store.close()
            best = objectives.best(trials)
            self._session.say(f"{len(trials)} trials finished, {sum(t.scores is None for t in trials)} of them failed")
            if best is None:
                self._session.say("no trial succeeded; `netwright report` lists the reasons")
                return Searched(tuple(trials), None)
            names = objectives.named(self.settings.objectives, trials)
            first = objectives.first(names, parts.measures)
            self._session.say(f"best: trial {best.id}, {objectives.result_of(best, first)}")
            if rungs := promotions.summarize(trials):
                for sentence in promotions.sentences(rungs):
                    self._session.say(sentence)
            finals: list[Final] = []
            if self.settings.final is not None:
                chosen = trainings.candidates(parts.space, trials)
                finals = retraining.train_with_reference(self._session, self.folder, self.settings, chosen, {})
            path = self.folder / "report" / "report.html"
            if not (was_complete and path.exists()):
                path = self.report()
            self._session.say(f"report: {short(path)}")
        if was_complete:
            self._session.say(
                "This run was done before. More of it: --trials and a larger number. Another one: --seed and --out."
            )
        return Searched(tuple(trials), best, tuple(finals), path)

    def train(
        self,
        *,
        trial: int | None = None,
        top: int | None = None,
        published: str | None = None,
        epochs: int | None = None,
        repeats: int | None = None,
        networks: int | None = None,
        reference: bool = True,
        changes: Changes | None = None,
    ) -> list[Final]:
        """Train networks in full, on training and validation data, and test them.

        Args:
            trial: Of the search: this one; None: the best.
            top: Instead: so many of the best are trained on the training data and ranked again by the validation
                data; the first of them is then trained in full.
            published: Instead: an entry of the zoo.
            epochs: Of each training.
            repeats: Trainings of each network, from different seeds.
            networks: Instead, where a genotype is a generator: so many of its networks are drawn and trained once.
            reference: Train also a plain residual network of similar size, to compare with.
            changes: Options by part, as in {"space": {"channels": 64}}.

        Returns:
            What was measured, the reference last.

        Raises:
            Drained: It was stopped on the way.
            NetwrightError: Nothing to train, or settings that cannot be used.
        """
        if sum(given is not None for given in (trial, top, published)) > 1:
            raise BadRunFile("of --trial, --top and zoo:NAME more than one is given; give one of them")
        for name, value in (("--top", top), ("--repeats", repeats), ("--networks", networks), ("--epochs", epochs)):
            if value is not None and value < 1:
                raise BadRunFile(f"{name} is {value}; it must be at least 1")
        asked = {section: dict(options) for section, options in (changes or {}).items()}
        if unknown := asked.keys() - TRAINED:
            raise BadRunFile(f"a training has no part {min(unknown)!r} to change; there are {', '.join(TRAINED)}")
        if epochs is not None:
            asked.setdefault("evaluator", {})["epochs"] = epochs
        if networks is not None:
            if repeats is not None or unwrap(refs.load("space", self.settings.space), Generates) is None:
                raise BadRunFile("--networks goes with a space of generators, such as hnag, and without --repeats")
            repeats = networks  # the seed of each training draws a network of its own
        if repeats is not None:
            asked.setdefault("final", {})["repeats"] = repeats
        settings = self.settings
        if published is not None:
            settings, chosen = retraining.published(settings, published)
        else:
            chosen = retraining.chosen(self.folder, self.trials, trial, top)
        trainings.check(settings, asked, chosen)
        with run_folder.controlled(self.folder):
            if top is not None:
                chosen = [retraining.ranked(self._session, self.folder, settings, chosen, asked)]
            if reference:
                finals = retraining.train_with_reference(self._session, self.folder, settings, chosen, asked)
            else:
                finals = retraining.train(self._session, self.folder, settings, chosen, asked, "test")
            self._session.say(f"report: {short(self.report())}")
        return finals

    def export(
        self,
        out: str | Path,
        *,
        trial: int | None = None,
        training: str | None = None,
        onnx: bool = False,
        task: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the network that was trained last as a folder that runs without netwright; returns its path.

        Args:
            out: The folder.
            trial: The network of this trial of the search, instead of the last one trained.
            training: Name of a folder of trainings within the run's, instead of the last one.
            onnx: Also as ONNX.
            task: Options of the task put over those of the training, such as the path of data that was moved.

        Raises:
            NetwrightError: No trained network, no place to write, or an export that differs from what was trained.
        """
        for folder in reversed(self._training_folders()):
            if training is not None and folder.name != training:
                continue
            store = run_folder.open_table(folder, "read")
            settings = run_file.override(
                run_folder.stored_run(store, folder), "task", run_file.with_absolute_path(task or {})
            )
            rows = {row.id: row for row in store.finished()}
            finals = trainings.results(store, settings, folder)
            store.close()
            for final in finals:
                if final.reference or final.folder is None or (trial is not None and final.trial_id != trial):
                    continue
                if final.objective.split != "test":
                    continue
                weights = final.folder / checkpoint.WEIGHTS
                result = rows[int(final.folder.name)].result
                if not weights.exists() or result is None:
                    continue
                name = final.label if final.trial_id is None else f"{final.label}, trial {final.trial_id}"
                model = export_write.TrainedModel(
                    name=name,
                    run=settings,
                    genotype=final.genotype,
                    weights=weights,
                    metrics=result.metrics,
                    seed=rows[int(final.folder.name)].seed,
                    command=final.command,
                )
                self._refuse_other_data(folder, settings.task)
                repeat = f" (the first of {final.n} trainings)" if final.n > 1 else ""
                self._session.say(f"exporting {name}, {final.setting}{repeat}")
                return export_write.write(Path(out).absolute(), model, onnx=onnx, say=self._session.say)
        which = f" of trial {trial}" if trial is not None else f" in {training}" if training else ""
        place = short(self.folder)
        raise StoreError(f"{place} holds no trained network{which}; train one with `netwright train {place}`")

    def _refuse_other_data(self, folder: Path, task: Reference) -> None:
        """An export is tested anew: on the data of the training or not at all."""
        store = run_folder.open_table(folder, "read")
        try:
            session.refuse_other_data(store, refs.load("task", task))
        finally:
            store.close()

    def report(self, out: str | Path | None = None) -> Path:
        """Write the report's page and figures; returns the path of the page."""
        reported = self.reported()
        return page.write(Path(out) if out else self.folder / "report", [reported])

    def reported(self) -> ReportedRun:
        """What a report shows of the run; where nothing was searched, of its last trainings."""
        folders = self._training_folders()
        folder = self.folder if run_folder.holds_run(self.folder) or not folders else folders[-1]
        store = run_folder.open_table(folder, "read")
        try:
            settings = run_folder.stored_run(store, folder)
            trials = objectives.with_scores(store.finished(), settings.objectives)
            hours, command = store.recall("hours"), store.recall("command")
            simulated = store.recall("simulated_hours")
            versions = json.loads(store.recall("versions") or "{}")
            caveats = tuple(json.loads(store.recall("caveats") or "[]"))
            measures = objectives.from_json(store.recall("measures"))
        finally:
            store.close()
        return ReportedRun(
            self.folder.name,
            settings,
            trials,
            refs.load("space", settings.space),
            float(hours) if hours else None,
            tuple(self.finals()),
            settings.executor.options.get("workers"),
            command or "",
            versions,
            caveats,
            float(simulated) if simulated else None,
            measures,
        )

    def finals(self) -> list[Final]:
        """Every network trained in full, those asked for last first, references at the end."""
        found: list[Final] = []
        for folder in reversed(self._training_folders()):
            store = run_folder.open_table(folder, "read")
            found += trainings.results(store, run_folder.stored_run(store, folder), folder)
            store.close()
        return sorted(found, key=lambda final: final.reference)

    def _tables(self, recipe: str | Path | None) -> dict[str, Any]:
        """The run file to begin with: the recipe, else what the folder holds, else the defaults."""
        if recipe is not None:
            return run_file.read(Path(recipe))
        if not run_folder.holds_run(self.folder):
            return {}
        store = run_folder.open_table(self.folder, "read")
        text = store.recall("run")
        store.close()
        return run_file.to_tables(run_file.from_toml(text)) if text else {}

    def _checked(self) -> Parts:
        """The parts of the search. Whatever is wrong with the settings is said here, before anything starts."""
        settings = self.settings
        parts = run_file.build(settings)
        if settings.limits.trials is None and settings.limits.hours is None and settings.limits.table_seconds is None:
            raise BadRunFile("the search has no end; give --trials or --hours")
        if settings.limits.trials is None and settings.limits.hours is None and _has_no_costs(parts):
            raise BadRunFile(
                f"limits.table_seconds is {settings.limits.table_seconds:g}, but the table has no column of seconds to "
                "add up; give --trials, or a table with costs, as `netwright import` makes"
            )
        ranks.check_workers(parts.executor.workers)
        self._foreseen(parts)
        return parts

    def _foreseen(self, parts: Parts, *, data_is_ready: bool = False) -> list[Genotype]:
        """A few networks of the search. Refused: none fits the constraints, or each of them would fail."""
        genotypes = beforehand.samples(parts.space, self.settings.seed)
        beforehand.check(parts.evaluator, genotypes, parts.strategy, data_is_ready=data_is_ready)
        if self.settings.final is not None:
            trainings.check(self.settings, {}, data_is_ready=data_is_ready)
        return genotypes

    def _is_complete(self) -> bool:
        """Whether the folder holds all the trials that are asked for."""
        limit = self.settings.limits.trials
        if limit is None or not run_folder.holds_run(self.folder):
            return False
        store = run_folder.open_table(self.folder, "read")
        try:
            return not store.unfinished() and len(store.finished()) >= limit
        finally:
            store.close()

    def _search(self, store: Store, parts: Parts) -> None:
        """The search itself; says how busy the workers were."""
        earlier, settings = store.finished(), self.settings
        begun = time.monotonic()
        title = f"{settings.strategy} on {settings.space}, {settings.task}"
        try:
            self._session.control(store, settings, parts, self.folder, title)
        finally:
            if isinstance(parts.executor, KeepsTime):  # the clock starts anew with each command
                before = float(store.recall("simulated_hours") or 0.0)
                store.remember("simulated_hours", repr(before + parts.executor.elapsed_seconds / 3600))
        rows = store.finished(len(earlier))
        if rows:
            self._session.say(_work_done(rows, parts.executor, time.monotonic() - begun))

    def _training_folders(self) -> list[Path]:
        """Folders of trainings, the one asked for last at the end."""
        found = []
        for folder in self.folder.glob(f"{trainings.PREFIX}*/"):
            if run_folder.holds_run(folder):
                store = run_folder.open_table(folder, "read")
                found.append((float(store.recall("asked") or 0.0), folder))
                store.close()
        return [folder for _, folder in sorted(found)]


def _has_no_costs(parts: Parts) -> bool:
    """Whether evaluations take no time that could be used up."""
    states = not isinstance(parts.evaluator, StatesSeconds) or parts.evaluator.states_seconds
    return not states and not isinstance(parts.executor, KeepsTime)


def _work_done(rows: Sequence[Trial], executor: Executor, wall_seconds: float) -> str:
    """How busy the workers were, on their own clock; where rows took more time than they had, how much it was."""
    busy, workers = curves.evaluation_seconds(rows), executor.workers
    if isinstance(executor, KeepsTime):
        took = f"simulated: {clock(executor.elapsed_seconds)} on {workers} workers"
        if not executor.elapsed_seconds:
            return f"{took}, as the evaluations state no time; give --executor.seconds"
        whole = busy / (workers * executor.elapsed_seconds)
        share = executor.utilization
        until = "" if math.isnan(share) else f" {share:.1%} of it until the last trial began,"  # all began at once
        return f"{took}; they were busy{until} {whole:.1%} of all of it"
    if busy > workers * wall_seconds:
        return f"evaluations took {clock(busy)} in all"  # a table's seconds, or those of workers that joined
    return f"workers were busy {busy / (wall_seconds * workers):.1%} of the time"
