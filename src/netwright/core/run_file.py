"""The run file: everything that defines a search, as TOML on disk and in the table, and the objects it stands for."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import ConfigDict, TypeAdapter, ValidationError

from netwright.core import directions, misfits, reading, refs, settings, shapes, whereabouts
from netwright.core.constraints import constrain
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.finals import Printed
from netwright.core.latency import LATENCY, EstimatesLatency, LatencySettings, is_named
from netwright.core.objectives import Objective
from netwright.core.protocols import (
    Evaluator,
    Executor,
    Foretells,
    ListsMetrics,
    OffersMetrics,
    SearchSpace,
    StatesIO,
    StatesMeasures,
    Strategy,
    Task,
    Tunes,
    check_accepts,
)
from netwright.core.reading import BadText, shown
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.settings import Tuned

PARTS = ("space", "strategy", "task", "evaluator", "executor")
MOST_THREADS = 1024  # of one trial
_STRICT = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
Reuse = Literal["genotype", "network", False]


@dataclass(frozen=True)
class Limits:
    """When a search ends: the first limit that is met. None: no such limit.

    Args:
        trials: Finished rows, done or failed, over all restarts.
        hours: Wall-clock hours of searching, over all restarts.
        failures_in_a_row: Number of consecutive failures that stop the search with an error; 0: no number does.
        table_seconds: Sum of what all finished rows took (`Result.seconds`; none for a row answered from the table),
            over all restarts. No row is asked after the one that reaches it; rows that run by then finish and count.
            This is the published budget of tabular benchmarks: the cost of training that one worker would have paid.
            With W workers it is still that cost, so W workers buy the same trainings in about 1 / W of the time.
    """

    trials: int | None = None
    hours: float | None = None
    failures_in_a_row: int = 5
    table_seconds: float | None = None

    def __post_init__(self) -> None:
        if self.failures_in_a_row < 0:
            raise ValueError(f"failures_in_a_row must be at least 0, got {self.failures_in_a_row}")
        for name in ("trials", "hours", "table_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be greater than 0, got {value}")


@dataclass(frozen=True)
class RunFile:
    """One search. Plug-ins are references; `final` overrides evaluator options when the best is trained in full.

    Args:
        seed: Seed of everything that is drawn.
        objectives: Metrics to maximize; a leading minus minimizes, and a direction that is known to be wrong needs an
            exclamation mark behind the name. None: the first that the evaluator measures, which is written down when
            the run begins (`resolved`).
        metrics: Metrics that are measured and reported beside the objectives, such as "valid_top5"; nothing is searched
            by them. None: none.
        constraints: Bounds on `params`, `multiply_adds`, `memory_per_sample` (bytes) and `latency_ms`, such as
            "params <= 1e6".
        reuse: What is answered from the table where it was measured before, at the same budget: "genotype": identical
            genotypes; "network": equal networks, by the space's key, whatever their genotypes; False: nothing. A bare
            `true` in a file means "network".
        threads_per_trial: Threads of one evaluation; None: the machine's cores divided by the workers, fixed when the
            run starts.
        reference_point: What hypervolumes are measured from where there are several objectives: a number for each, as
            measured, in their order. None: it lies behind the first trials (`runs/watched_front.py`).
        latency: Of what forward pass `latency_ms` is, where objectives, metrics or constraints name it; None: the
            defaults.
        keep: Which trial folders stay after their trial has finished; "none": only those that a promotion may continue.
        published: What papers print of networks trained as this file says, which reports show beside ours.
    """

    space: Reference = Reference("macro")
    strategy: Reference = Reference("auto")
    task: Reference = Reference("digits")
    evaluator: Reference = Reference("training")
    executor: Reference = Reference("processes")
    seed: int = 0
    objectives: tuple[str, ...] | None = None
    metrics: tuple[str, ...] | None = None
    constraints: tuple[str, ...] = ()
    reuse: Reuse = False
    threads_per_trial: int | None = None
    keep: Literal["none", "all"] = "none"
    limits: Limits = field(default_factory=Limits)
    latency: LatencySettings | None = None
    final: Mapping[str, Any] | None = None
    published: tuple[Printed, ...] | None = None
    reference_point: tuple[float, ...] | None = None

    __pydantic_config__ = _STRICT

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be a whole number from 0 to 2**63 - 1, got {self.seed}")
        is_given = self.objectives is not None
        if is_given and not (self.objectives and all(Objective.read(text).name for text in self.objectives)):
            raise ValueError("objectives must name at least one metric")
        for name in self.metrics or ():
            if not name or name != Objective.read(name).name:
                raise ValueError(
                    f"metrics name {name!r}; write the name of a metric alone, as no way of it is better here"
                )
        point = self.reference_point
        if point is not None and not (len(point) == len(self.objectives or ()) > 1 and all(map(math.isfinite, point))):
            raise ValueError(
                f"reference_point must have a finite number for each of several objectives, got {list(point)} for "
                f"{', '.join(self.objectives or ()) or 'none'}"
            )
        threads = 1 if self.threads_per_trial is None else self.threads_per_trial
        if threads < 1:
            raise ValueError(f"threads_per_trial must be at least 1, got {threads}")
        if threads > MOST_THREADS:
            raise ValueError(f"threads_per_trial must be at most {MOST_THREADS}, got {threads}")

    @property
    def names_latency(self) -> bool:
        """Whether objectives, metrics or constraints ask for `latency_ms`."""
        return is_named((*(self.objectives or ()), *(self.metrics or ())), self.constraints)

    @property
    def workers(self) -> int | None:
        """The number of workers that is asked for; None: the executor's own, or what no executor would take."""
        asked = self.executor.options.get("workers")
        return asked if type(asked) is int and asked > 0 else None


