"""A run from Python: search, train in full, export and report in one folder. The commands are thin wrappers of this.

run = Run("runs/flowers", task="image_folder(path='flowers')", trials=20)
run.search()
run.train(epochs=30)
run.export("out/flowers")
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from rich.console import Console

from netwright.core import building, objectives, refs, run_file, settings, whereabouts
from netwright.core.choosing import Which
from netwright.core.errors import BadRunFile
from netwright.core.finals import Final
from netwright.core.protocols import Observer, draws_networks
from netwright.core.records import Trial
from netwright.core.refs import Reference
from netwright.core.run_file import Reuse
from netwright.core.trust import of_typed
from netwright.data.given import Given
from netwright.export import write as export_write
from netwright.report import promotions
from netwright.report.history import History
from netwright.runs import (
    beforehand,
    candidates,
    exportable,
    front_training,
    latencies,
    observing,
    ownership,
    retraining,
    run_folder,
    sample_training,
)
from netwright.runs.display import best_line
from netwright.runs.meant import Meant
from netwright.runs.observing import OnStep, OnTrial
from netwright.runs.results import RunResults
from netwright.runs.retraining import Changes
from netwright.runs.session import Attended, Drained, Ended, Session, refuse_other_data, short
from netwright.runs.timed import recognized

P = ParamSpec("P")
R = TypeVar("R")
TRAINED = ("space", "task", "evaluator", "executor", "final")  # parts that a full training may change


def _with_data(method: Callable[Concatenate[Run, P], R]) -> Callable[Concatenate[Run, P], R]:
    """The method, which has the data of the run lie in its folder, and leaves nothing there where it refuses."""

    @wraps(method)
    def within(run: Run, /, *args: P.args, **named: P.kwargs) -> R:
        with run._data():
            return method(run, *args, **named)

    return within


@dataclass(frozen=True)
class Searched:
    """How a search ended.

    Args:
        ended: What the search came to.
        finals: Networks trained in full, references last.
        report: Path of the report's page; None: no report was written.
    """

    ended: Ended
    finals: tuple[Final, ...] = ()
    report: Path | None = None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Finished trials with scores, in order of finishing, read from the table of the run."""
        return self.ended.trials

    @property
    def best(self) -> Trial | None:
        """The best of the trials; None: no trial succeeded."""
        return self.ended.progress.best