@dataclass(frozen=True)
class Parts:
    """The objects of a run, wired together.

    Args:
        space: The space, with its constraints.
        strategy: The strategy.
        task: The task.
        evaluator: The evaluator, with the space as it is without constraints.
        executor: The executor.
        io: What goes into the networks and comes out: as the evaluator states it, else the task's.
        measures: What a trial is known to measure, the main measure first.
        latency: Estimates `latency_ms` of every proposal; None: the run does not ask for it.
    """

    space: SearchSpace
    strategy: Strategy
    task: Task
    evaluator: Evaluator
    executor: Executor
    io: IO
    measures: tuple[Objective, ...] = ()
    latency: EstimatesLatency | None = None


def read(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises BadRunFile for a file that is missing, not TOML, or out of bounds."""
    try:
        return reading.toml(reading.file(path))
    except BadText as error:
        raise BadRunFile(f"run file {reading.line(str(path))} {error}") from None


def from_tables(tables: Mapping[str, Any]) -> RunFile:
    """The run file of these tables, checked. Raises BadRunFile, which names the field at fault."""
    fields = {name: _reference(name, value) if name in PARTS else value for name, value in tables.items()}
    for name, value in fields.items():
        options = value.options if isinstance(value, Reference) else value
        try:
            reading.check(options)
        except BadText as error:
            raise BadRunFile(f"{shown(name)} {error}") from None
        if isinstance(options, Mapping) and name != "limits":
            _check_plain(name, options)
    if fields.get("reuse") is True:  # the spelling of earlier releases
        fields["reuse"] = "network"
    try:
        return TypeAdapter(RunFile).validate_python(fields)
    except ValidationError as error:
        misfit = misfits.first(error)
        if misfit.kind == "unexpected_keyword_argument":
            kinds: dict[str, Any] = {"limits": Limits, "latency": LatencySettings, "published": Printed}
            takes = kinds.get(misfit.where.partition(".")[0], RunFile)
            listed = ", ".join(each.name for each in dataclasses.fields(takes))
            raise BadRunFile(f"the run file has no setting {shown(misfit.where)}; it takes {listed}") from None
        raise BadRunFile(str(misfit)) from None


def to_tables(run: RunFile) -> dict[str, Any]:
    """The run file as TOML tables, defaults included, settings that are None left out."""
    tables: dict[str, Any] = {}
    for name in RunFile.__dataclass_fields__:
        value = getattr(run, name)
        if isinstance(value, Reference):
            value = {"ref": value.name, **value.options}
        if isinstance(value, Limits | LatencySettings):
            value = _without_none(value)
        if name == "published" and value is not None:
            value = [_without_none(each) for each in value]
        if value is not None:
            tables[name] = value
    scalars = {k: v for k, v in tables.items() if not isinstance(v, Mapping)}
    return scalars | {k: v for k, v in tables.items() if isinstance(v, Mapping)}


def to_toml(run: RunFile) -> str:
    """The run file as text; `from_toml` gives it back."""
    return tomli_w.dumps(to_tables(run))


def from_toml(text: str) -> RunFile:
    """Inverse of `to_toml`. Raises BadRunFile for text that is not TOML, or no run file."""
    try:
        return from_tables(reading.toml(text, reading.MAX_STORED))
    except BadText as error:
        raise BadRunFile(f"the stored run file {error}") from None


def references(run: RunFile) -> dict[str, Any]:
    """All of a run file that may name a plug-in, by what it is for: its references, and the options of `final`."""
    return {**{part: getattr(run, part) for part in PARTS}, "final": run.final or {}}


def load_space(reference: Reference) -> SearchSpace:
    """The space of a reference; its option `with` adds settings of training to its genes.

    Raises:
        BadReference: No such space, or options that it does not take.
    """
    options = {name: value for name, value in reference.options.items() if name != "with"}
    space: SearchSpace = refs.load("space", Reference(reference.name, options))
    return Tuned(space, settings.of_tables(reference.options["with"])) if "with" in reference.options else space


def load_task(reference: Reference) -> Task:
    """The task of a reference. Raises BadReference, which names the option to give where its data is gone."""
    try:
        task: Task = refs.load("task", reference)
        return task
    except BadReference as error:
        for name in whereabouts.of(reference):
            place = reference.options.get(name)
            if isinstance(place, str) and place in str(error) and not os.path.exists(os.path.expanduser(place)):
                raise BadReference(f"{error}; where it has moved, give its new place with --task.{name}") from None
        raise


def build_space(run: RunFile, task: Task, latency: EstimatesLatency | None = None) -> SearchSpace:
    """The run's space, wrapped in its constraints if there are any.

    Args:
        run: The run.
        task: Its task.
        latency: Estimates `latency_ms`; None: the constraints do not name it.

    Raises:
        BadReference: There is no such space, or it has no networks for what the task gives.
        BadRunFile: A constraint cannot be read, or is on the latency and nothing estimates that.
    """
    space = _space(run, task)
    return constrain(space, task.io, run.constraints, latency) if run.constraints else space


def build_evaluator(run: RunFile) -> Evaluator:
    """The evaluator of a run: all of it that a worker needs."""
    task = build_task(run)
    return _evaluator(run, _space(run, task), task)


def build_task(run: RunFile) -> Task:
    """The task of a run, which measures what its objectives and metrics name. Raises BadReference."""
    return _measuring(load_task(run.task), run)


def _measuring(found: Any, run: RunFile) -> Any:
    """A task or an evaluator that also measures what the objectives and metrics of a run name, if it offers that."""
    wanted = (*(run.objectives or ()), *(run.metrics or ()))
    if not wanted or not isinstance(found, OffersMetrics):
        return found
    offered = [each.name for each in found.offered]
    named = dict.fromkeys(Objective.read(text).bare for text in wanted)
    chosen = [name for name in named if name in offered]
    return found.measuring(chosen) if chosen else found


def _evaluator(run: RunFile, space: SearchSpace, task: Task) -> Any:
    return _measuring(refs.load("evaluator", run.evaluator, space=space, task=task), run)


def build(run: RunFile, estimating: Callable[[SearchSpace, IO], EstimatesLatency] | None = None) -> Parts:
    """Every object of a run.

    Args:
        run: The run.
        estimating: Makes what estimates the latency, for a space without constraints; called where the run asks for
            the latency. None: it is refused as a constraint.

    Raises:
        BadReference, BadRunFile: It cannot be used; before anything is started.
    """
    run, task = tuned(run), build_task(run)
    plain = _space(run, task)
    evaluator = _evaluator(run, plain, task)
    io = (evaluator.io if isinstance(evaluator, StatesIO) else None) or task.io
    latency = estimating(plain, io) if estimating is not None and run.names_latency else None
    space = constrain(plain, io, run.constraints, latency)
    measures = _measures(evaluator, task)
    objectives = resolved(run, measures).objectives
    given = {} if objectives is None else {"objectives": objectives}  # else the strategy's own default holds
    foretell = evaluator.foretell if isinstance(evaluator, Foretells) else None
    strategy = refs.load("strategy", run.strategy, space=space, foretell=foretell, **given)
    reported = evaluator.metrics if isinstance(evaluator, ListsMetrics) else ()
    reported = (*reported, LATENCY) if reported else ()  # which the controller adds to what any evaluator reports
    if run.objectives is not None:
        directions.check(run.objectives, measures, reported)
    directions.check_beside(run.metrics or (), objectives or (), reported)
    executor = refs.load("executor", run.executor, evaluator=evaluator)
    return Parts(space, strategy, task, evaluator, executor, io, measures, latency)


def measures_of(run: RunFile) -> tuple[Objective, ...]:
    """What a trial of the run is known to measure, the main measure first; empty where its evaluator does not say."""
    task = build_task(run)
    space = load_space(tuned(run).space)
    return _measures(refs.load("evaluator", run.evaluator, space=space, task=task), task)


def tuned(run: RunFile) -> RunFile:
    """The run with the settings of training among its space's genes, if there are any, spelled out.

    Raises:
        BadReference: A setting that the evaluator and the task do not offer.
    """
    given = run.space.options.get("with")
    if given is None:
        return run
    plain = Reference(run.space.name, {name: value for name, value in run.space.options.items() if name != "with"})
    evaluator = build_evaluator(replace(run, space=plain))
    tables = settings.resolved(given, evaluator.tunable if isinstance(evaluator, Tunes) else {})
    for setting in settings.of_tables(tables):
        for value in setting.options or (setting.low, setting.high):
            assert isinstance(evaluator, Tunes), "what offers nothing has no settings to try"
            evaluator.tuned({setting.name: value})  # refuses what would fail the trials that draw it
    return override(run, "space", {"with": tables})


def resolved(run: RunFile, measures: Sequence[Objective]) -> RunFile:
    """The run as it is written down when it begins: with nothing left for its readers to choose.

    A run that names no objective gets the first of the measures, if there are any; settings among its space's genes are
    spelled out.
    """
    run = tuned(run)
    if run.names_latency and run.latency is None:
        run = replace(run, latency=LatencySettings())
    return replace(run, objectives=(str(measures[0]),)) if run.objectives is None and measures else run


def override(run: RunFile, part: str, options: Mapping[str, Any]) -> RunFile:
    """The run file with options of one plug-in replaced."""
    reference: Reference = getattr(run, part)
    changed: dict[str, Any] = {part: Reference(reference.name, {**reference.options, **options})}
    return replace(run, **changed)


def merged(tables: Mapping[str, Any], changes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Run-file tables with options replaced, by section; references become tables, a task's path becomes absolute."""
    new = dict(tables)
    for section, options in changes.items():
        old = new.get(section) or {}
        if section in PARTS:
            old = _as_table(section, new.get(section))
        new[section] = {**old, **options}
    if "task" in new:
        new["task"] = with_absolute_path(_as_table("task", new["task"]))
    return new


def with_absolute_path(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a task with `path` made absolute, because a run can be moved while its data stays."""
    path = options.get("path")
    return {**options, **({"path": str(Path(path).expanduser().absolute())} if isinstance(path, str) else {})}


def read_io(text: str) -> IO:
    """Read what goes in and what comes out, as `3x32x32:10` or `vector=16:numbers=1`; see `shapes.from_text`.

    Raises:
        BadRunFile: The text has neither form.
    """
    io = shapes.from_text(text)
    if io is None:
        raise BadRunFile(
            f"--io is {shown(text)}; write channels x height x width : outputs, as in 3x32x32:10, or name what goes in "
            f"and what comes out, as in vector=16:numbers=1, sequence=8x100:10 or tokens=10000x35:tokens=10000x35"
        )
    return io


def write_io(io: IO) -> str:
    """Inverse of `read_io`."""
    return shapes.to_text(io)


def _without_none(value: Limits | LatencySettings | Printed) -> dict[str, Any]:
    return {name: each for name, each in vars(value).items() if each is not None}


def _space(run: RunFile, task: Task) -> SearchSpace:
    space = load_space(run.space)
    try:
        check_accepts(space, task.io)
    except BadReference as error:
        fitting = next(_spaces_for(task.io), None)
        raise BadReference(f"{error}, such as --space {fitting}" if fitting else str(error)) from None
    return space


def _spaces_for(io: IO) -> Iterator[str]:
    """The package's spaces that say that they have networks for such inputs, the default one first."""
    known = refs.available("space")
    for name in sorted(known, key=lambda name: name != RunFile().space.name):
        accepts = getattr(refs.locate("space", name), "accepts", ())
        if isinstance(accepts, tuple) and type(io.input) in accepts:
            yield name


def _measures(evaluator: Evaluator, task: Task) -> tuple[Objective, ...]:
    """What an evaluator says that it measures, else what its task does, on the validation data."""
    stated = evaluator.measures if isinstance(evaluator, StatesMeasures) else ()
    if stated or not isinstance(task, StatesMeasures):
        return stated
    return tuple(measure.on("valid") for measure in task.measures)


def _as_table(section: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    reference: Reference = getattr(RunFile, section) if value in (None, "") else _reference(section, value)
    return {"ref": reference.name, **reference.options}


def _reference(name: str, value: Any) -> Reference:
    """Read any form of a reference. An option that is None is left out: TOML has no such value; the default holds."""
    if isinstance(value, Mapping) and isinstance(value.get("ref"), str):
        short = refs.parse(value["ref"])
        reference = Reference(short.name, {**short.options, **{k: v for k, v in value.items() if k != "ref"}})
    elif isinstance(value, Reference):
        reference = value
    elif isinstance(value, str):
        reference = refs.parse(value)
    else:
        raise BadReference(f'{name} is {shown(value)}: write a name, or a table with ref = "name" and options')
    return Reference(reference.name, {k: v for k, v in reference.options.items() if v is not None})


def _check_plain(name: str, value: Any) -> None:
    """Raise BadRunFile for a value that no run file can hold: of another kind, or text that is no Unicode."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise BadRunFile(f"{name} has the key {shown(key)}; keys are text")
            _check_plain(f"{name}.{key}", each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check_plain(name, each)
    elif isinstance(value, str):
        if not value.isascii() and value.encode("utf-8", "replace").decode() != value:
            raise BadRunFile(f"{shown(name)} is {shown(value)}, with characters that are no Unicode; leave them out")
    elif not isinstance(value, int | float | date | datetime | time):
        raise BadRunFile(f"{shown(name)} holds {shown(value)}, which no run file can; give a number or text")