class Run(RunResults):
    """A folder to search, train and export in, and the settings of the run.

    Args:
        folder: Folder of the run, made when first written to; if it holds a run, that run's settings are the start.
        recipe: A run file (TOML) to begin with, or its tables.
        space: Reference of the space, as in "flat(nodes=7)".
        strategy: Reference of the strategy.
        task: Reference of the task, or the path of data, as "./photos".
        evaluator: Reference of the evaluator.
        executor: Reference of the executor.
        seed: Seed of everything that is drawn.
        trials: Limit of finished trials, over all restarts.
        hours: Limit of hours of searching, over all restarts.
        workers: Number of worker processes.
        constraints: Conditions on networks, such as "params <= 1e6".
        objectives: Metrics to search by, as a run file has them: "valid_accuracy", "-valid_loss".
        metrics: Metrics that are measured and reported beside them: "valid_top5".
        reuse: What is answered from the table: identical genotypes, equal networks, or nothing (`RunFile.reuse`).
        changes: Options by part, put over everything else: {"space": {"channels": 8}}.
        command: The command that the user typed, for the report; "": the report gives one that does the same.
        console: Where progress is shown; None: standard output.
        attended: Lends each controller to someone who may stop it, such as a handler of signals.
        trust: Whether plug-ins that the recipe or the folder names are loaded though they are neither of this package,
            nor installed (`core.trust`), nor given here.
        reference: What the user named to be the reference of a contest, which is then loaded where trainings name it.
        session: Plays the run, in place of one that is made with `command`, `console`, `attended` and the observers.
        data: Images and labels in memory, or a data set, in place of `task`; written into the folder at once, but
            for settings that are refused, see `data.given.write`.
        size: Side in pixels to which such images are cut and scaled; None: they have one size.
        observers: Who is told how the search goes: references, as "csv", or objects (`core.protocols.Observer`).
        on_trial: Is called with each trial of the search that has finished.
        on_step: Is called as trials go on, about once a second: (trial's number, step, steps planned or None, values).

    Raises:
        BadRunFile, BadReference: The settings do not describe a run, or name a plug-in that is not trusted.
    """

    def __init__(
        self,
        folder: str | Path,
        recipe: str | Path | Mapping[str, Any] | None = None,
        *,
        space: str | None = None,
        strategy: str | None = None,
        task: str | Path | None = None,
        evaluator: str | None = None,
        executor: str | None = None,
        seed: int | None = None,
        trials: int | None = None,
        hours: float | None = None,
        workers: int | None = None,
        constraints: Sequence[str] | None = None,
        objectives: Sequence[str] | None = None,
        metrics: Sequence[str] | None = None,
        reuse: Reuse | None = None,
        changes: Changes | None = None,
        command: str = "",
        console: Console | None = None,
        attended: Attended = lambda _controller, _say: nullcontext(),
        trust: bool = False,
        reference: str | None = None,
        session: Session | None = None,
        data: Any = None,
        size: int | None = None,
        observers: Sequence[str | Observer] = (),
        on_trial: OnTrial | None = None,
        on_step: OnStep | None = None,
    ) -> None:
        place = Path(folder).absolute()
        watching = observing.loaded(observers, on_trial, on_step)
        self._session = session or Session(console or Console(), attended, command, observers=watching)
        if data is not None and task is not None:
            raise BadRunFile(f"task is {str(task)!r} and data is given too; give one of them")
        fit = (changes or {}).get("task", {}).get("fit", "crop")
        self._given = None if data is None else Given(place, data, size=size, fit=fit)
        if self._given is not None:
            task = str(Reference("arrays", {"path": str(self._given.path)}))
        elif task is not None:
            task = str(recognized.named(os.fspath(task)))
        given: dict[str, Any] = {"space": space, "strategy": strategy, "task": task, "evaluator": evaluator}
        given |= {"executor": executor, "seed": seed, "constraints": tuple(constraints) if constraints else None}
        given |= {"objectives": tuple(objectives) if objectives else None, "reuse": reuse}
        given |= {"metrics": tuple(metrics) if metrics else None}
        merged = {section: dict(options) for section, options in (changes or {}).items()}
        limits = (("limits", "trials", trials), ("limits", "hours", hours), ("executor", "workers", workers))
        for section, option, value in limits:
            if value is not None:
                merged.setdefault(section, {})[option] = value
        tables = {**_tables(place, recipe), **{name: value for name, value in given.items() if value is not None}}
        settled = run_file.from_tables(run_file.merged(tables, merged))
        super().__init__(place, settled, of_typed(given, merged, [reference], trust=trust))
        named = "" if recipe is None or isinstance(recipe, Mapping) else f" {recipe}"
        self._trust.check(run_file.references(self.settings), f"the run file{named or f' in {short(self.folder)}'}")
        with self._data() as sentence:
            if sentence:
                self._session.say(sentence)
            if not settings.is_resolved(self.settings.space.options.get("with", ())):  # of a run to begin
                self.settings = building.tuned(self.settings)

    @_with_data
    def search(self, *, is_stage: bool = False) -> Searched:
        """Start the search, or go on with it, until a limit is met; then train the best in full if `final` is set.

        A report is written at the end.

        Args:
            is_stage: Whether something else follows: then nothing is trained in full or reported here.

        Raises:
            Drained: The search, or a training after it, was stopped before its end.
            NetwrightError: Settings, data or the folder cannot be used; raised before anything is written.
        """
        parts = latencies.build(self.settings, self.folder)
        planned = building.resolved(self.settings, parts.measures, parts.evaluator)
        beforehand.check_end(planned.limits, parts)
        beforehand.bounded(parts.executor, planned.limits.trials)
        genotypes = beforehand.samples(parts.space, planned.seed)
        beforehand.check(parts.evaluator, genotypes, parts.strategy)
        self._check_final()
        if sentence := beforehand.unused_latency(planned):
            self._session.say(sentence)
        watching = self._session.observing
        with watching.until_over(Drained), ownership.opened(self.folder, planned) as run:
            self.settings = run.settings
            place = shlex.quote(short(self.folder))
            command = self._session.command or f"netwright search {place}/run.toml --out {place}"
            ended = self._session.play(
                run,
                parts,
                title=f"{planned.strategy} on {settings.spelled(planned.space)}, {planned.task}",
                facts={} if run.is_complete else {"command": command},
                genotypes=genotypes,
                when_ready=lambda: self._check_final(data_is_ready=True),
                is_observed=True,
                goes_on=is_stage,
            )
            if ended.work:
                self._session.say(ended.work)
            came, best = ended.progress, ended.progress.best
            watching.facts |= {"ending": ended.ending, "trials": came.finished, "best": best.id if best else None}
            self._session.say(f"{came.finished} trials finished, {came.failed} of them failed")
            if came.work:
                self._session.say(came.work)
            if best is None:
                self._session.say(
                    "no trial succeeded; `netwright report` lists the reasons"
                    if came.finished
                    else "no trial has finished; the same command goes on, past a limit with more of it"
                )
                return Searched(ended)
            first = objectives.first(ended.objectives, parts.measures)
            told = objectives.beside(self.settings.metrics, parts.measures)
            self._session.say(f"best: {best_line(best, first, ended.baselines, told)}")
            for sentence in came.front.sentences() if came.front else ():
                self._session.say(sentence)
            for sentence in promotions.sentences(came.budgets) if came.budgets else ():
                self._session.say(sentence)
            if is_stage:
                return Searched(ended)
            found: list[Final] = []
            if self.settings.final is not None:
                chosen = candidates.of_search(parts.space, self._history())
                found = retraining.train_with_reference(self._session, self.folder, self.settings, chosen, {})
            path = run_folder.page_in(self.folder)
            if found or not (run.is_complete and path.exists()):
                path = self.report()
            self._session.say(f"report: {short(path)}")
        if run.is_complete:
            self._session.say(
                "This run was done before. More of it: --trials and a larger number. Another one: --seed and --out."
            )
        return Searched(ended, tuple(found), path)

    @_with_data
    def train(
        self,
        *,
        trial: int | None = None,
        knee: bool = False,
        at: Sequence[str] = (),
        front: bool = False,
        top: int | None = None,
        sample: int | None = None,
        published: str | None = None,
        recipe: str | Path | None = None,
        epochs: int | None = None,
        repeats: int | None = None,
        networks: int | None = None,
        reference: bool = True,
        changes: Changes | None = None,
    ) -> list[Final]:
        """Train networks in full, on training and validation data, and test them.

        Args:
            trial: Number of the trial of the search whose network is trained; None: the best.
            knee: Take the knee of the front instead, of a run with several objectives.
            at: Conditions such as "params <= 2e5": take the best of those of the front that meet all of them.
            front: Train all of the front anew first, on the training data from other seeds (`retrained_front` has what
                came of it); `knee` and `at` then choose by the new values. Of generators, the network that did best is
                the one that is trained in full.
            top: Number of the best networks that are first trained on the training data and ranked again by the
                validation data; the first of them is then trained in full. It replaces `trial`.
            sample: Number of networks from all over the scores of the search, the worst as well as the best, that are
                trained alone to see whether the scores order them as that does (`ranking` has what came of it); nothing
                else is trained then. It replaces `trial`.
            published: Name of an entry of the zoo, which replaces `trial`, as `front` does.
            recipe: A run file (TOML) that says how, on what and at which scale to train what was searched here.
            epochs: Number of epochs of each training.
            repeats: Number of trainings of each network, from different seeds.
            networks: Number of networks that a generator draws, each trained once. It replaces `repeats`.
            reference: Train also a plain residual network of similar size, to compare with.
            changes: Options by part, as in {"space": {"channels": 64}}.

        Returns:
            What was measured of each network, the reference last.

        Raises:
            Drained: The trainings were stopped before their end.
            NetwrightError: There is nothing to train, or the settings cannot be used.
        """
        meant = Meant(Which(trial, knee, tuple(at)), front, top, sample, published)
        for name, value in (("--repeats", repeats), ("--networks", networks), ("--epochs", epochs)):
            if value is not None and value < 1:
                raise BadRunFile(f"{name} is {value}; it must be at least 1")
        changed = {section: dict(options) for section, options in (changes or {}).items()}
        if unknown := changed.keys() - TRAINED:
            raise BadRunFile(f"a training has no part {min(unknown)!r} to change; there are {', '.join(TRAINED)}")
        self._trust = self._trust.and_typed(changed)
        if epochs is not None:
            changed.setdefault("evaluator", {})["epochs"] = epochs
        if networks is not None:
            scaled = run_file.override(self.settings, "space", changed.get("space", {}))
            if repeats is not None or not draws_networks(building.load_space(scaled.space)):
                raise BadRunFile("--networks goes with a space of generators, such as hnag, and without --repeats")
            repeats = networks  # the seed of each training draws a network of its own
        if repeats is not None:
            changed.setdefault("final", {})["repeats"] = repeats
        settings, chosen = meant.resolved(self.folder, self.settings, self._history)
        if recipe is not None:
            asked_for = run_file.from_tables(run_file.merged(run_file.read(Path(recipe)), {}))
            self._trust.check(run_file.references(asked_for), f"the run file {recipe}")
            settings = retraining.by_recipe(settings, asked_for, str(recipe))
        if meant.measures_as_the_search:
            settings = front_training.measuring(settings, self.settings)
        retraining.check(settings, changed, chosen)
        if settings.objectives is None:  # of a recipe that names none
            there = run_file.override(settings, "task", run_file.with_absolute_path(changed.get("task", {})))
            settings = building.resolved(settings, building.measures_of(there))
        is_compared = front or top is not None or sample is not None
        self._refuse_changed(settings, changed, is_compared=is_compared)
        with ownership.controlled(self.folder), ownership.claimed(self.folder):
            if front:
                history = self._history()
                found = front_training.train(
                    self._session, self.folder, settings, history, chosen, meant.which, changed, reference=reference
                )
                self._session.say(f"report: {short(self.report())}")
                return found
            if sample is not None:
                found = sample_training.train(self._session, self.folder, settings, chosen, changed)
                self._session.say(f"report: {short(self.report())}")
                return found
            if top is not None:
                chosen = [retraining.ranked(self._session, self.folder, settings, chosen, changed)]
            if reference:
                found = retraining.train_with_reference(self._session, self.folder, settings, chosen, changed)
            else:
                found = retraining.train(self._session, self.folder, settings, chosen, changed, "test")
            self._session.say(f"report: {short(self.report())}")
        return found

    def export(
        self,
        out: str | Path,
        *,
        trial: int | None = None,
        knee: bool = False,
        at: Sequence[str] = (),
        training: str | None = None,
        onnx: bool = False,
        task: Mapping[str, Any] | None = None,
        is_stage: bool = False,
    ) -> Path:
        """Write the network that was trained last as a folder that runs without netwright; returns its path.

        After a contest (`runs.timed.contest`) it is the one that ships, which may be the reference.

        Args:
            out: The folder to write.
            trial: Number of the trial of the search whose network is exported; None: the one that ships, or without a
                contest the last one trained.
            knee: Take the knee of the front instead, of a run with several objectives.
            at: Conditions such as "params <= 2e5": take the best of those of the front that meet all of them.
            training: Name of a folder of trainings within the run's; None: the last one that has such a network.
            onnx: Also write the network as ONNX.
            task: Options of the task put over those of the training, such as the path of data that was moved.
            is_stage: Whether something else follows, which says the verdict of the contest.

        Raises:
            NetwrightError: There is no trained network or no place to write, or the export differs from what was
                trained.
        """
        which = Which(trial, knee, tuple(at))
        if which.is_of_front:
            trial = candidates.chosen(self.folder, self._history(), which)[0].trial_id
        contest = self._contest() if trial is None and training is None else None
        found = exportable.last(self.folder, self._trust, trial=trial, training=training, contest=contest, task=task)
        # an export is tested anew, which must be on the data of the training
        refuse_other_data(found.folder, refs.load("task", found.model.run.task))
        if contest and not is_stage:
            self._session.say(contest.verdict)
        self._session.say(f"exporting {found.told}")
        return export_write.write(Path(out).absolute(), found.model, onnx=onnx, say=self._session.say)

    def _data(self) -> AbstractContextManager[str]:
        """Has data that is in memory lie in the folder, unless an error ends the block before the run begins."""
        return self._given.written() if self._given else nullcontext("")

    def _history(self) -> History:
        return run_folder.history(self.folder, self.settings.objectives)

    def _refuse_changed(
        self, planned: run_file.RunFile, changed: Mapping[str, Mapping[str, Any]], *, is_compared: bool
    ) -> None:
        """Refuse to train where the data of the search has changed: what tests may be what was searched by.

        Args:
            planned: What is to be trained on.
            changed: Options put over it.
            is_compared: Whether what is trained is compared with scores of the search.

        Raises:
            StoreError: It has changed in its place, or, where scores are compared, what is named is other data. Else
                data that lies elsewhere, another task and other options are trained on as they are.
        """
        stored = run_folder.settings_in(self.folder)
        asked = run_file.override(planned, "task", run_file.with_absolute_path(changed.get("task", {}))).task
        if stored is None or not (
            asked == stored.task or (is_compared and whereabouts.differ_alone(asked, stored.task))
        ):
            return
        task = building.load_task(asked)
        self._session.prepare(asked, task)
        refuse_other_data(self.folder, task)

    def _check_final(self, *, data_is_ready: bool = False) -> None:
        """Refuse a `final` with which what the search finds could not be trained in full."""
        if self.settings.final is not None:
            retraining.check(self.settings, {}, data_is_ready=data_is_ready)


def _tables(folder: Path, recipe: str | Path | Mapping[str, Any] | None) -> dict[str, Any]:
    """The run file to begin with: the recipe, else what the folder holds, else the defaults."""
    if isinstance(recipe, Mapping):
        return dict(recipe)
    if recipe is not None:
        return run_file.read(Path(recipe))
    stored = run_folder.settings_in(folder)
    return run_file.to_tables(stored) if stored else {}
